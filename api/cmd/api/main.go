// Command api serves the HTTP API.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/store/backend"
)

func main() {
	os.Exit(backend.Main(backend.Program{Name: "api", Summary: "serves the HTTP API", OpsAddr: "API_OPS_ADDR", Now: time.Now}, serve))
}

func serve(ctx context.Context, cfg *settings, base *backend.Process) error {
	limiting, err := base.Limiter(base.Registry, base.Now)
	if err != nil {
		return err
	}
	defer limiting.Close()
	p, err := wire(ctx, *cfg, base, limiting)
	if err != nil {
		return err
	}
	handler, err := p.api.Handler() //nolint:contextcheck // each request brings a context of its own
	if err != nil {
		return fmt.Errorf("TRUSTED_PROXIES: %w", err)
	}
	server := lifecycle.Balanced("api server", &http.Server{
		Addr: string(cfg.Addr), Handler: handler, ErrorLog: logging.Standard(base.Log, "api server"),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 60 * time.Second,
		WriteTimeout: cfg.RequestTimeout + 30*time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}, cfg.ShutdownDelay, nil)
	return lifecycle.Run(ctx, cfg.ShutdownTimeout, base.Component(), base.Operations(cfg.OpsAddr), p.background(ctx, base.Log), server)
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
			p.bells.Close()
			return nil
		},
	}
}
