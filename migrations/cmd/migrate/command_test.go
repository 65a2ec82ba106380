package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unreachable refuses a connection at once.
const unreachable = "postgres://somebody:hunter2@127.0.0.1:1/none"

func TestCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "url")
	require.NoError(t, os.WriteFile(secret, []byte(unreachable+"\n"), 0o600))
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))

	type env map[string]string
	url := env{"MIGRATE_DATABASE_URL": unreachable}
	for name, test := range map[string]struct {
		args []string
		env  env
		code int
		says string
	}{
		"shows how it is used":                      {[]string{"--help"}, nil, done, "Usage: migrate"},
		"shows how it is used, behind a command":    {[]string{"down", "--help"}, nil, done, "Usage: migrate"},
		"wants a command":                           {nil, nil, wrongUsage, "which command"},
		"wants a command that exists":               {[]string{"sideways"}, nil, wrongUsage, `"sideways"`},
		"takes no argument that it does not know":   {[]string{"up", "now"}, url, wrongUsage, `"now"`},
		"takes no flag that it does not know":       {[]string{"up", "--now"}, url, wrongUsage, "-now"},
		"wants the database's URL":                  {[]string{"up"}, nil, wrongUsage, "MIGRATE_DATABASE_URL is not set"},
		"takes an empty variable for unset":         {[]string{"up"}, env{"MIGRATE_DATABASE_URL": ""}, wrongUsage, "MIGRATE_DATABASE_URL is not set"},
		"wants the administrator's URL":             {[]string{"roles"}, url, wrongUsage, "DATABASE_URL is not set"},
		"wants both URLs to install":                {[]string{"install"}, env{"DATABASE_URL": unreachable}, wrongUsage, "MIGRATE_DATABASE_URL is not set"},
		"makes the roles first":                     {[]string{"install"}, env{"DATABASE_URL": unreachable, "MIGRATE_DATABASE_URL": unreachable}, failed, "administrator"},
		"wants to know how far down":                {[]string{"down"}, url, wrongUsage, "--to N"},
		"wants a number":                            {[]string{"down", "--to", "all"}, url, wrongUsage, "all"},
		"reads the URL from a file":                 {[]string{"up"}, env{"MIGRATE_DATABASE_URL_FILE": secret}, failed, "127.0.0.1"},
		"wants one of the variable and the file":    {[]string{"up"}, env{"MIGRATE_DATABASE_URL": unreachable, "MIGRATE_DATABASE_URL_FILE": secret}, wrongUsage, "which one"},
		"wants something in the file":               {[]string{"up"}, env{"MIGRATE_DATABASE_URL_FILE": empty}, failed, "is empty"},
		"wants the file":                            {[]string{"up"}, env{"MIGRATE_DATABASE_URL_FILE": filepath.Join(dir, "none")}, failed, "MIGRATE_DATABASE_URL_FILE"},
		"fails where the server is away":            {[]string{"status"}, url, failed, "127.0.0.1"},
		"wants times that are times":                {[]string{"up"}, env{"MIGRATE_DATABASE_URL": unreachable, "MIGRATE_PATIENCE": "long"}, wrongUsage, "MIGRATE_PATIENCE"},
		"wants times above zero":                    {[]string{"up"}, env{"MIGRATE_DATABASE_URL": unreachable, "MIGRATE_LOCK_TIMEOUT": "0s"}, wrongUsage, "MIGRATE_LOCK_TIMEOUT"},
		"goes down in production only when told to": {[]string{"down", "--to", "0"}, env{"MIGRATE_DATABASE_URL": unreachable, "ENVIRONMENT": "production"}, refused, "--yes"},
		"goes down in production when told to":      {[]string{"down", "--to", "0", "--yes"}, env{"MIGRATE_DATABASE_URL": unreachable, "ENVIRONMENT": "production"}, failed, "127.0.0.1"},
		"goes down elsewhere":                       {[]string{"down", "--to=0"}, url, failed, "127.0.0.1"},
		"does not take a misspelt production":       {[]string{"down", "--to", "0"}, env{"MIGRATE_DATABASE_URL": unreachable, "ENVIRONMENT": "prod"}, wrongUsage, "ENVIRONMENT"},
		"does not print a password":                 {[]string{"roles"}, env{"DATABASE_URL": unreachable, "APP_DATABASE_PASSWORD": "hunter2"}, failed, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, err bytes.Buffer
			lookup := func(name string) (string, bool) { value, given := test.env[name]; return value, given }
			code := command{lookup: lookup, out: &out, err: &err}.run(t.Context(), test.args)
			both := out.String() + err.String()
			assert.Equal(t, test.code, code, both)
			assert.Contains(t, both, test.says)
			assert.NotContains(t, both, "hunter2")
			assert.Equal(t, code == done, err.Len() == 0, "faults go to the standard error, answers do not")
		})
	}
}
