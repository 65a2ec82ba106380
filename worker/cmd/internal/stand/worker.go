package stand

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/worker/cmd/internal/engine"
	"github.com/groundwork-saas/groundwork/worker/internal/runner"
)

// settings are the worker's that have to do with jobs.
type settings struct {
	config.Common

	OpsAddr           config.Address `env:"WORKER_OPS_ADDR" default:":9091" help:"Where health, metrics and profiles are served."`
	Queues            []runner.Queue `env:"WORKER_QUEUES" flag:"queues" default:"default=10" help:"The queues whose jobs this process runs."`
	SystemDatabaseURL config.Secret  `env:"SYSTEM_DATABASE_URL" required:"true" schemes:"postgres postgresql" help:"PostgreSQL, as groundwork_system."`
	JobLease          time.Duration  `env:"JOB_LEASE" default:"30s" min:"1s" max:"10m" help:"How long a job is left to a worker that says nothing."`
}

// Work is the main function of a worker's process, whose first argument is WorkerArgument: it is set up as the product's
// worker is, runs what the handlers run over the tenants' database, and answers the exit code.
func Work(now func() time.Time, handlers func(db *postgres.DB) ([]jobs.Handler, error)) int {
	os.Args = append(os.Args[:1], os.Args[2:]...)
	program := backend.Program{Name: "worker", Summary: "runs jobs of a trial", Now: now}
	return backend.Main(program, func(ctx context.Context, cfg *settings, p *backend.Process) error {
		all, err := handlers(p.DB)
		if err != nil {
			return errors.Join(err, p.Component().Stop(ctx))
		}
		e, err := engine.Open(ctx, engine.Config{
			SystemURL: cfg.SystemDatabaseURL.Reveal(), RedisURL: cfg.RedisURL.Reveal(), Router: p.Router, Queues: cfg.Queues,
			Lease: cfg.JobLease, Log: p.Log, Registry: p.Registry, Now: p.Now,
		})
		if err != nil {
			return errors.Join(err, p.Component().Stop(ctx))
		}
		if err := e.Handle(all); err != nil { //nolint:contextcheck // jobs end with the runner, not with its making
			return errors.Join(err, e.Close(ctx), p.Component().Stop(ctx))
		}
		components := []lifecycle.Component{p.Component(), p.Operations(cfg.OpsAddr, e.Check())}
		return lifecycle.Run(ctx, cfg.ShutdownTimeout, append(components, e.Components()...)...)
	})
}
