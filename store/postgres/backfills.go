package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/backfills"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Backfill is a backfill with its statement.
type Backfill struct {
	backfills.Definition

	// Table is gone through in the order of tenant_id and Key, its unique uuid within the tenant; "" is id.
	Table, Key string
	// Change changes the rows of one batch, as an UPDATE, INSERT or DELETE without RETURNING. $1 is the tenant, and batch
	// a table of one column, id, with the keys of the rows: "update orders o set channel = 'web' from batch b where
	// o.tenant_id = $1 and o.id = b.id and o.channel is null". It must bear being run twice on a row: another one may
	// have changed it meanwhile.
	Change string
}

// Backfills keeps how far backfills have come, in the control plane, and changes rows with the tenant's connection, one
// tenant at a time: what a backfill may see and change is what a worker may. It implements backfills.Store.
type Backfills struct {
	db          *DB
	definitions []Backfill
}

var _ backfills.Store = (*Backfills)(nil)

var backfillName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// NewBackfills returns the backfills of a database, or what is wrong with one of them. The product's own are those of
// ProductBackfills.
func NewBackfills(db *DB, definitions []Backfill) (*Backfills, error) {
	seen := map[string]bool{}
	for i, b := range definitions {
		if b.Key == "" {
			definitions[i].Key = "id"
		}
		switch err := b.Check(); {
		case err != nil:
			return nil, err
		case seen[b.Name]:
			return nil, fmt.Errorf("backfills: there are two called %s", b.Name)
		case !backfillName.MatchString(b.Table) || !backfillName.MatchString(definitions[i].Key):
			return nil, fmt.Errorf("backfills: the table or key of %s is no name: %q, %q", b.Name, b.Table, b.Key)
		case !strings.Contains(b.Change, "$1") || !strings.Contains(b.Change, "batch"):
			return nil, fmt.Errorf("backfills: the change of %s does not name the tenant, $1, or the rows, batch", b.Name)
		}
		seen[b.Name] = true
	}
	return &Backfills{db: db, definitions: definitions}, nil
}

// Definitions are all backfills.
func (s *Backfills) Definitions() []backfills.Definition {
	list := make([]backfills.Definition, len(s.definitions))
	for i, b := range s.definitions {
		list[i] = b.Definition
	}
	return list
}

const backfillColumns = "f.name, f.state, f.at_tenant, f.tenants, f.looked, f.changed, f.expected, f.error, f.started_at, f.updated_at, f.finished_at"

func readBackfill(row scanner) (r backfills.Run, err error) {
	return r, row.Scan(&r.Name, &r.State, &r.Tenant, &r.Tenants, &r.Looked, &r.Changed, &r.Expected, &r.Error,
		&r.StartedAt, &r.UpdatedAt, &r.FinishedAt)
}

// ListBackfills returns all that were started, by name.
func (s *Backfills) ListBackfills(ctx context.Context) ([]backfills.Run, error) {
	runs, err := all(s.db.control(ctx), readBackfill, "select "+backfillColumns+" from backfills f order by f.name")
	return runs, translate(err)
}

// FindBackfill returns one that was started.
func (s *Backfills) FindBackfill(ctx context.Context, name string) (backfills.Run, bool, error) {
	run, found, err := one(s.db.control(ctx), readBackfill, "select "+backfillColumns+" from backfills f where f.name = $1", name)
	return run, found, translate(err)
}

// BeginBackfill notes that a backfill is running, from the first tenant on.
func (s *Backfills) BeginBackfill(ctx context.Context, name string, then func(ctx context.Context) error) (begun bool, err error) {
	b, err := s.find(name)
	if err != nil {
		return false, err
	}
	err = s.steering(ctx, func(ctx context.Context, tx *gorm.DB) error {
		n, err := affect(tx, `insert into backfills (name, state, at_tenant, expected)
			select $1, 'running', (select t.id from tenants t order by t.id limit 1),
			  coalesce((select greatest(sum(c.reltuples), 0)::bigint from pg_class c where c.oid = to_regclass($2)
			    or c.oid in (select i.inhrelid from pg_inherits i where i.inhparent = to_regclass($2))), 0)
			on conflict (name) do nothing`, name, "public."+b.Table)
		if begun = n == 1; err != nil || !begun {
			return err
		}
		return then(ctx)
	})
	return begun, err
}

// ForgetBackfill forgets one that is done.
func (s *Backfills) ForgetBackfill(ctx context.Context, name string) error {
	return s.steering(ctx, func(_ context.Context, tx *gorm.DB) error {
		return exec(tx, "delete from backfills f where f.name = $1 and f.state = 'done'", name)
	})
}

// SteerBackfill changes the state of one that is not done.
func (s *Backfills) SteerBackfill(ctx context.Context, name string, to backfills.State, then func(ctx context.Context) error) error {
	return s.steering(ctx, func(ctx context.Context, tx *gorm.DB) error {
		if err := exec(tx, "update backfills f set state = $2 where f.name = $1 and f.state <> 'done'", name, string(to)); err != nil {
			return err
		}
		return then(ctx)
	})
}

// NoteBackfillError keeps why an attempt failed.
func (s *Backfills) NoteBackfillError(ctx context.Context, name, text string) error {
	return s.steering(ctx, func(_ context.Context, tx *gorm.DB) error {
		return exec(tx, "update backfills f set error = $2 where f.name = $1", name, storable(text, maxError))
	})
}

// steering runs fn in a transaction of the control plane in which jobs of the reserved tenant can be enqueued.
func (s *Backfills) steering(ctx context.Context, fn func(ctx context.Context, tx *gorm.DB) error) error {
	tenant := tenancy.SystemTenant
	return translate(s.db.controlTx(ctx, &tenant, func(ctx context.Context) error { return fn(ctx, s.db.control(ctx)) }))
}

// position is where a backfill is.
type position struct {
	state  backfills.State
	tenant tenancy.ID
	key    sql.NullString
}

// backfillAt reads where a backfill is.
func backfillAt(tx *gorm.DB, name, locking string) (position, error) {
	p, found, err := one(tx, func(row scanner) (p position, err error) { return p, row.Scan(&p.state, &p.tenant, &p.key) },
		"select f.state, f.at_tenant, f.at_key from backfills f where f.name = $1 "+locking, name)
	if err == nil && !found {
		err = errNotStarted
	}
	return p, err
}

var errNotStarted = errors.New("postgres: the backfill was not started")

// StepBackfill changes the rows of one batch. The row of the backfill is locked meanwhile: of two that run the same one
// the second goes on where the first one has come to.
func (s *Backfills) StepBackfill(ctx context.Context, name string, limit int) (step backfills.Step, err error) {
	b, err := s.find(name)
	if err != nil {
		return step, err
	}
	from, err := backfillAt(s.db.control(ctx), name, "")
	if err != nil {
		return step, translate(err)
	}
	session := controlSession(&from.tenant)
	session.indexed = true
	session.hasty = true // a batch that PostgreSQL loses when it dies is lost with its progress, and done again
	err = s.db.inTx(ctx, session, nil, func(ctx context.Context) error {
		tx := s.db.with(ctx, session)
		now, err := backfillAt(tx, name, "for no key update")
		if err != nil {
			return err
		}
		step = backfills.Step{}
		if now != from || now.state != backfills.Running {
			step.Run, _, err = one(tx, readBackfill, "select "+backfillColumns+" from backfills f where f.name = $1", name)
			return err
		}
		done, err := b.batch(tx, from, limit)
		if err != nil {
			return err
		}
		step.Looked = done.looked
		step.Run, err = b.keep(tx, from, done, limit)
		return err
	})
	return step, translate(err)
}

// batched is what a batch came to.
type batched struct {
	looked, changed int64
	last            sql.NullString
}

// batch changes the next rows of a tenant, from a key on.
func (b Backfill) batch(tx *gorm.DB, from position, limit int) (batched, error) {
	after := uuid.Nil.String()
	if from.key.Valid {
		after = from.key.String
	}
	done, _, err := one(tx, func(row scanner) (d batched, err error) { return d, row.Scan(&d.looked, &d.changed, &d.last) },
		b.batchSQL(), from.tenant, after, limit)
	return done, err
}

// batchSQL compares the key with a bare parameter. Under row level security an index is asked only for what cannot leak, and
// of COALESCE PostgreSQL does not know that it cannot: each batch would read the tenant's rows from the first one on.
func (b Backfill) batchSQL() string {
	return fmt.Sprintf(`with batch as materialized (
		  select t.%[1]s as id from %[2]s t where t.tenant_id = $1 and t.%[1]s > $2 order by t.%[1]s limit $3),
		changed as (%[3]s returning 1)
		select (select count(*) from batch), (select count(*) from changed), (select b.id from batch b order by b.id desc limit 1)`,
		b.Key, b.Table, b.Change)
}

// keep notes how far a batch has come: to its last row, or to the next tenant where there are no more rows.
func (b Backfill) keep(tx *gorm.DB, from position, done batched, limit int) (backfills.Run, error) {
	const counts = "looked = f.looked + $2, changed = f.changed + $3, error = null, updated_at = clock_timestamp()"
	if done.looked == int64(limit) {
		run, _, err := one(tx, readBackfill, "update backfills f set "+counts+", at_key = $4 where f.name = $1 returning "+backfillColumns,
			b.Name, done.looked, done.changed, done.last)
		return run, err
	}
	run, _, err := one(tx, readBackfill, "update backfills f set "+counts+`, at_key = null, tenants = f.tenants + 1,
		  at_tenant = coalesce(next.id, f.at_tenant), state = case when next.id is null then 'done' else f.state end,
		  finished_at = case when next.id is null then clock_timestamp() end
		from (select (select t.id from tenants t where t.id > $4 order by t.id limit 1) as id) next
		where f.name = $1 returning `+backfillColumns, b.Name, done.looked, done.changed, from.tenant)
	return run, err
}

func (s *Backfills) find(name string) (Backfill, error) {
	for _, b := range s.definitions {
		if b.Name == name {
			return b, nil
		}
	}
	return Backfill{}, backfills.ErrUnknown
}
