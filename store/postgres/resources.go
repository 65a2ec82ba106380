package postgres

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/fault"
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
	rows := d.NewList(q.Limit + 1)
	if err := selectRecords(db.Scoped(ctx, scope), d, q).Find(rows).Error; err != nil {
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
		if err := deferUpdate(tx, scope, d, e); err != nil {
			return err
		}
		return tell(tx, scope, *record)
	})
	if err != nil {
		return nil, resourceFault(err, d)
	}
	return e, nil
}

// PurgeRecords removes up to limit records that were deleted before a time. Those that other records refer to stay.
func (s *Resources) PurgeRecords(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, before time.Time, limit int,
	tell func(id tenancy.ID) audit.Entry,
) (int, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return 0, err
	}
	deletedAt := clause.Column{Table: clause.CurrentTable, Name: "deleted_at"}
	var ids []tenancy.ID
	err = forGood(db.Scoped(ctx, scope)).Model(d.New()).Where(clause.Lt{Column: deletedAt, Value: before}).
		Order(clause.OrderByColumn{Column: deletedAt}).Limit(limit).Pluck("id", &ids).Error
	if err != nil || len(ids) == 0 {
		return 0, resourceFault(err, d)
	}
	purged, err := purge(ctx, db, scope, d, before, ids, tell)
	inUse := d.Name + ".in_use"
	if !fault.Is(err, inUse) {
		return purged, err
	}
	purged = 0
	for _, id := range ids { // one of them is referred to; the others go
		n, err := purge(ctx, db, scope, d, before, []tenancy.ID{id}, tell)
		if err != nil && !fault.Is(err, inUse) {
			return purged, err
		}
		purged += n
	}
	return purged, nil
}

// purge removes those of the records that are still deleted, all of them or none.
func purge(
	ctx context.Context, db *DB, scope tenancy.Scope, d *resource.Definition, before time.Time, ids []tenancy.ID,
	tell func(id tenancy.ID) audit.Entry,
) (int, error) {
	var held []tenancy.ID
	err := db.InTx(ctx, scope, func(ctx context.Context) error {
		held = nil
		tx := forGood(db.Scoped(ctx, scope)).Session(&gorm.Session{})
		err := tx.Model(d.New()).Clauses(clause.Locking{Strength: "UPDATE", Options: "SKIP LOCKED"}).
			Where("id IN ? AND deleted_at < ?", ids, before).Pluck("id", &held).Error
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
