package postgres

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Many audit entries and events go in one statement each, as columns: setting a statement up costs PostgreSQL more than
// a row of it.
const (
	insertManyAudits = `INSERT INTO audit_events
  (tenant_id, id, at, actor_kind, actor_id, request_id, action, resource, resource_id, version, changes)
SELECT $1, e.id::uuid, e.at::timestamptz, e.actor_kind, nullif(e.actor_id, '')::uuid, e.request_id, e.action, e.resource,
  e.resource_id::uuid, e.version::bigint, e.changes::jsonb
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
  AS e (id, at, actor_kind, actor_id, request_id, action, resource, resource_id, version, changes)`

	insertManyEvents = `INSERT INTO events (tenant_id, id, at, type, resource, resource_id, version, request_id, data, trace, state)
SELECT $1, n.id::uuid, n.at::timestamptz, n.type, n.resource, n.resource_id::uuid, n.version::bigint, $8, n.data::jsonb, nullif($10, ''),
  CASE WHEN EXISTS (SELECT FROM webhook_endpoints e
    WHERE e.tenant_id = $1 AND e.deleted_at IS NULL AND e.state <> 'disabled') THEN 'pending' ELSE 'published' END
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $9::text[])
  AS n (id, at, type, resource, resource_id, version, data)`
)

// tellMany writes the audit entries and the events of many changes into their transaction; they go with its commit.
func tellMany(tx *gorm.DB, scope tenancy.Scope, records []resource.Record) error {
	announce(tx)
	column := func(of func(r *resource.Record) string) string {
		var c textColumn
		for i := range records {
			c.add(of(&records[i]))
		}
		return c.String()
	}
	var changes textColumn
	for i := range records {
		list := records[i].Entry.Changes
		if list == nil {
			list = []audit.Change{}
		}
		data, err := json.Marshal(list)
		if err != nil {
			return fmt.Errorf("write the audit's changes: %w", err)
		}
		changes.add(string(data))
	}
	err := Defer(tx, insertManyAudits, scope.Tenant,
		column(func(r *resource.Record) string { return r.Entry.ID.String() }),
		column(func(r *resource.Record) string { return r.Entry.At.Format(time.RFC3339Nano) }),
		column(func(r *resource.Record) string { return string(r.Entry.ActorKind) }),
		column(func(r *resource.Record) string {
			if r.Entry.ActorID == nil {
				return ""
			}
			return r.Entry.ActorID.String()
		}),
		column(func(r *resource.Record) string { return r.Entry.RequestID }),
		column(func(r *resource.Record) string { return r.Entry.Action }),
		column(func(r *resource.Record) string { return r.Entry.Resource }),
		column(func(r *resource.Record) string { return r.Entry.ResourceID.String() }),
		column(func(r *resource.Record) string { return strconv.FormatInt(r.Entry.Version, 10) }), changes.String())
	if err != nil {
		return err
	}
	return Defer(tx, insertManyEvents, scope.Tenant,
		column(func(r *resource.Record) string { return r.Event.ID.String() }),
		column(func(r *resource.Record) string { return r.Event.At.Format(time.RFC3339Nano) }),
		column(func(r *resource.Record) string { return r.Event.Type }),
		column(func(r *resource.Record) string { return r.Event.Resource }),
		column(func(r *resource.Record) string { return r.Event.ResourceID.String() }),
		column(func(r *resource.Record) string { return strconv.FormatInt(r.Event.Version, 10) }),
		scope.RequestID,
		column(func(r *resource.Record) string { return string(r.Event.Data) }), string(scope.Trace))
}
