package postgres

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestOperators(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	one, two := s.scope(t), s.scope(t)
	var dead []jobs.Job
	for i, scope := range []tenancy.Scope{one, one, two} {
		job := s.start(t, scope, inQueue([]string{jobs.Default, jobs.Reports, jobs.Default}[i]))
		require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(job), State: jobs.Dead, Error: "x", Stack: "where"}))
		dead = append(dead, job)
	}
	waiting := s.enqueue(t, two, newJob1(), newJob1(at(time.Now().Add(time.Hour))))
	done := s.start(t, one)
	require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(done), State: jobs.Succeeded}))
	s.Exec(t, "update jobs set run_at = now() - interval '90 seconds' where id = $1", waiting[0].ID.String())
	s.Exec(t, "update jobs set finished_at = now() - interval '1 hour' where id = $1", dead[0].ID.String())

	counts, err := s.Engine.JobStats(t.Context())
	require.NoError(t, err)
	got := make(map[string]JobCount)
	for _, c := range counts {
		got[c.Queue+" "+string(c.State)] = c
	}
	assert.Len(t, got, 4)
	assert.EqualValues(t, 2, got["default dead"].Jobs)
	assert.InDelta(t, time.Hour, got["default dead"].Oldest, float64(time.Minute))
	assert.EqualValues(t, 1, got["default pending"].Jobs)
	assert.InDelta(t, 90*time.Second, got["default pending"].Oldest, float64(time.Minute))
	assert.Zero(t, got["default scheduled"].Oldest)
	assert.EqualValues(t, 1, got["reports dead"].Jobs)

	list := func(q OperatorQuery) (found []tenancy.ID) {
		rows, err := s.Engine.ListAllJobs(t.Context(), q)
		require.NoError(t, err)
		for _, row := range rows {
			found = append(found, row.ID)
		}
		return found
	}
	assert.Equal(t, []tenancy.ID{done.ID, waiting[1].ID, waiting[0].ID, dead[2].ID, dead[1].ID, dead[0].ID}, list(OperatorQuery{}))
	assert.Equal(t, []tenancy.ID{dead[1].ID, dead[0].ID}, list(OperatorQuery{Tenant: one.Tenant, Query: jobs.Query{States: []jobs.State{jobs.Dead}}}))
	assert.Equal(t, []tenancy.ID{dead[1].ID}, list(OperatorQuery{Query: jobs.Query{Queue: jobs.Reports, Kind: "test.work"}}))
	assert.Equal(t, []tenancy.ID{done.ID}, list(OperatorQuery{Query: jobs.Query{States: []jobs.State{jobs.Succeeded}}}))
	after := page.Request{Limit: 2, After: page.Position{waiting[1].ID.String()}}
	assert.Equal(t, []tenancy.ID{waiting[0].ID, dead[2].ID, dead[1].ID}, list(OperatorQuery{Query: jobs.Query{Request: after}}))

	job, err := s.Engine.FindAnyJob(t.Context(), dead[0].ID)
	require.NoError(t, err)
	assert.Equal(t, "where", job.Failures[0].Stack)
	_, err = s.Engine.FindAnyJob(t.Context(), tenancy.NewID())
	assert.Equal(t, "job.not_found", codeOf(t, err))

	job, err = s.Engine.CancelAnyJob(t.Context(), waiting[1].ID, time.Now())
	require.NoError(t, err)
	assert.Equal(t, jobs.Cancelled, job.State)
	assert.Equal(t, 1, s.audits(t, "job.cancelled", waiting[1].ID))
	job, err = s.Engine.RetryAnyJob(t.Context(), dead[0].ID, time.Now())
	require.NoError(t, err)
	assert.Equal(t, jobs.Pending, job.State)
	assert.Equal(t, 1, s.audits(t, "job.retried", dead[0].ID))
}

func TestRetryAllDead(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	s.fill(t, jobs.Default, "dead", 3, 400)
	s.fill(t, jobs.Reports, "dead", 1, 10)
	s.Exec(t, "insert into tenants (id, name, created_at, updated_at) select distinct tenant_id, 'T', now(), now() from jobs")
	s.Exec(t, "update jobs set finished_at = now() - interval '1 minute', attempt = 20")
	n, err := s.Engine.RetryAllDead(t.Context(), "no.such", "", time.Now())
	require.NoError(t, err)
	assert.Zero(t, n)
	n, err = s.Engine.RetryAllDead(t.Context(), "test.work", jobs.Default, time.Now())
	require.NoError(t, err)
	assert.Equal(t, 1200, n)
	assert.Equal(t, 1200, value[int](t, s.Database, "select count(*) from jobs where state = 'pending' and max_attempts = 40"))
	assert.Equal(t, 1200, value[int](t, s.Database, "select count(*) from audit_events where action = 'job.retried'"))
	assert.Equal(t, 10, value[int](t, s.Database, "select count(*) from jobs where state = 'dead'"))
}

func TestUpkeepOfJobs(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	t.Run("partitions of ended jobs come and go", func(t *testing.T) {
		t.Parallel()
		made, dropped, err := s.Engine.MaintainFinished(t.Context(), 24*time.Hour)
		require.NoError(t, err)
		assert.Zero(t, made)
		assert.Zero(t, dropped)
		s.Exec(t, `do $$ begin execute format('create table jobs_finished_20200101 partition of jobs_finished for values from (%L) to (%L)',
			uuid7_floor('2020-01-01Z'), uuid7_floor('2020-01-02Z')); end $$`)
		s.Exec(t, "alter table jobs_finished_20200101 owner to groundwork_owner")
		_, dropped, err = s.Engine.MaintainFinished(t.Context(), 24*time.Hour)
		require.NoError(t, err)
		assert.Equal(t, 1, dropped)
	})
	t.Run("what is old goes, in batches", func(t *testing.T) {
		t.Parallel()
		scope := s.scope(t)
		s.fill(t, jobs.Default, "dead", 1, 5)
		s.Exec(t, "update jobs set finished_at = now() - interval '31 days' where state = 'dead'")
		for _, left := range []int64{3, 2, 0} {
			n, err := s.Engine.PruneDead(t.Context(), 30*24*time.Hour, 3)
			require.NoError(t, err)
			assert.Equal(t, left, n)
		}
		for _, key := range []string{"a", "b"} {
			s.enqueue(t, scope, newJob1(keyed(key, jobs.UniqueForPeriod, time.Hour)))
		}
		s.Exec(t, "update job_keys set expires_at = now() - interval '1 minute' where key = 'a'")
		n, err := s.Engine.PruneKeys(t.Context(), 0, 10)
		require.NoError(t, err)
		assert.EqualValues(t, 1, n)
		live := s.enqueue(t, scope, newJob1())[0]
		for _, ref := range []jobs.Ref{live, {Tenant: scope.Tenant, ID: tenancy.NewID()}} {
			require.NoError(t, s.Jobs.RecordEffect(t.Context(), ref, "step", nil))
		}
		n, err = s.Engine.PruneEffects(t.Context(), time.Hour, 10)
		require.NoError(t, err)
		assert.Zero(t, n)
		s.Exec(t, "update job_effects set at = now() - interval '2 hours'")
		n, err = s.Engine.PruneEffects(t.Context(), time.Hour, 10)
		require.NoError(t, err)
		assert.EqualValues(t, 1, n, "a job that lives keeps its notes")
	})
}
