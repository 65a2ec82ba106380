package dispatch

import (
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

// outage tells of something that is away: once when the first act fails for it, and once when none does any more.
type outage struct {
	name string
	log  *logrus.Logger
	away prometheus.Gauge

	mu      sync.Mutex
	failing map[string]bool
}

func newOutage(name string, log *logrus.Logger, away *prometheus.GaugeVec) *outage {
	return &outage{name: name, log: log, away: away.WithLabelValues(name), failing: map[string]bool{}}
}

// failed notes that an act failed, and returns its error.
func (o *outage) failed(act string, err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.failing) == 0 {
		o.away.Set(1)
		o.log.WithError(err).WithField("act", act).Warn(o.name + " does not do its part: jobs wait in PostgreSQL, and nothing is lost")
	}
	o.failing[act] = true
	return fmt.Errorf("%s: %w", act, err)
}

// worked notes that an act was done.
func (o *outage) worked(act string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.failing[act] {
		return
	}
	delete(o.failing, act)
	if len(o.failing) == 0 {
		o.away.Set(0)
		o.log.Info(o.name + " does its part again")
	}
}
