package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// WebhookOutbox is the events and deliveries of all tenants of one database. Its role is groundwork_system; what it does
// to a tenant's rows it does in a transaction of that tenant's. It implements webhooks.Outbox.
type WebhookOutbox struct {
	db    *DB
	queue jobs.Queue
}

var _ webhooks.Outbox = (*WebhookOutbox)(nil)

// NewWebhookOutbox returns the outbox of a database. Attempts are made by jobs of the queue, which lies in the same one.
func NewWebhookOutbox(db *DB, queue jobs.Queue) *WebhookOutbox {
	return &WebhookOutbox{db: db, queue: queue}
}

// engine is the database across tenants.
func (o *WebhookOutbox) engine(ctx context.Context) *gorm.DB { return o.db.with(ctx, engineSession()) }

// TenantsWithEvents skips through the index of pending events from tenant to tenant.
func (o *WebhookOutbox) TenantsWithEvents(ctx context.Context, after tenancy.ID, limit int) ([]tenancy.ID, error) {
	list, err := all(o.engine(ctx), readID, `with recursive t (tenant_id, n) as (
		(select v.tenant_id, 1 from events v where v.state = 'pending' and v.tenant_id > $1 order by v.tenant_id limit 1)
		union all
		select next.tenant_id, t.n + 1 from t cross join lateral (
		  select v.tenant_id from events v where v.state = 'pending' and v.tenant_id > t.tenant_id order by v.tenant_id limit 1) next
		where t.n < $2)
		select tenant_id from t`, after, limit)
	return list, translate(err)
}

// FanOut makes deliveries of a tenant's pending events.
func (o *WebhookOutbox) FanOut(ctx context.Context, tenant tenancy.ID, limit int, route func([]webhooks.Endpoint, []webhooks.Event) []webhooks.Route,
) (claimed int, err error) {
	scope := tenancy.AsSystem(tenant, "")
	err = o.db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := o.db.Scoped(ctx, scope)
		claimed = 0
		pending, err := all(tx, func(row scanner) (v webhooks.Event, err error) { return v, row.Scan(eventFields(&v)...) },
			"select "+eventColumns+` from events v where v.tenant_id = $1 and v.state = 'pending'
			order by v.id limit $2 for update skip locked`, tenant, limit)
		if err != nil || len(pending) == 0 {
			return err
		}
		endpoints, err := all(tx, readEndpoint,
			"select "+endpointColumns+endpointFrom+" and e.deleted_at is null and e.state <> 'disabled' order by e.id", tenant)
		if err != nil {
			return err
		}
		claimed = len(pending)
		if err := o.keep(ctx, tx, scope, route(endpoints, pending)); err != nil {
			return err
		}
		ids := make([]tenancy.ID, len(pending))
		for i, v := range pending {
			ids[i] = v.ID
		}
		return Defer(tx, "update events set state = 'published' where tenant_id = $1 and id = any($2)", tenant, ids)
	})
	return claimed, translate(err)
}

// keep makes deliveries and the jobs of those that go at once. A job carries the request that caused its event.
func (o *WebhookOutbox) keep(ctx context.Context, tx *gorm.DB, scope tenancy.Scope, routes []webhooks.Route) error {
	deliveries := make([]webhooks.Delivery, len(routes))
	type cause struct {
		request string
		trace   tenancy.Trace
	}
	work, held := map[cause][]jobs.New{}, map[tenancy.ID]bool{}
	for i, r := range routes {
		d := webhooks.Delivery{
			ID: tenancy.NewID(), EndpointID: r.Endpoint, EventID: r.Event.ID, EventType: r.Event.Type, State: webhooks.Held,
			Cause: webhooks.CauseEvent, CreatedAt: r.At,
		}
		if r.IsHeld {
			held[r.Endpoint] = true
		} else {
			r.Args.DeliveryID = d.ID
			job, err := jobs.Of(r.Args)
			if err != nil {
				return err
			}
			of := cause{r.Event.RequestID, r.Event.Trace}
			work[of] = append(work[of], job)
			d.State, d.JobID, d.NextAttemptAt = webhooks.Pending, job.ID, &d.CreatedAt
		}
		deliveries[i] = d
	}
	inOrder := func(a, b tenancy.ID) int { return slices.Compare(a[:], b[:]) }
	for _, id := range slices.SortedFunc(maps.Keys(held), inOrder) {
		if err := Defer(tx, "update webhook_endpoint_health set has_held = true where tenant_id = $1 and endpoint_id = $2",
			scope.Tenant, id); err != nil {
			return err
		}
	}
	if err := insertDeliveries(tx, scope.Tenant, tenancy.ID{}, deliveries...); err != nil {
		return err
	}
	for of, list := range work {
		because := tenancy.AsSystem(scope.Tenant, of.request)
		because.Trace = of.trace
		if _, err := o.queue.Enqueue(ctx, because, list...); err != nil {
			return fmt.Errorf("enqueue the attempts of deliveries: %w", err)
		}
	}
	return nil
}

// EndpointsToRelease finds endpoints that have deliveries held and may be sent some of them, or none ever any more.
func (o *WebhookOutbox) EndpointsToRelease(ctx context.Context, now time.Time, limit int) ([]webhooks.EndpointRef, error) {
	list, err := all(o.engine(ctx), func(row scanner) (r webhooks.EndpointRef, err error) { return r, row.Scan(&r.Tenant, &r.ID) },
		`select h.tenant_id, h.endpoint_id from webhook_endpoint_health h
		join webhook_endpoints e on e.tenant_id = h.tenant_id and e.id = h.endpoint_id
		where h.has_held and (e.deleted_at is not null or e.state = 'disabled' or e.state = 'enabled'
		  and (h.open_until is null or h.open_until <= $1) and (h.probe_until is null or h.probe_until <= $1))
		limit $2`, now, limit)
	return list, translate(err)
}

// idleProbe is when an endpoint that is half open, and whose deliveries all wait for later, is looked at again.
const idleProbe = 5 * time.Second

// ReleaseHeld sends, or cancels, held deliveries.
func (o *WebhookOutbox) ReleaseHeld(ctx context.Context, ref webhooks.EndpointRef, now time.Time,
	decide func(webhooks.Endpoint, bool) webhooks.Release,
) (released int, err error) {
	scope := tenancy.AsSystem(ref.Tenant, "")
	err = o.db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := o.db.Scoped(ctx, scope)
		released = 0
		locked, err := holdHealth(tx, ref.Tenant, ref.ID)
		if fault.KindOf(err) == fault.NotFound || err == nil && !locked.hasHeld {
			return nil
		}
		if err != nil {
			return err
		}
		type state struct {
			endpoint  webhooks.Endpoint
			isDeleted bool
		}
		current, found, err := one(tx, func(row scanner) (s state, err error) {
			return s, row.Scan(&s.endpoint.State, &s.isDeleted)
		}, "select e.state, e.deleted_at is not null from webhook_endpoints e where e.tenant_id = $1 and e.id = $2", ref.Tenant, ref.ID)
		if err != nil || !found {
			return err
		}
		current.endpoint.ID, current.endpoint.Health = ref.ID, locked.health
		what := decide(current.endpoint, current.isDeleted)
		if what.Limit == 0 {
			return nil
		}
		released, err = o.release(ctx, tx, scope, ref.ID, now, what)
		return err
	})
	return released, translate(err)
}

func (o *WebhookOutbox) release(ctx context.Context, tx *gorm.DB, scope tenancy.Scope, endpoint tenancy.ID, now time.Time, what webhooks.Release,
) (int, error) {
	// A retry that is not due yet is no probe.
	ids, err := all(tx, readID, `select d.id from webhook_deliveries d where d.tenant_id = $1 and d.endpoint_id = $2 and d.is_held
		and ($4::boolean or d.next_attempt_at is null or d.next_attempt_at <= $5) order by d.id limit $3 for update`,
		scope.Tenant, endpoint, what.Limit, what.ProbeUntil == nil, now)
	if err != nil {
		return 0, err
	}
	if what.Cancels {
		err = Defer(tx, `update webhook_deliveries set state = 'cancelled', finished_at = $3, next_attempt_at = null,
			last_error = coalesce(last_error, 'the endpoint was disabled or deleted') where tenant_id = $1 and id = any($2)`,
			scope.Tenant, ids, now)
	} else {
		err = o.sendHeld(ctx, tx, scope, endpoint, now, ids, what.ProbeUntil != nil)
	}
	if err != nil {
		return 0, err
	}
	probe := what.ProbeUntil
	if probe != nil && len(ids) == 0 {
		probe = new(now.Add(idleProbe))
	}
	return len(ids), Defer(tx, `update webhook_endpoint_health set probe_until = coalesce($3, probe_until),
		has_held = exists (select from webhook_deliveries d where d.tenant_id = $1 and d.endpoint_id = $2 and d.is_held)
		where tenant_id = $1 and endpoint_id = $2`, scope.Tenant, endpoint, probe)
}

func (o *WebhookOutbox) sendHeld(ctx context.Context, tx *gorm.DB, scope tenancy.Scope, endpoint tenancy.ID, now time.Time, ids []tenancy.ID, isProbe bool,
) error {
	if len(ids) == 0 {
		return nil
	}
	work, jobIDs := make([]jobs.New, len(ids)), make([]tenancy.ID, len(ids))
	for i, id := range ids {
		job, err := jobs.Of(webhooks.DeliverArgs{DeliveryID: id, EndpointID: endpoint, Probe: isProbe})
		if err != nil {
			return err
		}
		work[i], jobIDs[i] = job, job.ID
	}
	_, err := o.queue.Enqueue(ctx, scope, work...)
	return errors.Join(err, Defer(tx, `update webhook_deliveries d set state = 'pending', job_id = g.job, next_attempt_at = $4
		from unnest($2::uuid[], $3::uuid[]) as g (id, job) where d.tenant_id = $1 and d.id = g.id`, scope.Tenant, ids, jobIDs, now))
}

// KeepDeliveries makes the partitions of the days to come and drops those of which nothing is kept any more.
func (db *DB) KeepDeliveries(ctx context.Context) error {
	if _, err := db.sql.ExecContext(ctx, "select maintain_webhook_deliveries($1::bigint * interval '1 second')",
		int64(webhooks.KeptFor/time.Second)); err != nil {
		return fmt.Errorf("maintain the deliveries' partitions: %w", err)
	}
	return nil
}
