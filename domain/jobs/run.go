package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Run is a job while it runs: what its handler is given.
type Run struct {
	Job Job
	// Scope is the system acting for the job's tenant, with the request that caused the job.
	Scope tenancy.Scope

	// Effects keeps what Once did; Report takes progress. The runner sets both.
	Effects Effects
	Report  func(Progress)

	result json.RawMessage
}

// Progress says how far the job has come. It may be called often: what is written is bounded by the runner.
func (r *Run) Progress(done, total int64, message string) {
	if r.Report != nil {
		r.Report(Progress{Done: done, Total: total, Message: message})
	}
}

// SetResult is what the job answers once it has succeeded: JSON of at most MaxResult bytes.
func (r *Run) SetResult(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	if len(data) > MaxResult {
		return Permanent(fmt.Errorf("the result takes %d bytes; at most %d are kept: store it and answer its id", len(data), MaxResult))
	}
	r.result = data
	return nil
}

// Result is what SetResult was given; nil for nothing.
func (r *Run) Result() json.RawMessage { return r.result }

// Effects is the ledger of what jobs did outside of the database.
type Effects interface {
	// FindEffect returns what a step of a job left; found is false where it has not been done.
	FindEffect(ctx context.Context, ref Ref, step string) (outcome json.RawMessage, found bool, err error)
	// RecordEffect notes that a step was done. A step is noted once: a second time changes nothing.
	RecordEffect(ctx context.Context, ref Ref, step string, outcome json.RawMessage) error
}

// Once does a step of a job that has an effect outside of the database, and notes it, so that a later attempt skips
// it. act is given a key that is the same in each attempt: it goes to the provider as its idempotency key. Between the
// act and the note a crash may come: where the provider does not deduplicate by the key, the act then happens twice.
func Once[T any](ctx context.Context, r *Run, step string, act func(ctx context.Context, key string) (T, error)) (T, error) {
	var outcome T
	ref := Ref{Tenant: r.Job.Tenant, ID: r.Job.ID}
	kept, found, err := r.Effects.FindEffect(ctx, ref, step)
	if err != nil {
		return outcome, err
	}
	if found {
		return outcome, json.Unmarshal(kept, &outcome)
	}
	if outcome, err = act(ctx, r.Job.ID.String()+"/"+step); err != nil {
		return outcome, err
	}
	data, err := json.Marshal(outcome)
	if err != nil {
		return outcome, fmt.Errorf("write the outcome of %s: %w", step, err)
	}
	// What was done is noted even where the attempt was cancelled meanwhile.
	return outcome, r.Effects.RecordEffect(context.WithoutCancel(ctx), ref, step, data)
}

// verdict is an error that says what is to become of the job.
type verdict struct {
	cause error
	kind  verdictKind
	at    time.Time
}

type verdictKind int

const (
	verdictDead verdictKind = iota
	verdictRetryAt
	verdictCancel
)

// Error is the cause's.
func (v *verdict) Error() string { return v.cause.Error() }

// Unwrap is the cause.
func (v *verdict) Unwrap() error { return v.cause }

// Permanent says that another attempt would fail as well: the job is dead at once.
func Permanent(cause error) error { return &verdict{cause: cause, kind: verdictDead} }

// RetryAt says when to try again, in the place of the kind's backoff. The attempt counts.
func RetryAt(cause error, at time.Time) error {
	return &verdict{cause: cause, kind: verdictRetryAt, at: at}
}

// Cancel says that there is nothing to do any more: what the job was about is gone.
func Cancel(cause error) error { return &verdict{cause: cause, kind: verdictCancel} }

// Decide says what becomes of a job whose attempt ended with err: nil is success. failed counts this attempt.
func Decide(kind Kind, err error, failed, maxAttempts int, now time.Time) (state State, runAt time.Time) {
	var v *verdict
	isVerdict := errors.As(err, &v)
	switch {
	case err == nil:
		return Succeeded, time.Time{}
	case isVerdict && v.kind == verdictCancel:
		return Cancelled, time.Time{}
	case isVerdict && v.kind == verdictDead, failed >= maxAttempts:
		return Dead, time.Time{}
	case isVerdict && v.kind == verdictRetryAt:
		return Retrying, v.at
	default:
		return Retrying, now.Add(kind.Backoff(failed))
	}
}
