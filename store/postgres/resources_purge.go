package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// PurgeRecords removes up to limit records that were deleted before a time. Those that others refer to are passed over,
// so that they do not keep the rest from going.
func (s *Resources) PurgeRecords(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, before time.Time, limit int,
	tell func(id tenancy.ID) audit.Entry,
) (int, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return 0, err
	}
	var held []tenancy.ID
	err = db.InTx(ctx, scope, func(ctx context.Context) error {
		held = nil
		tx := forGood(db.Scoped(ctx, scope)).Session(&gorm.Session{})
		uses, err := usesOf(tx, d)
		if err != nil {
			return err
		}
		deletedAt := clause.Column{Table: clause.CurrentTable, Name: "deleted_at"}
		unused := rawOK(tx).Model(d.New()).Where(clause.Lt{Column: deletedAt, Value: before})
		for _, use := range uses {
			unused = unused.Where(clause.Expr{SQL: use, Vars: []any{scope.Tenant}})
		}
		err = unused.Order(clause.OrderByColumn{Column: deletedAt}).Limit(limit).
			Clauses(clause.Locking{Strength: "UPDATE", Options: "SKIP LOCKED"}).Pluck("id", &held).Error
		if err != nil || len(held) == 0 {
			return err
		}
		if err := tx.Where("id IN ?", held).Delete(d.New()).Error; err != nil {
			return err
		}
		for _, id := range held {
			if err := tellAudit(tx, scope, tell(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, resourceFault(err, d)
	}
	return len(held), nil
}

// foreignKeys writes, for each foreign key to a table that keeps its rows from being removed, the condition that no row
// refers by it. The names are the catalog's, quoted by the server; what is left open is the tenant.
const foreignKeys = `
SELECT format('NOT EXISTS (SELECT FROM %s r WHERE r.tenant_id = ?', c.conrelid::regclass) ||
       (SELECT string_agg(format(' AND r.%I = %s.%I', a.attname, c.confrelid::regclass, f.attname), '' ORDER BY k.n)
          FROM unnest(c.conkey, c.confkey) WITH ORDINALITY k (here, there, n)
          JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.here
          JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = k.there
         WHERE f.attname <> 'tenant_id') || ')'
  FROM pg_constraint c
 WHERE c.contype = 'f' AND c.confdeltype IN ('a', 'r') AND c.conparentid = 0 AND c.confrelid = to_regclass($1)
 ORDER BY c.conname`

// usesOf are the conditions under which nothing refers to a record.
func usesOf(tx *gorm.DB, d *resource.Definition) ([]string, error) {
	return all(tx, func(row scanner) (string, error) {
		var condition string
		return condition, row.Scan(&condition)
	}, foreignKeys, d.Plural)
}
