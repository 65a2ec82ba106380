package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

var (
	errOtherScope = errors.New("postgres: this transaction belongs to another tenant, or does not open the control plane")
	errNotInTx    = errors.New("postgres: there is no transaction to do this in")
)

const (
	// maxAttempts is how often a transaction is tried that lost against another one.
	maxAttempts = 4
	// retryPause is the mean wait before the second attempt; it doubles with each.
	retryPause = 5 * time.Millisecond
)

type txKey struct{}

// transaction is an open transaction, carried by the context.
type transaction struct {
	db      *DB
	gorm    *gorm.DB
	session *session
	// races says that the transaction looked at what others may change before it ends, and is to be run again then.
	races *bool
	// after is what is to be done once it is committed.
	after *afterCommit
}

func (db *DB) transactionOf(ctx context.Context) *transaction {
	t, _ := ctx.Value(txKey{}).(*transaction)
	if t == nil || t.db != db {
		return nil
	}
	return t
}

// Scoped is the database as the scope's actor may see it: statements carry the tenant's predicate, their connection
// the tenant's setting, and a user's or key's access is checked in the same round trip. Inside a transaction of the
// same tenant it is that transaction; inside another tenant's every statement fails.
func (db *DB) Scoped(ctx context.Context, scope tenancy.Scope) *gorm.DB {
	return db.with(ctx, tenantSession(scope))
}

// control is the database with the control plane open, and no tenant's tables.
func (db *DB) control(ctx context.Context) *gorm.DB {
	return db.with(ctx, controlSession(nil))
}

func (db *DB) with(ctx context.Context, s *session) *gorm.DB {
	t := db.transactionOf(ctx)
	if t == nil {
		return db.gorm.WithContext(withSession(ctx, s))
	}
	if s.control && s.tenant.IsZero() && t.session.control {
		s = t.session // the control plane of a transaction that also has a tenant
	}
	tx := t.gorm.WithContext(withSession(ctx, s))
	if !t.session.sees(s) {
		_ = tx.AddError(errOtherScope)
	}
	return tx
}

// InTx runs fn in a transaction of the scope's tenant; Scoped with fn's context is that transaction. It commits where
// fn returns nil and rolls back where it does not, or panics. Inside a transaction of the same tenant it joins that
// one; inside another tenant's it fails.
//
// A transaction that lost against a concurrent one (a deadlock, a serialization failure) is run again: what fn does
// outside the database must bear that.
func (db *DB) InTx(ctx context.Context, scope tenancy.Scope, fn func(ctx context.Context) error) error {
	return db.inTx(ctx, tenantSession(scope), nil, fn)
}

// InTxWith is InTx with an isolation level, or for reading only. The options of a transaction that is joined stand.
func (db *DB) InTxWith(
	ctx context.Context, scope tenancy.Scope, options *sql.TxOptions, fn func(ctx context.Context) error,
) error {
	return db.inTx(ctx, tenantSession(scope), options, fn)
}

// controlTx runs fn in a transaction that opens the control plane, and a tenant's tables too where one is given.
func (db *DB) controlTx(ctx context.Context, tenant *tenancy.ID, fn func(ctx context.Context) error) error {
	return db.inTx(ctx, controlSession(tenant), nil, fn)
}

func (db *DB) inTx(ctx context.Context, s *session, options *sql.TxOptions, fn func(ctx context.Context) error) error {
	if t := db.transactionOf(ctx); t != nil {
		if !t.session.sees(s) {
			return errOtherScope
		}
		if s.tenant != t.session.tenant && !s.tenant.IsZero() { // within the control plane: on to another tenant
			ctx = context.WithValue(ctx, txKey{}, &transaction{db: db, gorm: t.gorm, session: s, races: t.races, after: t.after})
		}
		return fn(ctx)
	}
	if s.tenant.IsZero() && !s.control {
		return errNoTenant
	}
	for attempt := 1; ; attempt++ {
		races := false
		err := db.attempt(ctx, s, options, &races, fn)
		mayRunAgain := mayRunAgain(err) || races && isLostRace(err)
		if err == nil || attempt == maxAttempts || ctx.Err() != nil || !mayRunAgain {
			return err
		}
		if waited := pause(ctx, attempt); waited != nil {
			return errors.Join(err, waited)
		}
	}
}

func (db *DB) attempt(
	ctx context.Context, s *session, options *sql.TxOptions, races *bool, fn func(ctx context.Context) error,
) (err error) {
	ctx = withSession(ctx, s)
	tx := db.gorm.WithContext(ctx).Begin(options)
	if tx.Error != nil {
		return fmt.Errorf("begin: %w", tx.Error)
	}
	ended := false
	defer func() {
		if !ended {
			if undone := tx.Rollback().Error; undone != nil && !errors.Is(undone, sql.ErrTxDone) {
				err = errors.Join(err, undone)
			}
		}
	}()
	t := &transaction{db: db, gorm: tx.Session(&gorm.Session{NewDB: true}), session: s, races: races, after: new(afterCommit)}
	if err := fn(context.WithValue(ctx, txKey{}, t)); err != nil {
		return err
	}
	ended = true
	if err := tx.Commit().Error; err != nil {
		if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
			err = ctx.Err() // which is why database/sql has rolled it back by itself
		}
		return fmt.Errorf("commit: %w", err)
	}
	t.after.run()
	return nil
}

// afterCommit is what is to be done once a transaction is committed.
type afterCommit struct {
	names map[string]bool
	acts  []func()
}

func (a *afterCommit) run() {
	for _, act := range a.acts {
		act()
	}
}

// AfterCommit runs act once the outermost transaction of the context has been committed, and never where it was rolled
// back; of an attempt that is run again nothing is left. Acts of one name other than "" run once. Without a transaction
// act runs at once. It holds up whoever commits: it must be quick, and may be lost in a crash.
func (db *DB) AfterCommit(ctx context.Context, name string, act func()) {
	t := db.transactionOf(ctx)
	if t == nil {
		act()
		return
	}
	if t.after.names[name] {
		return
	}
	if name != "" {
		if t.after.names == nil {
			t.after.names = make(map[string]bool)
		}
		t.after.names[name] = true
	}
	t.after.acts = append(t.after.acts, act)
}

// mayRunAgain says whether the transaction lost against another one, met a plan that had become stale, or a connection
// on which nothing could be sent any more.
func mayRunAgain(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01":
		return true
	default:
		return isStalePlan(err) || pgconn.SafeToRetry(err)
	}
}

// expectRaces has the transaction of the context, if there is one, run again where what it looked at has changed before
// it ended: a value was free, a record was there.
func (db *DB) expectRaces(ctx context.Context) {
	if t := db.transactionOf(ctx); t != nil {
		*t.races = true
	}
}

// isLostRace says whether a unique value was taken, or a record not there that is referred to.
func isLostRace(err error) bool {
	state := sqlState(err)
	return state == "23505" || state == "23503"
}

func pause(ctx context.Context, attempt int) error {
	most := int64(retryPause) << attempt
	timer := time.NewTimer(time.Duration(rand.Int64N(most))) //nolint:gosec // spreads retries, guards nothing
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // joined by the caller
	case <-timer.C:
		return nil
	}
}

// Defer keeps a statement until the transaction's next one, or its commit, and sends it in that round trip. It is
// for statements whose result nobody reads, such as those of audit and events; where one fails, the statement or the
// commit that took it along returns the error.
//
//nolint:contextcheck,nolintlint // the session carries its context
func Defer(tx *gorm.DB, query string, args ...any) error {
	if tx.Error != nil {
		return tx.Error
	}
	pool, ok := tx.Statement.ConnPool.(*sql.Tx)
	if !ok {
		return errNotInTx
	}
	_, err := pool.ExecContext(context.WithValue(tx.Statement.Context, deferKey{}, true), query, args...)
	if err != nil {
		return fmt.Errorf("defer a statement: %w", err)
	}
	return nil
}

// DeferCreate is Create that is deferred: a row whose columns the caller all knows needs no round trip of its own.
// What the create breaks, a unique value for one, is the commit's error.
func DeferCreate(tx *gorm.DB, value any) error {
	made := tx.Session(&gorm.Session{DryRun: true}).Create(value)
	if made.Error != nil {
		return made.Error
	}
	return Defer(tx, made.Statement.SQL.String(), made.Statement.Vars...)
}

// apart runs fn as a part of the transaction that is undone by itself where it fails: behind a savepoint. What fn deferred is
// sent before it returns. What was deferred and not sent when fn failed is sent, and undone with the rest.
func apart(tx *gorm.DB, fn func() error) error {
	if err := Defer(tx, "savepoint part"); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		err = exec(tx, "release savepoint part")
	}
	if err == nil {
		return nil
	}
	// A connection that is broken is the transaction's end, and says so.
	undone := exec(tx, "rollback to savepoint part")
	if undone == nil {
		undone = Defer(tx, "release savepoint part") // which a rollback leaves: the name must be the outer part's again
	}
	if undone != nil {
		return errors.Join(err, undone)
	}
	return err
}

// Lock waits for an advisory lock that the transaction holds until it ends.
func Lock(tx *gorm.DB, key int64) error {
	return exec(tx, "select pg_advisory_xact_lock($1)", key)
}

// LockShared waits for a lock that others may share.
func LockShared(tx *gorm.DB, key int64) error {
	return exec(tx, "select pg_advisory_xact_lock_shared($1)", key)
}

// TryLock takes the lock if nobody holds it, and says whether it did.
func TryLock(tx *gorm.DB, key int64) (bool, error) {
	if tx.Error != nil {
		return false, tx.Error
	}
	pool, ok := tx.Statement.ConnPool.(*sql.Tx)
	if !ok {
		return false, errNotInTx
	}
	var taken bool
	err := pool.QueryRowContext(tx.Statement.Context, "select pg_try_advisory_xact_lock($1)", key).Scan(&taken)
	if err != nil {
		return false, fmt.Errorf("try a lock: %w", err)
	}
	return taken, nil
}

// exec runs a statement of the store's own in a transaction, past gorm.
func exec(tx *gorm.DB, query string, args ...any) error {
	if tx.Error != nil {
		return tx.Error
	}
	pool, ok := tx.Statement.ConnPool.(*sql.Tx)
	if !ok {
		return errNotInTx
	}
	if _, err := pool.ExecContext(tx.Statement.Context, query, args...); err != nil {
		return fmt.Errorf("execute: %w", err)
	}
	return nil
}
