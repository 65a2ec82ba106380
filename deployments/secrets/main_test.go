package main

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/seal"
)

// composed are the secrets that docker-compose.yml gives to its services.
func composed(t *testing.T) []string {
	t.Helper()
	file, err := os.ReadFile("../../docker-compose.yml")
	require.NoError(t, err)
	var names []string
	for _, match := range regexp.MustCompile(`\$\{SECRETS_DIR:-\./secrets\}/(\w+)`).FindAllStringSubmatch(string(file), -1) {
		names = append(names, match[1])
	}
	return names
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(content[:len(content)-1])
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	t.Run("makes_what_compose_wants", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "secrets")
		made, err := prepare(dir)
		require.NoError(t, err)
		wanted := composed(t)
		require.NotEmpty(t, wanted)
		for _, name := range wanted {
			assert.True(t, slices.Contains(made, name), name)
			info, err := os.Stat(filepath.Join(dir, name))
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(fileMode), info.Mode().Perm(), name)
		}
		info, err := os.Stat(dir)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(folderMode), info.Mode().Perm())

		_, err = seal.New(read(t, dir, "master_key"))
		require.NoError(t, err)
		app, err := url.Parse(read(t, dir, "app_url"))
		require.NoError(t, err)
		password, _ := app.User.Password()
		assert.Equal(t, "groundwork_app", app.User.Username())
		assert.Equal(t, read(t, dir, "app_password"), password)
		assert.NotEqual(t, read(t, dir, "worker_password"), password, "each role has its own")
		cache, err := url.Parse(read(t, dir, "redis_url"))
		require.NoError(t, err)
		password, _ = cache.User.Password()
		assert.Equal(t, "requirepass "+password, read(t, dir, "redis_auth"))
	})
	t.Run("changes_nothing_that_is_there", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		_, err := prepare(dir)
		require.NoError(t, err)
		require.NoError(t, os.Remove(filepath.Join(dir, "worker_url")))
		before, app := read(t, dir, "worker_password"), read(t, dir, "app_url")
		made, err := prepare(dir)
		require.NoError(t, err)
		assert.Equal(t, []string{"worker_url"}, made)
		assert.Contains(t, read(t, dir, "worker_url"), before, "made anew, it fits the password")
		assert.Equal(t, app, read(t, dir, "app_url"))
	})
	t.Run("inhibits_alerts_that_there_are", func(t *testing.T) {
		t.Parallel()
		rules, err := os.ReadFile("../prometheus/alerts.yml")
		require.NoError(t, err)
		var alerts []string
		for _, match := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
			alerts = append(alerts, match[1])
		}
		named := regexp.MustCompile(`alertname=~?"([^"]+)"`).FindAllStringSubmatch(alertmanager, -1)
		require.NotEmpty(t, named)
		for _, match := range named {
			for pattern := range strings.SplitSeq(match[1], "|") {
				is := regexp.MustCompile("^(?:" + pattern + ")$").MatchString
				assert.True(t, slices.ContainsFunc(alerts, is), "%s is no alert of alerts.yml", pattern)
			}
		}
	})
	t.Run("names_a_file_that_is_empty", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "master_key"), []byte("\n"), 0o600))
		_, err := prepare(dir)
		require.ErrorContains(t, err, "master_key is empty")
	})
}
