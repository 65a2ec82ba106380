package main

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// nothing does nothing: what is left is the engine.
type nothing struct{}

// JobKind declares it.
func (nothing) JobKind() jobs.Kind { return jobs.Kind{Name: "bench.nothing"} }

// begun answers when it began.
type begun struct{}

// JobKind declares it.
func (begun) JobKind() jobs.Kind { return jobs.Kind{Name: "bench.begun"} }

// busy takes 5 ms: what a tenant floods with.
type busy struct{}

// JobKind declares it.
func (busy) JobKind() jobs.Kind { return jobs.Kind{Name: "bench.busy"} }

const busyFor = 5 * time.Millisecond

func handlers(*postgres.DB) ([]jobs.Handler, error) {
	return []jobs.Handler{
		jobs.Handle(func(context.Context, *jobs.Run, nothing) error { return nil }),
		jobs.Handle(func(_ context.Context, run *jobs.Run, _ begun) error { return run.SetResult(time.Now().UnixMicro()) }),
		jobs.Handle(func(ctx context.Context, _ *jobs.Run, _ busy) error {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(busyFor):
				return nil
			}
		}),
	}, nil
}
