package postgres

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Resources keeps the records of every resource. It implements resource.Store.
type Resources struct{ router Router }

// NewResources returns the store of resources over the tenants' databases.
func NewResources(router Router) *Resources { return &Resources{router: router} }

// FindRecord returns one record.
func (s *Resources) FindRecord(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, id tenancy.ID, trash resource.Trash,
) (resource.Entity, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	e := d.New()
	err = db.Scoped(ctx, scope).Scopes(Trash(trash)).Where(column("id", id)).Take(e).Error
	if err != nil {
		return nil, resourceFault(err, d)
	}
	return e, nil
}

// ListRecords returns up to one more than the limit, in the query's order.
func (s *Resources) ListRecords(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, q resource.Query,
) ([]resource.Entity, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	c, err := find(db.Scoped(ctx, scope), d, q, mostFound)
	if err != nil || c.isEmpty() {
		return nil, resourceFault(err, d)
	}
	rows := d.NewList(q.Limit + 1)
	if err := selectAmong(db.Scoped(ctx, scope), c, d, q).Find(rows).Error; err != nil {
		return nil, resourceFault(err, d)
	}
	return d.Entities(rows), nil
}

// InsertRecord writes the entity and the record of it in one transaction, which is one round trip.
func (s *Resources) InsertRecord(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, e resource.Entity, record resource.Record,
) error {
	return s.WriteRecords(ctx, scope, d, []resource.Entity{e}, nil, []resource.Record{record})
}

// UpdateRecord loads one record under a lock, lets decide change it, and writes it with what decide returns. That is
// two round trips: one that reads, one that writes and commits.
func (s *Resources) UpdateRecord(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, id tenancy.ID, trash resource.Trash,
	decide func(resource.Entity) (*resource.Record, error),
) (resource.Entity, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	var e resource.Entity
	err = db.InTx(ctx, scope, func(ctx context.Context) error {
		e = d.New()
		tx := db.Scoped(ctx, scope)
		lock := clause.Locking{Strength: "UPDATE"}
		if err := tx.Clauses(lock).Scopes(Trash(trash)).Where(column("id", id)).Take(e).Error; err != nil {
			return err
		}
		record, err := decide(e)
		if err != nil || record == nil {
			return err
		}
		if err := deferUpdate(tx, e); err != nil {
			return err
		}
		return tell(tx, scope, d, *record)
	})
	if err != nil {
		return nil, resourceFault(err, d)
	}
	return e, nil
}

// resourceFault translates an error of the database into the resource's words.
func resourceFault(err error, d *resource.Definition) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return d.NotFound()
	}
	return translate(err)
}

func column(name string, value any) clause.Expression {
	return clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: name}, Value: value}
}
