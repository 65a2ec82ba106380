package main

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/worker/cmd/internal/engine"
	"github.com/groundwork-saas/groundwork/worker/internal/jobs"
	"github.com/groundwork-saas/groundwork/worker/internal/runner"
)

// process is what all parts of the worker stand on.
type process struct {
	cfg      settings
	log      *logrus.Logger
	registry prometheus.Registerer
	base     *backend.Backend
	now      func() time.Time
}

// newEngine wires the running of the queues' jobs.
func newEngine(ctx context.Context, p process, queues []runner.Queue) (*engine.Engine, error) {
	e, err := engine.Open(ctx, engine.Config{
		SystemURL: p.cfg.SystemDatabaseURL.Reveal(), RedisURL: p.cfg.RedisURL.Reveal(), Router: p.base.Router, Queues: queues,
		Lease: p.cfg.JobLease, Log: p.log, Registry: p.registry, Now: p.now,
	})
	if err != nil {
		return nil, err
	}
	err = e.Handle(jobs.Handlers(jobs.Needs{Trash: p.trash(), Expiries: p.expiries(e.System, e.Desk)})) //nolint:contextcheck // jobs end with the runner, not with its making
	if err != nil {
		return nil, errors.Join(err, e.Close(ctx))
	}
	return e, nil
}
