package inbound

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/inbound/providers"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Handler does what an event of some type calls for.
type Handler struct {
	Provider, Type string

	run func(ctx context.Context, scope tenancy.Scope, event Event) error
}

// Handle declares who handles the events of a provider whose type fits: "checkout.session.completed", "issues.*". The
// function runs in a transaction of the event's tenant, which the end of the processing commits: both or neither, and
// once. It calls nobody outside. Events come late, twice and in any order: what it does must come to the same. It returns
// Refuse where no further try can help, Skip where the event is about nothing here; other errors are tried again, but
// for faults that are the event's own, such as NotFound.
func Handle(provider, eventType string, fn func(ctx context.Context, scope tenancy.Scope, event Event) error) Handler {
	return Handler{Provider: provider, Type: eventType, run: fn}
}

// Handlers are all that are declared.
type Handlers struct{ list []Handler }

// NewHandlers returns the handlers; it is an error where one of them is for an unknown provider, or two are for the same.
func NewHandlers(list ...Handler) (*Handlers, error) {
	for i, h := range list {
		if providers.Find(h.Provider) == nil {
			return nil, fmt.Errorf("inbound: there is no provider %q; they are %s", h.Provider, strings.Join(providers.Names(), ", "))
		}
		same := func(other Handler) bool { return other.Provider == h.Provider && other.Type == h.Type }
		if slices.ContainsFunc(list[:i], same) {
			return nil, fmt.Errorf("inbound: %s of %s has two handlers", h.Type, h.Provider)
		}
	}
	return &Handlers{list: slices.Clone(list)}, nil
}

// find returns the handler of an event: the one for its very type, else the one whose pattern is longest.
func (h *Handlers) find(provider, eventType string) (Handler, bool) {
	best, found := Handler{}, false
	for _, each := range h.list {
		switch {
		case each.Provider != provider || !Matches(each.Type, eventType):
		case each.Type == eventType:
			return each, true
		case !found || len(each.Type) > len(best.Type):
			best, found = each, true
		}
	}
	return best, found
}

// has says whether an event of the type has a handler.
func (h *Handlers) has(provider, eventType string) bool {
	_, found := h.find(provider, eventType)
	return found
}

// refusal is a handler's word that the event cannot be processed.
type refusal struct{ reason string }

// Error is the reason.
func (r *refusal) Error() string { return r.reason }

// Refuse says that the event cannot be processed, now or later; its owner is shown the reason.
func Refuse(reason string) error { return &refusal{reason: reason} }

type skip struct{ reason string }

// Error is the reason.
func (s *skip) Error() string { return s.reason }

// Skip says that the event is about nothing here: it is kept as unhandled, with the reason.
func Skip(reason string) error { return &skip{reason: reason} }

// ProcessArgs have an event processed.
type ProcessArgs struct {
	EventID tenancy.ID `json:"event_id"`
}

// JobKind declares the job. It is not Transactional in the engine's sense: the event's own row, which is held while its
// handler runs and says that it was processed in the handler's transaction, makes it happen once, and a try that failed
// can be noted on it though all else is rolled back.
func (ProcessArgs) JobKind() jobs.Kind {
	return jobs.Kind{Name: "inbound.process", Timeout: time.Minute}
}

// Processor processes events.
type Processor struct {
	store    Store
	handlers *Handlers
	now      func() time.Time
}

// NewProcessor returns the processor.
func NewProcessor(store Store, handlers *Handlers, now func() time.Time) *Processor {
	return &Processor{store: store, handlers: handlers, now: now}
}

// Run is the job.
func (p *Processor) Run(ctx context.Context, run *jobs.Run, args ProcessArgs) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			p.note(ctx, run, args.EventID, errors.New("the handler panicked"))
			panic(panicked) // the runner keeps where it came from
		}
	}()
	event, err := p.process(ctx, run, args.EventID)
	switch {
	case err == nil:
		return run.SetResult(map[string]any{"event_id": event.ID, "state": event.State})
	case fault.Is(err, "inbound_event.not_found"):
		return jobs.Cancel(err)
	case isFinal(err):
		p.note(ctx, run, args.EventID, err)
		return jobs.Permanent(err)
	default:
		p.note(ctx, run, args.EventID, err)
		return err
	}
}

// process runs the handler and says on the event what came of it, in one transaction.
func (p *Processor) process(ctx context.Context, run *jobs.Run, id tenancy.ID) (Event, error) {
	return p.store.UpdateEvent(ctx, run.Scope, id, func(ctx context.Context, e *Event) error {
		if !isDue(*e, run) {
			return nil
		}
		e.Attempts++
		end := func(state State, reason string) error {
			now := p.now().UTC().Truncate(time.Microsecond)
			e.State, e.ProcessedAt, e.Error = state, &now, nil
			if reason != "" {
				e.Error = &reason
			}
			return nil
		}
		handler, found := p.handlers.find(e.Provider, e.Type)
		if !found {
			return end(Unhandled, "")
		}
		scope := run.Scope
		if e.RequestID != "" {
			scope.RequestID = e.RequestID
		}
		err := handler.run(ctx, scope, *e)
		var skipped *skip
		switch {
		case errors.As(err, &skipped):
			return end(Unhandled, skipped.reason)
		case err != nil:
			return err
		default:
			return end(Processed, "")
		}
	})
}

// isDue says whether the event waits for this job: not one that another has processed meanwhile, and one that had failed
// only where this very job was retried by hand.
func isDue(e Event, run *jobs.Run) bool {
	return e.State == Pending || e.State == Failed && e.JobID != nil && *e.JobID == run.Job.ID
}

// note says on the event why it could not be processed, in a transaction of its own: that of the try was rolled back.
func (p *Processor) note(ctx context.Context, run *jobs.Run, id tenancy.ID, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	isLast := isFinal(cause) || run.Job.Attempt >= run.Job.MaxAttempts
	// Where this fails too, the job's own error still says it.
	_, _ = p.store.UpdateEvent(ctx, run.Scope, id, func(_ context.Context, e *Event) error {
		if !isDue(*e, run) {
			return nil
		}
		reason := reasonOf(cause)
		e.Error = &reason
		e.Attempts++
		if isLast {
			now := p.now().UTC().Truncate(time.Microsecond)
			e.State, e.ProcessedAt = Failed, &now
		}
		return nil
	})
}

const noteTimeout = 10 * time.Second

// isFinal says whether another try would fail as well.
func isFinal(err error) bool {
	var refused *refusal
	if errors.As(err, &refused) {
		return true
	}
	switch fault.KindOf(err) {
	case fault.Malformed, fault.Invalid, fault.Forbidden, fault.NotFound, fault.TooLarge, fault.Unsupported, fault.OutOfRange:
		return true
	case fault.Conflict:
		return !fault.Is(err, "database.contention")
	case fault.Internal, fault.Unauthorized, fault.Stale, fault.Limited, fault.Unavailable:
	}
	return false
}

// reasonOf is what the event's owner is shown: what a fault says, and nothing of what went wrong inside.
func reasonOf(err error) string {
	var refused *refusal
	if errors.As(err, &refused) {
		return refused.reason
	}
	if f, ok := fault.As(err); ok {
		return f.Detail
	}
	return "Something went wrong here; the job has the details."
}
