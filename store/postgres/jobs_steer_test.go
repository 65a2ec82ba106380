package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func codeOf(t *testing.T, err error) string {
	t.Helper()
	f, ok := fault.As(err)
	require.Truef(t, ok, "%v", err)
	return f.Code
}

func (s *jobsSample) audits(tb testing.TB, action string, id tenancy.ID) int {
	tb.Helper()
	return value[int](tb, s.Database, "select count(*) from audit_events where action = $1 and resource_id = $2", action, id.String())
}

func TestCancelJob(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	scope := s.Tenant(t) // an owner, whose access is checked
	now := time.Now().UTC().Truncate(time.Microsecond)
	for _, state := range []string{"scheduled", "pending", "dispatched", "retrying"} {
		t.Run("a "+state+" job ends", func(t *testing.T) {
			t.Parallel()
			ref := s.enqueue(t, scope, newJob1(keyed(state, jobs.UniqueWhileLive, 0)))[0]
			s.Exec(t, "update jobs set state = $2 where id = $1", ref.ID.String(), state)
			for range 2 {
				job, err := s.Jobs.CancelJob(t.Context(), scope, ref.ID, now)
				require.NoError(t, err)
				assert.Equal(t, jobs.Cancelled, job.State)
				assert.Equal(t, now, *job.FinishedAt)
				assert.Equal(t, jobs.Cancelled, s.find(t, ref).State)
			}
			assert.Equal(t, 1, s.audits(t, "job.cancelled", ref.ID))
			claimed, locked, err := s.Engine.Claim(t.Context(), "w", []jobs.Ref{ref}, lease)
			require.NoError(t, err)
			assert.Empty(t, claimed)
			assert.Empty(t, locked)
			assert.NotEqual(t, ref, s.enqueue(t, scope, newJob1(keyed(state, jobs.UniqueWhileLive, 0)))[0], "its key is free")
		})
	}
	t.Run("a running one is asked to end", func(t *testing.T) {
		t.Parallel()
		running := s.start(t, scope)
		for range 2 {
			job, err := s.Jobs.CancelJob(t.Context(), scope, running.ID, now)
			require.NoError(t, err)
			assert.Equal(t, jobs.Running, job.State)
			assert.True(t, job.CancelRequested)
		}
		assert.Equal(t, 1, s.audits(t, "job.cancelled", running.ID))
		pulses, err := s.Engine.Beat(t.Context(), []jobs.Attempt{attemptOf(running)}, lease)
		require.NoError(t, err)
		assert.Equal(t, []jobs.Pulse{{Held: true, Cancel: true}}, pulses)
		require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(running), State: jobs.Succeeded}))
		_, err = s.Jobs.CancelJob(t.Context(), scope, running.ID, now)
		assert.Equal(t, "job.finished", codeOf(t, err))
	})
	t.Run("a dead one has ended", func(t *testing.T) {
		t.Parallel()
		job := s.start(t, scope)
		require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(job), State: jobs.Dead, Error: "x"}))
		_, err := s.Jobs.CancelJob(t.Context(), scope, job.ID, now)
		assert.Equal(t, "job.finished", codeOf(t, err))
	})
	t.Run("another tenant's does not exist", func(t *testing.T) {
		t.Parallel()
		ref := s.enqueue(t, s.scope(t), newJob1())[0]
		_, err := s.Jobs.CancelJob(t.Context(), scope, ref.ID, now)
		assert.Equal(t, "job.not_found", codeOf(t, err))
		_, err = s.Jobs.FindJob(t.Context(), scope, ref.ID)
		assert.Equal(t, "job.not_found", codeOf(t, err))
		_, err = s.Jobs.RetryJob(t.Context(), scope, ref.ID, now)
		assert.Equal(t, "job.not_found", codeOf(t, err))
		assert.Equal(t, jobs.Pending, s.find(t, ref).State)
	})
	t.Run("an actor whose access was revoked does nothing", func(t *testing.T) {
		t.Parallel()
		gone := s.Tenant(t)
		ref := s.enqueue(t, gone, newJob1())[0]
		s.Exec(t, "update sessions set revoked_at = now() where tenant_id = $1", gone.Tenant.String())
		_, err := s.Jobs.CancelJob(t.Context(), gone, ref.ID, now)
		assert.Equal(t, fault.Unauthorized, fault.KindOf(err))
		_, err = s.Jobs.ListJobs(t.Context(), gone, jobs.Query{Request: page.Request{Limit: 5}})
		assert.Equal(t, fault.Unauthorized, fault.KindOf(err))
		_, err = s.Jobs.Enqueue(t.Context(), gone, newJob1())
		assert.Equal(t, fault.Unauthorized, fault.KindOf(err))
	})
}

func TestRetryJob(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	scope := s.Tenant(t)
	job := s.start(t, scope, attempts(2))
	_, err := s.Jobs.RetryJob(t.Context(), scope, job.ID, time.Now())
	assert.Equal(t, "job.not_dead", codeOf(t, err))
	for round := 1; round <= 3; round++ {
		require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(job), State: jobs.Dead, Error: "x"}))
		s.woken()
		again, err := s.Jobs.RetryJob(t.Context(), scope, job.ID, time.Now())
		require.NoError(t, err)
		assert.Equal(t, jobs.Pending, again.State)
		assert.Equal(t, round, again.Attempt, "it is a token: it goes on counting")
		assert.Equal(t, round+2, again.MaxAttempts, "as many attempts as at first")
		assert.Len(t, again.Failures, round)
		assert.Nil(t, again.FinishedAt)
		assert.Equal(t, []string{jobs.Default}, s.woken())
		assert.Equal(t, round, s.audits(t, "job.retried", job.ID))
		job = s.claim(t, attemptOf(job).Ref)[0]
	}
}

func TestListJobs(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	scope := s.Tenant(t)
	s.enqueue(t, s.scope(t), newJob1()) // somebody else's
	ids := make(map[jobs.State][]tenancy.ID)
	var order []tenancy.ID // oldest first
	for i := range 24 {
		state := []jobs.State{jobs.Scheduled, jobs.Pending, jobs.Dispatched, jobs.Running, jobs.Retrying, jobs.Dead, jobs.Succeeded, jobs.Cancelled}[i%8]
		job := s.start(t, scope, inQueue([]string{jobs.Default, jobs.Reports}[i/12]))
		switch state { //nolint:exhaustive // the others are running ones
		case jobs.Succeeded, jobs.Cancelled, jobs.Dead, jobs.Retrying, jobs.Pending:
			require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(job), State: state}))
		case jobs.Dispatched, jobs.Scheduled:
			s.Exec(t, "update jobs set state = $2 where id = $1", job.ID.String(), string(state))
		}
		ids[state], order = append(ids[state], job.ID), append(order, job.ID)
	}
	list := func(t *testing.T, q jobs.Query) (found []tenancy.ID) {
		t.Helper()
		if q.Limit == 0 {
			q.Limit = 100
		}
		rows, err := s.Jobs.ListJobs(t.Context(), scope, q)
		require.NoError(t, err)
		for _, row := range rows {
			assert.Equal(t, scope.Tenant, row.Tenant)
			found = append(found, row.ID)
		}
		return found
	}
	newest := func(groups ...[]tenancy.ID) (want []tenancy.ID) {
		in := make(map[tenancy.ID]bool)
		for _, g := range groups {
			for _, id := range g {
				in[id] = true
			}
		}
		for i := len(order) - 1; i >= 0; i-- {
			if in[order[i]] {
				want = append(want, order[i])
			}
		}
		return want
	}
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, newest(order), list(t, jobs.Query{}))
	})
	t.Run("by state", func(t *testing.T) {
		t.Parallel()
		for state, has := range ids {
			if state == jobs.Pending {
				has = append(has, ids[jobs.Dispatched]...)
			}
			assert.Equal(t, newest(has), list(t, jobs.Query{States: []jobs.State{state}}), state)
		}
		assert.Equal(t, newest(ids[jobs.Dead], ids[jobs.Cancelled]), list(t, jobs.Query{States: []jobs.State{jobs.Cancelled, jobs.Dead}}))
		assert.Empty(t, list(t, jobs.Query{States: []jobs.State{"no' or 1=1"}}))
	})
	t.Run("by queue, kind and time", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, newest(order[12:]), list(t, jobs.Query{Queue: jobs.Reports}))
		assert.Equal(t, newest(order), list(t, jobs.Query{Kind: "test.work"}))
		assert.Empty(t, list(t, jobs.Query{Kind: "test\x00\xff"}))
		from := s.find(t, jobs.Ref{Tenant: scope.Tenant, ID: order[10]}).CreatedAt
		to := s.find(t, jobs.Ref{Tenant: scope.Tenant, ID: order[20]}).CreatedAt
		assert.Equal(t, newest(order[10:20]), list(t, jobs.Query{From: from, To: to}))
		assert.Empty(t, list(t, jobs.Query{To: time.Unix(0, 0)}))
		assert.Empty(t, list(t, jobs.Query{To: time.Time{}.Add(1)}))
		assert.Empty(t, list(t, jobs.Query{From: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}))
	})
	t.Run("page by page, there and back", func(t *testing.T) {
		t.Parallel()
		service := jobs.NewService(s.Jobs, func(context.Context, jobs.Ref) {}, time.Now)
		request, got := page.Request{Limit: 7}, []tenancy.ID(nil)
		var last page.Page[jobs.Job]
		for {
			p, err := service.List(t.Context(), scope, jobs.Query{Request: request})
			require.NoError(t, err)
			for _, j := range p.Items {
				got = append(got, j.ID)
			}
			last = p
			if len(p.Next) == 0 {
				break
			}
			request.After = p.Next
		}
		assert.Equal(t, newest(order), got)
		back, err := service.List(t.Context(), scope, jobs.Query{Request: page.Request{Limit: 7, After: last.Prev, Backward: true}})
		require.NoError(t, err)
		require.Len(t, back.Items, 7)
		assert.Equal(t, got[len(got)-len(last.Items)-7], back.Items[0].ID)
		_, err = service.List(t.Context(), scope, jobs.Query{Request: page.Request{After: page.Position{"x"}}})
		assert.Equal(t, "invalid_cursor", codeOf(t, err))
	})
}

// The policies hold by themselves, whatever a statement says: another tenant's jobs are not there for app and worker,
// and nobody but the system's role goes across tenants.
func TestJobs_row_level_security(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	mine, other := s.scope(t), s.scope(t)
	ref := s.enqueue(t, other, newJob1())[0]
	done := s.start(t, other)
	require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(done), State: jobs.Succeeded}))
	for _, db := range []*DB{s.App, s.Worker} {
		for _, statement := range []string{
			"update jobs set state = 'dead'", "delete from jobs", "delete from jobs_finished", "update jobs_finished set state = 'cancelled'",
		} {
			n, err := affect(raw(t.Context(), db, mine), statement)
			require.NoError(t, err)
			assert.Zero(t, n, statement)
		}
		engine := NewJobEngine(db, s.Jobs)
		claimed, locked, err := engine.Claim(t.Context(), "w", []jobs.Ref{ref}, lease)
		require.NoError(t, err)
		assert.Empty(t, claimed)
		assert.Empty(t, locked)
		all, err := engine.ListAllJobs(t.Context(), OperatorQuery{})
		require.NoError(t, err)
		assert.Empty(t, all)
		_, _, err = engine.MaintainFinished(t.Context(), time.Hour)
		require.ErrorContains(t, err, "permission denied")
	}
	assert.Equal(t, jobs.Pending, s.find(t, ref).State)
}
