package postgres

import (
	"context"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Transact runs fn in one transaction of the tenant's database, again where it lost a race. Within another transaction it is
// a part that can be undone by itself, at the cost of a round trip; the race is the other's then.
func (s *Resources) Transact(ctx context.Context, scope tenancy.Scope, fn func(ctx context.Context) error) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	isPart := db.transactionOf(ctx) != nil
	return translate(db.InTx(ctx, scope, func(ctx context.Context) error {
		db.expectRaces(ctx)
		if isPart {
			return apart(db.Scoped(ctx, scope), func() error { return fn(ctx) })
		}
		return fn(ctx)
	}))
}

// WriteRecords writes new and changed records and what is told of them, in one round trip. New ones are written in the
// order of their unique values, so that of two who write some of the same the one waits for the other and never both.
func (s *Resources) WriteRecords(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, inserted, updated []resource.Entity, records []resource.Record,
) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	err = db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := db.Scoped(ctx, scope)
		if len(inserted) > 0 {
			if err := deferInserts(tx, scope, d, inUniqueOrder(d, inserted)); err != nil {
				return err
			}
		}
		for _, e := range updated {
			if err := deferUpdate(tx, e); err != nil {
				return err
			}
		}
		return tell(tx, scope, d, records...)
	})
	return resourceFault(err, d)
}

func inUniqueOrder(d *resource.Definition, records []resource.Entity) []resource.Entity {
	if len(records) < 2 {
		return records
	}
	return slices.SortedStableFunc(slices.Values(records), func(a, b resource.Entity) int {
		for i := range d.Fields {
			if f := &d.Fields[i]; f.Unique {
				if order := strings.Compare(textOf(f.Value(a)), textOf(f.Value(b))); order != 0 {
					return order
				}
			}
		}
		return 0
	})
}

// deferUpdate writes a record that is held, with the commit.
func deferUpdate(tx *gorm.DB, e resource.Entity) error {
	update := tx.Session(&gorm.Session{DryRun: true}).Scopes(Trash(resource.WithTrash)).Model(e).
		Where(column("id", e.Head().ID)).Select("*").Omit("tenant_id", "id", "created_at").UpdateColumns(e)
	if update.Error != nil {
		return update.Error
	}
	return Defer(tx, update.Statement.SQL.String(), update.Statement.Vars...)
}

// tell writes the audit entries and the events of changes into their transaction; they go with its commit. It also
// holds the records to live ones that the changes come to refer to.
func tell(tx *gorm.DB, scope tenancy.Scope, d *resource.Definition, records ...resource.Record) error {
	if len(records) > 1 {
		if err := tellMany(tx, scope, records); err != nil {
			return err
		}
	}
	held := map[resource.Reference]bool{}
	for _, record := range records {
		if len(records) == 1 {
			if err := tellAudit(tx, scope, record.Entry); err != nil {
				return err
			}
			if err := tellEvent(tx, scope, record.Event); err != nil {
				return err
			}
		}
		for _, to := range record.Refers {
			if held[to] {
				continue
			}
			held[to] = true
			if err := holdLive(tx, scope, d, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdLive refuses a reference to a record that is deleted, as the foreign key refuses one to a record that is not
// there. The record is held as the foreign key holds it, so that it is not deleted meanwhile.
func holdLive(tx *gorm.DB, scope tenancy.Scope, d *resource.Definition, to resource.Reference) error {
	query := "SELECT require_live((SELECT deleted_at IS NULL FROM " + to.Field.References.Plural + // a definition's, no request's
		" WHERE tenant_id = $1 AND id = $2 FOR KEY SHARE), $3, $4)"
	return Defer(tx, query, scope.Tenant, to.ID, foreignKey(d, to.Field), d.Plural)
}

// foreignKey is the name of the constraint by which a reference is known.
func foreignKey(d *resource.Definition, f *resource.Field) string {
	return d.Plural + "_" + f.Name + "_fkey"
}

// NextNumbers returns the next n numbers of a sequence, in one round trip.
func (s *Resources) NextNumbers(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, f *resource.Field, n int,
) ([]string, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	db.expectRaces(ctx)
	read := func(row scanner) (string, error) {
		var numbers string
		return numbers, row.Scan(&numbers)
	}
	numbers, _, err := one(db.Scoped(ctx, scope), read, "SELECT array_to_string(next_numbers($1, $2, $3, $4), ',')",
		scope.Tenant, d.Plural, f.Name, int64(n))
	if err != nil {
		return nil, resourceFault(err, d)
	}
	return strings.Split(numbers, ","), nil
}
