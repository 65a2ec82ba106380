package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
	"github.com/groundwork-saas/groundwork/store/storetest"
	"github.com/groundwork-saas/groundwork/worker/internal/runner"
)

// patience is how long a test waits for what happens by itself.
const patience = 2 * time.Minute

// world is a database, a Redis and a tenant, and what hands jobs over between them.
type world struct {
	*storetest.Stack

	redisURL string
	scope    tenancy.Scope
	queue    *postgres.Jobs
	engine   *postgres.JobEngine
	buffer   *redis.Jobs
	client   *redis.Client
	bells    *redis.Bells
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Stack: storetest.New(t)}
	server, err := devstack.StartRedis(t.Context(), devstack.Redis{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop(context.WithoutCancel(t.Context()))) })
	w.redisURL = server.URL
	w.scope = tenancy.AsSystem(w.TenantID(t), "request-7")
	w.client, w.bells = w.connect(t, w.redisURL)
	w.queue = postgres.NewJobs(postgres.Shared{DB: w.DB}, w.bells.Wake)
	w.engine = postgres.NewJobEngine(w.Open(t, postgres.Config{URL: w.SystemURL}), w.queue)
	w.buffer = redis.NewJobs(w.client, time.Now)
	return w
}

// connect opens Redis at an address.
func (w *world) connect(t *testing.T, url string) (*redis.Client, *redis.Bells) {
	t.Helper()
	client, err := redis.Open(redis.Config{URL: url, MaxActive: 64})
	require.NoError(t, err)
	bells := redis.NewBells(client)
	t.Cleanup(func() {
		bells.Close()
		assert.NoError(t, client.Close())
	})
	return client, bells
}

// dispatch hands jobs over until it is stopped or the test ends, as the scheduler does.
func (w *world) dispatch(t *testing.T) (end func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	woken := make(chan struct{}, 1)
	w.bells.OnWake(func(string) {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	var loop sync.WaitGroup
	loop.Go(func() {
		for ctx.Err() == nil {
			w.round(ctx)
			select {
			case <-ctx.Done():
			case <-woken:
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	end = func() {
		stop()
		loop.Wait()
	}
	t.Cleanup(end)
	return end
}

// round hands over what is due once. What goes wrong is tried again in the next one.
func (w *world) round(ctx context.Context) {
	_, _, _ = w.engine.Promote(ctx, 1_000)
	_, _, _ = w.engine.Expire(ctx, 1_000)
	for _, queue := range jobs.Queues() {
		if waiting, err := w.buffer.Waiting(ctx, queue); err == nil {
			if now, err := w.engine.Now(ctx); err == nil {
				_, _ = w.engine.Recall(ctx, queue, now.Add(-300*time.Millisecond), waiting)
			}
			if len(waiting) < 100 {
				_, _ = w.engine.Pick(ctx, queue, 100, tenancy.ID{}, func(refs []jobs.Ref) error { return w.buffer.Push(ctx, queue, refs) })
			}
		}
	}
}

// expire has the leases of workers run out, without the wait for it.
const expire = "update jobs set lease_until = now() - interval '1 second' where state = 'running' and worker = any($1)"

// What a worker says that has come too late to give a job back, and one that has not ended in time.
const (
	lateGiver  = "could not be given back"
	lateSettle = "could not be written in time"
	lateEnd    = "was left behind"
)

// worker is a runner in the test's process.
type worker struct {
	log      *lines
	registry *prometheus.Registry
	// drained is closed when it takes no more jobs.
	drained chan struct{}
	// stop ends it as SIGTERM does, and returns when it has ended.
	stop func()
}

// options differ from what a worker of a test mostly is.
type options struct {
	handlers []jobs.Handler
	queues   []runner.Queue // default=4 where there are none
	lease    time.Duration
	shutdown time.Duration
	// redisURL and systemURL are addresses that a test has its hands in.
	redisURL, systemURL string
	// observe is told of the statements across tenants.
	observe postgres.Observer
	// deaf workers hear no cancellation.
	deaf bool
	// stopsBusy says that it is stopped while jobs run that do not end, and so takes all of its time for it: it is a little
	// late where the machine stands still.
	stopsBusy bool
}

func (w *world) start(t *testing.T, o options) *worker {
	t.Helper()
	if o.queues == nil {
		o.queues = []runner.Queue{{Name: jobs.Default, Workers: 4}}
	}
	if o.shutdown == 0 {
		o.shutdown = 10 * time.Second
	}
	if o.redisURL == "" {
		o.redisURL = w.redisURL
	}
	if o.systemURL == "" {
		o.systemURL = w.SystemURL
	}
	client, bells := w.connect(t, o.redisURL)
	tenants := postgres.NewJobs(postgres.Shared{DB: w.Open(t, postgres.Config{URL: w.WorkerURL})}, bells.Wake)
	started := &worker{log: &lines{}, registry: prometheus.NewRegistry(), drained: make(chan struct{})}
	config := runner.Config{
		Handlers: o.handlers, Desk: postgres.NewJobEngine(w.Open(t, postgres.Config{URL: o.systemURL, Observe: o.observe}), tenants), Effects: tenants,
		Queues: o.queues, Fetch: fetchWith(client, bells), OnCancel: bells.OnCancel,
		Name: t.Name(), Lease: o.lease, Log: logging.New(logging.Config{Output: started.log, Level: "debug"}),
		Registry: started.registry, Now: time.Now,
	}
	if o.deaf {
		config.OnCancel = nil
	}
	r, err := runner.New(config)
	require.NoError(t, err)
	component := r.Component()
	drain := component.Drain
	component.Drain = func() {
		drain()
		close(started.drained)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := lifecycle.Run(ctx, o.shutdown, component)
		if !o.stopsBusy || err != nil && !strings.Contains(err.Error(), lateEnd) {
			assert.NoError(t, err)
		}
	}()
	started.stop = func() {
		stop()
		<-ended
	}
	t.Cleanup(started.stop)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the worker's log:\n%s", started.log.String())
		}
	})
	return started
}

func fetchWith(client *redis.Client, bells *redis.Bells) func(runner.Queue) runner.Fetch {
	return func(queue runner.Queue) runner.Fetch {
		f := redis.NewFetch(redis.FetchConfig{Client: client, Bells: bells, Queue: queue.Name, Workers: queue.Workers})
		return runner.Fetch{Namespace: redis.Namespace(queue.Name), JobName: redis.JobName, Pool: f.Pool(), Halt: f.Halt}
	}
}

// enqueue has a job done.
func (w *world) enqueue(t *testing.T, args jobs.Args) tenancy.ID {
	t.Helper()
	done, err := jobs.Enqueue(t.Context(), w.queue, w.scope, args)
	require.NoError(t, err)
	return done.ID
}

// until waits for a job to come to a state.
func (w *world) until(t *testing.T, id tenancy.ID, states ...jobs.State) jobs.Job {
	t.Helper()
	var job jobs.Job
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var err error
		job, err = w.queue.FindJob(t.Context(), w.scope, id)
		require.NoError(c, err)
		assert.Contains(c, states, job.State)
	}, patience, 2*time.Millisecond)
	return job
}

// failures are a job's as operators see them, as JSON.
func (w *world) failures(t *testing.T, id tenancy.ID) string {
	t.Helper()
	var failures string
	require.NoError(t, w.Admin(t).QueryRow(t.Context(), "select failures::text from jobs where id = $1", id.String()).Scan(&failures))
	return failures
}

// lines are what a worker logged.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// String is all of it.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// of waits for a job's line and returns its fields.
func (l *lines) of(t *testing.T, id tenancy.ID) logrus.Fields {
	t.Helper()
	var fields logrus.Fields
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		fields = nil
		for line := range strings.Lines(l.String()) {
			if strings.Contains(line, id.String()) && strings.Contains(line, `"message":"job"`) {
				require.NoError(c, json.Unmarshal([]byte(line), &fields))
			}
		}
		assert.NotEmpty(c, fields)
	}, patience, 2*time.Millisecond)
	return fields
}

// counted is a counter's or a histogram's count of the worker, summed over the series that have the labels.
func (w *worker) counted(t *testing.T, name string, labels map[string]string) int {
	t.Helper()
	families, err := w.registry.Gather()
	require.NoError(t, err)
	var sum float64
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			has := map[string]string{}
			for _, label := range metric.GetLabel() {
				has[label.GetName()] = label.GetValue()
			}
			maps.DeleteFunc(has, func(name, _ string) bool { return labels[name] == "" })
			if maps.Equal(has, labels) {
				sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			}
		}
	}
	return int(sum)
}

// requireOnce demands that what has a moment for it only succeeds in one of three tries.
func requireOnce(t *testing.T, try func() bool) {
	t.Helper()
	succeeds := false
	for n := 0; n < 3 && !succeeds; n++ {
		succeeds = try()
	}
	require.True(t, succeeds)
}

// receive waits for what a handler tells.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(patience):
		require.Fail(t, "it did not happen within "+patience.String())
		panic("unreachable")
	}
}

// spread says how long something took, mostly and at worst.
func spread(took []time.Duration) string {
	slices.Sort(took)
	return "p50 " + took[len(took)/2].String() + ", p99 " + took[len(took)*99/100].String() + ", most " + took[len(took)-1].String()
}
