package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

// Exports hands records over to exports. It implements transfers.ExportStore.
type Exports struct{ router Router }

var _ transfers.ExportStore = (*Exports)(nil)

// NewExports returns what reads exports from the tenants' databases.
func NewExports(router Router) *Exports { return &Exports{router: router} }

// errReadOnce ends an export whose transaction would be run again: what it has read is in the file already.
var errReadOnce = errors.New("postgres: an export was cut off while it was read")

// Snapshot runs fn in a transaction that reads only, and sees what was committed before its first statement.
func (s *Exports) Snapshot(
	ctx context.Context, scope tenancy.Scope, fn func(ctx context.Context, s transfers.Snapshot) error,
) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	var first error
	begun := false
	options := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	err = db.InTxWith(ctx, scope, options, func(ctx context.Context) error {
		if begun {
			return errReadOnce
		}
		begun = true
		first = fn(ctx, exportSnapshot{db: db, scope: scope})
		return first
	})
	if errors.Is(err, errReadOnce) {
		err = errors.Join(err, first)
	}
	return translate(err)
}

// Transact runs fn in one transaction of the tenant's database.
func (s *Exports) Transact(ctx context.Context, scope tenancy.Scope, fn func(ctx context.Context) error) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	return translate(db.InTx(ctx, scope, fn))
}

type exportSnapshot struct {
	db    *DB
	scope tenancy.Scope
}

// Count is how many records the query selects.
func (s exportSnapshot) Count(ctx context.Context, d *resource.Definition, q resource.Query) (n int64, err error) {
	c, err := find(s.db.Scoped(ctx, s.scope), d, q, mostFound)
	if err != nil || c.isEmpty() {
		return 0, err
	}
	err = selectAmong(s.db.Scoped(ctx, s.scope), c, d, q).Count(&n).Error
	return n, err
}

// exportPage is how many records one statement selects. Each follows the one before by an index, as a list's next page
// does, so that none runs for long and none sorts all records; what it selects is read as it comes.
const exportPage = 5000

// Each calls visit for the records that the query selects.
func (s exportSnapshot) Each(
	ctx context.Context, d *resource.Definition, q resource.Query, visit func(resource.Entity) error,
) error {
	c, err := find(s.db.Scoped(ctx, s.scope), d, q, mostFound)
	if err != nil || c.isEmpty() {
		return err
	}
	q.Limit, q.After, q.Backward = exportPage-1, nil, false // a page has one more
	for {
		var last resource.Entity
		n := 0
		err := s.stream(selectAmong(s.db.Scoped(ctx, s.scope), c, d, q), d, func(e resource.Entity) error {
			n, last = n+1, e
			return visit(e)
		})
		if err != nil || n < exportPage {
			return err
		}
		after := make([]any, len(q.Sort))
		for i, sort := range q.Sort {
			after[i] = sort.Field.Value(last)
		}
		q.After = after
	}
}

// stream reads records one by one, and holds no more than the one.
func (s exportSnapshot) stream(tx *gorm.DB, d *resource.Definition, visit func(resource.Entity) error) (err error) {
	rows, err := tx.Rows()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	st := &gorm.Statement{DB: s.db.gorm}
	if err := st.Parse(d.New()); err != nil {
		return fmt.Errorf("read %s: %w", d.Plural, err)
	}
	m := s.db.modelOf(st.Schema)
	if m == nil || m.rows == nil {
		return fmt.Errorf("postgres: %s cannot be read row by row", d.Plural)
	}
	read := m.rows.reader(rows)
	for rows.Next() {
		e := d.New()
		if err := read(reflect.ValueOf(e).Elem()); err != nil {
			return fmt.Errorf("read a %s: %w", d.Name, err)
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return rows.Err()
}
