package postgres

import (
	"context"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// tenanted is a store whose rows are in their tenants' databases.
type tenanted struct{ router Router }

// tenant is the tenant's database as the scope may see it.
func (s tenanted) tenant(ctx context.Context, scope tenancy.Scope) (*gorm.DB, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	return db.Scoped(ctx, scope), nil
}

// inTx runs fn in a transaction of the scope's tenant.
func (s tenanted) inTx(ctx context.Context, scope tenancy.Scope, fn func(ctx context.Context, tx *gorm.DB) error) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	return translate(db.InTx(ctx, scope, func(ctx context.Context) error { return fn(ctx, db.Scoped(ctx, scope)) }))
}

// rowsOf is how one kind of a tenant's rows is read.
type rowsOf[T any] struct {
	// query selects those of the tenant $1, and ends with a condition: "select … from … where r.tenant_id = $1".
	query string
	// id is the column of a row's id: "r.id".
	id   string
	read func(scanner) (T, error)
	// missing is the answer for a row that is not there.
	missing func() error
}

// find returns a row, held as lock says: " for update", or "" for not at all.
func (r rowsOf[T]) find(tx *gorm.DB, tenant, id tenancy.ID, lock string) (T, error) {
	row, found, err := one(tx, r.read, r.query+" and "+r.id+" = $2"+lock, tenant, id)
	if err == nil && !found {
		err = r.missing()
	}
	return row, err
}

// list returns a page of rows, the newest first.
func (r rowsOf[T]) list(tx *gorm.DB, tenant tenancy.ID, request page.Request) ([]T, error) {
	k, err := newestFirst(request)
	if err != nil {
		return nil, err
	}
	return all(tx, r.read, r.query+k.sql(r.id, "$2"), tenant, k.after)
}

// findIn is find in the database of the scope's tenant.
func (r rowsOf[T]) findIn(ctx context.Context, store tenanted, scope tenancy.Scope, id tenancy.ID) (none T, err error) {
	tx, err := store.tenant(ctx, scope)
	if err != nil {
		return none, err
	}
	row, err := r.find(tx, scope.Tenant, id, "")
	return row, translate(err)
}

// listIn is list in the database of the scope's tenant.
func (r rowsOf[T]) listIn(ctx context.Context, store tenanted, scope tenancy.Scope, request page.Request) ([]T, error) {
	tx, err := store.tenant(ctx, scope)
	if err != nil {
		return nil, err
	}
	list, err := r.list(tx, scope.Tenant, request)
	return list, translate(err)
}

// allowance is how many rows of a table a tenant may have.
type allowance struct {
	table string
	// live are further conditions on those that count: "and deleted_at is null".
	live    string
	most    int
	tooMany func() error
}

// mayAdd fails where the tenant has all that it may. Who asks takes turns until the transaction ends, so that two do not
// both add the last one.
func (a allowance) mayAdd(tx *gorm.DB, tenant tenancy.ID) error {
	if err := Lock(tx, LockKey(a.table, tenant[:]...)); err != nil {
		return err
	}
	count, _, err := one(tx, func(row scanner) (n int, err error) { return n, row.Scan(&n) },
		"select count(*) from "+a.table+" where tenant_id = $1 "+a.live, tenant)
	if err == nil && count >= a.most {
		err = a.tooMany()
	}
	return err
}
