package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/platform/build"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/ops"
	"github.com/groundwork-saas/groundwork/platform/sentry"
)

// Program is what a process is called, what it does in a few words, and its clock.
type Program struct {
	Name, Summary string
	// OpsAddr is the variable with the address of its ops port: "API_OPS_ADDR".
	OpsAddr string
	Now     func() time.Time
}

// Process is a process that has read its settings and has its backend open.
type Process struct {
	*Backend

	Log      *logrus.Logger
	Registry *prometheus.Registry
	Now      func() time.Time
}

// Settings are those of a process: a struct that embeds config.Common.
type Settings[S any] interface {
	*S
	Shared() *config.Common
}

// Main is the main function of a process: it reads the settings from the command line and the environment, prints the
// help where that is asked for, opens the backend, and serves until serve returns, which has closed the backend by
// running Component. It answers the exit code, and has said on standard error what went wrong.
//
// The first argument may be a command instead: version prints which build this is, and healthcheck asks the process that
// runs beside it, by its ops port, whether it is ready. An image that has no shell is looked after by that.
func Main[S any, P Settings[S]](program Program, serve func(ctx context.Context, cfg P, p *Process) error) int {
	if err := start(program, surroundings{os.Args[1:], os.Environ(), os.Stdout}, serve); err != nil {
		fmt.Fprintln(os.Stderr, program.Name+":", err)
		return 1
	}
	return 0
}

// commands is what the help says of them.
const commands = `

Commands:

  version
      Prints which build this is.

  healthcheck
      Asks the process that runs on this machine whether it is ready; exit code 1 where it is not.`

// surroundings are what a program is started with.
type surroundings struct {
	args, environ []string
	out           io.Writer
}

func start[S any, P Settings[S]](
	program Program, around surroundings, serve func(ctx context.Context, cfg P, p *Process) error,
) error {
	cfg := P(new(S))
	if len(around.args) == 1 {
		switch around.args[0] {
		case "version":
			_, err := fmt.Fprintln(around.out, build.Read())
			return err
		case "healthcheck":
			return program.checkHealth(config.Describe(cfg), around.environ)
		}
	}
	switch err := config.Load(cfg, around.args, around.environ); {
	case errors.Is(err, config.ErrHelp):
		return config.WriteHelp(around.out, program.Name, program.Summary+commands, cfg)
	case err != nil:
		return err
	}
	common := cfg.Shared()
	p := &Process{
		Log: logging.New(logging.Config{
			Level: common.LogLevel, Development: common.Environment == config.Development, Process: program.Name,
		}),
		Registry: metrics.New(program.Name),
		Now:      program.Now,
	}
	ctx := context.Background()
	flush, err := p.tellSentry(program.Name, *common)
	if err != nil {
		return err
	}
	defer flush()
	if p.Backend, err = Open(ctx, *common, p.Log, p.Registry, program.Now); err != nil {
		return err
	}
	return serve(ctx, cfg, p)
}

// flushTimeout bounds how long a process that has stopped goes on telling Sentry of errors.
const flushTimeout = 3 * time.Second

// tellSentry has errors that are logged told to Sentry, where the settings name a project. What it returns sends those that
// wait.
func (p *Process) tellSentry(process string, cfg config.Common) (flush func(), err error) {
	if cfg.SentryDSN == "" {
		return func() {}, nil
	}
	reporter, err := sentry.New(sentry.Config{
		DSN: cfg.SentryDSN.Reveal(), Environment: cmp.Or(cfg.SentryEnvironment, string(cfg.Environment)),
		SampleRate: cfg.SentrySampleRate, Process: process, Registry: p.Registry,
	})
	if err != nil {
		return nil, fmt.Errorf("SENTRY_DSN: %w", err)
	}
	p.Log.AddHook(reporter)
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := reporter.Close(ctx); err != nil {
			p.Log.WithError(err).Warn("Sentry was not told of all errors")
		}
	}, nil
}

// checkHealth asks the process on this machine whether it is ready. It reads no setting but the address of the ops port.
func (p Program) checkHealth(settings []config.Variable, environ []string) error {
	var address string
	for _, setting := range settings {
		if setting.Name == p.OpsAddr {
			address = setting.Default
		}
	}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); name == p.OpsAddr && value != "" {
			address = value
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return ops.Ask(ctx, address)
}

// Operations returns the server of the ops port, which shows the process's metrics and whether it is ready: by the
// backend's checks, and by those that the process has beside them.
func (p *Process) Operations(addr config.Address, more ...ops.Check) lifecycle.Component {
	checks := append(p.Checks(), more...)
	return ops.New(ops.Config{Addr: string(addr), Registry: p.Registry, Log: p.Log, Checks: checks}).Component
}
