package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// Webhooks keeps endpoints, deliveries and attempts, each statement held to the scope's tenant. It implements the stores
// of the package webhooks; what goes across tenants is WebhookOutbox's.
type Webhooks struct {
	tenanted

	sealer Sealer
	queue  jobs.Queue
	// disabled is told of an endpoint that was disabled, in the transaction that does so.
	disabled func(ctx context.Context, scope tenancy.Scope, e webhooks.Endpoint) error
}

var (
	_ webhooks.EndpointStore = (*Webhooks)(nil)
	_ webhooks.DeliveryStore = (*Webhooks)(nil)
	_ webhooks.CourierStore  = (*Webhooks)(nil)
)

// NewWebhooks returns the webhooks of the tenants' databases. Secrets are sealed by the sealer, attempts are made by jobs
// of the queue.
func NewWebhooks(router Router, sealer Sealer, queue jobs.Queue) *Webhooks {
	return &Webhooks{tenanted: tenanted{router}, sealer: sealer, queue: queue}
}

// WhenDisabled has fn told of each endpoint that is disabled because it fails, in the transaction that does so: a mail
// about it is sent where the endpoint is disabled, and else it is not. It is called before the store is used.
func (s *Webhooks) WhenDisabled(fn func(ctx context.Context, scope tenancy.Scope, e webhooks.Endpoint) error) {
	s.disabled = fn
}

// endpointColumns are an endpoint as readEndpoint reads it, from webhook_endpoints e and webhook_endpoint_health h.
const (
	endpointColumns = `e.tenant_id, e.id, e.url, e.description, to_json(e.events), to_json(e.header_names), e.payload, e.api_version,
		e.filter, e.rate_limit, e.rate_per, e.state, e.disabled_reason, e.disabled_at, e.previous_secret_until, e.version, e.created_at,
		e.updated_at, h.consecutive_failures, h.failing_since, h.last_success_at, h.last_failure_at, h.open_until, h.trips, h.probe_until`
	secretColumns = ", e.headers_sealed, e.secret_sealed, e.previous_secret_sealed" //nolint:gosec // the names of columns
	endpointFrom  = ` from webhook_endpoints e join webhook_endpoint_health h
		on h.tenant_id = $1 and h.endpoint_id = e.id where e.tenant_id = $1`
)

// endpointRow is an endpoint on its way out of the database.
type endpointRow struct {
	webhooks.Endpoint

	events, headerNames, filter []byte
	rateLimit                   *int64
	ratePer                     *string
	headers, secret, previous   []byte
}

func (r *endpointRow) fields() []any {
	e, h := &r.Endpoint, &r.Health
	return []any{
		&e.TenantID, &e.ID, &e.URL, &e.Description, &r.events, &r.headerNames, &e.Payload, &e.APIVersion, &r.filter, &r.rateLimit,
		&r.ratePer, &e.State, &e.DisabledReason, &e.DisabledAt, &e.PreviousSecretUntil, &e.Version, &e.CreatedAt, &e.UpdatedAt,
		&h.ConsecutiveFailures, &h.FailingSince, &h.LastSuccessAt, &h.LastFailureAt, &h.OpenUntil, &h.Trips, &h.ProbeUntil,
	}
}

func (r *endpointRow) secretFields() []any { return []any{&r.headers, &r.secret, &r.previous} }

// finish reads what the database keeps as JSON.
func (r *endpointRow) finish() error {
	if err := json.Unmarshal(r.events, &r.Events); err != nil {
		return fmt.Errorf("read an endpoint's events: %w", err)
	}
	if err := json.Unmarshal(r.headerNames, &r.HeaderNames); err != nil {
		return fmt.Errorf("read an endpoint's header names: %w", err)
	}
	filter, err := freeObject(r.filter)
	if err != nil {
		return fmt.Errorf("read an endpoint's filter: %w", err)
	}
	r.Filter = filter
	if r.rateLimit != nil && r.ratePer != nil {
		r.RateLimit = &webhooks.RateLimit{Limit: *r.rateLimit, Per: *r.ratePer}
	}
	return nil
}

// endpointRows are the endpoints that are not deleted, without their secrets.
func endpointRows() rowsOf[webhooks.Endpoint] {
	return rowsOf[webhooks.Endpoint]{
		query: "select " + endpointColumns + endpointFrom + " and e.deleted_at is null", id: "e.id", read: readEndpoint,
		missing: webhooks.ErrEndpointNotFound,
	}
}

func readEndpoint(row scanner) (webhooks.Endpoint, error) {
	var r endpointRow
	if err := row.Scan(r.fields()...); err != nil {
		return webhooks.Endpoint{}, err
	}
	return r.Endpoint, r.finish()
}

func readEndpointRow(row scanner) (r endpointRow, err error) {
	if err := row.Scan(append(r.fields(), r.secretFields()...)...); err != nil {
		return r, err
	}
	return r, r.finish()
}

// CreateEndpoint saves an endpoint.
func (s *Webhooks) CreateEndpoint(ctx context.Context, scope tenancy.Scope, e webhooks.Endpoint) error {
	return s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		allowed := allowance{table: "webhook_endpoints", live: "and deleted_at is null", most: webhooks.MaxEndpoints, tooMany: webhooks.ErrTooMany}
		if err := allowed.mayAdd(tx, scope.Tenant); err != nil {
			return err
		}
		sealed, err := s.seal(e)
		if err != nil {
			return err
		}
		if err := Defer(tx, `insert into webhook_endpoints (tenant_id, id, url, description, events, header_names, headers_sealed,
			payload, api_version, filter, rate_limit, rate_per, state, secret_sealed, version, created_at, updated_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16)`,
			scope.Tenant, e.ID, e.URL, e.Description, textList(e.Events), textList(e.HeaderNames), sealed.headers, e.Payload, e.APIVersion,
			sealed.filter, sealed.rateLimit, sealed.ratePer, string(e.State), sealed.secret, e.Version, e.CreatedAt); err != nil {
			return err
		}
		if err := Defer(tx, "insert into webhook_endpoint_health (tenant_id, endpoint_id) values ($1, $2)", scope.Tenant, e.ID); err != nil {
			return err
		}
		return tellAct(tx, scope, e.CreatedAt, "webhook_endpoint.created", "webhook_endpoint", e.ID, e.Version,
			audit.Change{Field: "url", To: e.URL}, audit.Change{Field: "events", To: e.Events})
	})
}

// ListEndpoints returns endpoints, newest first.
func (s *Webhooks) ListEndpoints(ctx context.Context, scope tenancy.Scope, request page.Request) ([]webhooks.Endpoint, error) {
	return endpointRows().listIn(ctx, s.tenanted, scope, request)
}

// FindEndpoint returns one endpoint.
func (s *Webhooks) FindEndpoint(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (webhooks.Endpoint, error) {
	return endpointRows().findIn(ctx, s.tenanted, scope, id)
}

// ChangeEndpoint alters an endpoint while nobody else does.
func (s *Webhooks) ChangeEndpoint(ctx context.Context, scope tenancy.Scope, id tenancy.ID, change webhooks.EndpointChange,
) (after webhooks.Endpoint, err error) {
	err = s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		before, err := s.holdEndpoint(tx, scope.Tenant, id)
		if err != nil {
			return err
		}
		after = before
		if err := change.Change(&after); err != nil {
			return err
		}
		changes := endpointChanges(before, after)
		if len(changes) == 0 && change.Act == "webhook_endpoint.updated" {
			return nil
		}
		after.Version, after.UpdatedAt = before.Version+1, change.Now
		if err := s.saveEndpoint(tx, scope.Tenant, before, after); err != nil {
			return err
		}
		return tellAct(tx, scope, change.Now, change.Act, "webhook_endpoint", id, after.Version, changes...)
	})
	return after, err
}

// holdEndpoint locks an endpoint and opens its secrets.
func (s *Webhooks) holdEndpoint(tx *gorm.DB, tenant, id tenancy.ID) (webhooks.Endpoint, error) {
	rows := rowsOf[endpointRow]{
		query: "select " + endpointColumns + secretColumns + endpointFrom + " and e.deleted_at is null", id: "e.id", read: readEndpointRow,
		missing: webhooks.ErrEndpointNotFound,
	}
	row, err := rows.find(tx, tenant, id, " for update of e")
	if err != nil {
		return webhooks.Endpoint{}, err
	}
	return s.open(row)
}

// saveEndpoint writes an endpoint that is held. Where the rate limit is another one it begins anew.
func (s *Webhooks) saveEndpoint(tx *gorm.DB, tenant tenancy.ID, before, e webhooks.Endpoint) error {
	sealed, err := s.seal(e)
	if err != nil {
		return err
	}
	if err := Defer(tx, `update webhook_endpoints set url = $3, description = $4, events = $5, header_names = $6, headers_sealed = $7,
		payload = $8, filter = $9, rate_limit = $10, rate_per = $11, state = $12, disabled_reason = $13, disabled_at = $14,
		secret_sealed = $15, previous_secret_sealed = $16, previous_secret_until = $17, version = $18, updated_at = $19
		where tenant_id = $1 and id = $2`,
		tenant, e.ID, e.URL, e.Description, textList(e.Events), textList(e.HeaderNames), sealed.headers, e.Payload, sealed.filter,
		sealed.rateLimit, sealed.ratePer, string(e.State), e.DisabledReason, e.DisabledAt, sealed.secret, sealed.previous,
		e.PreviousSecretUntil, e.Version, e.UpdatedAt); err != nil {
		return err
	}
	if before.RateLimit == nil || e.RateLimit == nil || *before.RateLimit != *e.RateLimit {
		if err := Defer(tx, `update webhook_endpoint_health set next_slot_at = '-infinity' where tenant_id = $1 and endpoint_id = $2`,
			tenant, e.ID); err != nil {
			return err
		}
	}
	if before.State == webhooks.Disabled && e.State == webhooks.Enabled {
		return saveHealth(tx, tenant, e.ID, e.Health)
	}
	return nil
}

func saveHealth(tx *gorm.DB, tenant, endpoint tenancy.ID, h webhooks.Health) error {
	return Defer(tx, `update webhook_endpoint_health set consecutive_failures = $3, failing_since = $4, last_success_at = $5,
		last_failure_at = $6, open_until = $7, trips = $8, probe_until = $9 where tenant_id = $1 and endpoint_id = $2`,
		tenant, endpoint, h.ConsecutiveFailures, h.FailingSince, h.LastSuccessAt, h.LastFailureAt, h.OpenUntil, h.Trips, h.ProbeUntil)
}

// DeleteEndpoint ends an endpoint. What waits for it is cancelled by whoever comes to it next.
func (s *Webhooks) DeleteEndpoint(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match, now time.Time) error {
	return s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		e, err := s.holdEndpoint(tx, scope.Tenant, id)
		if err != nil {
			return err
		}
		if err := match.Check(e.Version, "webhook endpoint"); err != nil {
			return err
		}
		if err := Defer(tx, `update webhook_endpoints set deleted_at = $3, updated_at = $3, version = version + 1, headers_sealed = '',
			header_names = '{}', secret_sealed = '', previous_secret_sealed = null where tenant_id = $1 and id = $2`,
			scope.Tenant, id, now); err != nil {
			return err
		}
		return tellAct(tx, scope, now, "webhook_endpoint.deleted", "webhook_endpoint", id, e.Version+1,
			audit.Change{Field: "url", From: e.URL})
	})
}
