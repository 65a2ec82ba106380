package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/events"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// errLostDelivery ends a transaction whose job has ceased to be the delivery's: nothing of it is kept.
var errLostDelivery = errors.New("postgres: another job makes the delivery's attempt")

const eventColumns = "v.id, v.at, v.type, v.resource, v.resource_id, v.version, v.request_id, coalesce(v.trace, ''), v.data"

func eventFields(v *webhooks.Event) []any {
	return []any{&v.ID, &v.At, &v.Type, &v.Resource, &v.ResourceID, &v.Version, &v.RequestID, &v.Trace, &v.Data}
}

// FindDue returns a delivery that the job attempts, with its endpoint and its event.
func (s *Webhooks) FindDue(ctx context.Context, scope tenancy.Scope, delivery, job tenancy.ID) (webhooks.Due, bool, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return webhooks.Due{}, false, err
	}
	type dueRow struct {
		due       webhooks.Due
		endpoint  endpointRow
		isDeleted bool
	}
	row, found, err := one(db.Scoped(ctx, scope), func(row scanner) (r dueRow, err error) {
		fields := append(deliveryFields(&r.due.Delivery), r.endpoint.fields()...)
		fields = append(fields, r.endpoint.secretFields()...)
		fields = append(append(fields, &r.isDeleted), eventFields(&r.due.Event)...)
		if err := row.Scan(fields...); err != nil {
			return r, err
		}
		return r, r.endpoint.finish()
	}, "select "+deliveryColumns+", "+endpointColumns+secretColumns+", e.deleted_at is not null, "+eventColumns+`
		from webhook_deliveries d
		join webhook_endpoints e on e.tenant_id = $1 and e.id = d.endpoint_id
		join webhook_endpoint_health h on h.tenant_id = $1 and h.endpoint_id = d.endpoint_id
		join events v on v.tenant_id = $1 and v.id = d.event_id
		where d.tenant_id = $1 and d.id = $2 and d.job_id = $3`, scope.Tenant, delivery, job)
	if err != nil || !found {
		return webhooks.Due{}, false, translate(err)
	}
	due := row.due
	due.Endpoint, due.IsDeleted = row.endpoint.Endpoint, row.isDeleted
	due.Delivery.JobID, due.Event.TenantID = job, scope.Tenant
	if !due.IsDeleted { // whose secrets are wiped
		if due.Endpoint, err = s.open(row.endpoint); err != nil {
			return webhooks.Due{}, false, err
		}
	}
	return due, true, nil
}

// burst is how far ahead of its place an attempt may go: a fast pace is not worth a job of its own for each.
const burst = 100 * time.Millisecond

// ReserveSlot takes the next place under a rate limit.
func (s *Webhooks) ReserveSlot(ctx context.Context, scope tenancy.Scope, endpoint tenancy.ID, now time.Time, interval time.Duration,
) (at time.Time, err error) {
	err = s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		var found bool
		at, found, err = one(tx, func(row scanner) (t time.Time, err error) { return t, row.Scan(&t) },
			`update webhook_endpoint_health set next_slot_at = greatest(next_slot_at, $3::timestamptz) + $4::bigint * interval '1 microsecond'
			where tenant_id = $1 and endpoint_id = $2 returning next_slot_at`, scope.Tenant, endpoint, now, interval.Microseconds())
		if err == nil && !found {
			err = webhooks.ErrEndpointNotFound()
		}
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	if at = at.Add(-interval); !at.After(now.Add(burst)) {
		return now, nil
	}
	return at, nil
}

// TakeProbe has a half-open endpoint to oneself.
func (s *Webhooks) TakeProbe(ctx context.Context, scope tenancy.Scope, endpoint tenancy.ID, now, until time.Time) (took bool, err error) {
	err = s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		n, err := affect(tx, `update webhook_endpoint_health set probe_until = $4 where tenant_id = $1 and endpoint_id = $2
			and open_until <= $3 and (probe_until is null or probe_until <= $3)`, scope.Tenant, endpoint, now, until)
		took = n > 0
		return err
	})
	return took, err
}

// Settle keeps what became of an attempt.
//
//nolint:revive // whether the health is at stake decides what is locked
func (s *Webhooks) Settle(ctx context.Context, scope tenancy.Scope, due webhooks.Due, mayChangeHealth bool,
	decide func(webhooks.Health) webhooks.Settlement,
) error {
	err := s.inTx(ctx, scope, func(ctx context.Context, tx *gorm.DB) error {
		health := due.Endpoint.Health
		if mayChangeHealth {
			// Before the delivery, as whoever releases what is held does.
			locked, err := holdHealth(tx, scope.Tenant, due.Endpoint.ID)
			if err != nil {
				return err
			}
			health = locked.health
		}
		return s.settle(ctx, tx, scope, due, decide(health))
	})
	if errors.Is(err, errLostDelivery) {
		return nil
	}
	return err
}

func (s *Webhooks) settle(ctx context.Context, tx *gorm.DB, scope tenancy.Scope, due webhooks.Due, to webhooks.Settlement) error {
	d := due.Delivery
	if to.State == webhooks.Held {
		if err := exec(tx, "update webhook_endpoint_health set has_held = true where tenant_id = $1 and endpoint_id = $2",
			scope.Tenant, d.EndpointID); err != nil {
			return err
		}
	}
	job := nullable(d.JobID)
	switch {
	case to.Next != nil:
		next, err := s.enqueue(ctx, scope, *to.Next, to.NextAt)
		if err != nil {
			return err
		}
		job = next
	case to.State == webhooks.Held:
		job = nil
	}
	var finished, status any
	if to.State != webhooks.Held && to.State != webhooks.Pending {
		finished = to.At
	}
	made := 0
	if to.Attempt != nil {
		made = 1
		if to.Attempt.Status != nil {
			status = *to.Attempt.Status
		}
	}
	n, err := affect(tx, `update webhook_deliveries set state = $4, job_id = $5, next_attempt_at = $6, finished_at = $7,
		attempts = attempts + $8, round = round + $8, last_status = case when $8 > 0 then $9::int else last_status end,
		last_error = case when $8 > 0 or $10::text is not null then $10 else last_error end
		where tenant_id = $1 and id = $2 and job_id = $3 and state = 'pending'`,
		scope.Tenant, d.ID, d.JobID, string(to.State), job, to.NextAt, finished, made, status, to.Error)
	switch {
	case err != nil:
		return err
	case n == 0:
		return errLostDelivery
	}
	if to.Attempt != nil {
		if err := insertAttempt(tx, scope.Tenant, d.ID, *to.Attempt); err != nil {
			return err
		}
	}
	if to.Health != nil {
		if err := saveHealth(tx, scope.Tenant, d.EndpointID, *to.Health); err != nil {
			return err
		}
	}
	if to.Disable != "" {
		return s.disable(ctx, tx, scope, due.Endpoint, to)
	}
	return nil
}

func insertAttempt(tx *gorm.DB, tenant, delivery tenancy.ID, a webhooks.Attempt) error {
	headers, err := json.Marshal(a.ResponseHeaders)
	if err != nil {
		return fmt.Errorf("write an answer's headers: %w", err)
	}
	return Defer(tx, `insert into webhook_attempts (tenant_id, delivery_id, number, at, duration_ms, status, error, response_headers,
		response_body, is_cut) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, tenant, delivery, a.Number, a.At, a.DurationMS, a.Status,
		a.Error, string(headers), a.ResponseBody, a.IsCut)
}

// lockedHealth is an endpoint's health while nobody else changes it.
type lockedHealth struct {
	health  webhooks.Health
	hasHeld bool
}

func holdHealth(tx *gorm.DB, tenant, endpoint tenancy.ID) (lockedHealth, error) {
	locked, found, err := one(tx, func(row scanner) (l lockedHealth, err error) {
		h := &l.health
		return l, row.Scan(&h.ConsecutiveFailures, &h.FailingSince, &h.LastSuccessAt, &h.LastFailureAt, &h.OpenUntil, &h.Trips,
			&h.ProbeUntil, &l.hasHeld)
	}, `select h.consecutive_failures, h.failing_since, h.last_success_at, h.last_failure_at, h.open_until, h.trips, h.probe_until, h.has_held
		from webhook_endpoint_health h where h.tenant_id = $1 and h.endpoint_id = $2 for update`, tenant, endpoint)
	if err == nil && !found {
		err = webhooks.ErrEndpointNotFound()
	}
	return locked, err
}

// disable gives an endpoint up, once, and tells of it: the audit, the tenant's other endpoints, and whoever is told by
// mail.
func (s *Webhooks) disable(ctx context.Context, tx *gorm.DB, scope tenancy.Scope, e webhooks.Endpoint, to webhooks.Settlement) error {
	version, found, err := one(tx, func(row scanner) (v int64, err error) { return v, row.Scan(&v) },
		`update webhook_endpoints set state = 'disabled', disabled_reason = $3, disabled_at = $4, updated_at = $4, version = version + 1
		where tenant_id = $1 and id = $2 and state <> 'disabled' and deleted_at is null returning version`,
		scope.Tenant, e.ID, to.Disable, to.At)
	if err != nil || !found {
		return err
	}
	// What is held is cancelled by whoever comes to it.
	if err := Defer(tx, "update webhook_endpoint_health set has_held = true where tenant_id = $1 and endpoint_id = $2",
		scope.Tenant, e.ID); err != nil {
		return err
	}
	e.State, e.DisabledReason, e.DisabledAt, e.Version, e.UpdatedAt = webhooks.Disabled, &to.Disable, &to.At, version, to.At
	if to.Health != nil {
		e.Health = *to.Health
	}
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write the endpoint as JSON: %w", err)
	}
	if err := tellEvent(tx, scope, events.Event{
		ID: tenancy.NewID(), At: to.At, Type: webhooks.TypeDisabled, Resource: "webhook_endpoint", ResourceID: e.ID, Version: version, Data: data,
	}); err != nil {
		return err
	}
	if err := tellAct(tx, scope, to.At, webhooks.TypeDisabled, "webhook_endpoint", e.ID, version,
		audit.Change{Field: "state", From: webhooks.Enabled, To: webhooks.Disabled},
		audit.Change{Field: "disabled_reason", To: to.Disable}); err != nil {
		return err
	}
	if s.disabled != nil {
		return s.disabled(ctx, scope, e)
	}
	return nil
}
