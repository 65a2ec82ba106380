package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

// Imports keeps how far imports have come. It implements transfers.ImportStore. Its SQL is written out; each statement
// names the tenant.
type Imports struct{ router Router }

var _ transfers.ImportStore = (*Imports)(nil)

// NewImports returns the store of imports over the tenants' databases.
func NewImports(router Router) *Imports { return &Imports{router: router} }

// BeginImport notes a new import and runs enqueue, in one transaction.
func (s *Imports) BeginImport(ctx context.Context, scope tenancy.Scope, id tenancy.ID, enqueue func(ctx context.Context) error) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	return translate(db.InTx(ctx, scope, func(ctx context.Context) error {
		err := Defer(db.Scoped(ctx, scope), "insert into imports (tenant_id, id, step, state) values ($1, $2, 0, '{}')", scope.Tenant, id)
		if err != nil {
			return err
		}
		return enqueue(ctx)
	}))
}

// FindImport returns how far an import has come.
func (s *Imports) FindImport(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (transfers.ImportState, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return transfers.ImportState{}, err
	}
	state, found, err := one(db.Scoped(ctx, scope), readImport,
		"select i.step, i.state from imports i where i.tenant_id = $1 and i.id = $2", scope.Tenant, id)
	if err == nil && !found {
		err = transfers.ErrImportExpired()
	}
	return state, translate(err)
}

func readImport(row scanner) (state transfers.ImportState, err error) {
	var step int64
	var data []byte
	if err := row.Scan(&step, &data); err != nil {
		return state, err
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return state, fmt.Errorf("read how far an import has come: %w", err)
	}
	state.Step = step
	return state, nil
}

// AdvanceImport runs step in a transaction with the mark how far it came. The import is held meanwhile: who comes with an
// older state waits, and is refused then. The mark goes with the commit.
func (s *Imports) AdvanceImport(ctx context.Context, scope tenancy.Scope, id tenancy.ID, from transfers.ImportState,
	step func(ctx context.Context) (transfers.ImportState, []transfers.FailedRow, error),
) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	return translate(db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := db.Scoped(ctx, scope)
		_, found, err := one(tx, readImport,
			"select i.step, i.state from imports i where i.tenant_id = $1 and i.id = $2 and i.step = $3 for update", scope.Tenant, id, from.Step)
		if err != nil {
			return err
		}
		if !found {
			return transfers.ErrImportMoved
		}
		db.expectRaces(ctx)
		after, failed, err := step(ctx)
		if err != nil {
			return err
		}
		return saveStep(tx, scope, id, from.Step+1, after, failed)
	}))
}

func saveStep(tx *gorm.DB, scope tenancy.Scope, id tenancy.ID, step int64, after transfers.ImportState, failed []transfers.FailedRow) error {
	state, err := json.Marshal(after)
	if err != nil {
		return fmt.Errorf("write how far an import has come: %w", err)
	}
	err = Defer(tx, "update imports set step = $3, state = $4::json, updated_at = now() where tenant_id = $1 and id = $2",
		scope.Tenant, id, step, string(state))
	if err != nil || len(failed) == 0 {
		return err
	}
	rows, err := json.Marshal(failed)
	if err != nil {
		return fmt.Errorf("write the rows that an import refused: %w", err)
	}
	return Defer(tx, "insert into import_failures (tenant_id, import_id, step, rows) values ($1, $2, $3, $4::json)",
		scope.Tenant, id, step, string(rows))
}

// ListFailedRows calls visit for the rows that were refused, in their order, those of one step at a time.
func (s *Imports) ListFailedRows(ctx context.Context, scope tenancy.Scope, id tenancy.ID, visit func(transfers.FailedRow) error) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	type refused struct {
		step int64
		rows []byte
	}
	for last := int64(0); ; {
		r, found, err := one(db.Scoped(ctx, scope), func(row scanner) (r refused, err error) { return r, row.Scan(&r.step, &r.rows) },
			`select f.step, f.rows from import_failures f where f.tenant_id = $1 and f.import_id = $2 and f.step > $3
			  order by f.step limit 1`, scope.Tenant, id, last)
		if err != nil || !found {
			return translate(err)
		}
		var rows []transfers.FailedRow
		if err := json.Unmarshal(r.rows, &rows); err != nil {
			return fmt.Errorf("read the rows that an import refused: %w", err)
		}
		for _, row := range rows {
			if err := visit(row); err != nil {
				return err
			}
		}
		last = r.step
	}
}

// Imports removes how far imports had come that nothing has happened to for longer than keep.
func (e *Expired) Imports(ctx context.Context, keep time.Duration, limit int) (int64, error) {
	return e.remove(ctx, `with old as (
		  select i.tenant_id, i.id from imports i where i.updated_at < now() - $1::bigint * interval '1 microsecond'
		  order by i.updated_at limit $2)
		delete from imports i using old o where i.tenant_id = o.tenant_id and i.id = o.id
		   and i.updated_at < now() - $1::bigint * interval '1 microsecond'`, keep, limit)
}
