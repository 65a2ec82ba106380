package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestSettle(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	scope := s.scope(t)
	t.Run("a job that succeeded moves, with its result", func(t *testing.T) {
		t.Parallel()
		job := s.start(t, scope)
		require.NoError(t, s.Engine.SaveProgress(t.Context(), []jobs.AttemptProgress{
			{Attempt: attemptOf(job), Progress: jobs.Progress{Done: 3, Total: 4, Message: "rows\x00"}},
		}))
		assert.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(job), State: jobs.Succeeded, Result: json.RawMessage(`{"rows":"\u0000"}`)}))
		got := s.find(t, attemptOf(job).Ref)
		assert.Equal(t, jobs.Succeeded, got.State)
		assert.Equal(t, `{"rows":"\u0000"}`, string(got.Result))
		assert.Equal(t, &jobs.Progress{Done: 3, Total: 4, Message: "rows\uFFFD"}, got.Progress)
		assert.NotNil(t, got.FinishedAt)
		assert.Nil(t, got.Error)
		assert.Empty(t, got.Failures)
		assert.Equal(t, "req-1", got.RequestID)
		assert.Zero(t, value[int](t, s.Database, "select count(*) from jobs where id = $1", job.ID.String()))
	})
	t.Run("a failure is kept, in what the database can keep", func(t *testing.T) {
		t.Parallel()
		job := s.start(t, scope)
		when := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		assert.True(t, s.settle(t, jobs.Outcome{
			Attempt: attemptOf(job), State: jobs.Retrying, RunAt: when,
			Error: "bad \x00 \xff" + strings.Repeat("é", maxError), Stack: strings.Repeat("s", 2*maxStack),
		}))
		got := s.find(t, attemptOf(job).Ref)
		assert.Equal(t, jobs.Retrying, got.State)
		assert.Equal(t, when, got.RunAt)
		require.Len(t, got.Failures, 1)
		f := got.Failures[0]
		assert.Equal(t, 1, f.Attempt)
		assert.Equal(t, "worker-1", f.Worker)
		assert.True(t, strings.HasPrefix(f.Error, "bad \uFFFD \uFFFDéé"), f.Error[:20])
		assert.LessOrEqual(t, len(f.Error), maxError+8)
		assert.Len(t, f.Stack, maxStack)
		assert.Equal(t, f.Error, *got.Error)
		assert.WithinDuration(t, *job.StartedAt, f.StartedAt, time.Millisecond)
		mine, err := s.Jobs.FindJob(t.Context(), scope, job.ID)
		require.NoError(t, err)
		assert.Empty(t, mine.Failures[0].Stack, "a tenant sees no stack")
		assert.Empty(t, mine.Failures[0].Worker)
		assert.Empty(t, mine.Worker)
	})
	t.Run("a dead one stays and gives its key up", func(t *testing.T) {
		t.Parallel()
		job := s.start(t, scope, keyed("dies", jobs.UniqueWhileLive, 0))
		again := s.enqueue(t, scope, newJob1(keyed("dies", jobs.UniqueWhileLive, 0)))
		assert.Equal(t, job.ID, again[0].ID)
		assert.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(job), State: jobs.Dead, Error: "no"}))
		got := s.find(t, attemptOf(job).Ref)
		assert.Equal(t, jobs.Dead, got.State)
		assert.NotNil(t, got.FinishedAt)
		assert.NotEqual(t, job.ID, s.enqueue(t, scope, newJob1(keyed("dies", jobs.UniqueWhileLive, 0)))[0].ID)
	})
	t.Run("a claim that is given back does not count, and its token does not come again", func(t *testing.T) {
		t.Parallel()
		job := s.start(t, scope, attempts(3))
		require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(job), State: jobs.Pending}))
		again := s.claim(t, attemptOf(job).Ref)[0]
		assert.Equal(t, 2, again.Attempt)
		assert.Equal(t, 4, again.MaxAttempts)
		assert.Empty(t, again.Failures)
		require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(again), State: jobs.Pending, RunAt: time.Now().Add(time.Hour)}))
		assert.Equal(t, jobs.Scheduled, s.find(t, attemptOf(job).Ref).State)
	})
	t.Run("what was to be cancelled is not tried again", func(t *testing.T) {
		t.Parallel()
		job := s.start(t, scope)
		_, err := s.Jobs.CancelJob(t.Context(), scope, job.ID, time.Now())
		require.NoError(t, err)
		require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(job), State: jobs.Retrying, Error: "stopped"}))
		got := s.find(t, attemptOf(job).Ref)
		assert.Equal(t, jobs.Cancelled, got.State)
		assert.Equal(t, "stopped", *got.Error)
	})
	t.Run("an attempt that lost its job changes nothing", func(t *testing.T) {
		t.Parallel()
		late := s.start(t, scope)
		s.Exec(t, "update jobs set lease_until = now() - interval '1 second' where id = $1", late.ID.String())
		_, _, err := s.Engine.Expire(t.Context(), 100)
		require.NoError(t, err)
		for _, state := range []jobs.State{jobs.Succeeded, jobs.Dead, jobs.Retrying, jobs.Cancelled, jobs.Pending} {
			assert.False(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(late), State: state}), state)
		}
		now := s.claim(t, attemptOf(late).Ref)[0]
		assert.False(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(late), State: jobs.Succeeded}))
		pulses, err := s.Engine.Beat(t.Context(), []jobs.Attempt{attemptOf(late), attemptOf(now)}, lease)
		require.NoError(t, err)
		assert.Equal(t, []jobs.Pulse{{}, {Held: true}}, pulses)
		require.NoError(t, s.Engine.SaveProgress(t.Context(), []jobs.AttemptProgress{{Attempt: attemptOf(late), Progress: jobs.Progress{Done: 9}}}))
		assert.Nil(t, s.find(t, attemptOf(now).Ref).Progress)
		assert.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(now), State: jobs.Succeeded}))
		assert.False(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(now), State: jobs.Succeeded}), "once")
	})
	t.Run("a batch answers for each in order", func(t *testing.T) {
		t.Parallel()
		var outcomes []jobs.Outcome
		for range 5 {
			outcomes = append(outcomes, jobs.Outcome{Attempt: attemptOf(s.start(t, scope)), State: jobs.Succeeded})
		}
		outcomes[1].Number++                       // another attempt's
		outcomes = append(outcomes, outcomes[0])   // a second time
		outcomes[3].State = jobs.Cancelled         // among others
		outcomes[2].Result = json.RawMessage(`{,`) // no JSON: it must not take the batch along
		held, err := s.Engine.Settle(t.Context(), outcomes)
		require.NoError(t, err)
		assert.Equal(t, []bool{true, false, true, true, true, false}, held)
		assert.Equal(t, `"{,"`, string(s.find(t, outcomes[2].Ref).Result))
		assert.Equal(t, jobs.Cancelled, s.find(t, outcomes[3].Ref).State)
	})
	t.Run("running is no end", func(t *testing.T) {
		t.Parallel()
		_, err := s.Engine.Settle(t.Context(), []jobs.Outcome{{State: jobs.Running}})
		require.ErrorContains(t, err, "does not end as")
	})
	t.Run("the newest 50 failures are kept", func(t *testing.T) {
		t.Parallel()
		job := s.start(t, scope)
		s.Exec(t, `update jobs set failures = (select jsonb_agg(jsonb_build_object('attempt', n, 'error', 'x')) from generate_series(1, 50) n)
			where id = $1`, job.ID.String())
		require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(job), State: jobs.Dead, Error: "the last"}))
		failures := s.find(t, attemptOf(job).Ref).Failures
		require.Len(t, failures, 50)
		assert.Equal(t, 2, failures[0].Attempt)
		assert.Equal(t, "the last", failures[49].Error)
	})
}

func TestWithin(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	scope := s.scope(t)
	worker := NewJobs(Shared{DB: s.Worker}, nil)
	succeeded := func(job jobs.Job) func() jobs.Outcome {
		return func() jobs.Outcome { return jobs.Outcome{Attempt: attemptOf(job), State: jobs.Succeeded} }
	}
	effects := func(t *testing.T, id tenancy.ID) int {
		t.Helper()
		return value[int](t, s.Database, "select count(*) from jobs where request_id = $1", id.String())
	}
	// act enqueues another job: an effect in the tenant's database.
	act := func(id tenancy.ID) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			_, err := worker.Enqueue(ctx, tenancy.AsSystem(scope.Tenant, id.String()), newJob1())
			return err
		}
	}
	t.Run("the effect and the end are one", func(t *testing.T) {
		t.Parallel()
		job := s.start(t, scope)
		held, err := s.Engine.Within(t.Context(), scope, succeeded(job), act(job.ID))
		require.NoError(t, err)
		assert.True(t, held)
		assert.Equal(t, 1, effects(t, job.ID))
		assert.Equal(t, jobs.Succeeded, s.find(t, attemptOf(job).Ref).State)
	})
	t.Run("an attempt that lost its job leaves nothing", func(t *testing.T) {
		t.Parallel()
		job := s.start(t, scope)
		s.Exec(t, "update jobs set attempt = attempt + 1 where id = $1", job.ID.String())
		held, err := s.Engine.Within(t.Context(), scope, succeeded(job), act(job.ID))
		require.NoError(t, err)
		assert.False(t, held)
		assert.Zero(t, effects(t, job.ID))
		assert.Equal(t, jobs.Running, s.find(t, attemptOf(job).Ref).State)
	})
	t.Run("an error leaves nothing", func(t *testing.T) {
		t.Parallel()
		job := s.start(t, scope)
		held, err := s.Engine.Within(t.Context(), scope, succeeded(job), func(ctx context.Context) error {
			return errors.Join(act(job.ID)(ctx), assert.AnError)
		})
		require.ErrorIs(t, err, assert.AnError)
		assert.True(t, held)
		assert.Zero(t, effects(t, job.ID))
		assert.Equal(t, jobs.Running, s.find(t, attemptOf(job).Ref).State)
	})
	t.Run("another tenant's job is not settled", func(t *testing.T) {
		t.Parallel()
		job := s.start(t, s.scope(t))
		held, err := s.Engine.Within(t.Context(), scope, succeeded(job), act(job.ID))
		require.NoError(t, err)
		assert.False(t, held)
		assert.Zero(t, effects(t, job.ID))
	})
	t.Run("it runs again after a lost race", func(t *testing.T) {
		t.Parallel()
		job := s.start(t, scope)
		runs := 0
		held, err := s.Engine.Within(t.Context(), scope, succeeded(job), func(ctx context.Context) error {
			if err := act(job.ID)(ctx); err != nil {
				return err
			}
			if runs++; runs < 3 {
				return exec(s.Worker.Scoped(context.WithValue(ctx, unrecordedKey{}, true), scope), "do $$ begin raise sqlstate '40001'; end $$")
			}
			return nil
		})
		require.NoError(t, err)
		assert.True(t, held)
		assert.Equal(t, 3, runs)
		assert.Equal(t, 1, effects(t, job.ID))
	})
}

func TestExpire(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	scope := s.scope(t)
	first, last, fresh := s.start(t, scope), s.start(t, scope, attempts(1)), s.start(t, scope)
	lastButCancelled, busy := s.start(t, scope, attempts(1)), s.start(t, scope)
	s.Exec(t, "update jobs set cancel_requested = true where id = $1", lastButCancelled.ID.String())
	s.Exec(t, "update jobs set lease_until = now() - interval '1 second' where id <> $1", fresh.ID.String())
	s.held(t, attemptOf(busy).Ref, func() {
		again, dead, err := s.Engine.Expire(t.Context(), 100)
		require.NoError(t, err)
		assert.EqualValues(t, 2, again)
		assert.EqualValues(t, 1, dead)
	})
	got := s.find(t, attemptOf(first).Ref)
	assert.Equal(t, jobs.Pending, got.State)
	require.Len(t, got.Failures, 1)
	assert.Equal(t, leaseRanOut, got.Failures[0].Error)
	assert.Equal(t, leaseRanOut, *got.Error)
	got = s.find(t, attemptOf(last).Ref)
	assert.Equal(t, jobs.Dead, got.State)
	assert.NotNil(t, got.FinishedAt)
	assert.Equal(t, jobs.Running, s.find(t, attemptOf(fresh).Ref).State)
	assert.Equal(t, jobs.Running, s.find(t, attemptOf(busy).Ref).State)

	claimed, locked, err := s.Engine.Claim(t.Context(), "w", []jobs.Ref{attemptOf(lastButCancelled).Ref}, lease)
	require.NoError(t, err)
	assert.Empty(t, claimed)
	assert.Empty(t, locked)
	assert.Equal(t, jobs.Cancelled, s.find(t, attemptOf(lastButCancelled).Ref).State)
}

func TestPromote(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	scope := s.scope(t)
	soon := time.Now().Add(time.Hour)
	refs := s.enqueue(t, scope, newJob1(at(soon), inQueue(jobs.Reports)), newJob1(at(soon)), newJob1(at(soon)), newJob1(at(soon)))
	for _, ref := range refs {
		assert.Equal(t, jobs.Scheduled, s.find(t, ref).State)
	}
	moved, queues, err := s.Engine.Promote(t.Context(), 10)
	require.NoError(t, err)
	assert.Zero(t, moved)
	assert.Empty(t, queues)
	s.Exec(t, "update jobs set run_at = now() where id <> $1", refs[3].ID.String())
	s.Exec(t, "update jobs set state = 'retrying' where id = $1", refs[1].ID.String())
	s.held(t, refs[2], func() {
		moved, queues, err = s.Engine.Promote(t.Context(), 10)
		require.NoError(t, err)
		assert.Equal(t, 2, moved)
		assert.Equal(t, []string{jobs.Default, jobs.Reports}, queues)
	})
	moved, _, err = s.Engine.Promote(t.Context(), 10)
	require.NoError(t, err)
	assert.Equal(t, 1, moved)
	assert.Equal(t, jobs.Scheduled, s.find(t, refs[3]).State)
}

func TestRecall(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	scope := s.scope(t)
	refs := s.enqueue(t, scope, newJob1(), newJob1(), newJob1(), newJob1(inQueue(jobs.Reports)))
	s.pick(t, jobs.Default, 10, tenancy.ID{})
	s.pick(t, jobs.Reports, 10, tenancy.ID{})
	before, err := s.Engine.Now(t.Context())
	require.NoError(t, err)
	s.claim(t, refs[2])
	n, err := s.Engine.Recall(t.Context(), jobs.Default, before.Add(-time.Hour), nil)
	require.NoError(t, err)
	assert.Zero(t, n, "handed over since")
	n, err = s.Engine.Recall(t.Context(), jobs.Default, before, []jobs.Ref{refs[1], {Tenant: tenancy.NewID(), ID: refs[0].ID}})
	require.NoError(t, err)
	assert.EqualValues(t, 1, n)
	for i, state := range []jobs.State{jobs.Pending, jobs.Dispatched, jobs.Running, jobs.Dispatched} {
		assert.Equal(t, state, s.find(t, refs[i]).State, i)
	}
	n, err = s.Engine.Recall(t.Context(), "", before, nil)
	require.NoError(t, err)
	assert.EqualValues(t, 2, n)
}
