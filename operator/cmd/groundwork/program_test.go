package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const someID = "01980c2e-5d0b-7c3a-9a57-0f6c1f5f7d11"

func TestHelp(t *testing.T) {
	t.Parallel()
	t.Run("lists_every_command", func(t *testing.T) {
		t.Parallel()
		for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}} {
			a := run(t, nil, args...)
			assert.Equal(t, done, a.code)
			for _, c := range commands() {
				assert.Contains(t, a.out, "groundwork "+c.name+" ")
			}
			assert.Contains(t, a.out, "SYSTEM_DATABASE_URL")
			assert.Contains(t, a.out, "Exit codes")
		}
	})
	t.Run("of_a_group_lists_its_commands", func(t *testing.T) {
		t.Parallel()
		a := run(t, nil, "users", "--help")
		assert.Equal(t, done, a.code)
		assert.Contains(t, a.out, "groundwork users disable")
		assert.NotContains(t, a.out, "groundwork jobs stats")
	})
	t.Run("of_each_command_needs_no_database", func(t *testing.T) {
		t.Parallel()
		for _, c := range commands() {
			a := run(t, nil, append(strings.Fields(c.name), "--help")...)
			assert.Equal(t, done, a.code, "%s: %s", c.name, a.err)
			assert.Contains(t, a.out, "Usage: groundwork "+c.name+" "+c.usage)
			assert.Contains(t, a.out, "--json")
		}
	})
	t.Run("fits_a_terminal", func(t *testing.T) {
		t.Parallel()
		for line := range strings.Lines(run(t, nil, "--help").out) {
			assert.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), 120, line)
		}
	})
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args string
		says string
	}{
		"nothing":                {"", "which command?"},
		"no_such_command":        {"job stats", `no command "job"`},
		"no_such_one_of_a_group": {"jobs purge", `no command "jobs purge"`},
		"half_a_command":         {"jobs", "which command?"},
		"an_unknown_flag":        {"jobs stats --que default", "-que"},
		"a_word_too_many":        {"jobs stats default", `"default"`},
		"an_unknown_queue":       {"jobs stats --queue fast", "critical, default"},
		"an_unknown_state":       {"jobs list --state asleep", "scheduled, pending"},
		"the_engines_state":      {"jobs list --state dispatched", "scheduled, pending"},
		"a_limit_of_nothing":     {"jobs list --limit 0", "1 to 1000"},
		"a_limit_too_large":      {"jobs list --limit 1001", "1 to 1000"},
		"a_limit_of_letters":     {"jobs list --limit many", "limit"},
		"a_tenant_that_is_no_id": {"jobs list --tenant acme", `"acme" is not an ID`},
		"show_without_a_job":     {"jobs show", "the ID of a job"},
		"show_of_no_id":          {"jobs show 7", "is not an ID"},
		"retry_of_nothing":       {"jobs retry", "groundwork jobs list"},
		"retry_of_no_id":         {"jobs retry " + someID + " 7", "is not an ID"},
		"all_that_ever_died":     {"jobs retry --dead", "--queue or --kind"},
		"dead_and_an_id":         {"jobs retry --dead --queue default " + someID, "leave the IDs out"},
		"a_queue_without_dead":   {"jobs retry --queue default", "--dead"},
		"cancel_of_nothing":      {"jobs cancel", "IDs of jobs"},
		"pause_of_nothing":       {"jobs pause", "the name of a queue"},
		"pause_of_two":           {"jobs pause default reports", "one word"},
		"pause_of_no_queue":      {"jobs pause fast", `no queue "fast"`},
		"drain_for_no_time":      {"jobs drain default --timeout 0s", "more than 0"},
		"drain_for_letters":      {"jobs drain default --timeout soon", "timeout"},
		"suspend_of_a_name":      {"tenants suspend acme", "is not an ID"},
		"disable_of_a_name":      {"users disable ada", "is not an ID"},
		"disable_of_nobody":      {"users disable", "e-mail address"},
	} {
		t.Run("refuses_"+name, func(t *testing.T) {
			t.Parallel()
			a := run(t, nil, strings.Fields(tt.args)...)
			assert.Equal(t, wrongUsage, a.code, a.err)
			assert.Contains(t, a.err, "wrong usage")
			assert.Contains(t, a.err, tt.says)
			assert.Empty(t, a.out)
		})
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	t.Run("that_are_missing_are_named", func(t *testing.T) {
		t.Parallel()
		a := run(t, nil, "jobs", "stats")
		assert.Equal(t, wrongUsage, a.code)
		assert.Contains(t, a.err, "SYSTEM_DATABASE_URL is required")
		assert.Contains(t, a.err, "SYSTEM_DATABASE_URL_FILE")
		a = run(t, nil, "tenants", "suspend", someID)
		assert.Equal(t, wrongUsage, a.code)
		assert.Contains(t, a.err, "DATABASE_URL is required")
	})
	t.Run("may_come_from_files", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		file := func(name, url string) string {
			path := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(path, []byte(url+"\n"), 0o600))
			return path
		}
		s.environ = []string{
			"SYSTEM_DATABASE_URL_FILE=" + file("system", s.SystemURL), "DATABASE_URL_FILE=" + file("app", s.AppURL),
		}
		s.must(t, done, "jobs", "stats")
	})
	t.Run("show_no_secret_where_they_are_wrong", func(t *testing.T) {
		t.Parallel()
		wrong := "postgres://groundwork_system:very-secret@127.0.0.1:1/nowhere"
		a := run(t, []string{"SYSTEM_DATABASE_URL=" + wrong, "DATABASE_URL=" + wrong}, "jobs", "stats")
		assert.Equal(t, failed, a.code, a.err)
		assert.Contains(t, a.err, "open the database")
		assert.NotContains(t, a.err, "very-secret")
	})
	t.Run("of_a_superuser_are_refused", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.environ = []string{"SYSTEM_DATABASE_URL=" + s.AdminURL, "DATABASE_URL=" + s.AppURL}
		assert.Contains(t, s.must(t, failed, "jobs", "stats").err, "superuser")
	})
	t.Run("of_the_wrong_role_are_refused", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.environ = []string{"SYSTEM_DATABASE_URL=" + s.AppURL, "DATABASE_URL=" + s.AppURL}
		assert.Contains(t, s.must(t, failed, "jobs", "stats").err, "groundwork_system")
	})
}
