// Command worker runs jobs by queue and takes webhooks in; what it runs is declared in worker/internal.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/ops"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/worker/internal/runner"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var cfg settings
	switch err := config.Load(&cfg, os.Args[1:], os.Environ()); {
	case errors.Is(err, config.ErrHelp):
		return config.WriteHelp(os.Stdout, "worker", "runs jobs by queue", &cfg)
	case err != nil:
		return err
	}
	log := logging.New(logging.Config{
		Level: cfg.LogLevel, Development: cfg.Environment == config.Development, Process: "worker",
	})
	registry := metrics.New("worker")
	base, err := backend.Open(ctx, cfg.Common, log, registry, time.Now)
	if err != nil {
		return err
	}
	components, checks := []lifecycle.Component{base.Component()}, base.Checks()
	var jobs []lifecycle.Component
	if queues, _ := runner.Served(cfg.Queues); len(queues) > 0 { // Check has seen the error
		engine, err := newEngine(ctx, process{cfg, log, registry, base, time.Now}, queues)
		if err != nil {
			return errors.Join(err, base.Component().Stop(ctx))
		}
		jobs, checks = engine.Components(), append(checks, engine.Check())
	}
	if cfg.Intake {
		receives, err := newIntake(ctx, process{cfg, log, registry, base, time.Now})
		if err != nil {
			return errors.Join(err, base.Component().Stop(ctx))
		}
		jobs = append(jobs, receives...)
	}
	server := ops.New(ops.Config{Addr: string(cfg.OpsAddr), Registry: registry, Log: log, Checks: checks})
	components = append(append(components, server.Component), jobs...)
	return lifecycle.Run(ctx, cfg.ShutdownTimeout, components...)
}
