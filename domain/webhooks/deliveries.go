package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// Query selects a tenant's deliveries, newest first; zero values select all.
type Query struct {
	page.Request
	EndpointID tenancy.ID
	EventID    tenancy.ID
	States     []DeliveryState
	// Type is a type of event, or a group such as "order.*".
	Type string
	// From and To bound the time at which the delivery was made.
	From, To time.Time
}

// DeliveryStore keeps deliveries and their attempts.
type DeliveryStore interface {
	// ListDeliveries returns up to one delivery more than the limit, newest first.
	ListDeliveries(ctx context.Context, scope tenancy.Scope, query Query) ([]Delivery, error)
	// FindDelivery returns one delivery with its attempts, newest first; NotFound "webhook_delivery.not_found".
	FindDelivery(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Delivery, []Attempt, error)
	// Redeliver has a delivery begin anew, at once, with the job. check sees its endpoint and may refuse.
	Redeliver(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time, check func(Endpoint) error) (Delivery, error)
	// SendTest makes a delivery of an event that nobody else is told of. NotFound where there is no such endpoint.
	SendTest(ctx context.Context, scope tenancy.Scope, endpoint tenancy.ID, event Event) (Delivery, error)
	// EnqueueReplay enqueues a replay. check sees the endpoint and may refuse. A replay of it that is under way is Existed.
	EnqueueReplay(ctx context.Context, scope tenancy.Scope, args ReplayArgs, check func(Endpoint) error) (jobs.Enqueued, error)
}

// ListDeliveries returns one page, newest first.
func (s *Service) ListDeliveries(ctx context.Context, scope tenancy.Scope, query Query) (page.Page[Delivery], error) {
	query.Request = query.Normalized()
	rows, err := s.needs.Deliveries.ListDeliveries(ctx, scope, query)
	if err != nil {
		return page.Page[Delivery]{}, err
	}
	return page.Of(rows, query.Request, func(d Delivery) page.Position { return page.Position{d.ID.String()} }), nil
}

// FindDelivery returns one delivery with its attempts, newest first.
func (s *Service) FindDelivery(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Delivery, []Attempt, error) {
	return s.needs.Deliveries.FindDelivery(ctx, scope, id)
}

// Redeliver sends a delivery again at once, whatever became of it, with its schedule from the start. It finds out by that
// whether an endpoint that is spared is well again.
func (s *Service) Redeliver(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Delivery, error) {
	return s.needs.Deliveries.Redeliver(ctx, scope, id, s.moment(), mayReceive)
}

// mayReceive says why an endpoint gets nothing, if it does not. A paused one gets it when it is resumed.
func mayReceive(e Endpoint) error {
	if e.State == Disabled {
		return errDisabled()
	}
	return nil
}

// SendTest sends an endpoint a message of the type webhook.test right away, once, whatever its state.
func (s *Service) SendTest(ctx context.Context, scope tenancy.Scope, endpoint tenancy.ID) (Delivery, error) {
	now := s.moment()
	id := tenancy.NewID()
	data, err := json.Marshal(map[string]any{
		"id": endpoint, "version": 1, "message": "This is a test. Your endpoint works if it answers with a 2xx.",
	})
	if err != nil {
		return Delivery{}, fmt.Errorf("write the test: %w", err)
	}
	return s.needs.Deliveries.SendTest(ctx, scope, endpoint, Event{
		TenantID: scope.Tenant, ID: id, At: now, Type: TypeTest, Resource: "webhook_endpoint", ResourceID: endpoint, Version: 1,
		RequestID: scope.RequestID, Trace: scope.Trace, Data: data,
	})
}

// ReplayInput is which events are to be sent again.
type ReplayInput struct {
	// Types are patterns; none are those that the endpoint is sent.
	Types []string  `json:"types" validate:"max=50,unique,dive,max=100" example:"order.*" doc:"Only these types of events, of those that the endpoint is sent; all where it is left out."`
	From  time.Time `json:"from" validate:"required" doc:"The first moment of the events."`
	// To is the end, exclusive; nil is now.
	To *time.Time `json:"to" doc:"The moment at which they end; now where it is left out."`
	// OnlyFailed leaves out what was delivered, and what waits.
	OnlyFailed bool `json:"only_failed" doc:"Only what failed or was cancelled."`
}

// Replay has a job send the events of a time again to an endpoint. Its filter and its patterns stand.
func (s *Service) Replay(ctx context.Context, scope tenancy.Scope, endpoint tenancy.ID, in ReplayInput) (jobs.Enqueued, error) {
	now := s.moment()
	violations := validation.Violations(s.needs.Validate, in)
	violations = append(violations, checkPatterns(in.Types, s.needs.Types, "/types")...)
	to := now
	if in.To != nil {
		to = in.To.UTC()
	}
	if !in.From.IsZero() && !in.From.Before(to) {
		violations = append(violations, fault.Violation{Pointer: "/from", Code: "before", Detail: "is not before the end; name an earlier time"})
	}
	if !in.From.IsZero() && now.Sub(in.From) > KeptFor {
		violations = append(violations, fault.Violation{
			Pointer: "/from", Code: "min", Detail: "is more than 30 days ago; name a later time",
		})
	}
	if len(violations) > 0 {
		return jobs.Enqueued{}, fault.Values(violations...)
	}
	args := ReplayArgs{EndpointID: endpoint, Types: in.Types, From: in.From.UTC(), To: to, OnlyFailed: in.OnlyFailed}
	done, err := s.needs.Deliveries.EnqueueReplay(ctx, scope, args, mayReceive)
	if err == nil && done.Existed {
		f := fault.New(fault.Conflict, "webhook_endpoint.replaying", "A replay to this endpoint is under way; wait for its job, or cancel it.")
		f.Location = "/jobs/" + done.ID.String()
		err = f
	}
	return done, err
}

// CheckType says why a query's type selects nothing that there is.
func (s *Service) CheckType(pattern string) error {
	if pattern == "" || pattern == TypeTest {
		return nil
	}
	if v := checkPatterns([]string{pattern}, s.needs.Types, ""); len(v) > 0 {
		return &fault.Error{
			Kind: fault.Malformed, Code: "invalid_query", Detail: "A query parameter is not valid; see errors.",
			Violations: []fault.Violation{{Pointer: "type", Code: v[0].Code, Detail: v[0].Detail}},
		}
	}
	return nil
}

// ErrDeliveryNotFound is the answer for a delivery that is not there.
func ErrDeliveryNotFound() error {
	return fault.New(fault.NotFound, "webhook_delivery.not_found", "There is no such delivery; they are kept for 30 days.")
}

func asRefused(err error) (*RefusedError, bool) {
	var refused *RefusedError
	ok := errors.As(err, &refused)
	return refused, ok
}
