// Package databasetest gives each test a migrated PostgreSQL database of its own.
//
// It joins the server that all test processes share, migrates a template once for each state of the migrations, and
// copies it for every test, which takes some tens of milliseconds. Tests of package postgres itself use it; all others
// use storetest, which adds the store on top. It is never linked into a process of the product.
package databasetest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/platform/devstack"
)

// Database is a migrated database that nobody else uses.
type Database struct {
	Name string
	// AdminURL is a superuser's, for whom row level security is not in force; the others are the roles' of the product.
	AdminURL, MigratorURL, AppURL, WorkerURL, SystemURL, ReportingURL string
}

// patience bounds what is done outside a test's own context: the first of all also starts the server and makes the template.
const patience = 5 * time.Minute

// New returns a database that is dropped when the test ends.
func New(tb testing.TB) *Database {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	s, err := join()
	if err != nil {
		tb.Fatalf("a PostgreSQL for tests: %v", err)
	}
	name := "t_" + strings.ToLower(rand.Text()[:20])
	if err := s.clone(ctx, name); err != nil {
		tb.Fatalf("a database for the test: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			tb.Errorf("drop the test's database: %v", err)
		}
	})
	return &Database{
		Name:         name,
		AdminURL:     s.url(name, ""),
		MigratorURL:  s.url(name, "groundwork_migrator"),
		AppURL:       s.url(name, "groundwork_app"),
		WorkerURL:    s.url(name, "groundwork_worker"),
		SystemURL:    s.url(name, "groundwork_system"),
		ReportingURL: s.url(name, "groundwork_reporting"),
	}
}

// Connect opens a connection that ends with the test.
func Connect(tb testing.TB, address string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), address)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
		defer cancel()
		if err := conn.Close(ctx); err != nil {
			tb.Logf("close a connection: %v", err)
		}
	})
	return conn
}

// Admin opens a superuser's connection, to set things up and to look at them past row level security.
func (d *Database) Admin(tb testing.TB) *pgx.Conn {
	tb.Helper()
	return Connect(tb, d.AdminURL)
}

// Exec runs a statement as the superuser.
func (d *Database) Exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), d.AdminURL)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	defer conn.Close(tb.Context())
	if _, err := conn.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatalf("execute %q: %v", sql, err)
	}
}

// server is the PostgreSQL that this process has joined.
type server struct {
	shared   *devstack.Server // kept: the server ends when nobody holds on to it
	admin    *url.URL
	template string
}

// join joins the shared server once for this process, and leaves it with its end.
//
//nolint:gochecknoglobals // a process joins once, whichever test is the first
var join = sync.OnceValues(func() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	shared, err := devstack.SharedPostgres(ctx)
	if err != nil {
		return nil, err
	}
	admin, err := url.Parse(shared.AdminURL)
	if err != nil {
		return nil, errors.New("the administrator's URL cannot be read")
	}
	s := &server{shared: shared, admin: admin, template: "groundwork_template_" + migrations.Digest()[:16]}
	return s, s.prepare(ctx)
})

// url is the address of a database for a role; the administrator's where the role is "".
func (s *server) url(database, role string) string {
	u := *s.admin
	u.Path = "/" + database
	if role != "" {
		u.User = url.UserPassword(role, s.password(role))
	}
	return u.String()
}

// password is the same in all processes that share the server: its roles are shared, too.
func (s *server) password(role string) string {
	secret, _ := s.admin.User.Password()
	mac := hmac.New(sha256.New, []byte("groundwork tests "+secret))
	_, _ = mac.Write([]byte(role))
	return hex.EncodeToString(mac.Sum(nil))
}

// prepare makes the template, unless some process has made it already. It appears under its name when it is whole.
func (s *server) prepare(ctx context.Context) error {
	return s.withAdmin(ctx, func(admin *pgx.Conn) error {
		if _, err := admin.Exec(ctx, "select pg_advisory_lock(hashtextextended($1, 0))", "groundwork test template"); err != nil {
			return err
		}
		passwords := make(map[string]string)
		for _, role := range migrations.LoginRoles() {
			passwords[role] = s.password(role)
		}
		var made bool
		err := admin.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", s.template).Scan(&made)
		if err != nil || made {
			return err
		}
		draft := s.template + "_draft"
		if err := s.run(ctx, admin, "drop database if exists "+draft+" with (force)", "create database "+draft); err != nil {
			return err
		}
		if err := migrations.EnsureRoles(ctx, s.url(draft, ""), passwords); err != nil {
			return err
		}
		if err := migrations.Up(ctx, migrations.Config{URL: s.url(draft, "groundwork_migrator")}); err != nil {
			return err
		}
		return s.run(ctx, admin, "alter database "+draft+" rename to "+s.template)
	})
}

// clone makes a copy of the template.
func (s *server) clone(ctx context.Context, name string) error {
	err := s.withAdmin(ctx, func(admin *pgx.Conn) error {
		const objectInUse = "55006"
		for {
			err := s.run(ctx, admin, "create database "+name+" template "+s.template)
			var busy *pgconn.PgError
			if err == nil || !errors.As(err, &busy) || busy.Code != objectInUse || ctx.Err() != nil {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	// Rights on a database are not copied with it.
	return migrations.EnsureRoles(ctx, s.url(name, ""), nil)
}

func (s *server) drop(ctx context.Context, name string) error {
	return s.withAdmin(ctx, func(admin *pgx.Conn) error {
		return s.run(ctx, admin, "drop database if exists "+name+" with (force)")
	})
}

func (s *server) withAdmin(ctx context.Context, fn func(admin *pgx.Conn) error) error {
	admin, err := pgx.Connect(ctx, s.admin.String())
	if err != nil {
		return err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	return fn(admin)
}

func (s *server) run(ctx context.Context, admin *pgx.Conn, statements ...string) error {
	for _, statement := range statements {
		if _, err := admin.Exec(ctx, statement, pgx.QueryExecModeExec); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}
