package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// failuresAnd is the failures of job j with that of its attempt under way, whose error and stack are l's. The newest 50
// are kept.
const failuresAnd = `case when jsonb_array_length(j.failures) >= 50 then j.failures - 0 else j.failures end ||
	    jsonb_build_object('attempt', j.attempt, 'started_at', j.started_at, 'ended_at', now(), 'error', l.error,
	      'stack', l.stack, 'worker', j.worker)`

// settleJobs ends attempts that hold their jobs: what ended well or was cancelled moves to jobs_finished. The jobs are
// locked in one order, so that two batches do not wait for each other. hold is a condition on every job j.
//
// A job that is to be cancelled is not tried again. A claim that is given back counts as an attempt, since its number
// is a fencing token, and one more may be made for it.
func settleJobs(hold string) string {
	return endJobs(hold) + `,
	kept as (
	  update jobs j set
	    state = case when l.state = 'pending' and l.run_at > now() then 'scheduled' else l.state end,
	    run_at = coalesce(l.run_at, case when l.state = 'retrying' then now() end, j.run_at),
	    max_attempts = j.max_attempts + (l.state = 'pending')::int, lease_until = null,
	    finished_at = case when l.state = 'dead' then now() end,
	    unique_key = case when l.state = 'dead' then null else j.unique_key end,
	    error = case when l.error <> '' then l.error else j.error end,
	    failures = case when l.error <> '' then ` + failuresAnd + ` else j.failures end
	  from held l
	  where ` + hold + `j.tenant_id = l.tenant_id and j.id = l.id and l.state in ('retrying', 'pending', 'dead')
	  returning l.n)
	select n from ended union all select n from kept`
}

// settleSucceeded is settleJobs where all of them succeeded: most batches are like that, and it is half the work.
func settleSucceeded(hold string) string { return endJobs(hold) + " select n from ended" }

// endJobs is what settleJobs and settleSucceeded begin with.
func endJobs(hold string) string {
	return `with held as (
	  select g.n, g.tenant_id, g.id, g.run_at, g.result, g.error, g.stack,
	    case when g.state in ('retrying', 'pending') and j.cancel_requested then 'cancelled' else g.state end as state
	  from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::text[])
	    with ordinality as g (tenant_id, id, attempt, state, run_at, result, error, stack, n)
	  join jobs j on j.tenant_id = g.tenant_id and j.id = g.id
	  where ` + hold + stateByKey + ` = 'running' and j.attempt = g.attempt
	  order by j.tenant_id, j.id for update of j),
	ended as (
	  delete from jobs j using held l
	  where ` + hold + `j.tenant_id = l.tenant_id and j.id = l.id and l.state in ('succeeded', 'cancelled')
	  returning l.n, ` + qualified("j", movedColumns, "error", "failures") + `, j.cancel_requested, l.state, nullif(l.result, '')::json as result,
	    case when l.state = 'succeeded' then null when l.error <> '' then l.error else j.error end as error,
	    case when l.error <> '' then ` + failuresAnd + ` else j.failures end as failures),
	moved as (
	  insert into jobs_finished (` + movedColumns + `, state, finished_at, cancel_requested, result)
	  select ` + movedColumns + `, state, now(), cancel_requested, result from ended on conflict do nothing)`
}

// Settle ends attempts, each only where it still holds its job. One batch is one round trip and one commit.
func (e *JobEngine) Settle(ctx context.Context, outcomes []jobs.Outcome) ([]bool, error) {
	return again(ctx, func() ([]bool, error) { return settle(e.engine(ctx), "", outcomes) })
}

// settle settles attempts whose jobs meet a condition, which takes more arguments from $9 on.
func settle(tx *gorm.DB, hold string, outcomes []jobs.Outcome, more ...any) ([]bool, error) {
	held := make([]bool, len(outcomes))
	if len(outcomes) == 0 {
		return held, nil
	}
	c, err := columnsOfOutcomes(outcomes)
	if err != nil {
		return nil, err
	}
	statement := settleSucceeded
	if slices.ContainsFunc(outcomes, func(o jobs.Outcome) bool { return o.State != jobs.Succeeded }) {
		statement = settleJobs
	}
	args := append([]any{c.tenants, c.ids, c.numbers, c.states, c.runAt, c.results, c.errors, c.stacks}, more...)
	settled, err := all(tx, func(row scanner) (n int, err error) { return n, row.Scan(&n) }, statement(hold), args...)
	if err != nil {
		return nil, fmt.Errorf("settle jobs: %w", err)
	}
	for _, n := range settled {
		held[c.at[n-1]] = true
	}
	return held, nil
}

// outcomeColumns are outcomes as arrays. at is where each stood.
type outcomeColumns struct {
	at             []int
	tenants, ids   []tenancy.ID
	numbers        []int
	states         []string
	runAt          []*time.Time
	results        []string
	errors, stacks []string
}

// columnsOfOutcomes leaves out what ends an attempt a second time: the first one stands.
func columnsOfOutcomes(outcomes []jobs.Outcome) (c outcomeColumns, err error) {
	seen := make(map[jobs.Ref]bool, len(outcomes))
	for i, o := range outcomes {
		switch o.State { //nolint:exhaustive // the others are no ends
		case jobs.Succeeded, jobs.Retrying, jobs.Dead, jobs.Cancelled, jobs.Pending:
		default:
			return c, fmt.Errorf("settle job %s: an attempt does not end as %q", o.Ref, o.State)
		}
		if seen[o.Ref] {
			continue
		}
		seen[o.Ref] = true
		result := ""
		if len(o.Result) > 0 && o.State == jobs.Succeeded {
			result = storableJSON(o.Result)
		}
		var runAt *time.Time
		if !o.RunAt.IsZero() {
			runAt = &o.RunAt
		}
		c.at = append(c.at, i)
		c.tenants, c.ids, c.numbers = append(c.tenants, o.Tenant), append(c.ids, o.ID), append(c.numbers, o.Number)
		c.states, c.runAt, c.results = append(c.states, string(o.State)), append(c.runAt, runAt), append(c.results, result)
		c.errors, c.stacks = append(c.errors, storable(o.Error, maxError)), append(c.stacks, storable(o.Stack, maxStack))
	}
	return c, nil
}

// errLostJob rolls a handler's transaction back whose attempt had lost its job.
var errLostJob = errors.New("postgres: the attempt had lost its job")

// Within runs fn in a transaction of the job's tenant, as the process's own role, and settles the attempt in it. Where
// fn fails nothing is kept, and the attempt still holds its job as far as is known. fn may run more than once, each time
// in a new transaction, and outcome is asked after it.
func (e *JobEngine) Within(
	ctx context.Context, scope tenancy.Scope, outcome func() jobs.Outcome, fn func(ctx context.Context) error,
) (held bool, err error) {
	db, err := e.jobs.router.For(ctx, scope.Tenant)
	if err != nil {
		return true, err
	}
	err = db.InTx(ctx, scope, func(ctx context.Context) error {
		if err := fn(ctx); err != nil {
			return err
		}
		tx := db.Scoped(ctx, scope)
		if err := Defer(tx, "select "+keepToIndexes); err != nil {
			return err
		}
		settled, err := settle(tx, "j.tenant_id = $9 and ", []jobs.Outcome{outcome()}, scope.Tenant)
		if err == nil && !settled[0] {
			err = errLostJob
		}
		return err
	})
	if errors.Is(err, errLostJob) {
		return false, nil
	}
	return true, translate(err)
}

// qualified is a list of columns of a table, without some.
func qualified(table, columns string, without ...string) string {
	var kept []string
	for column := range strings.SplitSeq(columns, ", ") {
		if !slices.Contains(without, column) {
			kept = append(kept, table+"."+column)
		}
	}
	return strings.Join(kept, ", ")
}
