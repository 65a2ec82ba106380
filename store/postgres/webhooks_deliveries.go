package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// deliveryColumns are a delivery as readDelivery reads it, from webhook_deliveries d.
const deliveryColumns = "d.tenant_id, d.id, d.endpoint_id, d.event_id, d.event_type, d.state, d.cause, d.attempts, d.round, " +
	"d.next_attempt_at, d.last_status, d.last_error, d.created_at, d.finished_at"

func deliveryFields(d *webhooks.Delivery) []any {
	return []any{
		&d.TenantID, &d.ID, &d.EndpointID, &d.EventID, &d.EventType, &d.State, &d.Cause, &d.Attempts, &d.Round,
		&d.NextAttemptAt, &d.LastStatus, &d.LastError, &d.CreatedAt, &d.FinishedAt,
	}
}

func readDelivery(row scanner) (d webhooks.Delivery, err error) {
	return d, row.Scan(deliveryFields(&d)...)
}

func deliveryRows() rowsOf[webhooks.Delivery] {
	return rowsOf[webhooks.Delivery]{
		query: "select " + deliveryColumns + " from webhook_deliveries d where d.tenant_id = $1", id: "d.id", read: readDelivery,
		missing: webhooks.ErrDeliveryNotFound,
	}
}

// ListDeliveries returns deliveries, newest first.
func (s *Webhooks) ListDeliveries(ctx context.Context, scope tenancy.Scope, q webhooks.Query) ([]webhooks.Delivery, error) {
	k, err := newestFirst(q.Request)
	if err != nil {
		return nil, err
	}
	tx, err := s.tenant(ctx, scope)
	if err != nil {
		return nil, err
	}
	text, args := deliveryRows().query, []any{scope.Tenant, k.after}
	hold := func(condition string, value any) {
		args = append(args, value)
		text += fmt.Sprintf(" and "+condition, len(args))
	}
	if !q.EndpointID.IsZero() {
		hold("d.endpoint_id = $%d", q.EndpointID)
	}
	if !q.EventID.IsZero() {
		hold("d.event_id = $%d", q.EventID)
	}
	if prefix, isGroup := strings.CutSuffix(q.Type, "*"); isGroup {
		hold("starts_with(d.event_type, $%d)", prefix)
	} else if q.Type != "" {
		hold("d.event_type = $%d", q.Type)
	}
	if !q.From.IsZero() {
		hold("d.id >= uuid7_floor($%d)", q.From)
	}
	if !q.To.IsZero() {
		hold("d.id < uuid7_floor($%d)", q.To)
	}
	text += stateCondition(q.States)
	list, err := all(tx, readDelivery, text+k.sql("d.id", "$2"), args...)
	return list, translate(err)
}

// stateCondition selects states, with the columns of the partial indexes that have them.
func stateCondition(states []webhooks.DeliveryState) string {
	if len(states) == 0 {
		return ""
	}
	names := make([]string, 0, len(states))
	areHeld, haveFailed := true, true
	for _, state := range states {
		if slices.Contains(webhooks.DeliveryStates(), state) {
			names = append(names, "'"+string(state)+"'")
		}
		areHeld = areHeld && state == webhooks.Held
		haveFailed = haveFailed && (state == webhooks.Failed || state == webhooks.Cancelled)
	}
	condition := " and d.state in (" + strings.Join(names, ", ") + ")"
	switch {
	case areHeld:
		condition += " and d.is_held"
	case haveFailed:
		condition += " and d.has_failed"
	}
	return condition
}

// attemptsShown is how many attempts are shown of a delivery: more than ten only where it was redelivered.
const attemptsShown = 100

// FindDelivery returns one delivery with its attempts, newest first.
func (s *Webhooks) FindDelivery(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (webhooks.Delivery, []webhooks.Attempt, error) {
	tx, err := s.tenant(ctx, scope)
	if err != nil {
		return webhooks.Delivery{}, nil, err
	}
	d, err := deliveryRows().find(tx, scope.Tenant, id, "")
	if err != nil {
		return d, nil, translate(err)
	}
	attempts, err := all(tx, readAttempt, fmt.Sprintf(`select a.number, a.at, a.duration_ms, a.status, a.error, a.response_headers,
		a.response_body, a.is_cut from webhook_attempts a where a.tenant_id = $1 and a.delivery_id = $2
		order by a.number desc limit %d`, attemptsShown), scope.Tenant, id)
	return d, attempts, translate(err)
}

func readAttempt(row scanner) (a webhooks.Attempt, err error) {
	var headers []byte
	err = row.Scan(&a.Number, &a.At, &a.DurationMS, &a.Status, &a.Error, &headers, &a.ResponseBody, &a.IsCut)
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(headers, &a.ResponseHeaders)
}

// Redeliver has a delivery begin anew.
func (s *Webhooks) Redeliver(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time, check func(webhooks.Endpoint) error,
) (d webhooks.Delivery, err error) {
	err = s.inTx(ctx, scope, func(ctx context.Context, tx *gorm.DB) error {
		if d, err = deliveryRows().find(tx, scope.Tenant, id, " for update"); err != nil {
			return err
		}
		e, err := endpointRows().find(tx, scope.Tenant, d.EndpointID, "")
		switch {
		case fault.KindOf(err) == fault.NotFound:
			return fault.New(fault.Conflict, "webhook_delivery.endpoint_deleted", "The webhook endpoint was deleted; there is nobody to deliver to.")
		case err != nil:
			return err
		}
		if err := check(e); err != nil {
			return err
		}
		job, err := s.enqueue(ctx, scope, webhooks.DeliverArgs{DeliveryID: id, EndpointID: e.ID, Forced: true}, nil)
		if err != nil {
			return err
		}
		d.State, d.Round, d.NextAttemptAt, d.FinishedAt = webhooks.Pending, 0, &now, nil
		if err := Defer(tx, `update webhook_deliveries set state = 'pending', round = 0, job_id = $3, next_attempt_at = $4, finished_at = null
			where tenant_id = $1 and id = $2`, scope.Tenant, id, job, now); err != nil {
			return err
		}
		return tellAct(tx, scope, now, "webhook_delivery.redelivered", "webhook_delivery", id, 0,
			audit.Change{Field: "endpoint_id", To: e.ID})
	})
	return d, err
}

// enqueue enqueues the job that makes a delivery's next attempt, in the transaction of the context.
func (s *Webhooks) enqueue(ctx context.Context, scope tenancy.Scope, args webhooks.DeliverArgs, at *time.Time) (tenancy.ID, error) {
	job, err := jobs.Of(args)
	if err != nil {
		return tenancy.ID{}, err
	}
	if at != nil {
		job.RunAt = *at
	}
	if _, err := s.queue.Enqueue(ctx, scope, job); err != nil {
		return tenancy.ID{}, fmt.Errorf("enqueue the attempt of a delivery: %w", err)
	}
	return job.ID, nil
}

// SendTest makes a delivery of an event that is published already.
func (s *Webhooks) SendTest(ctx context.Context, scope tenancy.Scope, endpoint tenancy.ID, event webhooks.Event) (d webhooks.Delivery, err error) {
	err = s.inTx(ctx, scope, func(ctx context.Context, tx *gorm.DB) error {
		if _, err := endpointRows().find(tx, scope.Tenant, endpoint, ""); err != nil {
			return err
		}
		if err := Defer(tx, `insert into events (tenant_id, id, at, type, resource, resource_id, version, request_id, data, trace, state)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, nullif($10, ''), 'published')`, scope.Tenant, event.ID, event.At, event.Type, event.Resource,
			event.ResourceID, event.Version, event.RequestID, string(event.Data), string(event.Trace)); err != nil {
			return err
		}
		d = webhooks.Delivery{
			TenantID: scope.Tenant, ID: tenancy.NewID(), EndpointID: endpoint, EventID: event.ID, EventType: event.Type,
			State: webhooks.Pending, Cause: webhooks.CauseTest, NextAttemptAt: &event.At, CreatedAt: event.At,
		}
		job, err := s.enqueue(ctx, scope, webhooks.DeliverArgs{DeliveryID: d.ID, EndpointID: endpoint, Forced: true}, nil)
		if err != nil {
			return err
		}
		d.JobID = job
		if err := insertDeliveries(tx, scope.Tenant, tenancy.ID{}, d); err != nil {
			return err
		}
		return tellAct(tx, scope, event.At, "webhook_endpoint.tested", "webhook_endpoint", endpoint, 0)
	})
	return d, err
}

// insertDeliveries inserts new deliveries with the transaction's next statement.
func insertDeliveries(tx *gorm.DB, tenant, cause tenancy.ID, list ...webhooks.Delivery) error {
	if len(list) == 0 {
		return nil
	}
	n := len(list)
	ids, endpoints, events, jobIDs := make([]tenancy.ID, n), make([]tenancy.ID, n), make([]tenancy.ID, n), make([]string, n)
	types, states, causes := make([]string, n), make([]string, n), make([]string, n)
	next, created := make([]*time.Time, n), make([]time.Time, n)
	for i, d := range list {
		ids[i], endpoints[i], events[i], types[i], states[i] = d.ID, d.EndpointID, d.EventID, d.EventType, string(d.State)
		causes[i], next[i], created[i] = d.Cause, d.NextAttemptAt, d.CreatedAt
		if !d.JobID.IsZero() {
			jobIDs[i] = d.JobID.String()
		}
	}
	return Defer(tx, `insert into webhook_deliveries (tenant_id, id, endpoint_id, event_id, event_type, state, cause, cause_id, job_id,
		next_attempt_at, created_at)
		select $1, g.id, g.endpoint, g.event, g.type, g.state, g.cause, $2::uuid, nullif(g.job, '')::uuid, g.next, g.created
		from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::timestamptz[], $11::timestamptz[])
		  as g (id, endpoint, event, type, state, cause, job, next, created)`,
		tenant, nullable(cause), ids, endpoints, events, types, states, causes, jobIDs, next, created)
}

// EnqueueReplay enqueues a replay.
func (s *Webhooks) EnqueueReplay(ctx context.Context, scope tenancy.Scope, args webhooks.ReplayArgs, check func(webhooks.Endpoint) error,
) (done jobs.Enqueued, err error) {
	err = s.inTx(ctx, scope, func(ctx context.Context, tx *gorm.DB) error {
		e, err := endpointRows().find(tx, scope.Tenant, args.EndpointID, "")
		if err != nil {
			return err
		}
		if err := check(e); err != nil {
			return err
		}
		done, err = jobs.Enqueue(ctx, s.queue, scope, args)
		return err
	})
	return done, err
}
