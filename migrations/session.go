package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// lockKey names the advisory lock of those that migrate one database; rolesKey that of those that make the roles.
const (
	lockKey  int64 = 0x67726f756e647731
	rolesKey int64 = 0x67726f756e647732
)

// session is the one connection that holds the migration lock and runs the migrations.
type session struct {
	cfg      Config
	db       *sql.DB
	files    []file
	provider *goose.Provider
	failed   *failureTracer
	// pid is the server's process that holds the lock; holders are those whom its last statement waited for.
	pid     int
	holders string
	// observer is a connection that looks at who holds what, made when it is needed first.
	observer *sql.DB
}

// withSession connects, becomes the owner, takes the lock, calls do, and lets go of everything.
func withSession(ctx context.Context, cfg Config, do func(*session) error) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	s := &session{cfg: cfg, failed: &failureTracer{}}
	if s.files, err = list(cfg.Files); err != nil {
		return err
	}
	if len(s.files) == 0 {
		return errors.New("there are no migrations")
	}
	if s.db, err = open(cfg, migrator, s.failed); err != nil {
		return err
	}
	defer s.db.Close() // ends the session and with it the lock
	if s.observer, err = open(cfg, reader, nil); err != nil {
		return err
	}
	defer s.observer.Close()
	if err := s.lock(ctx); err != nil {
		return err
	}
	if err := s.checkDirect(ctx); err != nil {
		return err
	}
	s.provider, err = goose.NewProvider(goose.DialectPostgres, s.db, cfg.Files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	if err := s.grantVersion(ctx); err != nil {
		return err
	}
	return do(s)
}

// purpose is what a connection is for.
type purpose int

const (
	reader   purpose = iota // reads the version, as whoever logs in
	migrator                // changes the schema, as the owner
)

var (
	errSessionLost = errors.New("the connection that held the migration lock was lost")
	errPooled      = errors.New("the connection goes through a pooler in transaction mode, where the migration lock keeps nobody out: " +
		"give the address of PostgreSQL itself, or of a pooler in session mode")
)

// open gives a pool of one connection. The migrator's is never replaced when it breaks: the lock went with it.
func open(cfg Config, p purpose, tracer pgx.QueryTracer) (*sql.DB, error) {
	config, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("parse the database URL: %w", err)
	}
	if tracer != nil {
		config.Tracer = tracer
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // what is prepared would be outdated by the next migration
	setDefault(config.RuntimeParams, "application_name", "groundwork-migrate")
	config.RuntimeParams["timezone"] = "UTC"
	connected := false
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		if p == reader {
			return nil
		}
		if connected {
			return errSessionLost
		}
		connected = true
		return becomeOwner(ctx, conn)
	}))
	db.SetMaxOpenConns(1)
	return db, nil
}

func setDefault(params map[string]string, key, value string) {
	if _, isSet := params[key]; !isSet {
		params[key] = value
	}
}

// becomeOwner makes sure that what the migrations create belongs to the owner. Tables of anybody else's would have no
// policy for those that migrate them, and a backfill would change nothing without an error.
func becomeOwner(ctx context.Context, conn *pgx.Conn) error {
	var login string
	var exists bool
	err := conn.QueryRow(ctx, `SELECT session_user, EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, Owner).Scan(&login, &exists)
	if err != nil {
		return fmt.Errorf("look for the owner's role: %w", err)
	}
	if !exists {
		return fmt.Errorf("the role %s does not exist: create the roles first (migrate roles)", Owner)
	}
	_, err = conn.Exec(ctx, "SET ROLE "+ident(Owner))
	if isCode(err, insufficientRights) {
		return fmt.Errorf("%s may not become %s: migrate as groundwork_migrator or as the administrator that created the roles", login, Owner)
	}
	if err != nil {
		return fmt.Errorf("become the owner: %w", err)
	}
	// The server looks whether this process still lives while a statement runs or waits, and lets go of the lock where it
	// was killed. Some platforms cannot tell; there the lock goes with the statement.
	if _, err := conn.Exec(ctx, "SET client_connection_check_interval = '1s'"); err != nil && !isCode(err, invalidParameter) {
		return fmt.Errorf("have the server look whether this process lives: %w", err)
	}
	return nil
}

// lock takes the migration lock. It asks again and again instead of waiting inside PostgreSQL, where a waiting
// statement's snapshot would hold up the very CREATE INDEX CONCURRENTLY that it waits for.
func (s *session) lock(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, s.cfg.Patience)
	defer cancel()
	for attempt := 0; ; attempt++ {
		var taken bool
		if err := s.db.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, lockKey).Scan(&taken); err != nil {
			return fmt.Errorf("take the migration lock: %w", err)
		}
		if taken {
			return nil
		}
		if attempt == 0 {
			s.cfg.Log("another process is migrating this database: waiting for it, %s at most", s.cfg.Patience)
		}
		if !pause(patience, attempt) {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("wait for the migration lock: %w", err)
			}
			return fmt.Errorf("%w, and has not ended in %s", ErrLocked, s.cfg.Patience)
		}
	}
}

// pause waits 50 ms and more with each attempt, up to 2 s, give or take half, so that those who met do not meet
// again. It is false when ctx ended first.
func pause(ctx context.Context, attempt int) bool {
	base := min(50*time.Millisecond<<min(attempt, 6), 2*time.Second)
	timer := time.NewTimer(base/2 + rand.N(base)) //nolint:gosec // it spreads load, it guards nothing
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// grantVersion makes goose's table and lets every process read the schema's version.
func (s *session) grantVersion(ctx context.Context) error {
	if _, err := s.provider.GetDBVersion(ctx); err != nil {
		return fmt.Errorf("read the database's version: %w", err)
	}
	for _, r := range roles() {
		if !r.login {
			continue
		}
		var missing bool
		err := s.db.QueryRowContext(ctx, `SELECT NOT has_table_privilege(rolname, $2, 'SELECT') FROM pg_roles WHERE rolname = $1`,
			r.name, goose.DefaultTablename).Scan(&missing)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("look for %s: %w", r.name, err)
		}
		if !missing {
			continue
		}
		grant := "GRANT SELECT ON goose_db_version TO " + ident(r.name) //nolint:gosec // quoted; GRANT takes no parameters
		if _, err := s.db.ExecContext(ctx, grant); err != nil {
			return fmt.Errorf("let %s read the schema's version: %w", r.name, err)
		}
	}
	return nil
}

// next is the first migration that is newer than what the database has.
func (s *session) next(ctx context.Context) (file, bool, error) {
	current, err := s.provider.GetDBVersion(ctx)
	if err != nil {
		return file{}, false, fmt.Errorf("read the database's version: %w", err)
	}
	for _, f := range s.files {
		if f.version > current {
			return f, true, nil
		}
	}
	return file{}, false, nil
}

// checkNoneMissing refuses a database that lacks a migration older than one it has: two branches that were merged.
func (s *session) checkNoneMissing(ctx context.Context) error {
	if _, err := s.provider.HasPending(ctx); err != nil {
		return fmt.Errorf("compare the migrations with the database: %w", err)
	}
	return nil
}

func (s *session) find(version int64) (file, bool) {
	for _, f := range s.files {
		if f.version == version {
			return f, true
		}
	}
	return file{}, false
}
