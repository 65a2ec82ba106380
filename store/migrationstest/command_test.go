package migrationstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCommand_migrate takes the way of an operator: roles, up, status, down, on a database of their own.
func TestCommand_migrate(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "migrate")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/groundwork-saas/groundwork/migrations/cmd/migrate")
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))

	cluster := newCluster(t)
	secret := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(secret, []byte(password+"\n"), 0o600))
	environment := []string{
		"DATABASE_URL=" + newManagedDatabase(t, cluster, "one"),
		"MIGRATE_DATABASE_URL=" + as(t, in(t, cluster, "one"), "groundwork_migrator"),
		"MIGRATOR_DATABASE_PASSWORD_FILE=" + secret, "APP_DATABASE_PASSWORD=" + password,
		"ENVIRONMENT=production",
	}
	run := func(want int, args ...string) string {
		command := exec.CommandContext(t.Context(), binary, args...)
		command.Env = environment
		output, err := command.CombinedOutput()
		if want == 0 {
			require.NoError(t, err, string(output))
		} else {
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, want, exit.ExitCode(), string(output))
		}
		return string(output)
	}

	run(1, "up") // there are no roles yet
	assert.Contains(t, run(0, "roles"), "passwords set: 2 of 5")
	assert.Regexp(t, `0001_control_plane\.sql +pending`, run(0, "status"))
	assert.Contains(t, run(0, "up"), "0001_control_plane.sql: up (")
	assert.NotContains(t, run(0, "up"), "0001_control_plane.sql", "applied twice")
	assert.NotContains(t, run(0, "status"), "pending")
	assert.Equal(t, []string{"groundwork_app"}, ask(t, as(t, in(t, cluster, "one"), "groundwork_app"), `SELECT session_user`))
	assert.Contains(t, run(3, "down", "--to", "0"), "--yes")
	run(0, "down", "--to", "0", "--yes")
	assert.Contains(t, run(0, "version"), "database 0, program ")
}
