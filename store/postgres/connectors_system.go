package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// SystemConnectors is the connectors of all tenants, as the system's role sees them: which are due, and their sealed
// credentials. What it does to a tenant's rows it does in a transaction of that tenant's.
type SystemConnectors struct {
	system *DB
	queue  jobs.Queue
}

var (
	_ connectors.DueStore    = (*SystemConnectors)(nil)
	_ connectors.SealedStore = (*SystemConnectors)(nil)
)

// NewSystemConnectors returns them over a database that is open as the system's role. Syncs are jobs of the queue, which
// lies in the same one.
func NewSystemConnectors(system *DB, queue jobs.Queue) *SystemConnectors {
	return &SystemConnectors{system: system, queue: queue}
}

// Now is the database's time.
func (s *SystemConnectors) Now(ctx context.Context) (time.Time, error) {
	now, _, err := one(s.system.with(ctx, operatorSession()), func(row scanner) (t time.Time, err error) { return t, row.Scan(&t) }, "select now()")
	return now, translate(err)
}

// ListDue returns connectors that are due.
func (s *SystemConnectors) ListDue(ctx context.Context, now time.Time, limit int) ([]connectors.Due, error) {
	list, err := all(s.system.with(ctx, operatorSession()), readDue,
		`select s.tenant_id, s.connector_id, t.time_zone, c.schedule, s.state
		  from connector_states s
		  join connectors c on c.tenant_id = s.tenant_id and c.id = s.connector_id
		  join tenants t on t.id = s.tenant_id
		 where s.next_at <= $1 and t.state = 'active' and c.schedule is not null and not c.paused
		 order by s.next_at limit $2`, now, int64(limit))
	return list, translate(err)
}

func readDue(row scanner) (d connectors.Due, err error) {
	var schedule, data []byte
	if err := row.Scan(&d.Tenant, &d.ID, &d.Zone, &schedule, &data); err != nil {
		return d, err
	}
	if err := json.Unmarshal(schedule, &d.Schedule); err != nil {
		return d, fmt.Errorf("read a connector's schedule: %w", err)
	}
	state, err := readSyncState(0, data)
	d.Failures = state.Health.Failures
	return d, err
}

// MeetDue enqueues the sync of a connector that is still due.
func (s *SystemConnectors) MeetDue(ctx context.Context, due connectors.Due, meeting connectors.Meeting) error {
	scope := tenancy.AsSystem(due.Tenant, "connector/"+due.ID.String())
	return translate(s.system.InTx(ctx, scope, func(ctx context.Context) error {
		tx := s.system.Scoped(ctx, scope)
		_, isDue, err := one(tx, readID, `select s.connector_id from connector_states s
			where s.tenant_id = $1 and s.connector_id = $2 and s.next_at <= $3 for update skip locked`, due.Tenant, due.ID, meeting.Now)
		if err != nil || !isDue {
			return err
		}
		if _, err := s.queue.Enqueue(ctx, scope, meeting.Sync); err != nil {
			return err
		}
		return Defer(tx, "update connector_states set next_at = $3 where tenant_id = $1 and connector_id = $2", due.Tenant, due.ID, meeting.Next)
	}))
}

// ListSealed returns credentials of all tenants after one of them.
func (s *SystemConnectors) ListSealed(ctx context.Context, after connectors.SealedAuth, limit int) ([]connectors.SealedAuth, error) {
	list, err := all(s.system.with(ctx, engineSession()), func(row scanner) (a connectors.SealedAuth, err error) {
		return a, row.Scan(&a.Tenant, &a.ID, &a.Version, &a.Sealed)
	}, `select c.tenant_id, c.id, c.version, c.auth_sealed from connectors c
		 where (c.tenant_id, c.id) > ($1::uuid, $2::uuid) and c.auth_sealed is not null order by c.tenant_id, c.id limit $3`,
		after.Tenant, after.ID, int64(limit))
	return list, translate(err)
}

// ReplaceSealed saves a credential of a connector that has not changed since.
func (s *SystemConnectors) ReplaceSealed(ctx context.Context, auth connectors.SealedAuth) error {
	_, err := affect(s.system.Scoped(ctx, tenancy.AsSystem(auth.Tenant, "")),
		"update connectors set auth_sealed = $4 where tenant_id = $1 and id = $2 and version = $3", auth.Tenant, auth.ID, auth.Version, auth.Sealed)
	return translate(err)
}
