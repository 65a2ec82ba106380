package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// stateByKey is the state of a job j that is looked up by its key. As an expression it fits no partial index: where the
// statistics are behind, as a queue's always are, the planner takes an index of all jobs of a state for a short one.
const stateByKey = "(j.state || '')"

// claimJobs takes jobs for a worker. A row that somebody holds is passed over, so that a batch never waits for one of
// its jobs. A pending job is taken too: Redis has it before the dispatcher has committed, and may have it where that
// failed; but not one of a lane with a cap, which only the dispatcher counts.
const claimJobs = `with held as (
	  select j.tenant_id, j.id
	  from unnest($1::uuid[], $2::uuid[]) as g (tenant_id, id) join jobs j on j.tenant_id = g.tenant_id and j.id = g.id
	  where (` + mayBeClaimed + `) and not j.cancel_requested
	  order by j.tenant_id, j.id for update of j skip locked)
	update jobs j set state = 'running', attempt = j.attempt + 1, started_at = now(), worker = $3,
	  lease_until = now() + $4::bigint * interval '1 microsecond',
	  unique_key = case when j.key_until_start then null else j.unique_key end
	from held h where j.tenant_id = h.tenant_id and j.id = h.id returning ` + liveColumns

const mayBeClaimed = stateByKey + ` = 'dispatched' or ` + stateByKey + ` = 'pending' and j.max_running = 0`

// endCancelled ends the jobs that were to be cancelled before they began, and answers which. Those that somebody holds
// are passed over.
const endCancelled = `with held as (
	  select j.tenant_id, j.id
	  from unnest($1::uuid[], $2::uuid[]) as g (tenant_id, id) join jobs j on j.tenant_id = g.tenant_id and j.id = g.id
	  where (` + mayBeClaimed + `) and j.cancel_requested
	  order by j.tenant_id, j.id for update of j skip locked),
	gone as (
	  delete from jobs j using held h where j.tenant_id = h.tenant_id and j.id = h.id returning j.*),
	moved as (
	  insert into jobs_finished (` + movedColumns + `, state, finished_at, cancel_requested)
	  select ` + movedColumns + `, 'cancelled', now(), true from gone on conflict do nothing)
	select tenant_id, id from gone`

// lockedJobs are those of some jobs that can be claimed as soon as a transaction has ended that holds them, and those
// that were to be cancelled. A pending one with a cap is among them while it is held: its dispatcher is about to commit.
const lockedJobs = `with seen as (
	  select j.tenant_id, j.id, j.cancel_requested, j.state = 'pending' and j.max_running > 0 as capped
	  from unnest($1::uuid[], $2::uuid[]) as g (tenant_id, id) join jobs j on j.tenant_id = g.tenant_id and j.id = g.id
	  where ` + stateByKey + ` in ('pending', 'dispatched')),
	free as (
	  select j.tenant_id, j.id from seen s join jobs j on j.tenant_id = s.tenant_id and j.id = s.id
	  where s.capped and ` + stateByKey + ` = 'pending' for share of j skip locked)
	select s.tenant_id, s.id, s.cancel_requested from seen s
	where not (s.capped and exists (select from free f where f.tenant_id = s.tenant_id and f.id = s.id))`

// Claim takes jobs for a worker until the lease runs out. Those that were to be cancelled are, and are not answered.
func (e *JobEngine) Claim(
	ctx context.Context, worker string, refs []jobs.Ref, lease time.Duration,
) (claimed []jobs.Job, locked []jobs.Ref, err error) {
	tenants, ids := columnsOfRefs(refs)
	if len(ids) == 0 {
		return nil, nil, nil
	}
	claimed, err = again(ctx, func() ([]jobs.Job, error) {
		return all(e.hasty(ctx), readJob, claimJobs, tenants, ids, storable(worker, maxName), lease.Microseconds())
	})
	if err != nil || len(claimed) == len(ids) {
		return claimed, nil, err
	}
	has := make(map[jobs.Ref]bool, len(claimed))
	for _, job := range claimed {
		has[jobs.Ref{Tenant: job.Tenant, ID: job.ID}] = true
	}
	missing := slices.DeleteFunc(slices.Clone(refs), func(r jobs.Ref) bool { return has[r] })
	// What was claimed is the caller's whatever becomes of the question: those that it is not told of are dispatched again.
	locked, err = e.locked(ctx, missing)
	if err != nil && len(claimed) == 0 {
		return nil, nil, translate(err)
	}
	return claimed, locked, nil
}

// locked answers which of some jobs that could not be claimed to ask for again, and ends those that were to be cancelled.
func (e *JobEngine) locked(ctx context.Context, refs []jobs.Ref) ([]jobs.Ref, error) {
	type seen struct {
		jobs.Ref

		cancel bool
	}
	tenants, ids := columnsOfRefs(refs)
	found, err := all(e.hasty(ctx), func(row scanner) (s seen, err error) {
		return s, row.Scan(&s.Tenant, &s.ID, &s.cancel)
	}, lockedJobs, tenants, ids)
	var locked, cancelled []jobs.Ref
	for _, s := range found {
		locked = append(locked, s.Ref)
		if s.cancel {
			cancelled = append(cancelled, s.Ref)
		}
	}
	if err != nil || len(cancelled) == 0 {
		return locked, err
	}
	tenants, ids = columnsOfRefs(cancelled)
	ended, err := again(ctx, func() ([]jobs.Ref, error) { return all(e.hasty(ctx), readRef, endCancelled, tenants, ids) })
	return slices.DeleteFunc(locked, func(r jobs.Ref) bool { return slices.Contains(ended, r) }), err
}

// beatJobs extends leases. The jobs are locked in the order in which Settle locks them.
const beatJobs = `with held as (
	  select g.n, j.tenant_id, j.id, j.cancel_requested
	  from unnest($1::uuid[], $2::uuid[], $3::int[]) with ordinality as g (tenant_id, id, attempt, n)
	  join jobs j on j.tenant_id = g.tenant_id and j.id = g.id
	  where ` + stateByKey + ` = 'running' and j.attempt = g.attempt order by j.tenant_id, j.id for no key update of j)
	update jobs j set lease_until = now() + $4::bigint * interval '1 microsecond'
	from held h where j.tenant_id = h.tenant_id and j.id = h.id returning h.n, h.cancel_requested`

// Beat extends the leases of attempts under way.
func (e *JobEngine) Beat(ctx context.Context, attempts []jobs.Attempt, lease time.Duration) ([]jobs.Pulse, error) {
	pulses := make([]jobs.Pulse, len(attempts))
	if len(attempts) == 0 {
		return pulses, nil
	}
	tenants, ids, numbers := columnsOfAttempts(attempts)
	type beat struct {
		n      int
		cancel bool
	}
	beats, err := again(ctx, func() ([]beat, error) {
		return all(e.hasty(ctx), func(row scanner) (b beat, err error) { return b, row.Scan(&b.n, &b.cancel) },
			beatJobs, tenants, ids, numbers, lease.Microseconds())
	})
	if err != nil {
		return nil, err
	}
	for _, b := range beats {
		pulses[b.n-1] = jobs.Pulse{Held: true, Cancel: b.cancel}
	}
	return pulses, nil
}

const saveProgress = `with held as (
	  select j.tenant_id, j.id, json_build_object('done', g.done, 'total', g.total, 'message', g.message) as progress
	  from unnest($1::uuid[], $2::uuid[], $3::int[], $4::bigint[], $5::bigint[], $6::text[])
	    as g (tenant_id, id, attempt, done, total, message)
	  join jobs j on j.tenant_id = g.tenant_id and j.id = g.id
	  where ` + stateByKey + ` = 'running' and j.attempt = g.attempt order by j.tenant_id, j.id for no key update of j)
	update jobs j set progress = h.progress from held h where j.tenant_id = h.tenant_id and j.id = h.id`

// SaveProgress notes how far attempts have come.
func (e *JobEngine) SaveProgress(ctx context.Context, progress []jobs.AttemptProgress) error {
	if len(progress) == 0 {
		return nil
	}
	attempts := make([]jobs.Attempt, len(progress))
	done, total, messages := make([]int64, len(progress)), make([]int64, len(progress)), make([]string, len(progress))
	for i, p := range progress {
		attempts[i], done[i], total[i], messages[i] = p.Attempt, p.Done, p.Total, storable(p.Message, maxMessage)
	}
	tenants, ids, numbers := columnsOfAttempts(attempts)
	_, err := again(ctx, func() (int64, error) {
		return affect(e.hasty(ctx), saveProgress, tenants, ids, numbers, done, total, messages)
	})
	return err
}

// maxMessage bounds the message of a progress, in bytes.
const maxMessage = 1 << 10

func columnsOfAttempts(attempts []jobs.Attempt) (tenants, ids []tenancy.ID, numbers []int) {
	tenants, ids = make([]tenancy.ID, len(attempts)), make([]tenancy.ID, len(attempts))
	numbers = make([]int, len(attempts))
	for i, a := range attempts {
		tenants[i], ids[i], numbers[i] = a.Tenant, a.ID, a.Number
	}
	return tenants, ids, numbers
}
