package postgres

import (
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/platform/devstack/authority"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

// A real PostgreSQL with a certificate of an authority of the test's own.
func TestTLS(t *testing.T) {
	t.Parallel()
	server, err := devstack.StartPostgres(t.Context(), devstack.Postgres{Ephemeral: true})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop(t.Context())) })
	ours, err := authority.New(time.Now())
	require.NoError(t, err)
	certificate, key, err := ours.Issue("localhost")
	require.NoError(t, err)
	admin := databasetest.Connect(t, server.AdminURL)
	password := rand.Text()
	// The server writes its own files, as the user that it runs as: PostgreSQL refuses a key that is somebody else's.
	for file, text := range map[string][]byte{"server.crt": certificate, "server.key": key} {
		run(t, admin, "copy (select unnest(string_to_array('"+strings.TrimSpace(string(text))+"', E'\n'))) to program 'umask 077; cat > "+file+"'")
	}
	for _, statement := range []string{
		"create role app login password '" + password + "'", "alter system set ssl = on", "select pg_reload_conf()",
	} {
		run(t, admin, statement)
	}
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		return path
	}
	u, err := url.Parse(server.AdminURL)
	require.NoError(t, err)
	at := func(host, mode, authorities string) string {
		to := *u
		to.User, to.Host = url.UserPassword("app", password), host+":"+u.Port()
		to.RawQuery = url.Values{"sslmode": {mode}, "sslrootcert": {authorities}}.Encode()
		return to.String()
	}
	trusted := write("authority.pem", ours.PEM)
	var db *DB
	// The server reads its settings again when it gets to it.
	require.Eventually(t, func() bool {
		db, err = Open(t.Context(), Config{URL: at("localhost", "verify-full", trusted)})
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	var encrypted bool
	require.NoError(t, db.sql.QueryRowContext(t.Context(), "select ssl from pg_stat_ssl where pid = pg_backend_pid()").Scan(&encrypted))
	assert.True(t, encrypted)

	stranger, err := authority.New(time.Now())
	require.NoError(t, err)
	for name, c := range map[string]struct{ url, says string }{
		"another server's certificate":   {at("127.0.0.1", "verify-full", trusted), "cannot validate certificate"},
		"an authority that is not known": {at("localhost", "verify-full", write("stranger.pem", stranger.PEM)), "unknown authority"},
	} {
		_, err := Open(t.Context(), Config{URL: c.url})
		require.ErrorContains(t, err, c.says, name)
		assert.NotContains(t, err.Error(), password)
	}
	// What it is for: without it, anybody's certificate would do.
	lax, err := Open(t.Context(), Config{URL: at("127.0.0.1", "require", "")})
	require.NoError(t, err)
	require.NoError(t, lax.Close())
}

func run(tb testing.TB, conn *pgx.Conn, statement string) {
	tb.Helper()
	_, err := conn.Exec(tb.Context(), statement, pgx.QueryExecModeSimpleProtocol)
	require.NoError(tb, err)
}
