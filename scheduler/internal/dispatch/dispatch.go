// Package dispatch hands jobs that wait in PostgreSQL over to the workers' lists in Redis, and sees to it that none is
// lost there.
//
// The scheduler runs it in every replica: any number share the work. The lists are short, so that what is picked is
// picked late and fairly, and so that little has to be found out when Redis forgets. It never runs a job, and never
// decides what becomes of one: it moves between waiting and handed over.
package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
)

// The rhythm of the work.
const (
	// poll is how often a queue is looked at, and what is due is made pending, without anybody ringing.
	poll = 250 * time.Millisecond
	// busyPoll is the first wait where more waits than the list takes; it doubles up to busyPollMost while nothing moves.
	busyPoll     = 2 * time.Millisecond
	busyPollMost = 32 * time.Millisecond
	// sweepEvery is how often dead workers' leavings are removed.
	sweepEvery = 10 * time.Second
	// tendEvery is how often leases and lists are looked after.
	tendEvery = time.Second
	// countEvery is how often jobs are counted.
	countEvery = 15 * time.Second
	// overdue is how long a job may be on its way from the list to its claim before it is handed over again.
	overdue = 3500 * time.Millisecond
	// actWithin bounds one pick or sweep, so that a database or a Redis that hangs is noticed.
	actWithin = 10 * time.Second
	// backoffMost is the longest wait while PostgreSQL or Redis is away.
	backoffMost = time.Second
)

// Config is what a dispatcher stands on.
type Config struct {
	Backlog jobs.Backlog
	Buffer  jobs.Buffer
	// Count counts the jobs that are not over; nil counts none.
	Count func(ctx context.Context) ([]Count, error)
	// Queues are those to serve; nil is all.
	Queues   []string
	Log      *logrus.Logger
	Registry prometheus.Registerer
	// Now is the process's clock, for durations only.
	Now func() time.Time
}

// Count is how many jobs of a queue are in a state, and since when the oldest one is: since it was due, or since it died.
type Count struct {
	Queue  string
	State  jobs.State
	Jobs   int64
	Oldest time.Duration
}

// Dispatcher serves queues.
type Dispatcher struct {
	Config

	feeders map[string]*feeder
	redis   *outage
	sql     *outage
	metrics *metrics
}

// New returns a dispatcher that does nothing until it is run.
func New(config Config) *Dispatcher {
	if config.Queues == nil {
		config.Queues = jobs.Queues()
	}
	m := newMetrics(config.Registry)
	d := &Dispatcher{
		Config: config, feeders: map[string]*feeder{}, metrics: m,
		redis: newOutage("Redis", config.Log, m.away), sql: newOutage("PostgreSQL", config.Log, m.away),
	}
	for _, queue := range config.Queues {
		d.feeders[queue] = newFeeder(d, queue)
	}
	return d
}

// Wake tells that a queue has new jobs; "" stands for all queues. It never blocks.
func (d *Dispatcher) Wake(queue string) {
	if f, ok := d.feeders[queue]; ok {
		f.ring()
	} else if queue == "" {
		for _, f := range d.feeders {
			f.ring()
		}
	}
}

// Run dispatches until ctx ends. A pick under way is finished.
func (d *Dispatcher) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, f := range d.feeders {
		running.Go(func() { f.run(ctx) })
	}
	k := &keeper{Dispatcher: d}
	running.Go(func() { d.every(ctx, poll, k.promote) })
	running.Go(func() { d.every(ctx, tendEvery, k.expire) })
	running.Go(func() { d.every(ctx, poll, k.watch) })
	running.Go(func() { d.every(ctx, sweepEvery, k.sweep) })
	if d.Count != nil {
		running.Go(func() { d.every(ctx, countEvery, k.count) })
	}
	running.Wait()
}

// Component runs the dispatcher as part of a process.
func (d *Dispatcher) Component(ctx context.Context) lifecycle.Component {
	ctx, cancel := context.WithCancel(ctx)
	return lifecycle.Component{
		Name: "dispatcher",
		Serve: func() error {
			d.Run(ctx)
			return nil
		},
		Stop: func(context.Context) error {
			cancel()
			return nil
		},
	}
}

// every does an act again and again, sooner or later where it fails: no later than backoffMost.
func (d *Dispatcher) every(ctx context.Context, interval time.Duration, act func(context.Context) error) {
	wait := backoff{}
	for {
		rest := interval
		if err := within(ctx, act); err != nil && ctx.Err() == nil {
			rest = wait.next()
		} else {
			wait = backoff{}
		}
		if !sleep(ctx, rest) {
			return
		}
	}
}

// within bounds an act, and lets it finish where ctx ends meanwhile.
func within(ctx context.Context, act func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actWithin)
	defer cancel()
	return act(ctx)
}

// backoff is how long to wait after failures.
type backoff struct{ last time.Duration }

func (b *backoff) next() time.Duration {
	const first = 50 * time.Millisecond
	b.last = min(max(2*b.last, first), backoffMost)
	return b.last
}

// sleep waits, and says whether ctx still stands.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
