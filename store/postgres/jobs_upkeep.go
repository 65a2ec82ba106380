package postgres

import (
	"context"
	"time"
)

// MaintainFinished makes the partitions of ended jobs for the days ahead and drops those of days of which nothing is
// kept any more. It gives up where it would hold ending jobs up for more than three seconds, and is to be called again.
func (e *JobEngine) MaintainFinished(ctx context.Context, keep time.Duration) (made, dropped int, err error) {
	type done struct{ made, dropped int }
	d, _, err := one(e.operator(ctx), func(row scanner) (d done, err error) { return d, row.Scan(&d.made, &d.dropped) },
		"select made, dropped from maintain_finished_jobs($1::bigint * interval '1 microsecond')", keep.Microseconds())
	return d.made, d.dropped, translate(err)
}

// PruneDead removes up to limit jobs that have been dead for longer than keep.
func (e *JobEngine) PruneDead(ctx context.Context, keep time.Duration, limit int) (int64, error) {
	return e.prune(ctx, `with old as (
		  select j.tenant_id, j.id from jobs j
		  where j.state = 'dead' and j.finished_at < now() - $1::bigint * interval '1 microsecond' limit $2 for update skip locked)
		delete from jobs j using old o where j.tenant_id = o.tenant_id and j.id = o.id`, keep, limit)
}

// PruneKeys removes up to limit keys whose period was over for longer than keep.
func (e *JobEngine) PruneKeys(ctx context.Context, keep time.Duration, limit int) (int64, error) {
	return e.prune(ctx, `delete from job_keys where ctid = any(array(
		select k.ctid from job_keys k where k.expires_at < now() - $1::bigint * interval '1 microsecond'
		order by k.expires_at limit $2)) and expires_at < now()`, keep, limit)
}

// PruneEffects removes up to limit notes that are older than keep of jobs that will not run again.
func (e *JobEngine) PruneEffects(ctx context.Context, keep time.Duration, limit int) (int64, error) {
	return e.prune(ctx, `with old as (
		  select e.tenant_id, e.job_id, e.step from job_effects e
		  where e.at < now() - $1::bigint * interval '1 microsecond'
		    and not exists (select from jobs j where j.tenant_id = e.tenant_id and j.id = e.job_id)
		  order by e.at limit $2)
		delete from job_effects e using old o where e.tenant_id = o.tenant_id and e.job_id = o.job_id and e.step = o.step`,
		keep, limit)
}

func (e *JobEngine) prune(ctx context.Context, query string, keep time.Duration, limit int) (int64, error) {
	return again(ctx, func() (int64, error) {
		return affect(e.engine(ctx), query, keep.Microseconds(), limit)
	})
}
