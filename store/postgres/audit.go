package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/events"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

const insertAudit = `INSERT INTO audit_events
  (tenant_id, id, at, actor_kind, actor_id, request_id, action, resource, resource_id, version, changes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

// An event that no endpoint could want is published when it is written: it costs its readers nothing.
const insertEvent = `INSERT INTO events (tenant_id, id, at, type, resource, resource_id, version, request_id, data, trace, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, nullif($10, ''), CASE WHEN EXISTS (SELECT FROM webhook_endpoints e
  WHERE e.tenant_id = $1 AND e.deleted_at IS NULL AND e.state <> 'disabled') THEN 'pending' ELSE 'published' END)`

func tellAudit(tx *gorm.DB, scope tenancy.Scope, entry audit.Entry) error {
	if entry.Changes == nil {
		entry.Changes = []audit.Change{}
	}
	changes, err := json.Marshal(entry.Changes)
	if err != nil {
		return fmt.Errorf("write the audit's changes: %w", err)
	}
	var actor any
	if entry.ActorID != nil {
		actor = *entry.ActorID
	}
	return Defer(tx, insertAudit, scope.Tenant, entry.ID, entry.At, string(entry.ActorKind), actor, entry.RequestID,
		entry.Action, entry.Resource, entry.ResourceID, entry.Version, string(changes))
}

func tellEvent(tx *gorm.DB, scope tenancy.Scope, event events.Event) error {
	announce(tx)
	return Defer(tx, insertEvent, scope.Tenant, event.ID, event.At, event.Type, event.Resource, event.ResourceID,
		event.Version, scope.RequestID, string(event.Data), string(scope.Trace))
}

// announce tells whoever waits for events that there are some, once they are committed.
func announce(tx *gorm.DB) {
	if t, ok := tx.Statement.Context.Value(txKey{}).(*transaction); ok {
		if ring := t.db.told.Load(); ring != nil {
			t.db.AfterCommit(tx.Statement.Context, "events.told", *ring)
		}
	}
}

// Audit reads the audit. It implements audit.Store.
type Audit struct{ router Router }

// NewAudit returns the store of the audit over the tenants' databases.
func NewAudit(router Router) *Audit { return &Audit{router: router} }

// auditEvent is a row of audit_events.
type auditEvent struct {
	TenantID   tenancy.ID `gorm:"type:uuid;primaryKey"`
	ID         tenancy.ID `gorm:"type:uuid;primaryKey"`
	At         time.Time
	ActorKind  string
	ActorID    *tenancy.ID `gorm:"type:uuid"`
	RequestID  string
	Action     string
	Resource   string
	ResourceID tenancy.ID `gorm:"type:uuid"`
	Version    int64
	Changes    []audit.Change `gorm:"serializer:json"`
}

// ListAudit returns up to one entry more than the limit, newest first.
func (s *Audit) ListAudit(ctx context.Context, scope tenancy.Scope, q audit.Query) ([]audit.Entry, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	tx := db.Scoped(ctx, scope).Model(&auditEvent{})
	if q.Action != "" {
		tx = tx.Where(column("action", q.Action))
	}
	if q.Resource != "" {
		tx = tx.Where(column("resource", q.Resource))
	}
	if !q.ResourceID.IsZero() {
		tx = tx.Where(column("resource_id", q.ResourceID))
	}
	if !q.ActorID.IsZero() {
		tx = tx.Where(column("actor_id", q.ActorID))
	}
	at := clause.Column{Table: clause.CurrentTable, Name: "at"}
	if !q.From.IsZero() {
		tx = tx.Where(clause.Gte{Column: at, Value: q.From})
	}
	if !q.To.IsZero() {
		tx = tx.Where(clause.Lt{Column: at, Value: q.To})
	}
	id := clause.Column{Table: clause.CurrentTable, Name: "id"}
	if len(q.After) > 0 {
		last, err := q.After.ID()
		if err != nil {
			return nil, err
		}
		if q.Backward {
			tx = tx.Where(clause.Gt{Column: id, Value: last})
		} else {
			tx = tx.Where(clause.Lt{Column: id, Value: last})
		}
	}
	var rows []auditEvent
	err = tx.Order(clause.OrderByColumn{Column: id, Desc: !q.Backward}).Limit(q.Limit + 1).Find(&rows).Error
	if err != nil {
		return nil, translate(err)
	}
	entries := make([]audit.Entry, len(rows))
	for i, r := range rows {
		entries[i] = audit.Entry{
			ID: r.ID, At: r.At, ActorKind: tenancy.ActorKind(r.ActorKind), ActorID: r.ActorID, RequestID: r.RequestID,
			Action: r.Action, Resource: r.Resource, ResourceID: r.ResourceID, Version: r.Version, Changes: r.Changes,
		}
	}
	return entries, nil
}
