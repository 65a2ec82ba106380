package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/migrations/lint"
)

// What is shown is what the linter accepts, and every file is shown.
func TestChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("../../../migrations/sql")))
	require.NoError(t, os.CopyFS(dir, os.DirFS("sql")))
	found, err := lint.Check(os.DirFS(dir), lint.Config{})
	require.NoError(t, err)
	assert.Empty(t, found)
	names, err := fs.Glob(files, "sql/*.sql")
	require.NoError(t, err)
	var shown []string
	for _, c := range changes() {
		for _, name := range c.files {
			shown = append(shown, filepath.Join("sql", name))
		}
	}
	assert.Equal(t, names, shown)
}

func TestPhase(t *testing.T) {
	t.Parallel()
	assert.Zero(t, (&phase{}).worst())
	assert.Zero(t, (&phase{}).share(0.99))
	l := &load{}
	l.note(t.Context(), 1, nil) // counts to nothing
	p := &phase{name: "x"}
	l.begin(p)
	l.note(t.Context(), 600, assert.AnError)
	l.note(t.Context(), 20, nil)
	assert.Equal(t, 2, p.requests)
	assert.Equal(t, 1, p.failed)
	assert.EqualValues(t, 600, p.worst())
	r := results{phases: []*phase{{name: "calm", all: p.all}, p}}
	table, noticed := r.markdown(options{most: 1000})
	assert.True(t, noticed, "one has failed")
	assert.Contains(t, table, "| x | 0s | 2 | 1 |")
	p.failed = 0
	_, noticed = r.markdown(options{most: 599})
	assert.True(t, noticed, "one took longer")
	_, noticed = r.markdown(options{most: 600})
	assert.False(t, noticed)
}
