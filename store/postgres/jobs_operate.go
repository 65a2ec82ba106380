package postgres

import (
	"context"
	"database/sql"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// What operators see and do, across tenants. What they do to a job goes through its tenant's own connection, and into
// its audit as an act of the system.

// PausedQueues are the queues that operators have paused.
func (e *JobEngine) PausedQueues(ctx context.Context) ([]string, error) {
	queues, err := all(e.operator(ctx), func(row scanner) (queue string, err error) { return queue, row.Scan(&queue) },
		"select queue from job_queues where paused_at is not null order by queue")
	return queues, translate(err)
}

// PauseQueue has nothing of a queue picked any more. One that is paused keeps its time.
func (e *JobEngine) PauseQueue(ctx context.Context, queue string) error {
	_, err := affect(e.operator(ctx), `insert into job_queues as q (queue, paused_at) values ($1, now())
		on conflict (queue) do update set paused_at = coalesce(q.paused_at, excluded.paused_at)`, queue)
	return translate(err)
}

// ResumeQueue has a queue's jobs picked again.
func (e *JobEngine) ResumeQueue(ctx context.Context, queue string) error {
	_, err := affect(e.operator(ctx), "delete from job_queues where queue = $1", queue)
	return translate(err)
}

// JobCount is how many jobs of a queue are in a state that is not over: succeeded and cancelled ones are not counted.
type JobCount struct {
	Queue string
	State jobs.State
	Jobs  int64
	// Oldest is how long the oldest one has been so: since it was due, or since it died for a dead one; 0 for one that
	// is not due yet.
	Oldest time.Duration
}

// JobStats counts jobs. It reads every row of the table, which has no ended jobs: some 0.1 s for a million.
func (e *JobEngine) JobStats(ctx context.Context) ([]JobCount, error) {
	counts, err := all(e.operator(ctx), func(row scanner) (c JobCount, err error) {
		var micros int64
		err = row.Scan(&c.Queue, &c.State, &c.Jobs, &micros)
		c.Oldest = time.Duration(micros) * time.Microsecond
		return c, err
	}, `select j.queue, j.state, count(*),
		greatest(0, extract(epoch from now() - min(case when j.state = 'dead' then j.finished_at else j.run_at end)) * 1000000)::bigint
		from jobs j group by j.queue, j.state order by j.queue, j.state`)
	return counts, translate(err)
}

// OperatorQuery selects jobs of all tenants, newest first; zero values select all.
type OperatorQuery struct {
	jobs.Query

	// Tenant is one tenant; zero is all.
	Tenant tenancy.ID
}

// ListAllJobs returns up to one job more than the limit, newest first.
func (e *JobEngine) ListAllJobs(ctx context.Context, query OperatorQuery) ([]jobs.Job, error) {
	query.Request = query.Normalized()
	list := jobList{tenant: query.Tenant, query: query.Query}
	text, args, err := list.sql()
	if err != nil || text == "" {
		return nil, err
	}
	found, err := all(e.operator(ctx), readJob, text, args...)
	return found, translate(err)
}

// FindAnyJob returns one job of whatever tenant.
func (e *JobEngine) FindAnyJob(ctx context.Context, id tenancy.ID) (jobs.Job, error) {
	job, found, err := one(e.operator(ctx), readJob, "select "+liveColumns+" from jobs j where j.id = $1 union all "+
		"select "+endedColumns+" from jobs_finished j where j.id = $1 limit 1", id)
	if err == nil && !found {
		err = jobs.ErrNotFound()
	}
	return job, translate(err)
}

// CancelAnyJob is jobs.Store's CancelJob for an operator.
func (e *JobEngine) CancelAnyJob(ctx context.Context, id tenancy.ID, now time.Time) (jobs.Job, error) {
	job, err := e.FindAnyJob(ctx, id)
	if err != nil {
		return jobs.Job{}, err
	}
	return e.jobs.CancelJob(ctx, tenancy.AsSystem(job.Tenant, job.RequestID), id, now)
}

// RetryAnyJob is jobs.Store's RetryJob for an operator.
func (e *JobEngine) RetryAnyJob(ctx context.Context, id tenancy.ID, now time.Time) (jobs.Job, error) {
	job, err := e.FindAnyJob(ctx, id)
	if err != nil {
		return jobs.Job{}, err
	}
	return e.jobs.RetryJob(ctx, tenancy.AsSystem(job.Tenant, job.RequestID), id, now)
}

// retryBatch is how many dead jobs are looked up at a time.
const retryBatch = 500

// RetryAllDead has all jobs run again that are dead by now, of a kind and a queue; "" is any. It goes tenant by tenant,
// and what it has done stays done where it fails.
func (e *JobEngine) RetryAllDead(ctx context.Context, kind, queue string, now time.Time) (retried int, err error) {
	var (
		last    jobs.Ref
		started sql.NullTime
	)
	for {
		type dead struct {
			jobs.Ref

			asked sql.NullTime
		}
		batch, err := all(e.operator(ctx), func(row scanner) (d dead, err error) {
			return d, row.Scan(&d.Tenant, &d.ID, &d.asked)
		}, `select j.tenant_id, j.id, coalesce($5::timestamptz, now()) from jobs j
			where j.state = 'dead' and (j.tenant_id, j.id) > ($1::uuid, $2::uuid)
			  and ($3::text = '' or j.kind = $3) and ($4::text = '' or j.queue = $4)
			  and j.finished_at <= coalesce($5::timestamptz, now())
			order by j.tenant_id, j.id limit $6`, last.Tenant, last.ID, kind, queue, started, retryBatch)
		if err != nil || len(batch) == 0 {
			return retried, translate(err)
		}
		for len(batch) > 0 {
			tenant := batch[0].Tenant
			var ids []tenancy.ID
			for len(batch) > 0 && batch[0].Tenant == tenant {
				last, started = batch[0].Ref, batch[0].asked
				ids, batch = append(ids, last.ID), batch[1:]
			}
			n, err := e.jobs.RetryDead(ctx, tenancy.AsSystem(tenant, ""), ids, now)
			if err != nil {
				return retried, err
			}
			retried += n
		}
	}
}
