package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// movedColumns are those that jobs and jobs_finished both have, but for state, finished_at and cancel_requested.
const movedColumns = "tenant_id, id, kind, queue, attempt, max_attempts, run_at, created_at, started_at, worker, " +
	"request_id, trace, args, progress, error, failures"

// cancelWaiting moves a job that waits to the cancelled ones.
const cancelWaiting = `with gone as (
	  delete from jobs j where j.tenant_id = $1 and j.id = $2 and j.state in ('scheduled', 'pending', 'dispatched', 'retrying')
	  returning j.*)
	insert into jobs_finished (` + movedColumns + `, state, finished_at, cancel_requested)
	select ` + movedColumns + `, 'cancelled', $3::timestamptz, true from gone on conflict do nothing`

// CancelJob ends a job that waits, and asks one that runs to end.
func (s *Jobs) CancelJob(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time) (jobs.Job, error) {
	return s.steer(ctx, scope, func(ctx context.Context, db *DB) (jobs.Job, error) {
		tx := db.Scoped(ctx, scope)
		job, err := lockJob(tx, scope.Tenant, id)
		switch {
		case err != nil:
			return job, err
		case job.State == jobs.Cancelled, job.State == jobs.Running && job.CancelRequested:
			return job, nil
		case job.State.IsFinal():
			return job, jobs.ErrFinished(job.State)
		}
		from := job.State.Public()
		job.CancelRequested = true
		if job.State == jobs.Running {
			err = Defer(tx, "update jobs set cancel_requested = true where tenant_id = $1 and id = $2", scope.Tenant, id)
		} else {
			job.State, job.FinishedAt = jobs.Cancelled, &now
			err = Defer(tx, cancelWaiting, scope.Tenant, id, now)
		}
		if err != nil {
			return job, err
		}
		return job, tellJob(tx, scope, now, "job.cancelled", job, audit.Change{Field: "state", From: from, To: job.State.Public()})
	})
}

// AmendJob rewrites the arguments of a job that waits. Whoever claims it meanwhile waits for that.
func (s *Jobs) AmendJob(
	ctx context.Context, scope tenancy.Scope, id tenancy.ID, amend func(json.RawMessage) (json.RawMessage, error),
) (jobs.Job, error) {
	return s.steer(ctx, scope, func(ctx context.Context, db *DB) (jobs.Job, error) {
		tx := db.Scoped(ctx, scope)
		job, err := lockJob(tx, scope.Tenant, id)
		if err != nil || !job.State.IsWaiting() {
			return job, err
		}
		if job.Args, err = amend(job.Args); err != nil {
			return job, err
		}
		if len(job.Args) > jobs.MaxArgs {
			return job, fmt.Errorf("amend %s: the arguments take %d bytes; at most %d are kept", job.Kind, len(job.Args), jobs.MaxArgs)
		}
		return job, Defer(tx, "update jobs set args = $3::json where tenant_id = $1 and id = $2", scope.Tenant, id, storableJSON(job.Args))
	})
}

// retryDead has dead jobs run again at once, with as many attempts as their kind gives. The attempts go on counting,
// since their numbers are fencing tokens.
const retryDead = `update jobs j set state = 'pending', run_at = now(), max_attempts = j.attempt + j.tries, lease_until = null,
	finished_at = null, cancel_requested = false
	where j.tenant_id = $1 and j.id = any($2::uuid[]) and j.state = 'dead' returning ` + liveColumns

// RetryJob has a dead job run again at once.
func (s *Jobs) RetryJob(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time) (jobs.Job, error) {
	return s.steer(ctx, scope, func(ctx context.Context, db *DB) (jobs.Job, error) {
		again, err := s.retry(ctx, db, scope, []tenancy.ID{id}, now)
		if err != nil {
			return jobs.Job{}, err
		}
		if len(again) > 0 {
			return again[0], nil
		}
		job, err := findJob(db.Scoped(ctx, scope), scope.Tenant, id)
		if err == nil {
			err = jobs.ErrNotDead(job.State)
		}
		return job, err
	})
}

// RetryDead has those jobs run again that are dead, and says how many.
func (s *Jobs) RetryDead(ctx context.Context, scope tenancy.Scope, ids []tenancy.ID, now time.Time) (n int, err error) {
	_, err = s.steer(ctx, scope, func(ctx context.Context, db *DB) (jobs.Job, error) {
		again, err := s.retry(ctx, db, scope, ids, now)
		n = len(again)
		return jobs.Job{}, err
	})
	return n, err
}

func (s *Jobs) retry(ctx context.Context, db *DB, scope tenancy.Scope, ids []tenancy.ID, now time.Time) ([]jobs.Job, error) {
	tx := db.Scoped(ctx, scope)
	again, err := all(tx, readJob, retryDead, scope.Tenant, ids)
	if err != nil {
		return nil, err
	}
	for _, job := range again {
		change := audit.Change{Field: "state", From: jobs.Dead, To: jobs.Pending}
		if err := tellJob(tx, scope, now, "job.retried", job, change); err != nil {
			return nil, err
		}
		s.wakeAfter(ctx, db, job.Queue)
	}
	return again, nil
}

// steer runs an act on a job in a transaction of the tenant.
func (s *Jobs) steer(
	ctx context.Context, scope tenancy.Scope, act func(ctx context.Context, db *DB) (jobs.Job, error),
) (job jobs.Job, err error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return jobs.Job{}, err
	}
	err = db.InTx(ctx, scope, func(ctx context.Context) error {
		var err error
		job, err = act(ctx, db)
		return err
	})
	if err != nil {
		return jobs.Job{}, translate(err)
	}
	return shown(job), nil
}

// lockJob returns a job that does not change until the transaction ends: one that is about to end is waited for.
func lockJob(tx *gorm.DB, tenant, id tenancy.ID) (jobs.Job, error) {
	job, found, err := one(tx, readJob,
		"select "+liveColumns+" from jobs j where j.tenant_id = $1 and j.id = $2 for update", tenant, id)
	if err != nil || found {
		return job, err
	}
	return findJob(tx, tenant, id)
}

func tellJob(tx *gorm.DB, scope tenancy.Scope, now time.Time, action string, job jobs.Job, change audit.Change) error {
	return tellAct(tx, scope, now, action, "job", job.ID, 0, audit.Change{Field: "kind", From: job.Kind, To: job.Kind}, change)
}
