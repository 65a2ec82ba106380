package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// txn is a transaction of a connection. Nothing is sent before its first statement.
type txn struct {
	conn    *conn
	ctx     context.Context //nolint:containedctx // driver.Tx ends without one
	session *session
	// current is the session whose setup was sent or deferred last: in the control plane a transaction may go from
	// tenant to tenant.
	current  *session
	begin    string
	readOnly bool
	begun    bool
	failed   error
	deferred []step
}

// BeginTx begins a transaction, lazily.
func (c *conn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	if c.tx != nil {
		return nil, errNested
	}
	begin, err := beginSQL(options)
	if err != nil {
		return nil, err
	}
	t := &txn{conn: c, ctx: ctx, session: sessionOf(ctx), begin: begin, readOnly: options.ReadOnly}
	if t.session == nil {
		t.session = &session{}
	}
	t.current = t.session
	c.tx = t
	return t, nil
}

// enter queues what precedes the transaction's next statement, whose session is s.
func (t *txn) enter(s *session) error {
	if t.failed != nil && !t.begun {
		return fmt.Errorf("postgres: the transaction had failed before it began: %w", t.failed)
	}
	if !t.session.sees(s) {
		return errOtherScope
	}
	if !t.begun {
		t.conn.steps = append(t.conn.steps, step{sql: t.begin, kind: stepBegin})
		t.conn.setUp(t.session, !t.readOnly)
	}
	t.conn.steps = append(t.conn.steps, t.deferred...)
	t.deferred = t.deferred[:0]
	if t.moves(s) {
		t.conn.setUp(s, !t.readOnly)
	}
	return nil
}

// moves says whether a statement of the session needs another tenant's setup first, and notes that it will have it.
func (t *txn) moves(s *session) bool {
	if s == nil || s.tenant.IsZero() || s.tenant == t.current.tenant {
		return false
	}
	t.current = s
	return true
}

// deferStatement keeps a statement of the transaction until the next one, or the commit, takes it along.
func (c *conn) deferStatement(ctx context.Context, query string, args []driver.NamedValue) error {
	switch {
	case c.tx == nil:
		return errDeferred
	case !c.tx.session.sees(sessionOf(ctx)):
		return errOtherScope
	}
	if s := sessionOf(ctx); c.tx.moves(s) {
		parts := s.setup(!c.tx.readOnly)
		c.tx.deferred = append(c.tx.deferred, step{sql: c.setups[parts], raw: s.argumentsOf(parts), kind: stepDeferred})
	}
	kept := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		value, err := snapshot(arg.Value)
		if err != nil {
			return err
		}
		kept[i] = driver.NamedValue{Ordinal: arg.Ordinal, Value: value}
	}
	statsOf(ctx).statement(1)
	c.tx.deferred = append(c.tx.deferred, step{sql: query, args: kept, kind: stepDeferred})
	return nil
}

// succeeded notes that a statement was run: a transaction that had failed was rolled back to a savepoint then.
func (t *txn) succeeded() {
	if t.conn.server.TxStatus() == 'T' {
		t.failed = nil
	}
}

// Commit sends what was deferred and the commit in one round trip. A transaction in which nothing was sent sends
// nothing. A commit that the server answered with a rollback is an error.
func (t *txn) Commit() error {
	c := t.conn
	if !t.begun && t.failed == nil && len(t.deferred) == 0 {
		c.tx = nil
		return nil
	}
	err := t.commit()
	if err != nil && t.begun && !c.server.IsClosed() && c.server.TxStatus() != 'I' {
		return errors.Join(err, t.Rollback())
	}
	c.tx = nil
	return err
}

func (t *txn) commit() error {
	if t.failed != nil {
		// Nothing deferred may be sent any more. A transaction may have failed for the client alone (a value that
		// could not be encoded), so the server is not asked to commit it.
		return fmt.Errorf("%w: %w", errNoCommit, t.failed)
	}
	c := t.conn
	if err := c.ready(t.ctx); err != nil {
		return err
	}
	c.steps = c.steps[:0]
	if err := t.enter(nil); err != nil {
		return err
	}
	c.steps = append(c.steps, step{sql: "commit"})
	r, err := c.run(t.ctx)
	if err != nil {
		return err
	}
	tag, err := r.finish()
	if err != nil {
		return c.failed(t.ctx, err)
	}
	if tag.String() != "COMMIT" {
		return errNoCommit
	}
	return nil
}

// Rollback undoes the transaction. It works after the caller's context has ended, so that the connection can be kept.
//
//nolint:contextcheck,nolintlint // the transaction carries its context
func (t *txn) Rollback() error {
	c := t.conn
	c.tx = nil
	if !t.begun || c.server.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), rollbackTimeout)
	defer cancel()
	if err := c.server.Exec(ctx, "rollback").Close(); err != nil {
		_ = c.Close()
		return fmt.Errorf("roll back: %w", err)
	}
	statsOf(t.ctx).roundTrip()
	return nil
}

// sqlState is the SQLSTATE of a database's error; "" for others.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// isStalePlan says whether a kept plan no longer fits: the table has other columns or types, or the server forgot the
// statement.
func isStalePlan(err error) bool {
	state := sqlState(err)
	return state == "0A000" || state == "26000" || state == "08P01"
}
