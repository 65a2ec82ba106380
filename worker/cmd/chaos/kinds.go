package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// What a worker is told beside a worker's settings.
const (
	envReceiver = "CHAOS_RECEIVER" // where outside effects go
	envIgnorant = "CHAOS_IGNORANT" // set where the worker does not know rare jobs
)

// schema is the table of effects. Nothing in it keeps an effect from happening twice: that is what is counted.
const schema = `create table chaos_effects (
	tenant_id uuid not null, id uuid not null, job_id uuid not null, attempt int not null, primary key (tenant_id, id));
	select protect_tenant_table('chaos_effects')`

// chaosEffect is an effect in the database.
type chaosEffect struct {
	TenantID tenancy.ID
	ID       tenancy.ID
	JobID    tenancy.ID
	Attempt  int
}

// many is how often a job is tried that nothing is wrong with: each kill takes an attempt.
const many = 1000

// soon is the backoff of all kinds.
func soon(int) time.Duration { return jobs.Jittered(300 * time.Millisecond) }

// row writes an effect with its completion. Its arguments vary what is asked of the engine, not what it does.
type row struct{}

// JobKind declares it.
func (row) JobKind() jobs.Kind {
	return jobs.Kind{Name: "chaos.row", MaxAttempts: many, Backoff: soon, Transactional: true}
}

// flaky writes an effect and then fails, twice; so its first effects must not stay.
type flaky struct{}

// JobKind declares it.
func (flaky) JobKind() jobs.Kind {
	return jobs.Kind{Name: "chaos.flaky", MaxAttempts: many, Backoff: soon, Transactional: true}
}

// single is a row whose key lets no second one live.
type single struct{ Key int }

// JobKind declares it.
func (single) JobKind() jobs.Kind {
	return jobs.Kind{Name: "chaos.single", MaxAttempts: many, Backoff: soon, Transactional: true, Unique: jobs.UniqueWhileLive}
}

// capped is a row of which a tenant has at most two under way.
type capped struct{}

// JobKind declares it.
func (capped) JobKind() jobs.Kind {
	return jobs.Kind{Name: "chaos.capped", Queue: jobs.Webhooks, MaxAttempts: many, Backoff: soon, Transactional: true, MaxRunning: 2}
}

// doomed is a row that somebody cancels, mostly while it waits or runs: it has its effect, or it is cancelled.
type doomed struct{}

// JobKind declares it.
func (doomed) JobKind() jobs.Kind {
	return jobs.Kind{Name: "chaos.doomed", MaxAttempts: many, Backoff: soon, Transactional: true}
}

// rare is a row that half of the workers do not know.
type rare struct{}

// JobKind declares it.
func (rare) JobKind() jobs.Kind {
	return jobs.Kind{Name: "chaos.rare", MaxAttempts: many, Backoff: soon, Transactional: true}
}

// call tells somebody outside, once.
type call struct{}

// JobKind declares it.
func (call) JobKind() jobs.Kind {
	return jobs.Kind{Name: "chaos.call", Queue: jobs.Webhooks, MaxAttempts: many, Backoff: soon}
}

// slow takes longer than a beat of its lease, and tells of its progress.
type slow struct{ Millis int64 }

// JobKind declares it.
func (slow) JobKind() jobs.Kind {
	return jobs.Kind{Name: "chaos.slow", Queue: jobs.Transfers, MaxAttempts: many, Backoff: soon}
}

// nap takes a moment, so that a burst of them is in Redis's lists for a while.
type nap struct{}

// JobKind declares it.
func (nap) JobKind() jobs.Kind {
	return jobs.Kind{Name: "chaos.nap", Queue: jobs.Critical, MaxAttempts: many, Backoff: soon}
}

// poisonAttempts is how many workers a poisonous job may take with it.
const poisonAttempts = 3

// poison kills its worker.
type poison struct{}

// JobKind declares it.
func (poison) JobKind() jobs.Kind {
	return jobs.Kind{Name: "chaos.poison", Queue: jobs.Reports, MaxAttempts: poisonAttempts, Backoff: soon}
}

// handlers run the jobs of the trial.
func handlers(db *postgres.DB) ([]jobs.Handler, error) {
	if err := db.Register(&chaosEffect{}); err != nil {
		return nil, err
	}
	all := []jobs.Handler{
		effective[row](db), effective[single](db), effective[capped](db), effective[doomed](db),
		jobs.Handle(func(ctx context.Context, run *jobs.Run, _ flaky) error {
			if err := leave(ctx, db, run); err != nil || run.Job.Attempt > 2 {
				return err
			}
			return errors.New("not yet")
		}),
		jobs.Handle(func(ctx context.Context, run *jobs.Run, _ call) error { return tell(ctx, run) }),
		jobs.Handle(func(ctx context.Context, run *jobs.Run, args slow) error {
			const steps = 10
			for done := range int64(steps) {
				run.Progress(done, steps, "waiting")
				if err := wait(ctx, time.Duration(args.Millis)*time.Millisecond/steps); err != nil {
					return err
				}
			}
			return nil
		}),
		jobs.Handle(func(ctx context.Context, _ *jobs.Run, _ nap) error { return wait(ctx, 20*time.Millisecond) }),
		jobs.Handle(func(context.Context, *jobs.Run, poison) error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) }),
	}
	if os.Getenv(envIgnorant) == "" {
		all = append(all, effective[rare](db))
	}
	return all, nil
}

// effective handles jobs that leave their effect in the database.
func effective[A jobs.Args](db *postgres.DB) jobs.Handler {
	return jobs.Handle(func(ctx context.Context, run *jobs.Run, _ A) error { return leave(ctx, db, run) })
}

// leave leaves an effect in the transaction of the attempt.
func leave(ctx context.Context, db *postgres.DB, run *jobs.Run) error {
	effect := chaosEffect{TenantID: run.Job.Tenant, ID: tenancy.NewID(), JobID: run.Job.ID, Attempt: run.Job.Attempt}
	if err := db.Scoped(ctx, run.Scope).Create(&effect).Error; err != nil {
		return fmt.Errorf("leave an effect: %w", err)
	}
	return nil
}

// tell has an effect outside.
func tell(ctx context.Context, run *jobs.Run) error {
	_, err := jobs.Once(ctx, run, "call", func(ctx context.Context, key string) (int, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv(envReceiver), bytes.NewReader([]byte(key)))
		if err != nil {
			return 0, fmt.Errorf("call: %w", err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, fmt.Errorf("call: %w", err)
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return response.StatusCode, err
	})
	return err
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
