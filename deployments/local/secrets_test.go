package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/platform/seal"
)

func TestReadSecrets(t *testing.T) {
	t.Parallel()

	t.Run("makes them once and keeps them to the owner", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		first, err := readSecrets(dir, "")
		require.NoError(t, err)
		second, err := readSecrets(dir, "")
		require.NoError(t, err)
		assert.Equal(t, first, second)
		_, err = seal.New(first.MasterKey)
		require.NoError(t, err)
		for _, role := range migrations.LoginRoles() {
			assert.Len(t, first.Passwords[role], 26, role)
		}
		info, err := os.Stat(filepath.Join(dir, secretsFile))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())
	})

	t.Run("takes a master key that is given", func(t *testing.T) {
		t.Parallel()
		s, err := readSecrets(t.TempDir(), "given")
		require.NoError(t, err)
		assert.Equal(t, "given", s.MasterKey)
	})

	t.Run("overwrites nothing that it cannot read", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		path := filepath.Join(dir, secretsFile)
		require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
		_, err := readSecrets(dir, "")
		require.ErrorContains(t, err, path)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, "{", string(b))
	})
}

func TestAsRole(t *testing.T) {
	t.Parallel()
	for admin, want := range map[string]string{
		"postgres://root:old@db.example:5433/app?sslmode=require": "postgres://role:pw@db.example:5433/app?sslmode=require",
		"postgres:///app?host=/var/run/postgresql&user=root":      "postgres://role:pw@/app?host=/var/run/postgresql",
		"postgresql://root@db/app?password=old&sslcert=/x":        "postgresql://role:pw@db/app",
	} {
		got, err := asRole(admin, "role", "pw")
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestNewSettings(t *testing.T) {
	t.Parallel()
	root, err := findRoot(".")
	require.ErrorContains(t, err, "go.work") // it wants an absolute path, as os.Getwd gives
	assert.Empty(t, root)
	dir, err := os.Getwd()
	require.NoError(t, err)

	s, err := newSettings(t.Context(), []string{"LOCAL_DIR=here", "DATABASE_URL=postgres://a@b/c", "REDIS_URL_FILE=/x", "LOG_LEVEL=debug"}, dir, programs())
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "here"), s.dir)
	assert.FileExists(t, filepath.Join(s.root, "go.work"))
	assert.Equal(t, []string{"LOG_LEVEL=debug", "X=y"}, s.environment(map[string]string{"X": "y"}))

	_, err = newSettings(t.Context(), []string{"DATABASE_URL=host=db password=geheim"}, dir, programs())
	require.ErrorContains(t, err, "DATABASE_URL must be a URL that begins with postgres://")
	assert.NotContains(t, err.Error(), "geheim")
	_, err = newSettings(t.Context(), []string{"POOLER_URL=postgres://a:geheim@b/c"}, dir, programs())
	require.ErrorContains(t, err, "POOLER_URL needs DATABASE_URL")
	assert.NotContains(t, err.Error(), "geheim")
	_, err = newSettings(t.Context(), nil, t.TempDir(), programs())
	assert.ErrorContains(t, err, "not inside the repository")
}
