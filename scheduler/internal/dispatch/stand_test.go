package dispatch_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/scheduler/internal/dispatch"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

const (
	queue = jobs.Default
	// patience is how long a test waits for what must come. It is how long Redis may take to answer, too: what a test
	// breaks breaks at once, and a machine that stands still is no outage.
	patience = time.Minute
	tick     = 2 * time.Millisecond
)

// work is a job of these tests.
type work struct {
	N int `json:"n"`
}

func (work) JobKind() jobs.Kind { return jobs.Kind{Name: "test.work"} }

// stand is PostgreSQL and Redis of a test's own, with what enqueues and claims.
type stand struct {
	*storetest.Stack

	server *server
	client *redis.Client
	bells  *redis.Bells
	queue  *postgres.Jobs
	engine *postgres.JobEngine
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{Stack: storetest.New(t), server: startServer(t)}
	s.client = s.connect(t)
	s.bells = redis.NewBells(s.client)
	t.Cleanup(s.bells.Close)
	s.queue = postgres.NewJobs(postgres.Shared{DB: s.DB}, s.bells.Wake)
	s.engine = s.newEngine(t)
	return s
}

func (s *stand) connect(t *testing.T) *redis.Client {
	t.Helper()
	client, err := redis.Open(redis.Config{
		URL: s.server.URL, DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience,
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func (s *stand) newEngine(t *testing.T) *postgres.JobEngine {
	t.Helper()
	return postgres.NewJobEngine(s.Open(t, postgres.Config{URL: s.SystemURL}), s.queue)
}

// dispatcher is one that runs until it is stopped, or the test ends.
type dispatcher struct {
	*dispatch.Dispatcher

	registry *prometheus.Registry
	logs     *logs
	stop     func()
}

// dispatch runs a dispatcher with connections of its own.
func (s *stand) dispatch(t *testing.T, change ...func(*dispatch.Config)) *dispatcher {
	t.Helper()
	d := &dispatcher{registry: prometheus.NewRegistry(), logs: &logs{}}
	log := logrus.New()
	log.SetOutput(d.logs)
	config := dispatch.Config{
		Backlog: s.newEngine(t), Buffer: redis.NewJobs(s.connect(t), time.Now), Queues: []string{queue},
		Log: log, Registry: d.registry, Now: time.Now,
	}
	for _, c := range change {
		c(&config)
	}
	d.Dispatcher = dispatch.New(config)
	bells := redis.NewBells(s.connect(t))
	bells.OnWake(d.Wake)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	d.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		bells.Close()
	})
	t.Cleanup(d.stop)
	return d
}

// metric is the sum of a metric's values.
func (d *dispatcher) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := d.registry.Gather()
	require.NoError(t, err)
	var sum float64
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// enqueue enqueues n jobs of a tenant.
func (s *stand) enqueue(t *testing.T, tenant tenancy.ID, n int, change func(*jobs.New)) []jobs.Ref {
	t.Helper()
	list := make([]jobs.New, n)
	refs := make([]jobs.Ref, n)
	for i := range list {
		job, err := jobs.Of(work{N: i})
		require.NoError(t, err)
		if change != nil {
			change(&job)
		}
		list[i], refs[i] = job, jobs.Ref{Tenant: tenant, ID: job.ID}
	}
	_, err := s.queue.Enqueue(t.Context(), tenancy.AsSystem(tenant, ""), list...)
	require.NoError(t, err)
	return refs
}

// states counts the jobs that are not over, by state.
func (s *stand) states(t *testing.T) map[jobs.State]int64 {
	t.Helper()
	stats, err := s.engine.JobStats(t.Context())
	require.NoError(t, err)
	states := map[jobs.State]int64{}
	for _, c := range stats {
		states[c.State] += c.Jobs
	}
	return states
}

// beat says that there are workers with so many slots, as a pool's heartbeat does.
func (s *stand) beat(t *testing.T, slots int) {
	t.Helper()
	pools := redis.Namespace(queue) + ":worker_pools"
	for _, command := range [][]any{{"SADD", pools, "test"}, {"HSET", pools + ":test", "concurrency", slots}} {
		name, _ := command[0].(string)
		_, err := s.client.Do(t.Context(), name, command[1:]...)
		require.NoError(t, err)
	}
}

// take takes what waits in the list, the next one first; none where Redis is away.
func (s *stand) take(ctx context.Context, most int) []jobs.Ref {
	items, err := redigo.ByteSlices(s.client.Do(ctx, "RPOP", redis.Namespace(queue)+":jobs:"+redis.JobName, most))
	if err != nil {
		return nil
	}
	refs := make([]jobs.Ref, 0, len(items))
	for _, item := range items {
		var job struct {
			Args struct {
				Ref string `json:"ref"`
			} `json:"args"`
		}
		if json.Unmarshal(item, &job) != nil {
			continue
		}
		if ref, err := jobs.ParseRef(job.Args.Ref); err == nil {
			refs = append(refs, ref)
		}
	}
	return refs
}

// ledger is what workers have run, in order.
type ledger struct {
	mu  sync.Mutex
	ran []jobs.Ref
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ran)
}

// requireOnce waits until so many jobs have run, and demands that each did once.
func (l *ledger) requireOnce(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return l.count() >= n }, patience, tick, "%d jobs have run of %d", l.count(), n)
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[jobs.Ref]bool{}
	for _, ref := range l.ran {
		assert.False(t, seen[ref], "a job ran twice")
		seen[ref] = true
	}
	require.Len(t, seen, n)
}

// work runs jobs until the test ends: what is taken is claimed, noted and settled.
func (s *stand) work(t *testing.T, batch int) *ledger {
	t.Helper()
	l := &ledger{}
	engine := s.newEngine(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		pause := time.NewTicker(tick)
		defer pause.Stop()
		for ctx.Err() == nil {
			refs := s.take(ctx, batch)
			for len(refs) > 0 && ctx.Err() == nil {
				claimed, locked, err := engine.Claim(ctx, "test", refs, time.Minute)
				if err != nil {
					break // they are handed over again
				}
				outcomes := make([]jobs.Outcome, len(claimed))
				l.mu.Lock()
				for i, job := range claimed {
					ref := jobs.Ref{Tenant: job.Tenant, ID: job.ID}
					l.ran = append(l.ran, ref)
					outcomes[i] = jobs.Outcome{Attempt: jobs.Attempt{Ref: ref, Number: job.Attempt}, State: jobs.Succeeded}
				}
				l.mu.Unlock()
				if len(outcomes) > 0 {
					if _, err := engine.Settle(ctx, outcomes); err != nil && ctx.Err() == nil {
						t.Errorf("settle: %v", err)
					}
				}
				refs = locked
			}
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return l
}

// logs keeps what was logged.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

var _ io.Writer = (*logs)(nil)

// server is a private redis-server, which a test may kill and start again in the same place.
type server struct {
	URL     string
	config  devstack.Redis
	running *devstack.RedisServer
}

func startServer(t *testing.T) *server {
	t.Helper()
	s := &server{config: devstack.Redis{Password: rand.Text(), RequireReal: true}}
	s.start(t)
	t.Cleanup(func() { assert.NoError(t, s.running.Stop(context.WithoutCancel(t.Context()))) })
	at, err := url.Parse(s.URL)
	require.NoError(t, err)
	s.config.Port, err = strconv.Atoi(at.Port())
	require.NoError(t, err)
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	running, err := devstack.StartRedis(t.Context(), s.config)
	if errors.Is(err, devstack.ErrNoRedis) {
		t.Skipf("this test needs a real redis-server: %s", err)
	}
	require.NoError(t, err)
	s.running, s.URL = running, running.URL
}

// kill ends the server as a power cut would.
func (s *server) kill(t *testing.T) {
	t.Helper()
	process, err := os.FindProcess(s.running.Pid())
	require.NoError(t, err)
	require.NoError(t, process.Kill())
	<-s.running.Done()
}

func (s *stand) do(t *testing.T, command string, args ...any) {
	t.Helper()
	_, err := s.client.Do(t.Context(), command, args...)
	require.NoError(t, err, fmt.Sprint(command, args))
}
