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
)

// settings are what the worker is told.
type settings struct {
	config.Common
	config.Files
	// OpsAddr is where operators find health, metrics and profiles; never public.
	OpsAddr config.Address `env:"WORKER_OPS_ADDR" default:":9091" help:"Where health, metrics and profiles are served; never public."`
}

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
	server := ops.New(ops.Config{Addr: string(cfg.OpsAddr), Registry: registry, Log: log, Checks: base.Checks()})
	return lifecycle.Run(ctx, cfg.ShutdownTimeout, base.Component(), server.Component)
}
