package migrationstest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/platform/devstack"
)

const password = `it's "quoted" \ $1 %s`

// adminURL is a cluster that this package owns, with the roles made.
var adminURL string

// asMigrator has the test's binary migrate and nothing else: the URL, whose files stand in the folder asMigratorFiles.
const asMigrator, asMigratorFiles = "MIGRATIONS_TEST_URL", "MIGRATIONS_TEST_FILES"

func TestMain(m *testing.M) {
	if address := os.Getenv(asMigrator); address != "" {
		log := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
		if err := migrations.Up(context.Background(), migrations.Config{URL: address, Files: os.DirFS(os.Getenv(asMigratorFiles)), Log: log}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	server, err := devstack.StartPostgres(ctx, devstack.Postgres{Ephemeral: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	adminURL = server.AdminURL
	code := 1
	if err := migrations.EnsureRoles(ctx, adminURL, passwords()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	if err := server.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func passwords() map[string]string {
	given := map[string]string{}
	for _, role := range migrations.LoginRoles() {
		given[role] = password
	}
	return given
}

var databases atomic.Int64

// newDatabase is an empty one with the roles' rights. URLs for it are made with as.
func newDatabase(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("migrations_%d", databases.Add(1))
	execute(tb, adminURL, "CREATE DATABASE "+name)
	address := in(tb, adminURL, name)
	require.NoError(tb, migrations.EnsureRoles(tb.Context(), address, nil))
	return address
}

func in(tb testing.TB, address, database string) string {
	tb.Helper()
	u, err := url.Parse(address)
	require.NoError(tb, err)
	u.Path = "/" + database
	return u.String()
}

func as(tb testing.TB, address, role string) string {
	tb.Helper()
	u, err := url.Parse(address)
	require.NoError(tb, err)
	u.User = url.UserPassword(role, password)
	return u.String()
}

func connect(tb testing.TB, address string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), address)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close(context.WithoutCancel(tb.Context())) })
	return conn
}

func execute(tb testing.TB, address, statement string) {
	tb.Helper()
	conn := connect(tb, address)
	_, err := conn.Exec(tb.Context(), statement)
	require.NoError(tb, err, statement)
	require.NoError(tb, conn.Close(tb.Context()))
}

// ask gives the rows of a query, each as text.
func ask(tb testing.TB, address, query string, args ...any) []string {
	tb.Helper()
	conn := connect(tb, address)
	rows, err := conn.Query(tb.Context(), query, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	require.NoError(tb, err, query)
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		values := make([]string, len(row.RawValues()))
		for i, raw := range row.RawValues() {
			values[i] = string(raw)
		}
		return strings.Join(values, " | "), nil
	})
	require.NoError(tb, err, query)
	require.NoError(tb, conn.Close(tb.Context()))
	return found
}

func openDB(tb testing.TB, address string) *sql.DB {
	tb.Helper()
	config, err := pgx.ParseConfig(address)
	require.NoError(tb, err)
	db := stdlib.OpenDB(*config)
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// files makes migrations 1, 2, … of texts.
func files(texts ...string) fstest.MapFS {
	made := fstest.MapFS{}
	for i, text := range texts {
		made[fmt.Sprintf("%04d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	return made
}

// config migrates as the migrator, with time-outs for tests, and fails a test that logs after it has ended.
func config(tb testing.TB, address string, of fstest.MapFS) migrations.Config {
	tb.Helper()
	cfg := migrations.Config{
		URL: as(tb, address, "groundwork_migrator"), LockTimeout: 100 * time.Millisecond, Patience: 10 * time.Minute, StatementTimeout: 10 * time.Minute, Log: tb.Logf,
	}
	if of != nil {
		cfg.Files = of
	}
	return cfg
}
