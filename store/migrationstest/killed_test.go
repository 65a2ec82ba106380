package migrationstest

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

// A migrator that is killed while it builds an index leaves an invalid one behind, and its lock is given up though its
// statement waits: the next builds the index again.
func TestUp_after_a_migrator_was_killed(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	cfg := config(t, address, files(makeThings))
	require.NoError(t, migrations.Up(t.Context(), cfg))
	reader := hold(t, address)
	dir := t.TempDir()
	for name, f := range files(makeThings, indexThings) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), f.Data, 0o600))
	}
	killed := exec.CommandContext(t.Context(), os.Args[0])
	killed.Env = []string{asMigrator + "=" + cfg.URL, asMigratorFiles + "=" + dir, "GOCOVERDIR=" + t.TempDir()}
	require.NoError(t, killed.Start())
	const building = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'CREATE UNIQUE%'`
	require.Eventually(t, func() bool { return ask(t, address, building)[0] == "1" }, time.Minute, 20*time.Millisecond)
	require.NoError(t, killed.Process.Signal(syscall.SIGKILL))
	require.Error(t, killed.Wait())
	assert.Equal(t, []string{"f"}, ask(t, address, `SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_id_key'::regclass`))

	// The reader is still there: the lock must not be held for as long as it is.
	cfg.Files = os.DirFS(dir)
	lines := steps(&cfg)
	var group errgroup.Group
	group.Go(func() error { return migrations.Up(t.Context(), cfg) })
	await(t, lines, "dropping the invalid index")
	require.NoError(t, reader.Rollback(t.Context()))
	require.NoError(t, group.Wait())
	assert.Equal(t, []string{"t"}, ask(t, address, `SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_id_key'::regclass`))
}

func TestUp_names_whom_a_concurrent_index_waits_for(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	cfg := config(t, address, files(makeThings))
	require.NoError(t, migrations.Up(t.Context(), cfg))
	reader := hold(t, address)
	cfg.Files = files(makeThings, indexThings)
	lines := steps(&cfg)
	var group errgroup.Group
	group.Go(func() error { return migrations.Up(t.Context(), cfg) })
	await(t, lines, "0002_step.sql: waiting for pid ")
	require.NoError(t, reader.Rollback(t.Context()))
	require.NoError(t, group.Wait())
}

func TestUp_cuts_short_what_keeps_others_waiting(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	cfg := config(t, address, files(makeThings, "-- +goose Up\nALTER TABLE things ADD COLUMN a int;\nSELECT pg_sleep(60);\n-- +goose Down\n"))
	cfg.StatementTimeout = 50 * time.Millisecond
	require.ErrorContains(t, migrations.Up(t.Context(), cfg), "MIGRATE_STATEMENT_TIMEOUT")
	cfg.Files = files(makeThings, "-- +goose Up\nALTER TABLE things ADD COLUMN a int;\nSELECT pg_sleep(0.2);\n-- +goose Down\n")
	cfg.StatementTimeout = -1
	require.NoError(t, migrations.Up(t.Context(), cfg))
}

// Behind a pooler that hands connections over by the transaction the migration lock would keep nobody out.
func TestUp_refuses_a_pooler_in_transaction_mode(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	through := func(mode string) string {
		port, err := proc.FreePort(t.Context())
		require.NoError(t, err)
		u, err := url.Parse(address)
		require.NoError(t, err)
		quoted := strings.NewReplacer(`"`, `""`).Replace(password)
		databasetest.StartPgbouncer(t, map[string]string{
			"users.txt": fmt.Sprintf("\"groundwork_migrator\" \"%s\"\n", quoted),
			"pgbouncer.ini": fmt.Sprintf("[databases]\n* = host=%s port=%s\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=%d\nunix_socket_dir=\n"+
				"auth_type=plain\nauth_file=users.txt\npool_mode=%s\nignore_startup_parameters=extra_float_digits,timezone\n", u.Hostname(), u.Port(), port, mode),
		})
		u.Host = proc.Local(port)
		made := as(t, u.String(), "groundwork_migrator")
		require.Eventually(t, func() bool {
			_, err := migrations.Status(t.Context(), migrations.Config{URL: made, Files: files(makeThings)})
			return err == nil
		}, time.Minute, 50*time.Millisecond)
		return made
	}
	cfg := config(t, address, files(makeThings))
	cfg.URL = through("transaction")
	require.ErrorContains(t, migrations.Up(t.Context(), cfg), "pooler in transaction mode")
	assert.Equal(t, []string{"f"}, ask(t, address, `SELECT to_regclass('things') IS NOT NULL`))
	cfg.URL = through("session")
	require.NoError(t, migrations.Up(t.Context(), cfg))
}
