package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// poolerTimeout bounds the look at a pooler, which waits for ever where the pooler has one connection to give.
const poolerTimeout = 3 * time.Second

var errPooled = errors.New("postgres: the connection goes through a pooler in transaction mode that keeps no prepared statements: " +
	"add default_query_exec_mode=cache_describe to the URL's parameters, or have the pooler keep them (pgbouncer 1.21: max_prepared_statements)")

// modeOf is the mode that a URL's default_query_exec_mode names; pgx has two that are not ours, by their own names then.
func modeOf(mode pgx.QueryExecMode) ExecMode {
	switch mode {
	case pgx.QueryExecModeCacheStatement:
		return CacheStatement
	case pgx.QueryExecModeCacheDescribe:
		return CacheDescribe
	case pgx.QueryExecModeExec:
		return Exec
	case pgx.QueryExecModeDescribeExec, pgx.QueryExecModeSimpleProtocol:
	}
	return ExecMode(mode.String())
}

// refusePooler fails where statements are prepared and a pooler loses them: what one transaction prepared is not there for
// the next one, which is given another server connection. One connection prepares a statement and lets go, another takes
// the server connection that it was on, and the first asks for its statement.
func (db *DB) refusePooler(ctx context.Context) error {
	first, err := db.sql.Conn(ctx)
	if err != nil {
		return fmt.Errorf("postgres: connect: %w", err)
	}
	defer first.Close()
	ctx, cancel := context.WithTimeout(ctx, poolerTimeout)
	defer cancel()
	return onServer(first, func(c *conn) error {
		if c.mode != CacheStatement || !c.isPooled(ctx) {
			return nil
		}
		second, err := db.sql.Conn(ctx)
		if err != nil {
			return nil // with one connection nothing can be told, and nothing lost
		}
		defer second.Close()
		return onServer(second, func(other *conn) error {
			if c.losesStatements(ctx, other) {
				return errPooled
			}
			return nil
		})
	})
}

// onServer runs look with the driver's connection.
func onServer(from *sql.Conn, look func(*conn) error) error {
	return from.Raw(func(raw any) error {
		c, ok := raw.(*conn)
		if !ok {
			return fmt.Errorf("postgres: %T is no connection of this driver", raw)
		}
		return look(c)
	})
}

// isPooled says whether somebody stands between: the process that greeted us is not the one that answers.
func (c *conn) isPooled(ctx context.Context) bool {
	var pid uint32
	err := c.pgx.QueryRow(ctx, "select pg_backend_pid()", pgx.QueryExecModeExec).Scan(&pid)
	return err == nil && pid != c.server.PID()
}

// losesStatements says whether a statement is gone once another connection has taken this one's server. Where that
// cannot be told it says no.
func (c *conn) losesStatements(ctx context.Context, other *conn) bool {
	name := "gw_" + rand.Text()
	if _, err := c.server.Prepare(ctx, name, "select 1", nil); err != nil {
		return false
	}
	if _, err := other.server.Exec(ctx, "begin; select 1").ReadAll(); err != nil {
		return false
	}
	result := c.server.ExecPrepared(ctx, name, nil, nil, nil).Read()
	_, _ = other.server.Exec(ctx, "rollback").ReadAll() // it fails where the connection is lost, and then it is closed
	const noSuchStatement = "26000"
	if sqlState(result.Err) == noSuchStatement {
		return true
	}
	if result.Err == nil {
		_ = c.server.Deallocate(ctx, name)
	}
	return false
}
