package main

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parsing has one parser at work: each of those that work at a time costs seconds to compile.
var parsing sync.Mutex

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	changelog := filepath.Join(dir, "CHANGELOG.md")
	require.NoError(t, os.WriteFile(changelog, []byte("## [Unreleased]\n\n## [1.4.0] - 2026-11-01\n"), 0o600))
	folder := func(t *testing.T, text string) string {
		t.Helper()
		made := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(made, "0001_a.sql"), []byte(text), 0o600))
		return made
	}
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"is content":                     {[]string{"-dir", folder(t, "-- +goose Up\nALTER TABLE a ADD COLUMN b int;\n")}, clean, "1 migrations, nothing refused"},
		"refuses":                        {[]string{"-dir", folder(t, "-- +goose Up\nALTER TABLE a RENAME b TO c;\n")}, refused, "0001_a.sql:2: rename: "},
		"takes a contract for a release": {[]string{"-dir", folder(t, "-- +goose Up\n-- contract: 1.4.0\nDROP TABLE a;\n")}, clean, ""},
		"takes no contract for what was not released": {[]string{"-dir", folder(t, "-- +goose Up\n-- contract: 1.5.0\nDROP TABLE a;\n")}, refused, "1.5.0"},
		"wants migrations":                            {[]string{"-dir", t.TempDir()}, broken, "no migrations"},
		"wants a changelog":                           {[]string{"-changelog", filepath.Join(dir, "none")}, broken, "none"},
		"knows its flags":                             {[]string{"-dirr", "x"}, broken, "dirr"},
		"prints the rules":                            {[]string{"-rules"}, clean, "| `tenant-table` |"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsing.Lock()
			defer parsing.Unlock()
			var out, wrong bytes.Buffer
			assert.Equal(t, test.code, run(append([]string{"-changelog", changelog}, test.args...), &out, &wrong))
			assert.Contains(t, out.String()+wrong.String(), test.says)
		})
	}
}
