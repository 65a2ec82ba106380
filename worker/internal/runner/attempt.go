package runner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/logging"
)

// What becomes of attempts beside the states of jobs, for metrics and logs.
const (
	outcomeLost     = "lost"     // the job was no more this process's
	outcomeGiven    = "returned" // the claim was given back
	outcomeUnsaved  = "unsaved"  // the database was away for as long as the lease
	kindNobodyKnows = "unknown"
)

// How long a job waits that this process cannot run: a worker of another version may.
const (
	leastUnknownWait = 10 * time.Second
	mostUnknownWait  = 30 * time.Second
)

// handle does what there is to do about one job that came from Redis. It returns when the job has run: what became of it
// may be on its way to the database then, so that the slot of a worker does not wait for a disk.
func (r *Runner) handle(queue, raw string) {
	r.leases.enter()
	ran := make(chan struct{})
	free := sync.OnceFunc(func() { close(ran) })
	go func() {
		defer r.leases.leave()
		defer free()
		r.work(queue, raw, free)
	}()
	<-ran
}

// work runs a job and settles what became of it; free gives the slot away meanwhile.
func (r *Runner) work(queue, raw string, free func()) {
	ref, err := jobs.ParseRef(raw)
	if err != nil {
		r.config.Log.WithField("queue", queue).Warn("the list of the queue holds something that names no job")
		return
	}
	claimed, ok := r.claim(queue, ref)
	if !ok {
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	job := claimed.job
	a := &attempt{
		Attempt: jobs.Attempt{Ref: ref, Number: job.Attempt},
		job:     job, queue: queue, cancel: cancel, free: free, until: claimed.until,
	}
	mayBegin := r.leases.hold(a)
	defer r.leases.release(a)
	handler, known := r.handlers[job.Kind]
	switch {
	case !mayBegin:
		r.giveUp(ctx, a, r.config.Now())
	case !known:
		wait := leastUnknownWait + rand.N(mostUnknownWait-leastUnknownWait) //nolint:gosec // spreads jobs, guards nothing
		r.tellStrange(a)
		r.giveUp(ctx, a, r.config.Now().Add(wait))
	default:
		r.run(logging.Into(ctx, a.fields()), a, handler)
	}
}

// tellStrange warns of a kind that this worker does not know: once, since there may be many jobs of it.
func (r *Runner) tellStrange(a *attempt) {
	entry := r.config.Log.WithFields(a.fields())
	const what = "this worker does not know the job's kind; the job waits for one that does"
	if _, told := r.strange.LoadOrStore(a.job.Kind, true); told {
		entry.Debug(what)
		return
	}
	entry.Warn(what)
}

// giveUp gives a claim back without an attempt.
func (r *Runner) giveUp(ctx context.Context, a *attempt, runAt time.Time) {
	r.measures.attempts.WithLabelValues(r.label(a.job.Kind), a.queue, outcomeGiven).Inc()
	outcome := jobs.Outcome{Attempt: a.Attempt, State: jobs.Pending, RunAt: runAt}
	if _, err := r.settle(ctx, a, outcome); err != nil {
		r.config.Log.WithError(err).WithFields(a.fields()).Warn("a job could not be given back; it runs again when its lease has run out")
	}
}

// run runs an attempt and settles what became of it.
func (r *Runner) run(ctx context.Context, a *attempt, handler jobs.Handler) {
	r.measures.inFlight.WithLabelValues(a.queue).Inc()
	ended := sync.OnceFunc(r.measures.inFlight.WithLabelValues(a.queue).Dec)
	defer ended()
	started := r.config.Now()
	r.leases.runUntil(a, started.Add(handler.Kind.Timeout))
	timed, stop := context.WithTimeoutCause(ctx, handler.Kind.Timeout, errTimeout)
	defer stop()

	run := &jobs.Run{
		Job: a.job, Scope: a.scope(), Effects: r.config.Effects,
		Report: func(said jobs.Progress) { r.progress.note(a.Attempt, said) },
	}
	done := report{took: func() time.Duration { return r.config.Now().Sub(started) }}
	var err error
	if handler.Kind.Transactional {
		var held bool
		held, err = r.config.Desk.Within(timed, run.Scope, func() jobs.Outcome {
			r.leases.settle(a) // from here on the row is the transaction's: a beat that finds it ended takes nothing away
			return succeeded(a, run)
		}, func(ctx context.Context) error {
			defer r.progress.forget(a.Attempt) // writing it would wait for the transaction
			return guarded(ctx, handler, run)
		})
		if err == nil {
			done.outcome = string(jobs.Succeeded)
			if !held {
				done.outcome, done.err = outcomeLost, errLost
			}
			r.tell(ctx, a, done)
			return
		}
	} else {
		err = guarded(timed, handler, run)
	}
	outcome, cause := r.judge(timed, a, handler.Kind, run, err)
	done.outcome, done.err = string(outcome.State), cause
	if outcome.State == jobs.Pending {
		done.outcome = outcomeGiven
	}
	if !errors.Is(cause, errLost) {
		r.progress.finish(ctx, a.Attempt)
	}
	ended()
	select {
	case r.unsettled <- struct{}{}:
		a.free()
		defer func() { <-r.unsettled }()
	default: // there are enough that would run again if this process died
	}
	held, failure := r.settle(ctx, a, outcome)
	switch {
	case failure != nil:
		done.outcome, done.err = outcomeUnsaved, errors.Join(failure, done.err)
	case !held:
		done.outcome, done.err = outcomeLost, errors.Join(errLost, done.err)
	}
	r.tell(ctx, a, done)
}

// judge says what is to become of the job, and why where it did not succeed.
func (r *Runner) judge(ctx context.Context, a *attempt, kind jobs.Kind, run *jobs.Run, err error) (jobs.Outcome, error) {
	if err == nil {
		return succeeded(a, run), nil
	}
	outcome := jobs.Outcome{Attempt: a.Attempt}
	now := r.config.Now()
	// Claims that were given back have raised the most attempts by as many: they are no failures to back off from.
	left := a.job.MaxAttempts - a.job.Attempt
	failed := max(kind.MaxAttempts-left, 1)
	outcome.State, outcome.RunAt = jobs.Decide(kind, err, failed, failed+left, now)
	// What a handler says where its context has ended is mostly that, in other words. What it is sure of counts.
	why := context.Cause(ctx)
	switch sure := isSure(kind, err); {
	case errors.Is(why, errCancelled) && !sure:
		outcome.State, outcome.RunAt, err = jobs.Cancelled, time.Time{}, errCancelled
	case errors.Is(why, errStopping) && !sure, errors.Is(why, errLost):
		return jobs.Outcome{Attempt: a.Attempt, State: jobs.Pending, RunAt: now}, why
	case errors.Is(why, errTimeout) && !sure:
		err = fmt.Errorf("%w: %s took longer than %s: %w", errTimeout, kind.Name, kind.Timeout, err)
	}
	outcome.Error, outcome.Stack = say(err, kind)
	return outcome, err
}

// isSure says whether an error is a handler's own verdict that trying again is of no use.
func isSure(kind jobs.Kind, err error) bool {
	const first, unbounded = 1, 1 << 30
	state, _ := jobs.Decide(kind, err, first, unbounded, time.Time{})
	return state != jobs.Retrying
}

func succeeded(a *attempt, run *jobs.Run) jobs.Outcome {
	return jobs.Outcome{Attempt: a.Attempt, State: jobs.Succeeded, Result: run.Result()}
}

// guarded runs the handler and makes its panic an error.
func guarded(ctx context.Context, handler jobs.Handler, run *jobs.Run) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: debug.Stack()}
		}
	}()
	return handler.Run(ctx, run)
}

// settleAll settles attempts in one round trip.
func (r *Runner) settleAll(ctx context.Context, outcomes []jobs.Outcome) ([]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Lease/2)
	defer cancel()
	return r.config.Desk.Settle(ctx, outcomes)
}

// settle writes what became of an attempt. While the database is away it tries until the lease has run out: from then
// on the job is another's. held is false where it was before.
func (r *Runner) settle(ctx context.Context, a *attempt, outcome jobs.Outcome) (held bool, err error) {
	if _, ok := r.leases.settle(a); !ok {
		return false, nil
	}
	held, err = r.settles.ask(outcome)
	for wait := 50 * time.Millisecond; err != nil && !errors.Is(err, errOver); wait = min(2*wait, 2*time.Second) {
		until, ok := r.leases.settle(a)
		if !ok || r.config.Now().After(until) {
			return false, err
		}
		time.Sleep(wait)
		// Alone: what failed may have been another's fault.
		var all []bool
		if all, err = r.settleAll(context.WithoutCancel(ctx), []jobs.Outcome{outcome}); err == nil {
			held = len(all) == 1 && all[0]
		}
	}
	return held, err
}

// report is what there is to tell of an attempt.
type report struct {
	outcome string
	err     error
	took    func() time.Duration
}

// tell writes the one line of an attempt, and measures it.
func (r *Runner) tell(ctx context.Context, a *attempt, done report) {
	took := done.took()
	could := a.job.RunAt
	if could.Before(a.job.CreatedAt) {
		could = a.job.CreatedAt
	}
	wait := time.Duration(0)
	if a.job.StartedAt != nil {
		wait = max(a.job.StartedAt.Sub(could), 0)
	}
	r.measures.end(ended{kind: r.label(a.job.Kind), queue: a.queue, outcome: done.outcome, wait: wait, took: took})
	entry := r.config.Log.WithContext(ctx).WithFields(logrus.Fields{
		"state": done.outcome, "duration_ms": millis(took), "wait_ms": millis(wait),
	})
	if done.err != nil {
		entry = entry.WithError(done.err)
	}
	var panicked *panicError
	if errors.As(done.err, &panicked) {
		entry = entry.WithField("stack", string(panicked.stack))
	}
	switch done.outcome {
	case string(jobs.Succeeded), string(jobs.Cancelled), outcomeGiven:
		entry.Info("job")
	case string(jobs.Dead), outcomeUnsaved:
		entry.Error("job")
	default:
		entry.Warn("job")
	}
}

// label is the kind where the process knows it: what it does not know must not become a metric's label.
func (r *Runner) label(kind string) string {
	if _, known := r.handlers[kind]; known {
		return kind
	}
	return kindNobodyKnows
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// fields say which attempt a line is about.
func (a *attempt) fields() logrus.Fields {
	fields := logrus.Fields{
		"kind": a.job.Kind, "queue": a.queue, "job": a.ID.String(), "tenant": a.Tenant.String(),
		"request_id": a.job.RequestID, "attempt": a.Number,
	}
	if trace := a.job.Trace.ID(); trace != "" {
		fields["trace_id"] = trace
	}
	return fields
}

// scope is the system's, because of the request that caused the job.
func (a *attempt) scope() tenancy.Scope {
	scope := tenancy.AsSystem(a.job.Tenant, a.job.RequestID)
	scope.Trace = a.job.Trace
	return scope
}

func refFields(queue string, ref jobs.Ref) logrus.Fields {
	return logrus.Fields{"queue": queue, "job": ref.ID.String(), "tenant": ref.Tenant.String()}
}
