package webhooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// IsWanted says whether an endpoint is to be told of an event.
func (e Endpoint) IsWanted(event Event) bool {
	covers := func(pattern string) bool { return Matches(pattern, event.Type) }
	return slices.ContainsFunc(e.Events, covers) && PassesFilter(e.Filter, event.Data)
}

// holdsBack says whether what the endpoint gets is held for now.
func (e Endpoint) holdsBack() bool { return e.State == Paused || e.Health.OpenUntil != nil }

// Outbox is the events that are to be told of, and the deliveries that wait for their endpoints, across tenants.
type Outbox interface {
	// TenantsWithEvents returns up to limit tenants that have pending events, from the one after the given on.
	TenantsWithEvents(ctx context.Context, after tenancy.ID, limit int) ([]tenancy.ID, error)
	// FanOut claims up to limit of a tenant's pending events, has route say what deliveries they make, and keeps both in
	// one transaction. It passes over events that another one claims. It answers how many events it claimed.
	FanOut(ctx context.Context, tenant tenancy.ID, limit int, route func([]Endpoint, []Event) []Route) (int, error)
	// EndpointsToRelease returns up to limit endpoints that have deliveries held and may be sent some of them, or none
	// ever any more.
	EndpointsToRelease(ctx context.Context, now time.Time, limit int) ([]EndpointRef, error)
	// ReleaseHeld has decide say how many of an endpoint's held deliveries are to be sent, or that all are cancelled, does
	// so, and answers how many it was.
	ReleaseHeld(ctx context.Context, ref EndpointRef, now time.Time, decide func(Endpoint, bool) Release) (int, error)
}

// EndpointRef finds an endpoint.
type EndpointRef struct{ Tenant, ID tenancy.ID }

// Route is a delivery that an event makes.
type Route struct {
	Event    Event
	Endpoint tenancy.ID
	At       time.Time
	// IsHeld says that it waits for its endpoint.
	IsHeld bool
	// Args are the job's; the delivery's id is given by whoever keeps it.
	Args DeliverArgs
}

// Release is what becomes of held deliveries.
type Release struct {
	// Limit is how many go, the oldest first; 0 is none.
	Limit int
	// Cancels says that they are cancelled and not sent.
	Cancels bool
	// ProbeUntil is until when the one that goes has the endpoint to itself; nil where it does not.
	ProbeUntil *time.Time
}

const (
	// tenantsAtOnce and eventsAtOnce bound a round of the fan-out, so that a tenant with a flood of events delays the
	// others by a transaction and no more.
	tenantsAtOnce, eventsAtOnce = 100, 200
	// releasedAtOnce bounds a transaction that releases.
	releasedAtOnce, endpointsAtOnce = 500, 100
)

// Dispatcher turns events into deliveries. Any number of them may run at once.
type Dispatcher struct {
	outbox Outbox
	now    func() time.Time
	cursor tenancy.ID
}

// NewDispatcher returns a dispatcher; it is used by one goroutine at a time.
func NewDispatcher(outbox Outbox, now func() time.Time) *Dispatcher {
	return &Dispatcher{outbox: outbox, now: now}
}

// FanOut does one round over tenants that have pending events, and says how many events it dealt with: where that is
// none, there was nothing to do. What fails for a tenant does not keep it from the others.
func (d *Dispatcher) FanOut(ctx context.Context) (events int, err error) {
	tenants, err := d.outbox.TenantsWithEvents(ctx, d.cursor, tenantsAtOnce)
	if err != nil {
		return 0, fmt.Errorf("find tenants with events: %w", err)
	}
	if len(tenants) < tenantsAtOnce && !d.cursor.IsZero() { // the end was reached: the rest is at the beginning
		d.cursor = tenancy.ID{}
		rest, err := d.outbox.TenantsWithEvents(ctx, d.cursor, tenantsAtOnce-len(tenants))
		if err != nil {
			return 0, fmt.Errorf("find tenants with events: %w", err)
		}
		tenants = append(tenants, slices.DeleteFunc(rest, func(t tenancy.ID) bool { return slices.Contains(tenants, t) })...)
	}
	var errs []error
	for _, tenant := range tenants {
		n, err := d.outbox.FanOut(ctx, tenant, eventsAtOnce, d.route)
		if err != nil {
			errs = append(errs, fmt.Errorf("fan out the events of %s: %w", tenant, err))
		}
		events += n
		d.cursor = tenant
	}
	return events, errors.Join(errs...)
}

// route says which deliveries events make.
func (d *Dispatcher) route(endpoints []Endpoint, events []Event) []Route {
	var routes []Route
	now := d.now().UTC().Truncate(time.Microsecond)
	for _, event := range events {
		for _, e := range endpoints {
			if e.State == Disabled || !e.IsWanted(event) {
				continue
			}
			routes = append(routes, Route{
				Event: event, Endpoint: e.ID, At: now, IsHeld: e.holdsBack(),
				Args: DeliverArgs{EndpointID: e.ID, Suspect: e.Health.ConsecutiveFailures > 0},
			})
		}
	}
	return routes
}

// Release sends what was held for endpoints that are resumed or well again, lets one delivery find out about those whose
// cool-down is over, and cancels what waits for those that are gone. It says how many deliveries that were.
func (d *Dispatcher) Release(ctx context.Context) (released int, err error) {
	refs, err := d.outbox.EndpointsToRelease(ctx, d.now().UTC(), endpointsAtOnce)
	if err != nil {
		return 0, fmt.Errorf("find endpoints to release: %w", err)
	}
	var errs []error
	for _, ref := range refs {
		now := d.now().UTC().Truncate(time.Microsecond)
		n, err := d.outbox.ReleaseHeld(ctx, ref, now, func(e Endpoint, isDeleted bool) Release { return release(e, isDeleted, now) })
		if err != nil {
			errs = append(errs, fmt.Errorf("release deliveries to %s: %w", ref.ID, err))
		}
		released += n
	}
	return released, errors.Join(errs...)
}

func release(e Endpoint, isDeleted bool, now time.Time) Release {
	h := e.Health
	switch {
	case isDeleted, e.State == Disabled:
		return Release{Limit: releasedAtOnce, Cancels: true}
	case e.State == Paused, h.IsOpen(now), h.ProbeUntil != nil && now.Before(*h.ProbeUntil):
		return Release{}
	case h.IsHalfOpen(now):
		return Release{Limit: 1, ProbeUntil: new(now.Add(probeLease))}
	default:
		return Release{Limit: releasedAtOnce}
	}
}

// ReplayBatch is the next part of a replay.
type ReplayBatch struct {
	Args ReplayArgs
	// Job tells the replay's deliveries from others': an event that has one of them is passed over.
	Job   tenancy.ID
	After tenancy.ID // the last event, or delivery, of the part before
	Limit int
	Now   time.Time
}

// IsWanted says whether an event is replayed to its endpoint.
func (b ReplayBatch) IsWanted(e Endpoint, event Event) bool {
	covers := func(pattern string) bool { return Matches(pattern, event.Type) }
	return e.IsWanted(event) && (len(b.Args.Types) == 0 || slices.ContainsFunc(b.Args.Types, covers))
}

// Replayed is what became of a part of a replay.
type Replayed struct {
	// Last is where the next part begins; IsEnd says that there is none.
	Last  tenancy.ID
	IsEnd bool
	// Deliveries are how many were made, or begun anew.
	Deliveries int
}

// ReplayResult is what a replay's job answers.
type ReplayResult struct {
	Deliveries int `json:"deliveries"`
}

// Replay sends the events of a time again, part by part.
func (c *Courier) Replay(ctx context.Context, run *jobs.Run, args ReplayArgs) error {
	batch := ReplayBatch{Args: args, Job: run.Job.ID, Limit: eventsAtOnce}
	var result ReplayResult
	for {
		batch.Now = c.moment()
		done, err := c.store.ReplayBatch(ctx, run.Scope, batch)
		if err != nil {
			return err
		}
		result.Deliveries += done.Deliveries
		run.Progress(int64(result.Deliveries), 0, "deliveries made")
		if done.IsEnd {
			return run.SetResult(result)
		}
		batch.After = done.Last
	}
}
