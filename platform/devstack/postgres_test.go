package devstack

import (
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

func TestStartPostgres(t *testing.T) {
	t.Parallel()

	t.Run("keeps data, password and port below a private home", func(t *testing.T) {
		t.Parallel()
		dir := privateHome(t)
		first := startPostgres(t, Postgres{Dir: dir})
		exec1(t, first.AdminURL, "CREATE TABLE kept AS SELECT 42 AS n")
		require.NoError(t, first.Stop(t.Context()))
		require.NoError(t, first.Stop(t.Context()), "a second stop")
		second := startPostgres(t, Postgres{Dir: dir})
		for try := 0; try < 3 && first.AdminURL != second.AdminURL; try++ { // somebody else was given the port meanwhile
			require.NoError(t, second.Stop(t.Context()))
			first, second = second, startPostgres(t, Postgres{Dir: dir})
		}
		assert.Equal(t, first.AdminURL, second.AdminURL)
		assert.Equal(t, "42", query(t, second.AdminURL, "SELECT n FROM kept"))
		assertPrivate(t, dir)
	})

	t.Run("lets nobody in without the password, and is set up as the product needs it", func(t *testing.T) {
		t.Parallel()
		s := startPostgres(t, Postgres{Ephemeral: true, Settings: map[string]string{"max_connections": "17"}})
		u, err := url.Parse(s.AdminURL)
		require.NoError(t, err)
		u.User = url.UserPassword("postgres", "a guess")
		_, err = pgx.Connect(t.Context(), u.String())
		require.ErrorContains(t, err, "password authentication failed")
		for sql, want := range map[string]string{
			"SHOW listen_addresses": "127.0.0.1", "SHOW unix_socket_directories": "", "SHOW timezone": "UTC",
			"SHOW max_connections": "17", "SHOW fsync": "off", "SELECT lower('Éß')": "éß", "SELECT 'Z' < 'a'": "true",
		} {
			assert.Equal(t, want, query(t, s.AdminURL, sql), sql)
		}
	})

	t.Run("leaves nothing of an ephemeral one", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "gone")
		s := startPostgres(t, Postgres{Dir: dir, Ephemeral: true})
		require.NoError(t, s.Stop(t.Context()))
		assert.NoDirExists(t, dir)
		<-s.Done()
	})

	t.Run("refuses a second one over the same directory and names the first", func(t *testing.T) {
		t.Parallel()
		s := startPostgres(t, Postgres{Ephemeral: true})
		_, err := StartPostgres(t.Context(), Postgres{Dir: s.cluster.Dir})
		var held *proc.HeldError
		require.ErrorAs(t, err, &held)
		assert.Equal(t, os.Getpid(), held.Pid)
	})

	t.Run("takes another port when its own is taken", func(t *testing.T) {
		t.Parallel()
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "port"), []byte(port), 0o600))
		s := startPostgres(t, Postgres{Dir: dir, Ephemeral: true})
		assert.NotEqual(t, port, query(t, s.AdminURL, "SHOW port"))
	})

	t.Run("tells when the server ends by itself", func(t *testing.T) {
		t.Parallel()
		s := startPostgres(t, Postgres{Ephemeral: true})
		id, ok := proc.Identify(s.process.Pid)
		require.True(t, ok)
		require.NoError(t, id.End(t.Context(), s.cluster.stopSteps()...))
		<-s.Done()
		assert.ErrorContains(t, s.Err(), "immediate shutdown request")
	})
}

func TestStartPostgres_mends(t *testing.T) {
	t.Parallel()

	t.Run("what a killed run left", func(t *testing.T) {
		t.Parallel()
		dir := privateHome(t)
		before, kill := play(t, "postgres", dir)
		exec1(t, before.URL, "CREATE TABLE kept AS SELECT 42 AS n")
		server, ok := proc.Identify(before.Pid)
		require.True(t, ok)
		kill()
		s := startPostgres(t, Postgres{Dir: dir})
		assert.False(t, server.IsAlive(), "two servers over one directory")
		assert.Equal(t, "42", query(t, s.AdminURL, "SELECT n FROM kept"))
	})

	t.Run("a server that still runs without its parent", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		left := startPostgres(t, Postgres{Dir: dir, outlives: true})
		exec1(t, left.AdminURL, "CREATE TABLE kept AS SELECT 42 AS n")
		require.NoError(t, left.lock.Unlock()) // as the kernel does when the process dies
		s := startPostgres(t, Postgres{Dir: dir})
		<-left.Done()
		assert.Equal(t, "42", query(t, s.AdminURL, "SELECT n FROM kept"))
		left.stop.Do(func() {})
	})

	t.Run("a pid file whose number is a stranger's by now", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		first := startPostgres(t, Postgres{Dir: dir})
		pidFile := filepath.Join(first.cluster.data(), "postmaster.pid")
		content, err := os.ReadFile(pidFile)
		require.NoError(t, err)
		require.NoError(t, first.Stop(t.Context()))
		stranger := exec.CommandContext(t.Context(), "sleep", "600")
		require.NoError(t, stranger.Start())
		defer stranger.Wait()         //nolint:errcheck // it is killed
		defer stranger.Process.Kill() //nolint:errcheck // it is killed
		lines := strconv.Itoa(stranger.Process.Pid) + string(content[len(strconv.Itoa(first.process.Pid)):])
		require.NoError(t, first.cluster.user.write(pidFile, lines))
		s := startPostgres(t, Postgres{Dir: dir})
		assert.Equal(t, "1", query(t, s.AdminURL, "SELECT 1"))
		id, ok := proc.Identify(stranger.Process.Pid)
		assert.True(t, ok && id.IsAlive(), "a stranger was ended")
	})

	t.Run("a cluster that was half made", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		c, err := openCluster(Postgres{Dir: dir})
		require.NoError(t, err)
		require.NoError(t, c.user.own(filepath.Join(dir, "cluster", "new", "base")))
		require.NoError(t, c.user.write(filepath.Join(dir, "cluster", "password"), "old"))
		s := startPostgres(t, Postgres{Dir: dir, Ephemeral: true})
		assert.Equal(t, "1", query(t, s.AdminURL, "SELECT 1"))
	})

	t.Run("a password that was lost", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		first := startPostgres(t, Postgres{Dir: dir})
		require.NoError(t, first.Stop(t.Context()))
		require.NoError(t, os.Remove(filepath.Join(dir, "password")))
		s := startPostgres(t, Postgres{Dir: dir})
		assert.NotEqual(t, first.AdminURL, s.AdminURL)
		assert.Equal(t, "1", query(t, s.AdminURL, "SELECT 1"))
	})
}

// assertPrivate proves that nobody else can read anything below the directory.
func assertPrivate(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		assert.Zero(t, info.Mode().Perm()&0o077, "%s is open to others: %s", path, info.Mode())
		return nil
	}))
}

func TestSweepEphemeral(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := time.Now().Add(-time.Hour)
	for _, name := range []string{"used", "killed", "fresh"} {
		path := filepath.Join(dir, ephemeralPrefix+name)
		require.NoError(t, os.MkdirAll(filepath.Join(path, "cluster"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(path, "lock"), nil, 0o600))
		if name != "fresh" {
			require.NoError(t, os.Chtimes(path, long, long))
		}
	}
	lock, err := proc.Lock(filepath.Join(dir, ephemeralPrefix+"used", "lock"))
	require.NoError(t, err)
	sweepEphemeral(dir)
	assert.DirExists(t, filepath.Join(dir, ephemeralPrefix+"used"))
	assert.NoDirExists(t, filepath.Join(dir, ephemeralPrefix+"killed"))
	assert.DirExists(t, filepath.Join(dir, ephemeralPrefix+"fresh"))
	require.NoError(t, lock.Unlock())
}
