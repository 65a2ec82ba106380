package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// This is a database/sql driver over pgx that sets the tenant in the round trip of the statement.
//
// Outside a transaction it sends [setup, statement] with one Sync, which PostgreSQL runs as one transaction: what the
// setup sets reverts by itself, after an error as well, so that nothing of a tenant stays on a pooled connection.
// A transaction begins lazily: its first statement goes as [begin, setup, statement], and what was deferred goes
// with the next statement or with the commit.

var (
	errPrepare  = errors.New("postgres: prepared statements are kept by the driver; set PrepareStmt off")
	errDeferred = errors.New("postgres: only a transaction can defer a statement")
	errNoCommit = errors.New("postgres: the transaction had failed, and was rolled back instead of committed")
	errNested   = errors.New("postgres: this connection is in a transaction already")
)

// rollbackTimeout bounds a rollback, which must be tried even where the caller's context has ended.
const rollbackTimeout = 5 * time.Second

type deferKey struct{}

// connector opens connections for database/sql.
type connector struct {
	config   *pgx.ConnConfig
	mode     ExecMode
	observe  Observer
	lifetime time.Duration
	setups   [setupCount]string
}

func newConnector(pgxConfig *pgx.ConnConfig, config Config) *connector {
	c := &connector{
		config: pgxConfig, mode: config.ExecMode, observe: config.Observe, lifetime: config.ConnectionLifetime,
	}
	for parts := range setupCount {
		c.setups[parts] = parts.sql()
	}
	return c
}

// Connect opens one connection.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	pc, err := pgx.ConnectConfig(ctx, c.config.Copy())
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	// Up to a tenth more, at random, so that connections that were opened together do not all end together.
	spread := time.Duration(rand.Int64N(int64(c.lifetime)/10 + 1)) //nolint:gosec // guards nothing
	return &conn{
		connector: c, pgx: pc, server: pc.PgConn(), plans: newPlans(),
		until: time.Now().Add(c.lifetime + spread), //nolint:forbidigo // a connection's age decides nothing of the domain
	}, nil
}

// Driver is the driver of the connector, which has no other use.
func (c *connector) Driver() driver.Driver { return c }

// Open exists for the interface; connections are opened by Connect.
func (c *connector) Open(string) (driver.Conn, error) { return c.Connect(context.Background()) }

// conn is one connection. database/sql uses it from one goroutine at a time.
type conn struct {
	*connector

	pgx    *pgx.Conn
	server *pgconn.PgConn
	plans  *plans
	until  time.Time
	tx     *txn
	encode encoder
	steps  []step
}

var (
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
	_ driver.SessionResetter    = (*conn)(nil)
	_ driver.Validator          = (*conn)(nil)
	_ driver.NamedValueChecker  = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
)

// CheckNamedValue lets every value through: pgx knows more types than database/sql.
func (c *conn) CheckNamedValue(*driver.NamedValue) error { return nil }

// Prepare is refused: a prepared statement would run without its setup.
func (c *conn) Prepare(string) (driver.Stmt, error) { return nil, errPrepare }

// PrepareContext is refused: a prepared statement would run without its setup.
func (c *conn) PrepareContext(context.Context, string) (driver.Stmt, error) { return nil, errPrepare }

// Begin is BeginTx for the interface.
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// Close ends the connection.
//
//nolint:contextcheck,nolintlint // driver.Conn ends without a context
func (c *conn) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTimeout)
	defer cancel()
	return c.pgx.Close(ctx)
}

// IsValid says whether the connection may go back to the pool.
func (c *conn) IsValid() bool {
	return c.isIdle() && time.Now().Before(c.until) //nolint:forbidigo // a connection's age
}

func (c *conn) isIdle() bool {
	return c.tx == nil && !c.server.IsClosed() && c.server.TxStatus() == 'I'
}

// ResetSession refuses a connection that is not as a new one: inside a transaction, or closed by the server while it
// lay in the pool.
func (c *conn) ResetSession(context.Context) error {
	if !c.isIdle() || isClosedByServer(c.server.Conn()) {
		return driver.ErrBadConn
	}
	return nil
}

// Ping asks the server for an empty answer.
func (c *conn) Ping(ctx context.Context) error {
	if c.server.IsClosed() {
		return driver.ErrBadConn
	}
	if err := c.server.Ping(ctx); err != nil {
		_ = c.Close()
		return driver.ErrBadConn
	}
	return nil
}

// ExecContext runs a statement that returns no rows.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if ctx.Value(deferKey{}) != nil {
		return driver.ResultNoRows, c.deferStatement(ctx, query, args)
	}
	started := c.now()
	tag, err := c.exec(ctx, query, args)
	c.observed(ctx, query, started, err)
	return driver.RowsAffected(tag.RowsAffected()), err
}

func (c *conn) exec(ctx context.Context, query string, args []driver.NamedValue) (pgconn.CommandTag, error) {
	for attempt := 0; ; attempt++ {
		r, err := c.send(ctx, query, args, true)
		if err == nil {
			var tag pgconn.CommandTag
			if tag, err = r.finish(); err == nil {
				return tag, nil
			}
			err = c.failed(ctx, err)
		}
		if attempt > 0 || !c.mayResend(err) {
			return pgconn.CommandTag{}, err
		}
	}
}

// QueryContext runs a statement that returns rows.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	started := c.now()
	writes := !isRead(query)
	for attempt := 0; ; attempt++ {
		r, err := c.send(ctx, query, args, writes)
		if err != nil && attempt == 0 && c.mayResend(err) {
			continue
		}
		c.observed(ctx, query, started, err)
		if err != nil {
			return nil, err
		}
		return r, nil
	}
}

// send puts the statement into the pipeline behind what must precede it, and returns its result, which the caller
// reads to the end.
func (c *conn) send(ctx context.Context, query string, args []driver.NamedValue, writes bool) (*rows, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	s := sessionOf(ctx)
	c.steps = c.steps[:0]
	if c.tx == nil {
		c.setUp(s, writes)
	} else if err := c.tx.enter(s); err != nil {
		return nil, err
	}
	c.steps = append(c.steps, step{sql: query, args: args})
	statsOf(ctx).statement(1)
	return c.run(ctx)
}

// setUp queues the setup of a session.
func (c *conn) setUp(s *session, writes bool) {
	if parts := s.setup(writes); parts != 0 {
		c.steps = append(c.steps, step{sql: c.setups[parts], raw: s.argumentsOf(parts)})
	}
}

// ready says why the connection cannot take a statement.
func (c *conn) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err //nolint:wrapcheck // database/sql compares it
	}
	if c.server.IsClosed() {
		return driver.ErrBadConn
	}
	return nil
}

// failed is the error as database/sql should see it, after the connection was made ready for what follows.
func (c *conn) failed(ctx context.Context, err error) error {
	if c.tx != nil {
		c.tx.failed = err
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	if c.tx == nil && pgconn.SafeToRetry(err) {
		return driver.ErrBadConn
	}
	return err
}

// mayResend says whether the statement failed because its plan was stale, and may be sent again: outside a
// transaction, where nothing of it took effect.
func (c *conn) mayResend(err error) bool {
	if c.tx != nil || c.server.IsClosed() {
		return false
	}
	return isStalePlan(err)
}

func (c *conn) now() time.Time {
	if c.observe == nil {
		return time.Time{}
	}
	return time.Now() //nolint:forbidigo // a duration is measured, nothing is decided by it
}

func (c *conn) observed(ctx context.Context, query string, started time.Time, err error) {
	if c.observe != nil {
		s := sessionOf(ctx)
		c.observe(ctx, Statement{SQL: query, Took: time.Since(started), Err: err, System: s != nil && s.system})
	}
}

// isRead says whether the statement cannot write: it needs no fence then. A select may call a function that writes,
// or lock rows; whoever moves a tenant waits for rows that are locked by other means.
func isRead(query string) bool {
	query = strings.TrimLeft(query, " \t\r\n(")
	return len(query) >= 6 && strings.EqualFold(query[:6], "select")
}

// beginSQL is the statement that begins a transaction with the options.
func beginSQL(options driver.TxOptions) (string, error) {
	text := "begin"
	switch sql.IsolationLevel(options.Isolation) { //nolint:exhaustive // the rest is refused
	case sql.LevelDefault:
	case sql.LevelReadCommitted, sql.LevelReadUncommitted:
		text += " isolation level read committed"
	case sql.LevelRepeatableRead, sql.LevelSnapshot:
		text += " isolation level repeatable read"
	case sql.LevelSerializable:
		text += " isolation level serializable"
	default:
		return "", fmt.Errorf("postgres: isolation %s is not spoken", sql.IsolationLevel(options.Isolation))
	}
	if options.ReadOnly {
		text += " read only"
	}
	return text, nil
}
