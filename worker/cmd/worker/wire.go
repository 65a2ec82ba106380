package main

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

	"github.com/groundwork-saas/groundwork/domain/webhooks"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/ops"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
	"github.com/groundwork-saas/groundwork/worker/internal/jobs"
	"github.com/groundwork-saas/groundwork/worker/internal/runner"
)

// systemConnections is how many connections there are across tenants. Claims go through one at a time, in batches, and
// so do settlements and beats, however many jobs run.
const systemConnections = 6

// engine is what runs jobs, and the connections that only it has.
type engine struct {
	system *postgres.DB
	redis  *redis.Client
	bells  *redis.Bells
	runner *runner.Runner
}

// process is what all parts of the worker stand on.
type process struct {
	cfg      settings
	log      *logrus.Logger
	registry prometheus.Registerer
	base     *backend.Backend
	now      func() time.Time
}

// newEngine wires the running of the queues' jobs.
func newEngine(ctx context.Context, p process, queues []runner.Queue) (*engine, error) {
	system, err := postgres.Open(ctx, postgres.Config{
		URL: p.cfg.SystemDatabaseURL.Reveal(), MaxConnections: systemConnections, Now: p.now,
	})
	if err != nil {
		return nil, fmt.Errorf("open the database of SYSTEM_DATABASE_URL: %w", err)
	}
	workers := 0
	for _, queue := range queues {
		workers += queue.Workers
	}
	// Of its own, so that jobs leave what else the process does its connections, and are left theirs.
	client, err := redis.Open(redis.Config{URL: p.cfg.RedisURL.Reveal(), ClientName: "groundwork-jobs", MaxActive: workers + 8})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare Redis for jobs: %w", err), system.Close())
	}
	mails, err := newNotices(p)
	if err != nil {
		return nil, errors.Join(err, client.Close(), system.Close())
	}
	e := &engine{system: system, redis: client, bells: redis.NewBells(client)} //nolint:contextcheck // they end with Close
	tenants := postgres.NewJobs(p.base.Router, e.bells.Wake)
	desk := postgres.NewJobEngine(system, tenants)
	p.base.DB.OnEvents(e.bells.EventsBell())
	caller, err := backend.NewCaller(p.cfg.WebhookAllow, p.cfg.Environment)
	if err != nil {
		return nil, errors.Join(err, e.close(ctx))
	}
	needs, err := p.needs(tenants)
	if err != nil {
		return nil, errors.Join(err, e.close(ctx))
	}
	needs.Trash, needs.Expiries, needs.Notices = p.trash(), p.expiries(system, desk), mails
	needs.Webhooks = webhooks.NewCourier(postgres.NewWebhooks(p.base.Router, p.base.Sealer, tenants), caller, p.now)
	e.runner, err = runner.New(runner.Config{ //nolint:contextcheck // jobs end with the runner, not with its making
		Handlers: jobs.Handlers(needs),
		Desk:     desk, Effects: tenants,
		Queues: queues, Fetch: e.fetch(p.log), OnCancel: e.bells.OnCancel,
		Name: workerName(), Lease: p.cfg.JobLease, Log: p.log, Registry: p.registry, Now: p.now,
	})
	if err != nil {
		return nil, errors.Join(err, e.close(ctx))
	}
	metrics.RegisterPool(p.registry, "system", system.Stats)
	return e, nil
}

// fetch has a queue's jobs fetched from Redis.
func (e *engine) fetch(log *logrus.Logger) func(runner.Queue) runner.Fetch {
	return func(queue runner.Queue) runner.Fetch {
		f := redis.NewFetch(redis.FetchConfig{
			Client: e.redis, Bells: e.bells, Queue: queue.Name, Workers: queue.Workers,
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
}

// components are the connections and, on top of them, the runner.
func (e *engine) components() []lifecycle.Component {
	return []lifecycle.Component{{Name: "connections of jobs", Stop: e.close}, e.runner.Component()}
}

// check says whether jobs can be claimed.
func (e *engine) check() ops.Check { return ops.Check{Name: "system database", Run: e.system.Ping} }

func (e *engine) close(context.Context) error {
	e.bells.Close()
	return errors.Join(e.redis.Close(), e.system.Close())
}

// workerName tells this process from others, also from one of the same number on the same machine before it.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + strconv.Itoa(os.Getpid()) + "/" + rand.Text()[:6]
}
