// Command worker runs jobs by queue and takes webhooks in; what it runs is declared in worker/internal.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/ops"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/worker/internal/runner"
)

func main() {
	os.Exit(backend.Main(backend.Program{Name: "worker", Summary: "runs jobs by queue", OpsAddr: "WORKER_OPS_ADDR", Now: time.Now}, serve))
}

func serve(ctx context.Context, cfg *settings, base *backend.Process) error {
	p := &process{cfg: *cfg, log: base.Log, registry: base.Registry, base: base.Backend, now: base.Now}
	var parts []lifecycle.Component
	var checks []ops.Check
	closing, err := p.openReporting(ctx)
	if err != nil {
		return errors.Join(err, base.Component().Stop(ctx))
	}
	parts = append(parts, lifecycle.Component{Name: "connections of reports", Stop: func(context.Context) error { return closing() }})
	if queues, _ := runner.Served(cfg.Queues); len(queues) > 0 { // Check has seen the error
		engine, err := newEngine(ctx, p, queues)
		if err != nil {
			return errors.Join(err, base.Component().Stop(ctx))
		}
		parts, checks = append(parts, engine.Components()...), append(checks, engine.Check())
	}
	if cfg.Intake {
		receives, err := newIntake(ctx, p)
		if err != nil {
			return errors.Join(err, base.Component().Stop(ctx))
		}
		parts = append(parts, receives...)
	}
	components := []lifecycle.Component{base.Component(), base.Operations(cfg.OpsAddr, checks...)}
	return lifecycle.Run(ctx, cfg.ShutdownTimeout, append(components, parts...)...)
}
