package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/worker/internal/runner"
)

// The kinds of the tests. What they do is up to the handler that a test gives them.
type (
	plain  struct{ N int }
	brief  struct{}
	once   struct{ N int }
	inside struct{ Fail bool }
	other  struct{}
)

func (plain) JobKind() jobs.Kind { return jobs.Kind{Name: "test.plain", MaxAttempts: 3, Backoff: soon} }
func (brief) JobKind() jobs.Kind {
	return jobs.Kind{Name: "test.brief", MaxAttempts: 1, Timeout: 50 * time.Millisecond}
}
func (once) JobKind() jobs.Kind { return jobs.Kind{Name: "test.once", MaxAttempts: 1} }
func (inside) JobKind() jobs.Kind {
	return jobs.Kind{Name: "test.inside", MaxAttempts: 1, Transactional: true}
}
func (other) JobKind() jobs.Kind { return jobs.Kind{Name: "test.other", Queue: jobs.Critical} }

func soon(int) time.Duration { return time.Millisecond }

// handle is jobs.Handle for functions that want no arguments.
func handle[A jobs.Args](fn func(ctx context.Context, run *jobs.Run) error) jobs.Handler {
	return jobs.Handle(func(ctx context.Context, run *jobs.Run, _ A) error { return fn(ctx, run) })
}

func TestRunner(t *testing.T) {
	t.Parallel()
	t.Run("runs_what_was_enqueued_and_says_so", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.dispatch(t)
		var written, took atomic.Int64
		at := w.start(t, options{observe: func(_ context.Context, s postgres.Statement) {
			if strings.Contains(s.SQL, "set progress") {
				written.Add(1)
			}
		}, handlers: []jobs.Handler{
			jobs.Handle(func(_ context.Context, run *jobs.Run, args plain) error {
				assert.Equal(t, w.scope, run.Scope)
				defer func(began time.Time) { took.Store(int64(time.Since(began))) }(time.Now())
				for n := range int64(args.N) {
					run.Progress(n+1, int64(args.N), "counting")
				}
				return run.SetResult(map[string]int{"counted": args.N})
			}),
		}})
		id := w.enqueue(t, plain{N: 1_000})
		job := w.until(t, id, jobs.Succeeded)
		assert.JSONEq(t, `{"counted": 1000}`, string(job.Result))
		assert.Equal(t, &jobs.Progress{Done: 1_000, Total: 1_000, Message: "counting"}, job.Progress, "the last is kept")
		assert.Equal(t, 1, job.Attempt)
		most := 3 + int64(time.Duration(took.Load()).Seconds()) // one more for each second that a slow machine took
		assert.LessOrEqual(t, written.Load(), most, "and few of those before it are written")
		assert.Positive(t, written.Load())

		line := at.log.of(t, id)
		for field, want := range map[string]any{
			"kind": "test.plain", "queue": "default", "tenant": w.scope.Tenant.String(), "request_id": "request-7",
			"attempt": 1.0, "state": "succeeded", "level": "info",
		} {
			assert.Equal(t, want, line[field], field)
		}
		assert.Contains(t, line, "duration_ms")
		assert.Contains(t, line, "wait_ms")
		of := map[string]string{"kind": "test.plain", "queue": "default"}
		assert.Equal(t, 1, at.counted(t, "groundwork_jobs_wait_seconds", of))
		assert.Equal(t, 1, at.counted(t, "groundwork_jobs_run_seconds", of))
		assert.Equal(t, 1, at.counted(t, "groundwork_jobs_attempts_total", map[string]string{"kind": "test.plain", "outcome": "succeeded"}))
		assert.Zero(t, at.counted(t, "groundwork_jobs_in_flight", map[string]string{"queue": "default"}))
	})
	t.Run("picks_up_at_once_when_idle", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.dispatch(t)
		began := make(chan time.Time, 1)
		w.start(t, options{handlers: []jobs.Handler{handle[plain](func(context.Context, *jobs.Run) error {
			began <- time.Now()
			return nil
		})}})
		w.enqueue(t, plain{})
		receive(t, began)
		var took []time.Duration
		for range 100 {
			committing := time.Now()
			w.enqueue(t, plain{})
			took = append(took, receive(t, began).Sub(committing))
		}
		t.Logf("from the beginning of the enqueuing transaction to the handler's start: %s", spread(took))
	})
	t.Run("runs_once_what_comes_many_times", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		var mu sync.Mutex
		ran := map[tenancy.ID]int{}
		at := w.start(t, options{handlers: []jobs.Handler{handle[plain](func(_ context.Context, run *jobs.Run) error {
			mu.Lock()
			defer mu.Unlock()
			ran[run.Job.ID]++
			return nil
		})}})
		var ids []tenancy.ID
		var refs []jobs.Ref
		for n := range 20 {
			id := w.enqueue(t, plain{N: n})
			ids = append(ids, id)
			for range 5 {
				refs = append(refs, jobs.Ref{Tenant: w.scope.Tenant, ID: id})
			}
		}
		refs = append(refs, jobs.Ref{Tenant: tenancy.NewID(), ID: ids[0]}, jobs.Ref{Tenant: w.scope.Tenant, ID: tenancy.NewID()})
		require.NoError(t, w.buffer.Push(t.Context(), jobs.Default, refs))
		for _, id := range ids {
			w.until(t, id, jobs.Succeeded)
		}
		require.Eventually(t, func() bool {
			return at.counted(t, "groundwork_jobs_claims_total", map[string]string{"queue": "default"}) == len(refs)
		}, patience, 2*time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		assert.Len(t, ran, len(ids))
		for _, n := range ran {
			assert.Equal(t, 1, n)
		}
	})
	t.Run("claims_what_the_dispatcher_has_not_committed_yet", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		began := make(chan tenancy.ID, 10)
		w.start(t, options{handlers: []jobs.Handler{handle[plain](func(_ context.Context, run *jobs.Run) error {
			began <- run.Job.ID
			return nil
		})}})
		id := w.enqueue(t, plain{})
		begun := time.Now()
		picked, err := w.engine.Pick(t.Context(), jobs.Default, 10, tenancy.ID{}, func(refs []jobs.Ref) error {
			if err := w.buffer.Push(t.Context(), jobs.Default, refs); err != nil {
				return err
			}
			for { // until a worker has it
				waiting, err := w.buffer.Waiting(t.Context(), jobs.Default)
				if err != nil || len(waiting) == 0 {
					return err
				}
			}
		})
		if time.Since(begun) < time.Second { // or it is rolled back, on a slow machine: a pick may not be idle for longer than two
			require.NoError(t, err)
			assert.Equal(t, 1, picked.Jobs)
		}
		assert.Equal(t, id, receive(t, began))
		assert.Equal(t, 1, w.until(t, id, jobs.Succeeded).Attempt)
	})
}

func TestRunner_failures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dispatch(t)
	secret := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("10.1.2.3 refused")}
	ends := map[string]error{
		"made_up": errors.New("the moon is full"), "fault": fault.New(fault.Conflict, "a.b", "It is closed.").Because(secret),
		"machine": fmt.Errorf("call: %w", secret), "permanent": jobs.Permanent(errors.New("never")), "cancel": jobs.Cancel(errors.New("gone")),
	}
	var mu sync.Mutex
	as := map[tenancy.ID]string{}
	at := w.start(t, options{handlers: []jobs.Handler{
		handle[plain](func(_ context.Context, run *jobs.Run) error {
			mu.Lock()
			defer mu.Unlock()
			if as[run.Job.ID] == "panic" {
				panic("over the moon")
			}
			return ends[as[run.Job.ID]]
		}),
		handle[brief](func(ctx context.Context, _ *jobs.Run) error {
			<-ctx.Done()
			return ctx.Err()
		}),
	}})
	enqueue := func(how string) tenancy.ID {
		mu.Lock()
		defer mu.Unlock()
		id := w.enqueue(t, plain{})
		as[id] = how
		return id
	}
	for how, want := range map[string]struct {
		state    jobs.State
		attempts int
		shown    string
		logged   string
	}{
		"made_up":   {jobs.Dead, 3, "the moon is full", "the moon is full"},
		"fault":     {jobs.Dead, 3, "It is closed.", "10.1.2.3 refused"},
		"machine":   {jobs.Dead, 3, "An internal error; it has been logged.", "10.1.2.3 refused"},
		"permanent": {jobs.Dead, 1, "never", "never"},
		"cancel":    {jobs.Cancelled, 1, "gone", "gone"},
		"panic":     {jobs.Dead, 3, "An internal error; it has been logged.", "panic: over the moon"},
	} {
		id := enqueue(how)
		job := w.until(t, id, jobs.Dead, jobs.Cancelled)
		assert.Equal(t, want.state, job.State, how)
		assert.Equal(t, want.attempts, job.Attempt, how)
		require.NotNil(t, job.Error, how)
		assert.Equal(t, want.shown, *job.Error, how)
		assert.Len(t, job.Failures, want.attempts, how)
		assert.Contains(t, at.log.of(t, id)["error"], want.logged, how)
		if how == "panic" {
			assert.Contains(t, w.failures(t, id), "runner_test.go", "operators see where")
			assert.Contains(t, at.log.of(t, id)["stack"], "runner_test.go")
		}
	}
	id := w.enqueue(t, brief{})
	job := w.until(t, id, jobs.Dead)
	assert.Equal(t, "It took longer than 50ms, which is all the time that it has.", *job.Error)
}

func TestRunner_transactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dispatch(t)
	at := w.start(t, options{handlers: []jobs.Handler{
		jobs.Handle(func(ctx context.Context, run *jobs.Run, args inside) error {
			run.Progress(1, 2, "half way")
			ref := jobs.Ref{Tenant: run.Job.Tenant, ID: run.Job.ID}
			if err := run.Effects.RecordEffect(ctx, ref, "effect", json.RawMessage(`1`)); err != nil {
				return err
			}
			if args.Fail {
				panic("after the effect")
			}
			return run.SetResult("done")
		}),
	}})
	good, bad := w.enqueue(t, inside{}), w.enqueue(t, inside{Fail: true})
	assert.JSONEq(t, `"done"`, string(w.until(t, good, jobs.Succeeded).Result))
	w.until(t, bad, jobs.Dead)
	assert.Contains(t, w.failures(t, bad), "panic: after the effect")
	for id, want := range map[tenancy.ID]bool{good: true, bad: false} {
		_, found, err := w.queue.FindEffect(t.Context(), jobs.Ref{Tenant: w.scope.Tenant, ID: id}, "effect")
		require.NoError(t, err)
		assert.Equal(t, want, found, "the effect is there exactly where the job succeeded")
	}
	assert.Equal(t, 1, at.counted(t, "groundwork_jobs_attempts_total", map[string]string{"kind": "test.inside", "outcome": "succeeded"}))
}

func TestRunner_cancellation(t *testing.T) {
	t.Parallel()
	for name, deaf := range map[string]bool{"by_the_bell": false, "by_the_next_beat": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.dispatch(t)
			began, causes := make(chan struct{}, 1), make(chan error, 1)
			lease := time.Hour // no beat in the time of the test
			if deaf {
				lease = 15 * time.Second // one every five, and the job is not taken away where the machine stands still
			}
			w.start(t, options{deaf: deaf, lease: lease, handlers: []jobs.Handler{handle[plain](func(ctx context.Context, _ *jobs.Run) error {
				began <- struct{}{}
				<-ctx.Done()
				causes <- context.Cause(ctx)
				return ctx.Err()
			})}})
			id := w.enqueue(t, plain{})
			receive(t, began)
			job, err := w.queue.CancelJob(t.Context(), w.scope, id, time.Now())
			require.NoError(t, err)
			assert.True(t, job.CancelRequested)
			w.bells.Cancel(jobs.Ref{Tenant: w.scope.Tenant, ID: id})
			require.EqualError(t, receive(t, causes), "the job was cancelled")
			job = w.until(t, id, jobs.Cancelled)
			assert.Equal(t, 1, job.Attempt)
		})
	}
}

func TestRunner_versions(t *testing.T) {
	t.Parallel()
	t.Run("a_kind_that_is_not_known_waits_for_a_worker_that_knows_it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.dispatch(t)
		old := w.start(t, options{handlers: []jobs.Handler{handle[once](func(context.Context, *jobs.Run) error { return nil })}})
		id := w.enqueue(t, plain{})
		job := w.until(t, id, jobs.Scheduled)
		assert.WithinRange(t, job.RunAt, job.CreatedAt.Add(9*time.Second), job.CreatedAt.Add(40*time.Second))
		assert.Nil(t, job.Error)
		assert.Contains(t, old.log.String(), "does not know the job's kind")
		assert.Equal(t, 1, old.counted(t, "groundwork_jobs_attempts_total", map[string]string{"kind": "unknown", "outcome": "returned"}))
		old.stop()

		w.start(t, options{handlers: []jobs.Handler{handle[plain](func(context.Context, *jobs.Run) error { return errors.New("first") })}})
		w.Exec(t, "update jobs set run_at = now() where id = $1", id)
		job = w.until(t, id, jobs.Dead)
		assert.Len(t, job.Failures, 3, "what was given back counts as no attempt")
	})
	t.Run("workers_serve_their_own_queues", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.dispatch(t)
		served := make(chan string, 100)
		all := func(name string) []jobs.Handler {
			tell := func(context.Context, *jobs.Run) error {
				served <- name
				return nil
			}
			return []jobs.Handler{handle[plain](tell), handle[other](tell)}
		}
		w.start(t, options{handlers: all("default"), queues: []runner.Queue{{Name: jobs.Default, Workers: 2}}})
		w.start(t, options{handlers: all("critical"), queues: []runner.Queue{{Name: jobs.Critical, Workers: 2}}})
		for range 20 {
			w.enqueue(t, plain{})
			assert.Equal(t, "default", receive(t, served))
			w.enqueue(t, other{})
			assert.Equal(t, "critical", receive(t, served))
		}
	})
}

func TestRunner_stop(t *testing.T) {
	t.Parallel()
	t.Run("waits_for_what_runs", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.dispatch(t)
		began, finish := make(chan struct{}, 1), make(chan struct{})
		at := w.start(t, options{shutdown: time.Minute, handlers: []jobs.Handler{handle[plain](func(context.Context, *jobs.Run) error {
			began <- struct{}{}
			<-finish
			return nil
		})}})
		id := w.enqueue(t, plain{})
		receive(t, began)
		stopped := make(chan struct{})
		go func() {
			at.stop()
			close(stopped)
		}()
		<-at.drained
		later := w.enqueue(t, plain{})
		require.Eventually(t, func() bool { // handed over, and not taken
			waiting, err := w.buffer.Waiting(t.Context(), jobs.Default)
			return err == nil && slices.Contains(waiting, jobs.Ref{Tenant: w.scope.Tenant, ID: later})
		}, patience, time.Millisecond)
		close(finish)
		receive(t, stopped)
		assert.Equal(t, jobs.Succeeded, w.until(t, id, jobs.Succeeded).State)
		assert.Equal(t, jobs.Pending, w.until(t, later, jobs.Dispatched, jobs.Pending).State.Public())
	})
	for name, heeds := range map[string]bool{"gives_back_what_does_not_end": true, "gives_back_what_does_not_heed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireOnce(t, func() bool { return givesBack(t, heeds) })
		})
	}
}

// shutdown is how long workers have to stop whose jobs do not end by themselves. The last quarter of it is for giving
// the jobs back.
const shutdown = 8 * time.Second

// givesBack stops a worker while a job runs that does not end, and says whether the job was given back. A worker has a
// moment for it only: it has to have said so where the machine stood still just then.
func givesBack(t *testing.T, heeds bool) bool { //nolint:revive // says what the job is like
	t.Helper()
	w := newWorld(t)
	began, finish, causes := make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)
	t.Cleanup(func() { close(finish) })
	at := w.start(t, options{shutdown: shutdown, stopsBusy: true, lease: time.Hour, handlers: []jobs.Handler{
		handle[plain](func(ctx context.Context, _ *jobs.Run) error {
			began <- struct{}{}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			if !heeds {
				<-finish
			}
			return fmt.Errorf("half done: %w", ctx.Err())
		}),
	}})
	id := w.enqueue(t, plain{})
	undispatch := w.dispatch(t)
	receive(t, began)
	undispatch() // what is given back stays where it is
	begun := time.Now()
	at.stop()
	t.Logf("stopped in %s", time.Since(begun))
	require.EqualError(t, receive(t, causes), "the worker stops")
	job := w.until(t, id, jobs.Pending, jobs.Running)
	if said := at.log.String(); job.State == jobs.Running && (strings.Contains(said, lateGiver) || strings.Contains(said, lateSettle)) {
		return false
	}
	require.Equal(t, jobs.Pending, job.State)
	assert.Nil(t, job.Error)
	assert.Empty(t, job.Failures, "it counts as no attempt")
	if heeds {
		w.start(t, options{handlers: []jobs.Handler{handle[plain](func(context.Context, *jobs.Run) error { return nil })}})
		w.dispatch(t)
		w.until(t, id, jobs.Succeeded)
	}
	return true
}

func TestNew(t *testing.T) {
	t.Parallel()
	twice := handle[plain](func(context.Context, *jobs.Run) error { return nil })
	w := newWorld(t)
	client, bells := w.connect(t, w.redisURL)
	_, err := runner.New(runner.Config{
		Handlers: []jobs.Handler{twice, twice}, Registry: prometheus.NewRegistry(), Fetch: fetchWith(client, bells),
	})
	require.ErrorContains(t, err, "test.plain have two handlers")
}

func TestQueue(t *testing.T) {
	t.Parallel()
	for text, wrong := range map[string]string{
		"critical=20": "", "none": "", "default": "does not say how many jobs of default", "default=x": "does not say how many",
		"default=0": "1 to 500", "default=501": "1 to 500", "mail=1": `there is no "mail"`, "=1": `there is no ""`,
	} {
		var q runner.Queue
		err := q.UnmarshalText([]byte(text))
		if wrong == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, wrong, text)
	}
	one, two, none := runner.Queue{Name: jobs.Default, Workers: 1}, runner.Queue{Name: jobs.Critical, Workers: 2}, runner.Queue{Name: runner.NoQueue}
	served, err := runner.Served([]runner.Queue{one, two})
	require.NoError(t, err)
	assert.Equal(t, "[default=1 critical=2]", fmt.Sprint(served))
	served, err = runner.Served([]runner.Queue{none})
	require.NoError(t, err)
	assert.Empty(t, served)
	_, err = runner.Served([]runner.Queue{one, one})
	require.ErrorContains(t, err, "twice")
	_, err = runner.Served([]runner.Queue{one, none})
	require.ErrorContains(t, err, "beside")
	assert.True(t, strings.HasPrefix(one.Kind(), "queue=workers (critical, default"))
}
