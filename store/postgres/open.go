package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	driver "gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"
)

// Config says how to reach a database.
type Config struct {
	// URL is the address with the process's own role: postgres://groundwork_app:…@host:5432/groundwork.
	URL string
	// MaxConnections is the most connections that are opened, and that are kept; 20 by default.
	MaxConnections int
	// ConnectionLifetime is how long a connection is used, with up to a tenth more at random; 30 minutes by default.
	ConnectionLifetime time.Duration
	// ConnectTimeout is how long opening a connection may take; 10 seconds by default.
	ConnectTimeout time.Duration
	// ExecMode is how statements are sent; where it is "", the URL's default_query_exec_mode says it, and else it is
	// CacheStatement. Behind a pooler that pools transactions and keeps no prepared statements it must be CacheDescribe
	// or Exec.
	ExecMode ExecMode
	// Observe is told of every statement; nil for nobody.
	Observe Observer
	// Now is the clock for created_at and updated_at; the system's by default.
	Now func() time.Time
}

const (
	defaultConnections    = 20
	defaultLifetime       = 30 * time.Minute
	defaultConnectTimeout = 10 * time.Second
)

// DB is a database of tenants. It is safe for concurrent use.
type DB struct {
	sql  *sql.DB
	gorm *gorm.DB

	registering sync.Mutex
	models      atomic.Pointer[map[*schema.Schema]*model]

	told atomic.Pointer[func()]
}

// OnEvents has ring called after each commit that wrote events. It must return at once.
func (db *DB) OnEvents(ring func()) { db.told.Store(&ring) }

// Open connects, and refuses a role that row level security does not bind: a superuser, one with BYPASSRLS, the owner
// of a table, or one that may become any of them. It refuses a pooler, too, that would lose prepared statements.
func Open(ctx context.Context, config Config) (*DB, error) {
	db, err := open(config)
	if err != nil {
		return nil, err
	}
	if err := db.refusePooler(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := db.refusePowerfulRole(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func open(config Config) (*DB, error) {
	pgxConfig, err := config.parse()
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(newConnector(pgxConfig, config))
	pool.SetMaxOpenConns(config.MaxConnections)
	// database/sql keeps two idle connections by default, which costs two thirds of the throughput.
	pool.SetMaxIdleConns(config.MaxConnections)

	orm, err := gorm.Open(driver.New(driver.Config{Conn: pool}), &gorm.Config{
		SkipDefaultTransaction:   true,
		DisableNestedTransaction: true,
		DisableAutomaticPing:     true,
		// Columns are named: with kept plans, SELECT * fails after a column was added.
		QueryFields: true,
		Logger:      logger.Discard,
		NowFunc:     config.Now,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("postgres: set gorm up: %w", err), pool.Close())
	}
	db := &DB{sql: pool, gorm: orm}
	db.models.Store(&map[*schema.Schema]*model{})
	registerSerializers()
	if err := errors.Join(db.harden(), db.Register(&auditEvent{}, &idempotencyKey{})); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return db, nil
}

// parse fills the defaults in and reads the URL. Errors do not show the URL, which holds a password.
func (c *Config) parse() (*pgx.ConnConfig, error) {
	if c.MaxConnections <= 0 {
		c.MaxConnections = defaultConnections
	}
	if c.ConnectionLifetime <= 0 {
		c.ConnectionLifetime = defaultLifetime
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	if c.Now == nil {
		c.Now = func() time.Time { return time.Now().UTC() } //nolint:forbidigo // the default of a clock that is passed in
	}
	if c.URL == "" {
		return nil, errors.New("postgres: no URL was given")
	}
	config, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return nil, errors.New("postgres: the URL cannot be read; it looks like postgres://role:password@host:5432/name")
	}
	if c.ExecMode == "" {
		c.ExecMode = modeOf(config.DefaultQueryExecMode)
	}
	switch c.ExecMode {
	case CacheStatement, CacheDescribe, Exec:
	default:
		return nil, fmt.Errorf("postgres: %q is no mode; say %s, %s or %s", c.ExecMode, CacheStatement, CacheDescribe, Exec)
	}
	config.ConnectTimeout = c.ConnectTimeout
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "groundwork"
	}
	// Plans are kept by the driver here, not by pgx.
	config.StatementCacheCapacity, config.DescriptionCacheCapacity = 0, 0
	return config, nil
}

const rolesQuery = `
select r.rolname, r.rolsuper, r.rolbypassrls, c.tables
from pg_roles r
left join lateral (
  select string_agg(relname, ', ' order by relname) as tables
  from (select relname from pg_class
        where relowner = r.oid and relkind in ('r', 'p') and relnamespace = 'public'::regnamespace limit 5) t
) c on true
where pg_has_role(current_user, r.oid, 'member')
  and (r.rolsuper or r.rolbypassrls or c.tables is not null)
order by r.rolname = current_user desc, r.rolname
limit 1`

// refusePowerfulRole fails where the role, or one that it may become, is not bound by row level security. A superuser
// is a member of every role, itself among them.
func (db *DB) refusePowerfulRole(ctx context.Context) error {
	var (
		me, role         string
		super, bypassing bool
		tables           sql.NullString
	)
	if err := db.sql.QueryRowContext(ctx, "select current_user").Scan(&me); err != nil {
		return fmt.Errorf("postgres: connect: %w", err)
	}
	err := db.sql.QueryRowContext(ctx, rolesQuery).Scan(&role, &super, &bypassing, &tables)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("postgres: look the role up: %w", err)
	}
	var why []string
	if super {
		why = append(why, "is a superuser")
	}
	if bypassing {
		why = append(why, "has BYPASSRLS")
	}
	if tables.Valid {
		why = append(why, "owns tables ("+tables.String+")")
	}
	who := fmt.Sprintf("the role %q", me)
	if role != me {
		who += fmt.Sprintf(" may become %q, which", role)
	}
	return fmt.Errorf("postgres: %s %s: row level security would not keep tenants apart; "+
		"connect as groundwork_app, groundwork_worker or groundwork_system, which the migrations make",
		who, strings.Join(why, " and "))
}

// Ping asks the database for an empty answer.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.sql.PingContext(ctx); err != nil {
		return fmt.Errorf("postgres: ping: %w", err)
	}
	return nil
}

// Stats is the state of the pool.
func (db *DB) Stats() sql.DBStats { return db.sql.Stats() }

// Close ends all connections.
func (db *DB) Close() error {
	if err := db.sql.Close(); err != nil {
		return fmt.Errorf("postgres: close: %w", err)
	}
	return nil
}
