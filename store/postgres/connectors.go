package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Connectors keeps connectors, how far their syncs have come, and what came from where. It implements the stores of the
// package connectors: connectors here, syncs in connectors_sync.go; what goes across tenants is SystemConnectors'.
type Connectors struct{ tenanted }

var (
	_ connectors.Store     = (*Connectors)(nil)
	_ connectors.SyncStore = (*Connectors)(nil)
)

// NewConnectors returns the store over the tenants' databases.
func NewConnectors(router Router) *Connectors { return &Connectors{tenanted{router}} }

const (
	connectorColumns = `c.tenant_id, c.id, c.name, c.kind, c.resource, c.url, c.auth_header, c.auth_sealed, c.settings, c.by_field,
		c.mapping, c.schedule, c.requests_per_minute, c.delete_missing, c.full_every_hours, c.history, c.paused, c.version, c.created_at,
		c.updated_at, s.next_at, s.step, s.state`
	connectorQuery = "select " + connectorColumns +
		" from connectors c join connector_states s on s.tenant_id = $1 and s.connector_id = c.id where c.tenant_id = $1"
)

// connectorRow is a connector with how far its sync has come.
type connectorRow struct {
	connectors.Connector

	sync connectors.SyncState
}

func connectorRows() rowsOf[connectorRow] {
	return rowsOf[connectorRow]{query: connectorQuery, id: "c.id", read: readConnector, missing: connectors.ErrNotFound}
}

func readConnector(row scanner) (r connectorRow, err error) {
	c := &r.Connector
	var settings, mapping, schedule, state []byte
	var step int64
	if err := row.Scan(&c.TenantID, &c.ID, &c.Name, &c.Kind, &c.Resource, &c.URL, &c.AuthHeader, &c.AuthSealed, &settings, &c.By, &mapping,
		&schedule, &c.RequestsPerMinute, &c.DeleteMissing, &c.FullEveryHours, &c.History, &c.Paused, &c.Version, &c.CreatedAt, &c.UpdatedAt,
		&c.NextSyncAt, &step, &state); err != nil {
		return r, err
	}
	if c.Settings, err = freeObject(settings); err == nil {
		c.Mapping, err = freeObject(mapping)
	}
	if err == nil && schedule != nil {
		err = json.Unmarshal(schedule, &c.Schedule)
	}
	if err != nil {
		return r, fmt.Errorf("read a connector: %w", err)
	}
	if r.sync, err = readSyncState(step, state); err != nil {
		return r, err
	}
	c.Health = r.sync.Health
	return r, nil
}

func readSyncState(step int64, data []byte) (state connectors.SyncState, err error) {
	if err := json.Unmarshal(data, &state); err != nil {
		return state, fmt.Errorf("read how far a sync has come: %w", err)
	}
	state.Step = step
	return state, nil
}

// connectorDocuments are what is kept as JSON of a connector: settings, mapping and schedule, the last nil for none.
func connectorDocuments(c connectors.Connector) (settings, mapping string, schedule *string, err error) {
	var texts [3]string
	for i, value := range []any{c.Settings, c.Mapping, c.Schedule} {
		data, err := json.Marshal(value)
		if err != nil {
			return "", "", nil, fmt.Errorf("write a connector: %w", err)
		}
		texts[i] = string(data)
	}
	if c.Schedule != nil {
		schedule = &texts[2]
	}
	return texts[0], texts[1], schedule, nil
}

// CreateConnector saves a connector.
func (s *Connectors) CreateConnector(ctx context.Context, scope tenancy.Scope, c connectors.Connector) error {
	settings, mapping, schedule, err := connectorDocuments(c)
	if err != nil {
		return err
	}
	return s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		allowed := allowance{table: "connectors", most: connectors.MaxConnectors, tooMany: connectors.ErrTooMany}
		if err := allowed.mayAdd(tx, scope.Tenant); err != nil {
			return err
		}
		if err := Defer(tx, `insert into connectors (tenant_id, id, name, kind, resource, url, auth_header, auth_sealed, settings, by_field,
			mapping, schedule, requests_per_minute, delete_missing, full_every_hours, history, paused, version, created_at, updated_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9::json, $10, $11::json, $12::json, $13, $14, $15, $16, $17, $18, $19, $19)`,
			scope.Tenant, c.ID, c.Name, c.Kind, c.Resource, c.URL, c.AuthHeader, c.AuthSealed, settings, c.By, mapping, schedule,
			c.RequestsPerMinute, c.DeleteMissing, c.FullEveryHours, c.History, c.Paused, c.Version, c.CreatedAt); err != nil {
			return err
		}
		if err := Defer(tx, "insert into connector_states (tenant_id, connector_id, next_at) values ($1, $2, $3)",
			scope.Tenant, c.ID, c.NextSyncAt); err != nil {
			return err
		}
		return tellAct(tx, scope, c.CreatedAt, "connector.created", "connector", c.ID, c.Version,
			connectorChanges(connectors.Connector{}, c)...)
	})
}

// ListConnectors returns connectors, newest first.
func (s *Connectors) ListConnectors(ctx context.Context, scope tenancy.Scope, request page.Request) ([]connectors.Connector, error) {
	rows, err := connectorRows().listIn(ctx, s.tenanted, scope, request)
	list := make([]connectors.Connector, len(rows))
	for i, row := range rows {
		list[i] = row.Connector
	}
	return list, err
}

// FindConnector returns one connector.
func (s *Connectors) FindConnector(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (connectors.Connector, error) {
	row, err := connectorRows().findIn(ctx, s.tenanted, scope, id)
	return row.Connector, err
}

// ChangeConnector changes a connector.
func (s *Connectors) ChangeConnector(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time,
	change func(*connectors.Connector) error,
) (after connectors.Connector, err error) {
	err = s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		row, err := connectorRows().find(tx, scope.Tenant, id, " for no key update of c")
		if err != nil {
			return err
		}
		before := row.Connector
		after = before
		if err := change(&after); err != nil {
			return err
		}
		return updateConnector(tx, scope, before, &after, now)
	})
	return after, err
}

// updateConnector saves what differs, under the next version. When it is due moves with the schedule alone.
func updateConnector(tx *gorm.DB, scope tenancy.Scope, before connectors.Connector, after *connectors.Connector, now time.Time) error {
	changes := connectorChanges(before, *after)
	if len(changes) == 0 && before.History == after.History {
		return nil
	}
	settings, mapping, schedule, err := connectorDocuments(*after)
	if err != nil {
		return err
	}
	after.Version, after.UpdatedAt = before.Version+1, now
	if err := Defer(tx, `update connectors set name = $3, url = $4, auth_header = $5, auth_sealed = $6, settings = $7::json, by_field = $8,
		mapping = $9::json, schedule = $10::json, requests_per_minute = $11, delete_missing = $12, full_every_hours = $13, history = $14,
		paused = $15, version = $16, updated_at = $17 where tenant_id = $1 and id = $2`,
		scope.Tenant, after.ID, after.Name, after.URL, after.AuthHeader, after.AuthSealed, settings, after.By, mapping, schedule,
		after.RequestsPerMinute, after.DeleteMissing, after.FullEveryHours, after.History, after.Paused, after.Version, now); err != nil {
		return err
	}
	if timeOf(before.NextSyncAt) != timeOf(after.NextSyncAt) {
		if err := Defer(tx, "update connector_states set next_at = $3 where tenant_id = $1 and connector_id = $2",
			scope.Tenant, after.ID, after.NextSyncAt); err != nil {
			return err
		}
	}
	return tellAct(tx, scope, now, "connector.updated", "connector", after.ID, after.Version, changes...)
}

// connectorChanges are what the audit says of a change: never a credential.
func connectorChanges(before, after connectors.Connector) []audit.Change {
	text := func(v any) string {
		data, _ := json.Marshal(v) // what cannot be written is refused where it is kept
		return string(data)
	}
	header := func(c connectors.Connector) any {
		if c.AuthHeader == nil {
			return nil
		}
		return *c.AuthHeader
	}
	changes := differences(
		audit.Change{Field: "name", From: before.Name, To: after.Name},
		audit.Change{Field: "kind", From: before.Kind, To: after.Kind},
		audit.Change{Field: "resource", From: before.Resource, To: after.Resource},
		audit.Change{Field: "url", From: before.URL, To: after.URL},
		audit.Change{Field: "auth_header", From: header(before), To: header(after)},
		audit.Change{Field: "settings", From: text(before.Settings), To: text(after.Settings)},
		audit.Change{Field: "by", From: before.By, To: after.By},
		audit.Change{Field: "mapping", From: text(before.Mapping), To: text(after.Mapping)},
		audit.Change{Field: "schedule", From: text(before.Schedule), To: text(after.Schedule)},
		audit.Change{Field: "requests_per_minute", From: before.RequestsPerMinute, To: after.RequestsPerMinute},
		audit.Change{Field: "delete_missing", From: before.DeleteMissing, To: after.DeleteMissing},
		audit.Change{Field: "full_every_hours", From: before.FullEveryHours, To: after.FullEveryHours},
		audit.Change{Field: "paused", From: before.Paused, To: after.Paused},
	)
	if string(before.AuthSealed) != string(after.AuthSealed) {
		changes = append(changes, audit.Change{Field: "auth_value", From: "***", To: "***"})
	}
	return changes
}

// DeleteConnector removes a connector with its links.
func (s *Connectors) DeleteConnector(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time,
	check func(connectors.Connector) error,
) error {
	return s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		row, err := connectorRows().find(tx, scope.Tenant, id, " for update of s") // in the order of syncs
		if err != nil {
			return err
		}
		if err := check(row.Connector); err != nil {
			return err
		}
		if err := Defer(tx, "delete from connectors where tenant_id = $1 and id = $2", scope.Tenant, id); err != nil {
			return err
		}
		return tellAct(tx, scope, now, "connector.deleted", "connector", id, row.Version, audit.Change{Field: "name", From: row.Name})
	})
}
