package postgres

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// What makes jobs pending again: their time has come, Redis lost them, or their worker did. Each takes the rows that it
// can have and passes over those that somebody holds, so that any number of schedulers may do it at once.

const promoteJobs = `with due as (
	  select j.tenant_id, j.id from jobs j where j.state in ('scheduled', 'retrying') and j.run_at <= now()
	  order by j.run_at limit $1 for update skip locked),
	moved as (
	  update jobs j set state = 'pending' from due d where j.tenant_id = d.tenant_id and j.id = d.id returning j.queue)
	select queue, count(*) from moved group by queue order by queue`

// Promote makes jobs pending whose time has come.
func (e *JobEngine) Promote(ctx context.Context, limit int) (moved int, queues []string, err error) {
	type count struct {
		queue string
		jobs  int
	}
	counts, err := again(ctx, func() ([]count, error) {
		return all(e.hasty(ctx), func(row scanner) (c count, err error) { return c, row.Scan(&c.queue, &c.jobs) },
			promoteJobs, limit)
	})
	for _, c := range counts {
		moved += c.jobs
		queues = append(queues, c.queue)
	}
	return moved, queues, err
}

// NOT IN looks each job up in a table of hashes, however many wait.
const recallJobs = `with lost as (
	  select j.tenant_id, j.id from jobs j
	  where j.state = 'dispatched' and j.lease_until < $1 and ($2::text = '' or j.queue = $2)
	    and (j.tenant_id, j.id) not in (select w.tenant_id, w.id from unnest($3::uuid[], $4::uuid[]) as w (tenant_id, id))
	  order by j.tenant_id, j.id for update skip locked)
	update jobs j set state = 'pending', lease_until = null from lost l where j.tenant_id = l.tenant_id and j.id = l.id`

// Recall makes dispatched jobs pending again that are lost.
func (e *JobEngine) Recall(ctx context.Context, queue string, before time.Time, waiting []jobs.Ref) (int64, error) {
	tenants, ids := columnsOfRefs(waiting)
	return again(ctx, func() (int64, error) {
		return affect(e.hasty(ctx), recallJobs, before, queue, tenants, ids)
	})
}

// leaseRanOut is the failure of an attempt whose worker did not come back.
const leaseRanOut = "the worker's lease ran out"

// A job that was to be cancelled goes back, for the claim to cancel it.
const expireJobs = `with lost as (
	  select j.tenant_id, j.id, j.attempt >= j.max_attempts and not j.cancel_requested as last from jobs j
	  where j.state = 'running' and j.lease_until < now() order by j.lease_until limit $1 for update skip locked),
	moved as (
	  update jobs j set state = case when l.last then 'dead' else 'pending' end, lease_until = null, error = $2,
	    finished_at = case when l.last then now() end, unique_key = case when l.last then null else j.unique_key end,
	    failures = ` + failuresAnd + `
	  from (select l.*, $2::text as error, ''::text as stack from lost l) l
	  where j.tenant_id = l.tenant_id and j.id = l.id returning l.last)
	select count(*) filter (where not last), count(*) filter (where last) from moved`

// Expire takes running jobs from workers whose lease has run out.
func (e *JobEngine) Expire(ctx context.Context, limit int) (back, dead int64, err error) {
	type counts struct{ back, dead int64 }
	c, err := again(ctx, func() (counts, error) {
		c, _, err := one(e.engine(ctx), func(row scanner) (c counts, err error) { return c, row.Scan(&c.back, &c.dead) },
			expireJobs, limit, leaseRanOut)
		return c, err
	})
	return c.back, c.dead, err
}
