package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Transact runs fn in one transaction of the tenant's database.
func (s *Resources) Transact(ctx context.Context, scope tenancy.Scope, fn func(ctx context.Context) error) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	return translate(db.InTx(ctx, scope, fn))
}

// FindRecords returns the records that have one of the values in the field. Those that are held are locked in the order
// of their ids, so that two who hold some of the same wait for each other and never both.
func (s *Resources) FindRecords(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, f *resource.Field, values []any, how resource.Finding,
) ([]resource.Entity, error) {
	if len(values) == 0 {
		return nil, nil
	}
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	tx := db.Scoped(ctx, scope).Where(clause.IN{Column: clause.Column{Table: clause.CurrentTable, Name: f.Name}, Values: values})
	switch how {
	case resource.Look:
	case resource.LookInTrash:
		tx = tx.Scopes(Trash(resource.WithTrash))
	case resource.Hold:
		tx = tx.Clauses(clause.Locking{Strength: "UPDATE"}).
			Order(clause.OrderByColumn{Column: clause.Column{Table: clause.CurrentTable, Name: "id"}})
	}
	rows := d.NewList(len(values))
	if err := tx.Find(rows).Error; err != nil {
		return nil, resourceFault(err, d)
	}
	return d.Entities(rows), nil
}

// insertAtOnce is how many rows one INSERT holds: few enough for PostgreSQL's 65,535 parameters.
const insertAtOnce = 250

// WriteRecords writes new and changed records and what is told of them, in one round trip.
func (s *Resources) WriteRecords(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, inserted, updated []resource.Entity, records []resource.Record,
) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	err = db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := db.Scoped(ctx, scope)
		for len(inserted) > 0 {
			n := min(len(inserted), insertAtOnce)
			rows := d.ListOf(inserted[:n])
			if err := referTo(tx, scope, d, inserted[:n]); err != nil {
				return err
			}
			if err := DeferCreate(tx, rows); err != nil {
				return err
			}
			inserted = inserted[n:]
		}
		for _, e := range updated {
			if err := deferUpdate(tx, scope, d, e); err != nil {
				return err
			}
		}
		for _, record := range records {
			if err := tell(tx, scope, record); err != nil {
				return err
			}
		}
		return nil
	})
	return resourceFault(err, d)
}

// deferUpdate writes a record that is held, with the commit.
func deferUpdate(tx *gorm.DB, scope tenancy.Scope, d *resource.Definition, e resource.Entity) error {
	if err := referTo(tx, scope, d, []resource.Entity{e}); err != nil {
		return err
	}
	update := tx.Session(&gorm.Session{DryRun: true}).Scopes(Trash(resource.WithTrash)).Model(e).
		Where(column("id", e.Head().ID)).Select("*").Omit("tenant_id", "id", "created_at").UpdateColumns(e)
	if update.Error != nil {
		return update.Error
	}
	return Defer(tx, update.Statement.SQL.String(), update.Statement.Vars...)
}

// referTo refuses, with the write that it precedes, references to records that are deleted; those that are not there
// the foreign key refuses.
func referTo(tx *gorm.DB, scope tenancy.Scope, d *resource.Definition, entities []resource.Entity) error {
	for i := range d.Fields {
		f := &d.Fields[i]
		if f.References == nil {
			continue
		}
		seen := map[tenancy.ID]bool{}
		for _, e := range entities {
			id, ok := f.Value(e).(tenancy.ID)
			if !ok || seen[id] || e.Head().DeletedAt != nil {
				continue
			}
			seen[id] = true
			if err := Defer(tx, requireLive(f), scope.Tenant, id, d.Plural+"_"+f.Name+"_fkey", d.Plural); err != nil {
				return err
			}
		}
	}
	return nil
}

// requireLive names a table that a definition names, never one from a request. The row is held as a foreign key holds
// it, so that it is not deleted meanwhile.
func requireLive(f *resource.Field) string {
	return "SELECT require_live((SELECT deleted_at IS NULL FROM " + f.References.Plural +
		" WHERE tenant_id = $1 AND id = $2 FOR KEY SHARE), $3, $4)"
}

// NextNumbers returns the next n numbers of a sequence, in one round trip unless some of them are in use.
func (s *Resources) NextNumbers(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, f *resource.Field, n int,
) ([]string, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	var free []string
	for skip := 1; len(free) < n; skip *= 2 {
		count := int64(max(n-len(free), skip))
		block, _, err := one(db.Scoped(ctx, scope), scanBlock, nextNumbers(d, f), scope.Tenant, d.Plural+"."+f.Name, count)
		if err != nil {
			return nil, resourceFault(err, d)
		}
		used := strings.Split(block.used, ",")
		for value := block.last - count + 1; value <= block.last && len(free) < n; value++ {
			if number := strconv.FormatInt(value, 10); !slices.Contains(used, number) {
				free = append(free, number)
			}
		}
	}
	return free, nil
}

// block is a run of numbers, and which of them are in use, separated by commas.
type block struct {
	last int64
	used string
}

func scanBlock(row scanner) (block, error) {
	var b block
	err := row.Scan(&b.last, &b.used)
	return b, err
}

// nextNumbers advances a sequence and says which of the numbers a live record has already: given by hand, or imported.
func nextNumbers(d *resource.Definition, f *resource.Field) string {
	return `WITH next AS (
  INSERT INTO sequences AS s (tenant_id, name, value) VALUES ($1, $2, $3)
  ON CONFLICT (tenant_id, name) DO UPDATE SET value = s.value + excluded.value RETURNING value)
SELECT next.value, coalesce((SELECT string_agg(r.` + f.Name + `, ',') FROM ` + d.Plural + ` r
     WHERE r.tenant_id = $1 AND r.deleted_at IS NULL
       AND r.` + f.Name + ` IN (SELECT g::text FROM generate_series(next.value - $3 + 1, next.value) g)), '')
  FROM next`
}
