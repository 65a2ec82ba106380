package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/ops"
)

// Program is what a process is called, what it does in a few words, and its clock.
type Program struct {
	Name, Summary string
	Now           func() time.Time
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
func Main[S any, P Settings[S]](program Program, serve func(ctx context.Context, cfg P, p *Process) error) int {
	if err := start(program, surroundings{os.Args[1:], os.Environ(), os.Stdout}, serve); err != nil {
		fmt.Fprintln(os.Stderr, program.Name+":", err)
		return 1
	}
	return 0
}

// surroundings are what a program is started with.
type surroundings struct {
	args, environ []string
	out           io.Writer
}

func start[S any, P Settings[S]](
	program Program, around surroundings, serve func(ctx context.Context, cfg P, p *Process) error,
) error {
	cfg := P(new(S))
	switch err := config.Load(cfg, around.args, around.environ); {
	case errors.Is(err, config.ErrHelp):
		return config.WriteHelp(around.out, program.Name, program.Summary, cfg)
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
	var err error
	if p.Backend, err = Open(ctx, *common, p.Log, p.Registry, program.Now); err != nil {
		return err
	}
	return serve(ctx, cfg, p)
}

// Operations returns the server of the ops port, which shows the process's metrics and whether it is ready: by the
// backend's checks, and by those that the process has beside them.
func (p *Process) Operations(addr config.Address, more ...ops.Check) lifecycle.Component {
	checks := append(p.Checks(), more...)
	return ops.New(ops.Config{Addr: string(addr), Registry: p.Registry, Log: p.Log, Checks: checks}).Component
}
