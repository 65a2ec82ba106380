// Package runner runs jobs: it takes them from Redis with gocraft/work, claims them in PostgreSQL, holds their leases,
// runs their handlers, and settles what becomes of them.
//
// The worker's cmd gives it the handlers and everything that it talks to. A job runs only while PostgreSQL says that
// this process holds it; what Redis says is a hint where to look. The package decides nothing about retries, which the
// domain does, and knows no kind of job.
package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gocraft/work"
	redigo "github.com/gomodule/redigo/redis"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
)

// DefaultLease is how long a claim stands without a beat.
const DefaultLease = 30 * time.Second

// settlesAtOnce is how many batches of ended jobs are written at once. Each waits for the disk; what ends meanwhile makes
// the next one, which is the larger and so the cheaper for a job.
const settlesAtOnce = 1

// unsettledPerWorker is how many jobs may have run and not be written yet, for each that may run. They run again where
// the process dies.
const unsettledPerWorker = 2

// Config is what New needs. All but Lease and OnCancel must be set.
type Config struct {
	// Handlers run jobs, one for each kind.
	Handlers []jobs.Handler
	Desk     jobs.Desk
	Effects  jobs.Effects
	// Queues are those that this process serves.
	Queues []Queue
	// Fetch prepares the fetching of a queue's jobs from Redis.
	Fetch func(Queue) Fetch
	// OnCancel has a function called with the jobs.Ref, as a string, of a job that was asked to end, and with "" where
	// messages may have been missed. The message is a hint; without it the next beat finds out.
	OnCancel func(ring func(ref string))
	// Name is the process's among all workers, for people.
	Name string
	// Lease is how long others leave a job alone that this process claimed and does not beat for; 0 is DefaultLease.
	Lease    time.Duration
	Log      *logrus.Logger
	Registry prometheus.Registerer
	Now      func() time.Time
}

// Fetch is how a queue's jobs come from Redis.
type Fetch struct {
	// Namespace and JobName are the queue's and all jobs' in gocraft/work.
	Namespace, JobName string
	// Pool has the library's connections.
	Pool *redigo.Pool
	// Halt ends the fetching at once: also of those that wait for a job.
	Halt func()
}

// Runner runs the jobs of some queues.
type Runner struct {
	config   Config
	handlers map[string]jobs.Handler
	measures *measures
	claims   *batch[jobs.Ref, claim]
	settles  *batch[jobs.Outcome, bool]
	leases   *leases
	progress *progress
	pools    []pool
	// unsettled holds one for each job that has run, is not written yet, and has no slot any more.
	unsettled chan struct{}
	strange   sync.Map // kinds that were warned of

	halting  sync.Once
	halted   chan struct{} // closed when nothing is fetched any more
	stopped  chan struct{} // closed when all of gocraft/work has stopped
	over     chan struct{} // closed when the runner has stopped
	services sync.WaitGroup
	end      context.CancelFunc // of the services
}

// pool is gocraft/work's for one queue.
type pool struct {
	*work.WorkerPool

	halt func()
}

// New returns a runner. It fetches nothing until its component is served.
func New(config Config) (*Runner, error) {
	if config.Lease <= 0 {
		config.Lease = DefaultLease
	}
	if config.OnCancel == nil {
		config.OnCancel = func(func(string)) {}
	}
	r := &Runner{
		config: config, handlers: map[string]jobs.Handler{}, measures: newMeasures(config.Registry),
		halted: make(chan struct{}), stopped: make(chan struct{}), over: make(chan struct{}),
	}
	for _, handler := range config.Handlers {
		if err := handler.Kind.Check(); err != nil {
			return nil, err
		}
		if _, taken := r.handlers[handler.Kind.Name]; taken {
			return nil, fmt.Errorf("jobs of kind %s have two handlers", handler.Kind.Name)
		}
		r.handlers[handler.Kind.Name] = handler
	}
	r.claims = newBatch(r.claimAll)
	r.settles = newBatch(r.settleAll)
	r.leases = newLeases(leaseConfig{Desk: config.Desk, Lease: config.Lease, Log: config.Log, Now: config.Now, Measures: r.measures})
	r.progress = newProgress(config.Desk, config.Log, config.Lease/2)
	if len(config.Queues) == 0 {
		return nil, errors.New("a runner needs a queue to serve")
	}
	workers := 0
	for _, queue := range config.Queues {
		workers += queue.Workers
	}
	r.unsettled = make(chan struct{}, unsettledPerWorker*workers)
	for _, queue := range config.Queues {
		fetch := config.Fetch(queue)
		// The library never retries and never buries: whatever it has is a copy.
		library := work.NewWorkerPool(struct{}{}, uint(queue.Workers), fetch.Namespace, fetch.Pool) //nolint:gosec // Queue bounds it
		library.JobWithOptions(fetch.JobName, work.JobOptions{MaxFails: 1, SkipDead: true}, func(job *work.Job) error {
			r.handle(queue.Name, job.ArgString("ref"))
			return nil
		})
		r.pools = append(r.pools, pool{library, fetch.Halt})
	}
	config.OnCancel(r.leases.hint)
	return r, nil
}

// Component fetches and runs jobs while it is served. Drain ends the fetching; Stop waits for what runs until a margin
// before its deadline, has it end then, and gives back what did not.
func (r *Runner) Component() lifecycle.Component {
	return lifecycle.Component{Name: "jobs", Start: r.start, Serve: r.serve, Drain: r.halt, Stop: r.stop}
}

// start starts what the jobs need while they run. It outlives the start's context: it is needed until the last has ended.
func (r *Runner) start(ctx context.Context) error {
	ctx, r.end = context.WithCancel(context.WithoutCancel(ctx))
	r.services.Go(func() { r.claims.serve(ctx, 1) })
	r.services.Go(func() { r.settles.serve(ctx, settlesAtOnce) })
	r.services.Go(func() { r.leases.serve(ctx) })
	r.services.Go(func() { r.progress.serve(ctx) })
	return nil
}

func (r *Runner) serve() error {
	var running sync.WaitGroup
	for _, p := range r.pools {
		running.Go(func() {
			p.Start()
			<-r.halted
			p.Stop() // which waits for its jobs, however long they take
		})
	}
	go func() {
		running.Wait()
		close(r.stopped)
	}()
	<-r.over
	return nil
}

func (r *Runner) halt() {
	r.halting.Do(func() {
		r.leases.close()
		for _, p := range r.pools {
			p.halt()
		}
		close(r.halted)
	})
}

func (r *Runner) stop(ctx context.Context) error {
	r.halt()
	patience := 30 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline)
	}
	margin := min(patience/4, 5*time.Second)
	if !r.leases.idleWithin(patience - margin) {
		r.config.Log.WithField("jobs", r.leases.count()).Warn("jobs that still run are told to end, and given back")
		r.leases.cancelAll(errStopping)
		if !r.leases.idleWithin(margin / 2) {
			r.giveBack(ctx, margin/4)
		}
	}
	select {
	case <-r.stopped:
	case <-time.After(margin / 4): // the library is left behind with what did not end
	}
	if left := r.leases.settling(); left > 0 {
		r.config.Log.WithField("jobs", left).Warn("what became of jobs could not be written in time; they run again when their leases have run out")
	}
	r.end()
	r.services.Wait()
	close(r.over)
	return nil
}

// giveBack gives the jobs back whose handlers did not heed the end of their context. What they still do is refused.
func (r *Runner) giveBack(ctx context.Context, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	var outcomes []jobs.Outcome
	for _, a := range r.leases.abandon() {
		r.config.Log.WithFields(a.fields()).Error("the job does not heed the end of its context; it is given back while it runs")
		outcomes = append(outcomes, jobs.Outcome{Attempt: a.Attempt, State: jobs.Pending, RunAt: r.config.Now()})
	}
	if len(outcomes) == 0 {
		return
	}
	if _, err := r.config.Desk.Settle(ctx, outcomes); err != nil {
		r.config.Log.WithError(err).Warn("jobs could not be given back; they run again when their leases have run out")
	}
}
