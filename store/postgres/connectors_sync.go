package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// FindSync returns a connector and how far its sync has come.
func (s *Connectors) FindSync(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (connectors.Connector, connectors.SyncState, error) {
	row, err := connectorRows().findIn(ctx, s.tenanted, scope, id)
	return row.Connector, row.sync, err
}

// AdvanceSync runs step in a transaction with the state that it comes to. The state is held meanwhile: who comes with an
// older one waits, and is refused then. The state goes with the commit.
func (s *Connectors) AdvanceSync(ctx context.Context, scope tenancy.Scope, c connectors.Connector, from connectors.SyncState,
	step func(ctx context.Context) (connectors.SyncState, error),
) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	return translate(db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := db.Scoped(ctx, scope)
		_, found, err := one(tx, func(row scanner) (n int64, err error) { return n, row.Scan(&n) },
			`select s.step from connector_states s join connectors c on c.tenant_id = $1 and c.id = s.connector_id
			  where s.tenant_id = $1 and s.connector_id = $2 and s.step = $3 and c.version = $4 and not c.paused for update of s`,
			scope.Tenant, c.ID, from.Step, c.Version)
		if err != nil {
			return err
		}
		if !found {
			return connectors.ErrSyncMoved
		}
		db.expectRaces(ctx)
		after, err := step(ctx)
		if err != nil {
			return err
		}
		return saveSyncState(tx, scope, c.ID, from.Step+1, after)
	}))
}

func saveSyncState(tx *gorm.DB, scope tenancy.Scope, id tenancy.ID, step int64, after connectors.SyncState) error {
	state, err := json.Marshal(after)
	if err != nil {
		return fmt.Errorf("write how far a sync has come: %w", err)
	}
	return Defer(tx, "update connector_states set step = $3, state = $4::json where tenant_id = $1 and connector_id = $2",
		scope.Tenant, id, step, string(state))
}

// NoteFailure keeps why an attempt failed. Of a connector that is gone there is nothing to keep.
func (s *Connectors) NoteFailure(ctx context.Context, scope tenancy.Scope, id tenancy.ID, failure connectors.Failure) error {
	type kept struct {
		step  int64
		state []byte
	}
	return s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		row, found, err := one(tx, func(row scanner) (k kept, err error) { return k, row.Scan(&k.step, &k.state) },
			"select s.step, s.state from connector_states s where s.tenant_id = $1 and s.connector_id = $2 for update", scope.Tenant, id)
		if err != nil || !found {
			return err
		}
		state, err := readSyncState(row.step, row.state)
		if err != nil {
			return err
		}
		h := &state.Health
		h.LastError, h.LastJobID = &failure.Reason, &failure.Job
		if h.LastStartedAt == nil {
			h.LastStartedAt = &failure.At
		}
		if failure.IsGivenUp {
			h.Failures++
		}
		return saveSyncState(tx, scope, id, row.step, state)
	})
}

// SeeLinks notes the keys that a pass has met, in one statement that goes with the next one. What a key became before stays
// where it became nothing now.
func (s *Connectors) SeeLinks(ctx context.Context, scope tenancy.Scope, id tenancy.ID, pass int64, links []connectors.Link) error {
	if len(links) == 0 {
		return nil
	}
	tx, err := s.tenant(ctx, scope)
	if err != nil {
		return err
	}
	keys, records := make([]string, len(links)), make([]*tenancy.ID, len(links))
	for i, link := range links {
		if keys[i] = link.Key; !link.Record.IsZero() {
			records[i] = &links[i].Record
		}
	}
	return translate(Defer(tx, `insert into connector_links as l (tenant_id, connector_id, key, record_id, pass)
		select $1, $2, u.key, u.record_id, $3 from unnest($4::text[], $5::uuid[]) u (key, record_id) order by u.key
		on conflict (tenant_id, connector_id, key) do update
		   set pass = excluded.pass, record_id = coalesce(excluded.record_id, l.record_id)`,
		scope.Tenant, id, pass, keys, records))
}

// CountLinks says how many keys became records, and how many of them a pass has not met.
func (s *Connectors) CountLinks(ctx context.Context, scope tenancy.Scope, id tenancy.ID, pass int64) (total, unseen int64, err error) {
	type counts struct{ total, unseen int64 }
	tx, err := s.tenant(ctx, scope)
	if err != nil {
		return 0, 0, err
	}
	c, _, err := one(tx, func(row scanner) (c counts, err error) { return c, row.Scan(&c.total, &c.unseen) },
		`select count(*), count(*) filter (where l.pass < $3) from connector_links l
		  where l.tenant_id = $1 and l.connector_id = $2 and l.record_id is not null`, scope.Tenant, id, pass)
	return c.total, c.unseen, translate(err)
}

// ListUnseen returns keys that a pass has not met, in their order.
func (s *Connectors) ListUnseen(ctx context.Context, scope tenancy.Scope, id tenancy.ID, pass int64, after string, limit int) ([]connectors.Link, error) {
	tx, err := s.tenant(ctx, scope)
	if err != nil {
		return nil, err
	}
	links, err := all(tx, func(row scanner) (l connectors.Link, err error) {
		var record *tenancy.ID
		if err := row.Scan(&l.Key, &record); err != nil {
			return l, err
		}
		if record != nil {
			l.Record = *record
		}
		return l, nil
	}, `select l.key, l.record_id from connector_links l
		 where l.tenant_id = $1 and l.connector_id = $2 and l.pass < $3 and l.key > $4 order by l.key limit $5`,
		scope.Tenant, id, pass, after, int64(limit))
	return links, translate(err)
}

// DropLinks forgets keys.
func (s *Connectors) DropLinks(ctx context.Context, scope tenancy.Scope, id tenancy.ID, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	tx, err := s.tenant(ctx, scope)
	if err != nil {
		return err
	}
	return translate(Defer(tx, "delete from connector_links where tenant_id = $1 and connector_id = $2 and key = any($3)", scope.Tenant, id, keys))
}
