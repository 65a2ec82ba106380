// Command api serves the HTTP API.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/ops"
	"github.com/groundwork-saas/groundwork/store/backend"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var cfg settings
	switch err := config.Load(&cfg, os.Args[1:], os.Environ()); {
	case errors.Is(err, config.ErrHelp):
		return config.WriteHelp(os.Stdout, "api", "serves the HTTP API", &cfg)
	case err != nil:
		return err
	}
	log := logging.New(logging.Config{
		Level: cfg.LogLevel, Development: cfg.Environment == config.Development, Process: "api",
	})
	registry := metrics.New("api")
	base, err := backend.Open(ctx, cfg.Common, log, registry, time.Now)
	if err != nil {
		return err
	}
	limiting, err := base.Limiter(registry, time.Now)
	if err != nil {
		return err
	}
	defer limiting.Close()
	p, err := wire(ctx, cfg, base, limiting, registry, log, time.Now)
	if err != nil {
		return err
	}
	handler, err := p.api.Handler() //nolint:contextcheck // each request brings a context of its own
	if err != nil {
		return fmt.Errorf("TRUSTED_PROXIES: %w", err)
	}
	operations := ops.New(ops.Config{Addr: string(cfg.OpsAddr), Registry: registry, Log: log, Checks: base.Checks()})
	server := lifecycle.HTTP("api server", &http.Server{
		Addr: string(cfg.Addr), Handler: handler, ErrorLog: logging.Standard(log, "api server"),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 60 * time.Second,
		WriteTimeout: cfg.RequestTimeout + 30*time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}, nil)
	return lifecycle.Run(ctx, cfg.ShutdownTimeout, base.Component(), operations.Component, p.background(ctx, log), server)
}

// background keeps the signing keys fresh and writes down when API keys were used last.
func (p *process) background(ctx context.Context, log *logrus.Logger) lifecycle.Component {
	ctx, cancel := context.WithCancel(ctx)
	report := func(what string) func(error) {
		return func(err error) { log.WithError(err).Warn(what) }
	}
	return lifecycle.Component{
		Name: "background",
		Serve: func() error {
			var running sync.WaitGroup
			running.Go(func() { p.keys.Run(ctx, report("the signing keys could not be read; they will be again")) })
			running.Go(func() { p.used.Run(ctx, 15*time.Second, report("the last use of API keys could not be written")) })
			running.Wait()
			return nil
		},
		Stop: func(context.Context) error {
			cancel()
			return nil
		},
	}
}
