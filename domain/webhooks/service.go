package webhooks

import (
	"context"
	"fmt"
	"maps"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// Checker gives the verdict on a URL: whether it may be called, and the form in which it is. It is what the Sender would
// say: the error is a *RefusedError.
type Checker interface {
	Check(ctx context.Context, url string) (string, error)
}

// RefusedError says why a URL is not called, in words for its owner.
type RefusedError struct{ Code, Detail string }

// Error is the detail.
func (r *RefusedError) Error() string { return "the URL " + r.Detail }

// EndpointStore keeps endpoints. Secrets and the values of headers are sealed by it.
type EndpointStore interface {
	// CreateEndpoint saves an endpoint; Conflict "webhook_endpoint.too_many" where the tenant has MaxEndpoints.
	CreateEndpoint(ctx context.Context, scope tenancy.Scope, endpoint Endpoint) error
	// ListEndpoints returns up to one endpoint more than the limit, newest first, without secrets.
	ListEndpoints(ctx context.Context, scope tenancy.Scope, request page.Request) ([]Endpoint, error)
	// FindEndpoint returns one endpoint without secrets; NotFound "webhook_endpoint.not_found".
	FindEndpoint(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Endpoint, error)
	// ChangeEndpoint lets change alter an endpoint, headers and secrets open, and keeps it with its next version.
	ChangeEndpoint(ctx context.Context, scope tenancy.Scope, id tenancy.ID, change EndpointChange) (Endpoint, error)
	// DeleteEndpoint ends an endpoint: its secrets are wiped, what waits for it is cancelled, its deliveries stay to be
	// read.
	DeleteEndpoint(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match, now time.Time) error
}

// EndpointChange is what is done to an endpoint.
type EndpointChange struct {
	// Act is the audit's word: "webhook_endpoint.updated".
	Act string
	Now time.Time
	// Change alters it, or says why it cannot be.
	Change func(*Endpoint) error
}

// Needs is what the services work with.
type Needs struct {
	Endpoints  EndpointStore
	Deliveries DeliveryStore
	Checker    Checker
	// Types are the types of events that there are.
	Types    []string
	Validate validation.Validator
	Now      func() time.Time
}

// Service is what a tenant does with its endpoints and deliveries.
type Service struct{ needs Needs }

// NewService returns the service.
func NewService(needs Needs) *Service {
	types := slices.Clone(needs.Types)
	slices.Sort(types)
	needs.Types = slices.Compact(types)
	return &Service{needs: needs}
}

// Settings are what can be said of an endpoint, and changed.
type Settings struct {
	URL         string         `json:"url" validate:"required,max=2048" example:"https://hooks.example.com/groundwork" doc:"Where messages are posted to: https, a public host."`
	Events      []string       `json:"events" validate:"required,min=1,max=50,unique,dive,max=100" example:"order.*" doc:"The types of events that it is sent: order.paid, order.* or *."`
	Description string         `json:"description" validate:"max=500,printable=lines"`
	Headers     map[string]any `json:"headers" doc:"Headers of your own that go with each message; their values are not shown again."`
	Payload     string         `json:"payload" validate:"omitempty,oneof=full thin" doc:"full: the resource as the API shows it; thin: its id and version only. full where it is left out."`
	Filter      map[string]any `json:"filter" doc:"What the payload must hold, such as data.status with paid or a list of values; all conditions must be met."`
	RateLimit   *RateLimit     `json:"rate_limit" doc:"The most messages in a time; what is over it is sent later."`
}

// Input is an endpoint that is wanted.
type Input struct {
	URL         string         `json:"url" validate:"required,max=2048" example:"https://hooks.example.com/groundwork" doc:"Where messages are posted to: https, a public host."`
	Events      []string       `json:"events" validate:"required,min=1,max=50,unique,dive,max=100" example:"order.*" doc:"The types of events that it is sent: order.paid, order.* or *."`
	Description string         `json:"description" validate:"max=500,printable=lines"`
	Headers     map[string]any `json:"headers" doc:"Headers of your own that go with each message; their values are not shown again."`
	Payload     string         `json:"payload" validate:"omitempty,oneof=full thin" doc:"full: the resource as the API shows it; thin: its id and version only. full where it is left out."`
	Filter      map[string]any `json:"filter" doc:"What the payload must hold, such as data.status with paid or a list of values; all conditions must be met."`
	RateLimit   *RateLimit     `json:"rate_limit" doc:"The most messages in a time; what is over it is sent later."`
	// Secret is one that the caller brings along; nil has one made.
	Secret *string `json:"secret" validate:"omitempty,max=120" doc:"whsec_ and base64 of 24 to 64 bytes; one is made where it is left out."`
}

func (in Input) settings() Settings {
	return Settings{
		URL: in.URL, Events: in.Events, Description: in.Description, Headers: in.Headers, Payload: in.Payload,
		Filter: in.Filter, RateLimit: in.RateLimit,
	}
}

// Create makes an endpoint and returns it with its secret, which is not shown again.
func (s *Service) Create(ctx context.Context, scope tenancy.Scope, in Input) (Endpoint, Secret, error) {
	now := s.moment()
	e := Endpoint{
		TenantID: scope.Tenant, ID: tenancy.NewID(), APIVersion: APIVersion, State: Enabled, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	secret := NewSecret()
	violations := validation.Violations(s.needs.Validate, in)
	if in.Secret != nil {
		var err error
		if secret, err = ParseSecret(*in.Secret); err != nil {
			violations = append(violations, violationsOf(err)...)
		}
	}
	j := judge{checker: s.needs.Checker, verdicts: map[string]string{}}
	if err := s.apply(ctx, &e, in.settings(), j, violations); err != nil {
		return Endpoint{}, Secret{}, err
	}
	e.Secrets = []Secret{secret}
	if err := s.needs.Endpoints.CreateEndpoint(ctx, scope, e); err != nil {
		return Endpoint{}, Secret{}, err
	}
	return e, secret, nil
}

func violationsOf(err error) []fault.Violation {
	if f, ok := fault.As(err); ok {
		return f.Violations
	}
	return nil
}

// apply checks settings and gives them to the endpoint. A URL is judged where it changes.
func (s *Service) apply(ctx context.Context, e *Endpoint, in Settings, j judge, violations []fault.Violation) error {
	in.URL, in.Description = strings.TrimSpace(in.URL), strings.TrimSpace(in.Description)
	violations = append(violations, checkPatterns(in.Events, s.needs.Types, "/events")...)
	violations = append(violations, checkHeaders(in.Headers)...)
	violations = append(violations, checkFilter(in.Filter)...)
	if len(violations) > 0 {
		return fault.Values(violations...)
	}
	if in.URL != e.URL {
		form, err := j.check(ctx, in.URL)
		if err != nil {
			return refusedURL(err)
		}
		e.URL = form
	}
	if in.Payload == "" {
		in.Payload = Full
	}
	e.Events, e.Description, e.Payload, e.Filter, e.RateLimit = in.Events, in.Description, in.Payload, in.Filter, in.RateLimit
	if e.Filter == nil {
		e.Filter = map[string]any{}
	}
	e.Headers = map[string]any{}
	for name, value := range in.Headers {
		e.Headers[textproto.CanonicalMIMEHeaderKey(name)] = value
	}
	e.HeaderNames = slices.Sorted(maps.Keys(e.Headers))
	if e.HeaderNames == nil {
		e.HeaderNames = []string{}
	}
	return nil
}

// List returns one page, newest first.
func (s *Service) List(ctx context.Context, scope tenancy.Scope, request page.Request) (page.Page[Endpoint], error) {
	request = request.Normalized()
	rows, err := s.needs.Endpoints.ListEndpoints(ctx, scope, request)
	if err != nil {
		return page.Page[Endpoint]{}, err
	}
	return page.Of(rows, request, func(e Endpoint) page.Position { return page.Position{e.ID.String()} }), nil
}

// Find returns one endpoint.
func (s *Service) Find(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Endpoint, error) {
	return s.needs.Endpoints.FindEndpoint(ctx, scope, id)
}

// Change lets apply alter the settings; it may be called more than once.
func (s *Service) Change(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match, apply func(*Settings) error,
) (Endpoint, error) {
	j := judge{checker: s.needs.Checker, verdicts: map[string]string{}}
	alter := func(e *Endpoint) error {
		if err := match.Check(e.Version, "webhook endpoint"); err != nil {
			return err
		}
		settings := Settings{
			URL: e.URL, Events: e.Events, Description: e.Description, Headers: maps.Clone(e.Headers), Payload: e.Payload,
			Filter: maps.Clone(e.Filter), RateLimit: e.RateLimit,
		}
		if err := apply(&settings); err != nil {
			return err
		}
		return s.apply(ctx, e, settings, j, validation.Violations(s.needs.Validate, settings))
	}
	// Once on a copy, so that the look-up of a new host's name does not hold the endpoint.
	copied, err := s.needs.Endpoints.FindEndpoint(ctx, scope, id)
	if err != nil {
		return Endpoint{}, err
	}
	if err := alter(&copied); err != nil {
		return Endpoint{}, err
	}
	return s.change(ctx, scope, id, "updated", alter)
}

// judge remembers verdicts on URLs during one request.
type judge struct {
	checker  Checker
	verdicts map[string]string
}

func (j judge) check(ctx context.Context, url string) (string, error) {
	if form, ok := j.verdicts[url]; ok {
		return form, nil
	}
	form, err := j.checker.Check(ctx, url)
	if err == nil {
		j.verdicts[url] = form
	}
	return form, err
}

func (s *Service) change(ctx context.Context, scope tenancy.Scope, id tenancy.ID, act string, fn func(*Endpoint) error) (Endpoint, error) {
	return s.needs.Endpoints.ChangeEndpoint(ctx, scope, id, EndpointChange{Act: "webhook_endpoint." + act, Now: s.moment(), Change: fn})
}

// Pause holds what an endpoint would be sent, until Resume.
func (s *Service) Pause(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Endpoint, error) {
	return s.change(ctx, scope, id, "paused", func(e *Endpoint) error {
		if e.State == Disabled {
			return errDisabled()
		}
		e.State = Paused
		return nil
	})
}

// Resume sends an endpoint what was held while it was paused, or enables one that was disabled.
func (s *Service) Resume(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Endpoint, error) {
	return s.change(ctx, scope, id, "resumed", func(e *Endpoint) error {
		if e.State == Disabled {
			e.Health = Health{LastSuccessAt: e.Health.LastSuccessAt, LastFailureAt: e.Health.LastFailureAt}
		}
		e.State, e.DisabledReason, e.DisabledAt = Enabled, nil, nil
		return nil
	})
}

// Rotation is a new secret for an endpoint.
type Rotation struct {
	Secret *string `json:"secret" validate:"omitempty,max=120" doc:"whsec_ and base64 of 24 to 64 bytes; one is made where it is left out."`
	// OverlapHours is for how long the old secret signs too; nil is 24.
	OverlapHours *int64 `json:"overlap_hours" validate:"omitempty,min=0,max=168" doc:"For how many hours messages are signed with the old secret too, 0 to 168; 24 where it is left out."`
}

// RotateSecret gives an endpoint a new secret and returns it. The old one signs beside it for the overlap; one that was
// still signing from the rotation before ends.
func (s *Service) RotateSecret(ctx context.Context, scope tenancy.Scope, id tenancy.ID, in Rotation) (Endpoint, Secret, error) {
	if err := validation.Check(s.needs.Validate, in); err != nil {
		return Endpoint{}, Secret{}, err
	}
	secret, overlap := NewSecret(), DefaultOverlap
	if in.Secret != nil {
		var err error
		if secret, err = ParseSecret(*in.Secret); err != nil {
			return Endpoint{}, Secret{}, err
		}
	}
	if in.OverlapHours != nil {
		overlap = time.Duration(*in.OverlapHours) * time.Hour
	}
	e, err := s.change(ctx, scope, id, "secret_rotated", func(e *Endpoint) error {
		if len(e.Secrets) == 0 {
			return fmt.Errorf("webhooks: endpoint %s has no secret", e.ID)
		}
		until := s.moment().Add(overlap)
		e.Secrets, e.PreviousSecretUntil = []Secret{secret, e.Secrets[0]}, &until
		if overlap == 0 {
			e.Secrets, e.PreviousSecretUntil = e.Secrets[:1], nil
		}
		return nil
	})
	return e, secret, err
}

// Delete ends an endpoint for good.
func (s *Service) Delete(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match) error {
	return s.needs.Endpoints.DeleteEndpoint(ctx, scope, id, match, s.moment())
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Service) moment() time.Time { return s.needs.Now().UTC().Truncate(time.Microsecond) }

// refusedURL is the verdict on a URL as a fault.
func refusedURL(err error) error {
	if refused, ok := asRefused(err); ok {
		return fault.Values(fault.Violation{Pointer: "/url", Code: refused.Code, Detail: refused.Detail})
	}
	return err
}

// ErrTooMany is the answer to one endpoint more than MaxEndpoints.
func ErrTooMany() error {
	return fault.New(fault.Conflict, "webhook_endpoint.too_many",
		"There are "+strconv.Itoa(MaxEndpoints)+" webhook endpoints, which is the most; delete one that is not needed.")
}

// ErrEndpointNotFound is the answer for an endpoint that is not there.
func ErrEndpointNotFound() error {
	return fault.New(fault.NotFound, "webhook_endpoint.not_found", "There is no such webhook endpoint.")
}

func errDisabled() error {
	return fault.New(fault.Conflict, "webhook_endpoint.disabled",
		"The webhook endpoint is disabled; mend it, resume it, then try again.")
}
