package devstack

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

func TestSharedPostgres(t *testing.T) {
	t.Parallel()

	t.Run("is one server, which goes with the last who leaves", func(t *testing.T) {
		t.Parallel()
		base := filepath.Join(privateHomeDir(t), "shared")
		a, err := join(t.Context(), base)
		require.NoError(t, err)
		b, err := join(t.Context(), base)
		require.NoError(t, err)
		assert.Equal(t, a.AdminURL, b.AdminURL)
		require.NoError(t, a.Stop(t.Context()))
		assert.Equal(t, "1", query(t, b.AdminURL, "SELECT 1"))
		require.NoError(t, b.Stop(t.Context()))
		require.NoError(t, b.Stop(t.Context()), "a second stop")
		assert.NoDirExists(t, base)
		_, err = pgx.Connect(t.Context(), a.AdminURL)
		require.Error(t, err, "the server still runs")
	})

	t.Run("is never lost to somebody who has joined, however others come and go", func(t *testing.T) {
		t.Parallel()
		base := filepath.Join(t.TempDir(), "shared")
		const users, times = 4, 2
		failures := make(chan error, users*times)
		for range users {
			go func() {
				for range times {
					s, err := join(t.Context(), base)
					if err != nil {
						failures <- err
						continue
					}
					conn, err := pgx.Connect(t.Context(), s.AdminURL)
					if err == nil {
						err = conn.Close(t.Context())
					}
					failures <- errors.Join(err, s.Stop(t.Context()))
				}
			}()
		}
		for range users * times {
			require.NoError(t, <-failures)
		}
		assert.NoDirExists(t, base)
	})

	t.Run("outlives the process that started it while others use it", func(t *testing.T) {
		t.Parallel()
		base := filepath.Join(t.TempDir(), "shared")
		starter, kill := play(t, "shared", base)
		s, err := join(t.Context(), base)
		require.NoError(t, err)
		assert.Equal(t, starter.URL, s.AdminURL)
		kill()
		assert.Equal(t, "1", query(t, s.AdminURL, "SELECT 1"))
		require.NoError(t, s.Stop(t.Context()))
		assert.NoDirExists(t, base)
	})

	t.Run("is ended and removed when its last user is killed", func(t *testing.T) {
		t.Parallel()
		base := filepath.Join(t.TempDir(), "shared")
		_, kill := play(t, "shared", base)
		server, watchdog := processes(t, base)
		kill()
		eventually(t, "server, watchdog and files are gone", func() bool {
			entries, err := os.ReadDir(base)
			return err == nil && len(entries) == 1 && !server.IsAlive() && !watchdog.IsAlive()
		})
		s, err := join(t.Context(), base)
		require.NoError(t, err)
		require.NoError(t, s.Stop(t.Context()))
		assert.NoDirExists(t, base)
	})

	t.Run("is replaced when its watchdog was killed, and nothing is left", func(t *testing.T) {
		t.Parallel()
		base := filepath.Join(t.TempDir(), "shared")
		a, err := join(t.Context(), base)
		require.NoError(t, err)
		server, watchdog := processes(t, base)
		require.NoError(t, watchdog.End(t.Context()))
		b, err := join(t.Context(), base)
		require.NoError(t, err)
		assert.NotEqual(t, a.AdminURL, b.AdminURL)
		assert.Equal(t, "1", query(t, a.AdminURL, "SELECT 1"))
		require.NoError(t, a.Stop(t.Context()))
		assert.False(t, server.IsAlive())
		require.NoError(t, b.Stop(t.Context()))
		assert.NoDirExists(t, base)
	})

	t.Run("is swept when user and watchdog were killed", func(t *testing.T) {
		t.Parallel()
		base := filepath.Join(t.TempDir(), "shared")
		_, kill := play(t, "shared", base)
		server, watchdog := processes(t, base)
		require.NoError(t, watchdog.End(t.Context()))
		kill()
		assert.True(t, server.IsAlive())
		s, err := join(t.Context(), base)
		require.NoError(t, err)
		assert.False(t, server.IsAlive())
		require.NoError(t, s.Stop(t.Context()))
		assert.NoDirExists(t, base)
	})

	t.Run("does not trust a directory that others can write to", func(t *testing.T) {
		t.Parallel()
		base := filepath.Join(t.TempDir(), "shared")
		require.NoError(t, os.Mkdir(base, 0o700))
		require.NoError(t, os.Chmod(base, 0o777))
		_, err := join(t.Context(), base)
		assert.ErrorContains(t, err, "not a private directory")
	})
}

func TestSharedPostgres_uses_the_server_it_is_told(t *testing.T) {
	t.Setenv("TEST_DATABASE_URL", "postgres://somebody@elsewhere/postgres")
	s, err := SharedPostgres(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "postgres://somebody@elsewhere/postgres", s.AdminURL)
	assert.Nil(t, s.Done())
	require.NoError(t, s.Stop(t.Context()))
}

func privateHomeDir(t *testing.T) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	require.NoError(t, os.Mkdir(home, 0o700))
	return home
}

// processes returns the server and the watchdog of the only server below base.
func processes(t *testing.T, base string) (server, watchdog proc.Identity) {
	t.Helper()
	urls, err := filepath.Glob(filepath.Join(base, "*", "url"))
	require.NoError(t, err)
	require.Len(t, urls, 1)
	s := &shared{base: base, dir: filepath.Dir(urls[0])}
	c := &cluster{Postgres: Postgres{Dir: s.dir}}
	pid, _ := c.pidFile()
	server, ok := proc.Identify(pid)
	require.True(t, ok)
	watchdog = s.watchdog()
	require.True(t, watchdog.IsAlive())
	return server, watchdog
}
