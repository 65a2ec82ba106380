package inbound

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Events reads what was received, and has it processed again.
type Events struct {
	store Store
	queue jobs.Queue
	now   func() time.Time
}

// NewEvents returns the service.
func NewEvents(store Store, queue jobs.Queue, now func() time.Time) *Events {
	return &Events{store: store, queue: queue, now: now}
}

// List returns a page of events, newest first, without their bodies.
func (s *Events) List(ctx context.Context, scope tenancy.Scope, query Query) (page.Page[Event], error) {
	query.Request = query.Normalized()
	rows, err := s.store.ListEvents(ctx, scope, query)
	if err != nil {
		return page.Page[Event]{}, err
	}
	return page.Of(rows, query.Request, func(e Event) page.Position { return page.Position{e.ID.String()} }), nil
}

// Find returns one event whole.
func (s *Events) Find(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Event, error) {
	return s.store.FindEvent(ctx, scope, id)
}

// Replay has an event processed again, whatever the filter says. One that did not verify is not processed ever.
func (s *Events) Replay(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Event, error) {
	return s.store.UpdateEvent(ctx, scope, id, func(ctx context.Context, e *Event) error {
		if e.State == Quarantined {
			return fault.New(fault.Conflict, "inbound_event.quarantined",
				"The event did not verify, so nothing of it is believed; have its sender send it again with the right secret.")
		}
		job, err := jobs.Enqueue(ctx, s.queue, scope, ProcessArgs{EventID: id})
		if err != nil {
			return err
		}
		e.State, e.Error, e.ProcessedAt, e.JobID = Pending, nil, nil, &job.ID
		return nil
	})
}

// ReplayInput says which events are to be processed again.
type ReplayInput struct {
	SourceID *tenancy.ID `json:"source_id"`
	// Type may hold "*" for any text.
	Type string `json:"type" validate:"max=200"`
	// From and To bound the time of receipt, the latter excluded.
	From *time.Time `json:"from" validate:"required"`
	To   *time.Time `json:"to" validate:"required"`
	// State is one of them; left out it is all but ignored, quarantined and pending.
	State string `json:"state" validate:"omitempty,oneof=held processed ignored unhandled failed pending"`
}

// Replayed is what a replay comes to.
type Replayed struct {
	// Count is how many events are processed again, at most MaxCount: where it is that there may be more.
	Count int `json:"count"`
	// JobID is the job that sees to them where they are many; null where each has its own already.
	JobID *tenancy.ID `json:"job_id"`
}

const (
	// MaxCount is how far the events of a replay are counted before it begins.
	MaxCount = 100_000
	// replayAtOnce is how many events are replayed within the request.
	replayAtOnce = 100
)

// ReplayRange has the selected events processed again: a few at once, many by a job of their own.
func (s *Events) ReplayRange(ctx context.Context, scope tenancy.Scope, in ReplayInput) (Replayed, error) {
	selection, err := in.selection()
	if err != nil {
		return Replayed{}, err
	}
	var replayed Replayed
	err = s.store.Transact(ctx, scope, func(ctx context.Context) error {
		count, err := s.store.CountEvents(ctx, scope, selection, MaxCount)
		if err != nil {
			return err
		}
		replayed = Replayed{Count: count}
		if count > replayAtOnce {
			job, err := jobs.Enqueue(ctx, s.queue, scope, ReplayArgs{selection})
			replayed.JobID = &job.ID
			return err
		}
		replayed.Count, err = replayBatch(ctx, s.store, s.queue, scope, selection, tenancy.NewID(), replayAtOnce)
		return err
	})
	return replayed, err
}

func (in ReplayInput) selection() (Selection, error) {
	var violations []fault.Violation
	require := func(pointer string, t *time.Time) time.Time {
		if t == nil {
			violations = append(violations, fault.Violation{Pointer: pointer, Code: "required", Detail: "is required; give a time"})
			return time.Time{}
		}
		return *t
	}
	selection := Selection{Type: in.Type, From: require("/from", in.From), To: require("/to", in.To)}
	if len(violations) == 0 && !selection.To.After(selection.From) {
		violations = append(violations, fault.Violation{Pointer: "/to", Code: "range", Detail: "must be later than from"})
	}
	if len(in.Type) > maxPattern {
		violations = append(violations, fault.Violation{Pointer: "/type", Code: "max", Detail: fmt.Sprintf("is too long; at most %d bytes", maxPattern)})
	}
	if in.SourceID != nil {
		selection.SourceID = *in.SourceID
	}
	replayable := []State{Held, Processed, Unhandled, Failed}
	switch state := State(in.State); {
	case in.State == "":
		selection.States = replayable
	case state == Quarantined || !slices.Contains(States(), state):
		violations = append(violations, fault.Violation{
			Pointer: "/state", Code: "oneof", Detail: "must be one of: held, processed, ignored, unhandled, failed, pending",
		})
	default:
		selection.States = []State{state}
	}
	if len(violations) > 0 {
		return Selection{}, fault.Values(violations...)
	}
	return selection, nil
}

// ReplayArgs have the selected events processed again.
type ReplayArgs struct{ Selection }

// JobKind declares the job. Each batch is a transaction of its own, which notes the replay on its events: an attempt
// goes on where the one before ended.
func (ReplayArgs) JobKind() jobs.Kind { return jobs.Kind{Name: "inbound.replay", Timeout: time.Hour} }

// replayBatchSize is how many events a job replays in one transaction.
const replayBatchSize = 500

// RunReplay is the job: it replays batch after batch until none is left.
func (s *Events) RunReplay(ctx context.Context, run *jobs.Run, args ReplayArgs) error {
	total, err := s.store.CountEvents(ctx, run.Scope, args.Selection, MaxCount)
	if err != nil {
		return err
	}
	for done := 0; ; {
		n := 0
		err := s.store.Transact(ctx, run.Scope, func(ctx context.Context) (err error) {
			n, err = replayBatch(ctx, s.store, s.queue, run.Scope, args.Selection, run.Job.ID, replayBatchSize)
			return err
		})
		if err != nil {
			return err
		}
		done += n
		run.Progress(int64(done), int64(max(total, done)), "events are processed again")
		if n < replayBatchSize {
			return run.SetResult(map[string]int{"count": done})
		}
	}
}

// replayBatch takes some of the selected events and gives each a job.
func replayBatch(ctx context.Context, store Store, queue jobs.Queue, scope tenancy.Scope, selection Selection,
	replay tenancy.ID, limit int,
) (int, error) {
	events, err := store.TakeForReplay(ctx, scope, selection, replay, limit)
	if err != nil || len(events) == 0 {
		return 0, err
	}
	batch, ids := make([]jobs.New, len(events)), make([]tenancy.ID, len(events))
	for i, id := range events {
		if batch[i], err = jobs.Of(ProcessArgs{EventID: id}); err != nil {
			return 0, err
		}
		ids[i] = batch[i].ID
	}
	done, err := queue.Enqueue(ctx, scope, batch...)
	if err != nil {
		return 0, err
	}
	if len(done) != len(batch) {
		return 0, errors.New("inbound: the queue did not answer for each job")
	}
	return len(events), store.MarkReplayed(ctx, scope, replay, events, ids)
}
