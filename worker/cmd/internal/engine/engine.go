// Package engine wires the running of jobs: the connections across tenants, the fetching from Redis, and the runner on
// top of both.
//
// The worker's main package calls it, and so do the programs that break and measure the engine, so that what they run is
// what production runs. It decides nothing and knows no kind of job.
package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/ops"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
	"github.com/groundwork-saas/groundwork/worker/internal/runner"
)

// systemConnections is how many connections there are across tenants. Claims go through one at a time, in batches, and
// so do settlements and beats, however many jobs run.
const systemConnections = 6

// Config is what Open needs. All of it must be set.
type Config struct {
	// SystemURL is PostgreSQL as groundwork_system.
	SystemURL string
	RedisURL  string
	// Router finds the tenants' databases, as the process's own role.
	Router   postgres.Router
	Queues   []runner.Queue
	Lease    time.Duration
	Log      *logrus.Logger
	Registry prometheus.Registerer
	Now      func() time.Time
}

// Engine is what runs jobs, and the connections that only it has.
type Engine struct {
	// System is the database across tenants, Desk the jobs in it.
	System *postgres.DB
	Desk   *postgres.JobEngine
	// Tenants are the jobs of one tenant at a time.
	Tenants *postgres.Jobs
	Bells   *redis.Bells

	config Config
	redis  *redis.Client
	runner *runner.Runner
}

// Open opens the connections. Handle comes next, or Close.
func Open(ctx context.Context, config Config) (*Engine, error) {
	system, err := postgres.Open(ctx, postgres.Config{
		URL: config.SystemURL, MaxConnections: systemConnections, Now: config.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("open the database of SYSTEM_DATABASE_URL: %w", err)
	}
	workers := 0
	for _, queue := range config.Queues {
		workers += queue.Workers
	}
	// Of its own, so that jobs leave what else the process does its connections, and are left theirs.
	client, err := redis.Open(redis.Config{URL: config.RedisURL, ClientName: "groundwork-jobs", MaxActive: workers + 8})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare Redis for jobs: %w", err), system.Close())
	}
	e := &Engine{config: config, System: system, redis: client, Bells: redis.NewBells(client)} //nolint:contextcheck // they end with Close
	e.Tenants = postgres.NewJobs(config.Router, e.Bells.Wake)
	e.Desk = postgres.NewJobEngine(system, e.Tenants)
	metrics.RegisterPool(config.Registry, "system", system.Stats)
	metrics.RegisterRedis(config.Registry, "jobs", client.Connections)
	return e, nil
}

// Handle says who runs the jobs, once.
func (e *Engine) Handle(handlers []jobs.Handler) (err error) {
	e.runner, err = runner.New(runner.Config{
		Handlers: handlers, Desk: e.Desk, Effects: e.Tenants,
		Queues: e.config.Queues, Fetch: e.fetch, OnCancel: e.Bells.OnCancel,
		Name: workerName(), Lease: e.config.Lease, Log: e.config.Log, Registry: e.config.Registry, Now: e.config.Now,
	})
	return err
}

// fetch has a queue's jobs fetched from Redis.
func (e *Engine) fetch(queue runner.Queue) runner.Fetch {
	log := e.config.Log
	f := redis.NewFetch(redis.FetchConfig{
		Client: e.redis, Bells: e.Bells, Queue: queue.Name, Workers: queue.Workers,
		OnChange: func(healthy bool, cause error) {
			if healthy {
				log.WithField("queue", queue.Name).Info("Redis is back: jobs are taken again")
				return
			}
			log.WithError(cause).WithField("queue", queue.Name).Warn("Redis is away: no jobs are taken; those under way go on")
		},
	})
	return runner.Fetch{Namespace: redis.Namespace(queue.Name), JobName: redis.JobName, Pool: f.Pool(), Halt: f.Halt}
}

// Components are the connections and, on top of them, the runner.
func (e *Engine) Components() []lifecycle.Component {
	return []lifecycle.Component{{Name: "connections of jobs", Stop: e.Close}, e.runner.Component()}
}

// Check says whether jobs can be claimed.
func (e *Engine) Check() ops.Check { return ops.Check{Name: "system database", Run: e.System.Ping} }

// Close ends the connections.
func (e *Engine) Close(context.Context) error {
	e.Bells.Close()
	return errors.Join(e.redis.Close(), e.System.Close())
}

// workerName tells this process from others, also from one of the same number on the same machine before it.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + strconv.Itoa(os.Getpid()) + "/" + rand.Text()[:6]
}
