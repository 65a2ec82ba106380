// Package upkeep does what must be done now and then for the whole installation, whoever its tenants are.
//
// The scheduler runs it in every replica: each duty is safe to run at any time and from several places at once. It
// knows when, never what: the duties are given to it.
package upkeep

import (
	"context"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/platform/lifecycle"
)

// Duty is one thing to do at the start and then every so often.
type Duty struct {
	Name  string
	Every time.Duration
	Run   func(ctx context.Context) error
}

// retryAfter is how soon a duty that failed is tried again.
const retryAfter = time.Minute

// Component runs the duties until the process stops.
func Component(ctx context.Context, log *logrus.Logger, duties ...Duty) lifecycle.Component {
	ctx, cancel := context.WithCancel(ctx)
	return lifecycle.Component{
		Name: "upkeep",
		Serve: func() error {
			var running sync.WaitGroup
			for _, duty := range duties {
				running.Go(func() { duty.loop(ctx, log) })
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

func (d Duty) loop(ctx context.Context, log *logrus.Logger) {
	for {
		wait := d.Every
		if err := d.Run(ctx); err != nil && ctx.Err() == nil {
			log.WithError(err).WithField("duty", d.Name).Error("upkeep failed; it will be tried again")
			wait = min(wait, retryAfter)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
