package devstack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// install makes a directory with programs that pretend to be a PostgreSQL; everyone can reach it.
func install(t *testing.T, version, initdb string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "devstack-programs-") //nolint:usetesting // the parent of t.TempDir() is closed to the server's user
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	for name, script := range map[string]string{"postgres": "echo 'postgres (PostgreSQL) " + version + "'", "initdb": initdb} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	return dir
}

func TestFinder(t *testing.T) {
	t.Parallel()
	as, err := unprivilegedUser("")
	require.NoError(t, err)
	away := func(context.Context) (string, error) { return "", errors.New("no network") }
	old, good, newer := install(t, "12.3", ""), install(t, "15.18 (Debian)", ""), install(t, "17.1", "")
	find := func(t *testing.T, cluster string, dirs ...string) (programs, error) {
		t.Helper()
		return finder{dirs: dirs, as: as, fetch: away}.find(t.Context(), cluster)
	}

	t.Run("takes the first that is new enough", func(t *testing.T) {
		t.Parallel()
		p, err := find(t, "", "/nowhere", old, good, newer)
		require.NoError(t, err)
		assert.Equal(t, programs{dir: good, major: 15}, p)
	})

	t.Run("takes the one that made the cluster", func(t *testing.T) {
		t.Parallel()
		p, err := find(t, "17", good, newer)
		require.NoError(t, err)
		assert.Equal(t, newer, p.dir)
	})

	t.Run("says which version a cluster needs", func(t *testing.T) {
		t.Parallel()
		_, err := find(t, "14", good, newer)
		var other *versionError
		require.ErrorAs(t, err, &other)
		require.ErrorContains(t, err, "made by PostgreSQL 14")
		assert.ErrorContains(t, err, "apt-get install postgresql-14")
	})

	t.Run("fetches where nothing is installed", func(t *testing.T) {
		t.Parallel()
		f := finder{as: as, fetch: func(context.Context) (string, error) { return newer, nil }}
		p, err := f.find(t.Context(), "")
		require.NoError(t, err)
		assert.Equal(t, programs{dir: newer, major: 17}, p)
	})

	t.Run("names the commands that install it when nothing helps", func(t *testing.T) {
		t.Parallel()
		_, err := find(t, "", old)
		require.Error(t, err)
		for _, part := range []string{"has version 12", "no network", "sudo apt-get install postgresql\n", "brew install postgresql@17", "sudo dnf install postgresql-server", "DATABASE_URL"} {
			assert.ErrorContains(t, err, part)
		}
	})
}

func TestInstalled_sorts_newest_first(t *testing.T) {
	t.Parallel()
	assert.Greater(t, numberIn("/usr/lib/postgresql/16/bin"), numberIn("/usr/lib/postgresql/9.6/bin"))
	assert.Less(t, numberIn("/usr/local/pgsql/bin"), 0.0)
	for _, dir := range installed() {
		assert.True(t, filepath.IsAbs(dir))
	}
}

func TestStartPostgres_explains(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ initdb, want string }{
		"a full disk":          {"echo 'initdb: error: could not write to file: No space left on device' >&2; exit 1", "The disk is full"},
		"a lack of permission": {"echo 'initdb: error: could not create directory: Permission denied' >&2; exit 1", "reach its files"},
		"anything else":        {"echo 'initdb: error: the moon is wrong' >&2; exit 1", "the moon is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "a lack of permission" && os.Geteuid() != 0 {
				tc.want = "must own"
			}
			dir := filepath.Join(t.TempDir(), "pg")
			_, err := StartPostgres(t.Context(), Postgres{Dir: dir, BinDirs: []string{install(t, "15.1", tc.initdb)}})
			require.ErrorContains(t, err, tc.want)
			require.ErrorContains(t, err, dir)
			assert.ErrorContains(t, err, "initdb: error:")
		})
	}

	t.Run("a cluster of a version that is not here", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		c, err := openCluster(Postgres{Dir: dir})
		require.NoError(t, err)
		require.NoError(t, c.user.own(c.data()))
		require.NoError(t, c.user.write(filepath.Join(c.data(), "PG_VERSION"), "9\n"))
		_, err = StartPostgres(t.Context(), Postgres{Dir: dir})
		require.ErrorContains(t, err, "made by PostgreSQL 9")
		assert.ErrorContains(t, err, "remove "+dir)
	})

	t.Run("a directory that cannot be", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		_, err := StartPostgres(t.Context(), Postgres{Dir: filepath.Join(file, "pg")})
		assert.ErrorContains(t, err, "make PostgreSQL's directory")
	})

	t.Run("a setting that the server refuses", func(t *testing.T) {
		t.Parallel()
		_, err := StartPostgres(t.Context(), Postgres{Ephemeral: true, Settings: map[string]string{"no_such_setting": "1"}})
		assert.ErrorContains(t, err, `unrecognized configuration parameter "no_such_setting"`)
	})
}
