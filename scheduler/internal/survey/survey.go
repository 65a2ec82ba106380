// Package survey asks PostgreSQL and Redis now and then how they are and who uses them most, and shows the answers as
// metrics.
//
// Each replica of the scheduler asks, and all are told the same: take the max. The package knows which figures there are and
// when to ask; how is given to it. What could not be asked is not shown, rather than shown as it was.
package survey

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/platform/lifecycle"
)

// askTimeout bounds one question.
const askTimeout = 20 * time.Second

// Figure is one value of a metric, with the values of its labels in their order.
type Figure struct {
	Metric string
	Labels []string
	Value  float64
}

// Source is somebody to ask.
type Source struct {
	// Name is what logs call it.
	Name  string
	Every time.Duration
	Ask   func(ctx context.Context) ([]Figure, error)
}

// Survey is a prometheus.Collector of the last answers.
type Survey struct {
	log     *logrus.Logger
	sources []Source
	descs   map[string]*prometheus.Desc

	mu      sync.Mutex
	answers map[string][]Figure
}

// New returns a survey, registered. It panics where a source's figure could not be shown: that is a mistake of the program.
func New(registry prometheus.Registerer, log *logrus.Logger, sources ...Source) *Survey {
	s := &Survey{log: log, sources: sources, descs: map[string]*prometheus.Desc{}, answers: map[string][]Figure{}}
	for _, m := range measures() {
		s.descs[m.name] = prometheus.NewDesc(m.name, m.help, m.labels, nil)
	}
	registry.MustRegister(s)
	return s
}

// Component asks until the process stops.
func (s *Survey) Component(ctx context.Context) lifecycle.Component {
	ctx, cancel := context.WithCancel(ctx)
	return lifecycle.Component{
		Name: "survey",
		Serve: func() error {
			var running sync.WaitGroup
			for _, source := range s.sources {
				running.Go(func() { s.repeat(ctx, source) })
			}
			running.Wait()
			return nil
		},
		Stop: func(context.Context) error {
			cancel()
			return nil
		},
	}
}

func (s *Survey) repeat(ctx context.Context, source Source) {
	ticker := time.NewTicker(source.Every)
	defer ticker.Stop()
	for {
		s.Ask(ctx, source)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Ask asks a source once, and keeps what it says.
func (s *Survey) Ask(ctx context.Context, source Source) {
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	figures, err := source.Ask(asking)
	if err != nil && ctx.Err() == nil {
		s.log.WithError(err).WithField("source", source.Name).Warn("the survey got no answer; its figures are left out")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		figures = nil
	}
	s.answers[source.Name] = figures
}

// Describe implements prometheus.Collector.
func (s *Survey) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range s.descs {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (s *Survey) Collect(metrics chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range measures() {
		for _, figures := range s.answers {
			for _, f := range figures {
				if f.Metric == m.name {
					metrics <- prometheus.MustNewConstMetric(s.descs[m.name], m.kind, f.Value, f.Labels...)
				}
			}
		}
	}
}
