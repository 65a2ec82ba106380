// Package migrations owns the shape of the database: the SQL files in sql/, the PostgreSQL roles they grant to, and
// the runner that brings a database to the version this program was built with. A deployment's migrate job calls it
// (cmd/migrate) before the processes start; the processes ask it whether the schema is new enough to be ready. It
// never touches rows beyond what a migration says, and imports none of our other modules.
package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Owner is the role that owns every table, function and type. It cannot log in: Up and Down become it.
const Owner = "groundwork_owner"

// ErrLocked says that another process held the migration lock for all of Config.Patience.
var ErrLocked = errors.New("another process is migrating this database")

// Config says which database to migrate, and how patiently.
type Config struct {
	// URL of the database, as the migrator's role or an administrator's that may SET ROLE to the owner. It must reach
	// PostgreSQL itself, not a pooler in transaction mode: the lock that lets replicas race belongs to a session.
	URL string

	// LockTimeout is how long a statement may wait for a table that others use, and so the longest that it makes
	// those behind it in the queue wait; then it steps back and tries again. Default 200 ms.
	LockTimeout time.Duration

	// StatementTimeout is how long a statement may run that others may have to wait for; then it is cancelled, and its
	// migration has failed. What blocks nobody (CREATE INDEX CONCURRENTLY, VALIDATE CONSTRAINT) runs as long as it takes.
	// Default 1 min; negative is for ever.
	StatementTimeout time.Duration

	// Patience is how long one migration is tried again when it met LockTimeout, and how long to wait while another
	// process migrates. Default 5 min.
	Patience time.Duration

	// Files are the migrations, named NNNN_name.sql. Default: those that this program was built with.
	Files fs.FS

	// Log, where set, is told each step in a printf manner. The lines end without a newline.
	Log func(format string, args ...any)
}

func (c Config) withDefaults() (Config, error) {
	if c.URL == "" {
		return c, errors.New("the database URL is empty")
	}
	if c.LockTimeout < 0 || c.Patience < 0 {
		return c, fmt.Errorf("negative time: LockTimeout %s, Patience %s", c.LockTimeout, c.Patience)
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = 200 * time.Millisecond
	}
	if c.StatementTimeout == 0 {
		c.StatementTimeout = time.Minute
	}
	if c.Patience == 0 {
		c.Patience = 5 * time.Minute
	}
	if c.Files == nil {
		c.Files = embedded()
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return c, nil
}

// Up applies every migration that the database lacks, in order, as the owner. Replicas may call it at once: one
// migrates, the others wait, then find nothing left to do. A migration that met another's lock is tried again; a
// statement that failed is a [*StatementError].
func Up(ctx context.Context, cfg Config) error {
	return withSession(ctx, cfg, func(s *session) error {
		for {
			next, found, err := s.next(ctx)
			if err != nil {
				return err
			}
			if !found {
				return s.checkNoneMissing(ctx)
			}
			if err := s.apply(ctx, next, up, s.provider.UpByOne); err != nil {
				return err
			}
		}
	})
}

// Down takes back every migration above the version to, newest first; 0 takes back all of them. It loses the data
// that those migrations made room for. A version that no migration has is an error.
func Down(ctx context.Context, cfg Config, to int64) error {
	return withSession(ctx, cfg, func(s *session) error {
		if _, known := s.find(to); !known && to != 0 {
			return fmt.Errorf("there is no migration %d to go down to", to)
		}
		for {
			current, err := s.provider.GetDBVersion(ctx)
			if err != nil {
				return fmt.Errorf("read the database's version: %w", err)
			}
			if current <= to {
				return nil
			}
			m, known := s.find(current)
			if !known {
				return fmt.Errorf("the database is at migration %d, which this program does not have: go down with the program that brought it there", current)
			}
			if err := s.apply(ctx, m, down, s.provider.Down); err != nil {
				return err
			}
		}
	})
}

// Migration is one file in sql/ and whether the database has it.
type Migration struct {
	Version int64
	// Name of the file, such as "0001_control_plane.sql"; empty for a migration that the database has and this
	// program does not.
	Name string
	// AppliedAt is when it was applied, in UTC; zero while it is pending.
	AppliedAt time.Time
}

// IsApplied says whether the database has the migration.
func (m Migration) IsApplied() bool { return !m.AppliedAt.IsZero() }

// Status lists the migrations of this program and of the database by version. It changes nothing, takes no lock, and
// works as any of the login roles.
func Status(ctx context.Context, cfg Config) ([]Migration, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	known, err := list(cfg.Files)
	if err != nil {
		return nil, err
	}
	db, err := open(cfg, reader, nil)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	applied, err := appliedAt(ctx, db)
	if err != nil {
		return nil, err
	}
	return merge(known, applied), nil
}

// Latest is the version that this program was built with.
func Latest() int64 {
	known, err := list(embedded())
	if err != nil || len(known) == 0 {
		return 0 // a test keeps the names of the files right
	}
	return known[len(known)-1].version
}

// Querier is what Applied needs of a *sql.DB, *sql.Conn or *sql.Tx.
type Querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Applied is the newest version that the database has, 0 for a database that was never migrated. A process is not
// ready while it is less than [Latest]; more is well, since a newer release migrates before the older one has gone.
func Applied(ctx context.Context, db Querier) (int64, error) {
	var version int64
	err := db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version`).Scan(&version)
	if isCode(err, undefinedTable) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return version, nil
}

func appliedAt(ctx context.Context, db *sql.DB) (map[int64]time.Time, error) {
	rows, err := db.QueryContext(ctx, `SELECT version_id, max(tstamp) FROM goose_db_version WHERE version_id > 0 GROUP BY 1`)
	if isCode(err, undefinedTable) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the migrations that were applied: %w", err)
	}
	defer rows.Close()
	applied := map[int64]time.Time{}
	for rows.Next() {
		var version int64
		var at time.Time
		if err := rows.Scan(&version, &at); err != nil {
			return nil, fmt.Errorf("read the migrations that were applied: %w", err)
		}
		applied[version] = at
	}
	return applied, rows.Err()
}

// The conditions of PostgreSQL that the runner answers to.
const (
	deadlockDetected     = "40P01"
	duplicateObject      = "42710"
	insufficientRights   = "42501"
	internalError        = "XX000" // "tuple concurrently updated"
	invalidParameter     = "22023"
	lockNotAvailable     = "55P03"
	queryCanceled        = "57014"
	serializationFailure = "40001"
	undefinedTable       = "42P01"
	uniqueViolation      = "23505"
)

func isCode(err error, codes ...string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && slices.Contains(codes, pg.Code)
}
