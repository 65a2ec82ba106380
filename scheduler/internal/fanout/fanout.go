// Package fanout turns committed events into webhook deliveries, and lets deliveries go that were held for their
// endpoints.
//
// It runs in every replica of the scheduler: who claims an event passes over those that another one has claimed. It
// knows when, never what: the domain's Dispatcher decides. It calls nobody; deliveries are jobs of the workers.
package fanout

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/platform/lifecycle"
)

// Dispatcher does one round of each; see webhooks.Dispatcher.
type Dispatcher interface {
	FanOut(ctx context.Context) (events int, err error)
	Release(ctx context.Context) (deliveries int, err error)
}

// Config is what the loop is told; zero durations mean what is said of each.
type Config struct {
	// FanOut and Release are used by one goroutine each, and so are two.
	FanOut, Release Dispatcher
	// Poll is how often events are looked for that nobody told of; 0 is 250 ms.
	Poll time.Duration
	// ReleaseEvery is how often held deliveries are looked for; 0 is 1 s.
	ReleaseEvery time.Duration
	Log          *logrus.Logger
	Registry     prometheus.Registerer
}

// Loop runs the rounds.
type Loop struct {
	config   Config
	bell     chan struct{}
	events   prometheus.Counter
	released prometheus.Counter
	failures prometheus.Counter
}

// New returns the loop.
func New(config Config) *Loop {
	if config.Poll <= 0 {
		config.Poll = 250 * time.Millisecond
	}
	if config.ReleaseEvery <= 0 {
		config.ReleaseEvery = time.Second
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		config.Registry.MustRegister(c)
		return c
	}
	return &Loop{
		config: config, bell: make(chan struct{}, 1),
		events:   counter("groundwork_webhook_events_total", "Events that were turned into deliveries to the endpoints that wanted them."),
		released: counter("groundwork_webhook_released_total", "Deliveries that were held for their endpoints and let go, or cancelled."),
		failures: counter("groundwork_webhook_rounds_failed_total", "Rounds over events or held deliveries that failed, in whole or in part."),
	}
}

// Wake says that there are new events. It does not block.
func (l *Loop) Wake() {
	select {
	case l.bell <- struct{}{}:
	default:
	}
}

// Component runs the loop until the process stops. A round under way is finished.
func (l *Loop) Component(ctx context.Context) lifecycle.Component {
	ctx, cancel := context.WithCancel(ctx)
	return lifecycle.Component{
		Name: "webhook fan-out",
		Serve: func() error {
			l.Run(ctx)
			return nil
		},
		Stop: func(context.Context) error {
			cancel()
			return nil
		},
	}
}

// Run runs the rounds until ctx ends.
func (l *Loop) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() {
		l.repeat(ctx, round{what: "events", do: l.config.FanOut.FanOut, done: l.events, every: l.config.Poll, bell: l.bell})
	})
	running.Go(func() {
		l.repeat(ctx, round{what: "held deliveries", do: l.config.Release.Release, done: l.released, every: l.config.ReleaseEvery})
	})
	running.Wait()
}

// round is one of the two things that the loop does.
type round struct {
	what  string
	do    func(context.Context) (int, error)
	done  prometheus.Counter
	every time.Duration
	bell  <-chan struct{} // nil: it waits for its time
}

const (
	// roundTimeout bounds a round, which ends in the middle where the process stops for longer.
	roundTimeout = 30 * time.Second
	// restAfterFailure is the first wait after a failed round; it doubles up to mostRest.
	restAfterFailure, mostRest = 250 * time.Millisecond, 10 * time.Second
)

// repeat does a round when there is a reason, at once again where it found something.
func (l *Loop) repeat(ctx context.Context, r round) {
	rest := restAfterFailure
	for ctx.Err() == nil {
		wait := r.every
		n, err := l.within(ctx, r.do)
		r.done.Add(float64(n))
		switch {
		case err != nil:
			l.failures.Inc()
			l.config.Log.WithError(err).WithField("round", r.what).Error("webhooks: a round failed; it will be tried again")
			wait, rest = rest, min(2*rest, mostRest)
		case n > 0:
			rest, wait = restAfterFailure, 0
		default:
			rest = restAfterFailure
		}
		bell := r.bell
		if err != nil {
			bell = nil // what fails is not hurried
		}
		timer := time.NewTimer(wait)
		select {
		case <-bell:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (l *Loop) within(ctx context.Context, do func(context.Context) (int, error)) (int, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), roundTimeout)
	defer cancel()
	return do(ctx)
}
