package migrationstest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/groundwork-saas/groundwork/migrations"
)

const (
	makeThings  = "-- +goose Up\nCREATE TABLE things (id int);\n-- +goose Down\nDROP TABLE things;\n"
	widenThings = "-- +goose Up\n\n-- a column\nALTER TABLE things ADD COLUMN name text;\n-- +goose Down\nALTER TABLE things DROP COLUMN name;\n"
	indexThings = "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS things_id_key ON things (id);\n" +
		"-- +goose Down\nDROP INDEX CONCURRENTLY IF EXISTS things_id_key;\n"
)

// product is a copy of the product's own migrations.
func product(tb testing.TB) fstest.MapFS {
	tb.Helper()
	source := os.DirFS("../../migrations/sql")
	names, err := fs.Glob(source, "*.sql")
	require.NoError(tb, err)
	require.NotEmpty(tb, names)
	all := fstest.MapFS{}
	for _, name := range names {
		text, err := fs.ReadFile(source, name)
		require.NoError(tb, err)
		all[name] = &fstest.MapFile{Data: text}
	}
	return all
}

// steps sends a line for each that is logged.
func steps(cfg *migrations.Config) <-chan string {
	lines := make(chan string, 1000)
	log := cfg.Log
	cfg.Log = func(format string, args ...any) {
		log(format, args...)
		lines <- fmt.Sprintf(format, args...)
	}
	return lines
}

func await(tb testing.TB, lines <-chan string, part string) {
	tb.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		select {
		case line := <-lines:
			if strings.Contains(line, part) {
				return
			}
		case <-limit.C:
			require.FailNow(tb, "nothing was logged like", part)
		}
	}
}

// hold begins a transaction that has read things, as a long report does.
func hold(tb testing.TB, address string) pgx.Tx {
	tb.Helper()
	tx, err := connect(tb, address).BeginTx(tb.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(tb, err)
	_, err = tx.Exec(tb.Context(), `SELECT FROM things`)
	require.NoError(tb, err)
	return tx
}

func TestUp(t *testing.T) {
	t.Parallel()

	t.Run("may be called by eight replicas at once", func(t *testing.T) {
		t.Parallel()
		address := newDatabase(t)
		all := product(t)
		all["9001_index.sql"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(indexThings, "things (id)", "customers (tenant_id, id)"))}
		cfg := config(t, address, all)
		var group errgroup.Group
		for range 8 {
			group.Go(func() error { return migrations.Up(t.Context(), cfg) })
		}
		require.NoError(t, group.Wait())
		assert.Empty(t, ask(t, address, `SELECT version_id FROM goose_db_version GROUP BY 1 HAVING count(*) > 1`))
		assert.Equal(t, []string{"t"}, ask(t, address, `SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_id_key'::regclass`))
	})

	t.Run("steps back behind a long reader and tries again", func(t *testing.T) {
		t.Parallel()
		address := newDatabase(t)
		cfg := config(t, address, files(makeThings))
		require.NoError(t, migrations.Up(t.Context(), cfg))
		reader := hold(t, address)
		cfg.Files = files(makeThings, widenThings)
		lines := steps(&cfg)
		var group errgroup.Group
		group.Go(func() error { return migrations.Up(t.Context(), cfg) })
		await(t, lines, "attempt 2, stepping back; the table is used by pid ")

		// Between the attempts and behind them others get through.
		other := connect(t, address)
		_, err := other.Exec(t.Context(), `SET lock_timeout = '10s'; SELECT FROM things`, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)

		require.NoError(t, reader.Rollback(t.Context()))
		require.NoError(t, group.Wait())
		assert.Equal(t, []string{"id", "name"}, ask(t, address, `SELECT attname FROM pg_attribute WHERE attrelid = 'things'::regclass AND attnum > 0 ORDER BY attnum`))
	})

	t.Run("gives up after its patience and says where", func(t *testing.T) {
		t.Parallel()
		address := newDatabase(t)
		cfg := config(t, address, files(makeThings))
		require.NoError(t, migrations.Up(t.Context(), cfg))
		reader := hold(t, address)
		cfg.Files, cfg.LockTimeout, cfg.Patience = files(makeThings, widenThings), 20*time.Millisecond, 200*time.Millisecond
		err := migrations.Up(t.Context(), cfg)
		var failure *migrations.StatementError
		require.ErrorAs(t, err, &failure)
		require.ErrorContains(t, err, "gave up after")
		require.ErrorContains(t, err, "0002_step.sql:4: canceling statement due to lock timeout (SQLSTATE 55P03)")

		require.NoError(t, reader.Rollback(t.Context()))
		cfg.Patience = 10 * time.Minute
		require.NoError(t, migrations.Up(t.Context(), cfg))
	})

	t.Run("names the file and the line of a fault, and leaves nothing of the migration", func(t *testing.T) {
		t.Parallel()
		address := newDatabase(t)
		cfg := config(t, address, files(makeThings, "-- +goose Up\n-- ü\nCREATE TABLE more (\n  id int, -- ü\n  name nosuchtype\n);\n-- +goose Down\n"))
		err := migrations.Up(t.Context(), cfg)
		require.ErrorContains(t, err, `0002_step.sql:5: type "nosuchtype" does not exist (SQLSTATE 42704)`)

		cfg.Files = files(makeThings, "-- +goose Up\nCREATE TABLE more (id int);\n\nINSERT INTO more\nSELECT 1/0;\n-- +goose Down\n")
		require.ErrorContains(t, migrations.Up(t.Context(), cfg), "0002_step.sql:4: division by zero")
		assert.Equal(t, []string{"f"}, ask(t, address, `SELECT to_regclass('more') IS NOT NULL`))
		assert.Equal(t, []string{"1"}, ask(t, address, `SELECT max(version_id) FROM goose_db_version`))

		cfg.Files = files(makeThings, "-- +goose Up\nCREATE TABLE more (id int)\n-- +goose Down\n")
		require.ErrorContains(t, migrations.Up(t.Context(), cfg), "0002_step.sql: ")
	})

	t.Run("builds an index again that was left invalid", func(t *testing.T) {
		t.Parallel()
		address := newDatabase(t)
		cfg := config(t, address, files(makeThings))
		require.NoError(t, migrations.Up(t.Context(), cfg))
		execute(t, address, `INSERT INTO things VALUES (1), (1)`)
		cfg.Files = files(makeThings, indexThings)
		require.ErrorContains(t, migrations.Up(t.Context(), cfg), "0002_step.sql:3: could not create unique index")
		const isValid = `SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_id_key'::regclass`
		require.Equal(t, []string{"f"}, ask(t, address, isValid), "PostgreSQL no longer leaves an invalid index: the test proves nothing")

		execute(t, address, `TRUNCATE things`)
		lines := steps(&cfg)
		require.NoError(t, migrations.Up(t.Context(), cfg))
		await(t, lines, "dropping the invalid index")
		assert.Equal(t, []string{"t"}, ask(t, address, isValid))
	})

	t.Run("lets a concurrent index outwait a long reader", func(t *testing.T) {
		t.Parallel()
		address := newDatabase(t)
		cfg := config(t, address, files(makeThings))
		require.NoError(t, migrations.Up(t.Context(), cfg))
		reader := hold(t, address)
		cfg.Files, cfg.LockTimeout = files(makeThings, indexThings), time.Millisecond
		lines := steps(&cfg)
		var group errgroup.Group
		group.Go(func() error { return migrations.Up(t.Context(), cfg) })
		require.Eventually(t, func() bool {
			waiting := ask(t, address, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'CREATE UNIQUE%'
				AND clock_timestamp() - query_start > interval '100 ms'`)
			return waiting[0] == "1"
		}, time.Minute, 20*time.Millisecond)
		require.NoError(t, reader.Rollback(t.Context()))
		require.NoError(t, group.Wait())
		for len(lines) > 0 {
			assert.NotContains(t, <-lines, "stepping back")
		}
	})

	t.Run("waits for another that migrates, and not for ever", func(t *testing.T) {
		t.Parallel()
		address := newDatabase(t)
		cfg := config(t, address, files(makeThings))
		require.NoError(t, migrations.Up(t.Context(), cfg))
		reader := hold(t, address)
		cfg.Files = files(makeThings, widenThings)
		first, second := cfg, cfg
		lines := steps(&first)
		var group errgroup.Group
		group.Go(func() error { return migrations.Up(t.Context(), first) })
		await(t, lines, "stepping back")
		second.Patience = 100 * time.Millisecond
		require.ErrorIs(t, migrations.Up(t.Context(), second), migrations.ErrLocked)

		ctx, cancel := context.WithCancel(t.Context())
		cancelled := cfg
		waiting := steps(&cancelled)
		group.Go(func() error {
			defer cancel()
			await(t, waiting, "another process is migrating")
			return nil
		})
		require.ErrorIs(t, migrations.Up(ctx, cancelled), context.Canceled)

		require.NoError(t, reader.Rollback(t.Context()))
		require.NoError(t, group.Wait())
	})

	t.Run("stops when the connection with its lock is lost", func(t *testing.T) {
		t.Parallel()
		address := newDatabase(t)
		cfg := config(t, address, files(makeThings))
		require.NoError(t, migrations.Up(t.Context(), cfg))
		reader := hold(t, address)
		cfg.Files = files(makeThings, widenThings)
		lines := steps(&cfg)
		var group errgroup.Group
		group.Go(func() error { return migrations.Up(t.Context(), cfg) })
		await(t, lines, "stepping back")
		execute(t, address, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'groundwork-migrate'`)
		require.Error(t, group.Wait())
		require.NoError(t, reader.Rollback(t.Context()))
		assert.Equal(t, []string{"1"}, ask(t, address, `SELECT max(version_id) FROM goose_db_version`))
		require.NoError(t, migrations.Up(t.Context(), cfg))
	})

	t.Run("refuses a login that may not become the owner", func(t *testing.T) {
		t.Parallel()
		address := newDatabase(t)
		cfg := config(t, address, files(makeThings))
		cfg.URL = as(t, address, "groundwork_app")
		require.ErrorContains(t, migrations.Up(t.Context(), cfg), "groundwork_app may not become groundwork_owner")
	})

	t.Run("refuses a migration that was merged behind a newer one", func(t *testing.T) {
		t.Parallel()
		address := newDatabase(t)
		late := files(makeThings, widenThings)
		cfg := config(t, address, fstest.MapFS{"0001_step.sql": late["0001_step.sql"], "0003_step.sql": late["0002_step.sql"]})
		require.NoError(t, migrations.Up(t.Context(), cfg))
		cfg.Files = fstest.MapFS{"0001_step.sql": late["0001_step.sql"], "0002_late.sql": late["0001_step.sql"], "0003_step.sql": late["0002_step.sql"]}
		require.ErrorContains(t, migrations.Up(t.Context(), cfg), "version 2")
	})

	t.Run("says that the server cannot be reached, without the password", func(t *testing.T) {
		t.Parallel()
		err := migrations.Up(t.Context(), migrations.Config{URL: "postgres://groundwork_migrator:hunter2@127.0.0.1:1/none"})
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "hunter2")
		err = migrations.Up(t.Context(), migrations.Config{URL: "postgres://groundwork_migrator:hunter2@127.0.0.1:port/none"})
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "hunter2")
	})
}

func TestDown(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	cfg := config(t, address, files(makeThings, widenThings, indexThings))
	require.NoError(t, migrations.Up(t.Context(), cfg))

	require.ErrorContains(t, migrations.Down(t.Context(), cfg, 7), "no migration 7")
	older := cfg
	older.Files = files(makeThings, widenThings)
	require.ErrorContains(t, migrations.Down(t.Context(), older, 1), "at migration 3, which this program does not have")

	require.NoError(t, migrations.Down(t.Context(), cfg, 1))
	require.NoError(t, migrations.Down(t.Context(), cfg, 2), "below already: nothing to do")
	all, err := migrations.Status(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, all, 3)
	assert.True(t, all[0].IsApplied())
	assert.WithinDuration(t, time.Now(), all[0].AppliedAt, time.Minute)
	assert.False(t, all[1].IsApplied())
	require.NoError(t, migrations.Up(t.Context(), cfg))
}

func TestApplied_is_below_Latest_until_Up(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	db := openDB(t, as(t, address, "groundwork_app"))
	version, err := migrations.Applied(t.Context(), db)
	require.NoError(t, err)
	assert.Zero(t, version, "a database that was never migrated")
	require.Positive(t, migrations.Latest())

	cfg := config(t, address, nil)
	require.NoError(t, migrations.Up(t.Context(), cfg))
	version, err = migrations.Applied(t.Context(), db)
	require.NoError(t, err)
	assert.Equal(t, migrations.Latest(), version)

	all, err := migrations.Status(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, migrations.Down(t.Context(), cfg, all[len(all)-2].Version))
	version, err = migrations.Applied(t.Context(), db)
	require.NoError(t, err)
	assert.Less(t, version, migrations.Latest())

	require.NoError(t, db.Close())
	_, err = migrations.Applied(t.Context(), db)
	require.Error(t, err)
}

func TestStatus_can_be_read_by_every_login_role(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	cfg := config(t, address, files(makeThings))
	for _, role := range migrations.LoginRoles() {
		cfg.URL = as(t, address, role)
		before, err := migrations.Status(t.Context(), cfg)
		require.NoError(t, err, role)
		assert.Equal(t, []migrations.Migration{{Version: 1, Name: "0001_step.sql"}}, before)
	}
	cfg.URL = as(t, address, "groundwork_migrator")
	require.NoError(t, migrations.Up(t.Context(), cfg))
	cfg.Files = files()
	for _, role := range migrations.LoginRoles() {
		cfg.URL = as(t, address, role)
		after, err := migrations.Status(t.Context(), cfg)
		require.NoError(t, err, role)
		require.Len(t, after, 1, "one that this program does not have is listed too")
		assert.Empty(t, after[0].Name)
		assert.True(t, after[0].IsApplied())
	}
}
