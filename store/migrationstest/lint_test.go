package migrationstest

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/migrations"
)

// What the linter's rules accept is not only safe: PostgreSQL takes it. Each copies the template, which only one can do at
// a time.
//
//nolint:tparallel // so that they do not run side by side
func TestAccepted_examples_of_the_linter_can_be_applied(t *testing.T) {
	t.Parallel()
	const testdata = "../../migrations/lint/testdata"
	read := func(path string) []byte {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return text
	}
	base := product(t)
	base["9001_base.sql"] = &fstest.MapFile{Data: read(filepath.Join(testdata, "base.sql"))}
	template := newDatabase(t)
	require.NoError(t, migrations.Up(t.Context(), config(t, template, base)))
	examples, err := filepath.Glob(filepath.Join(testdata, "*", "accepted.sql"))
	require.NoError(t, err)
	require.Greater(t, len(examples), 15)
	for _, example := range examples { //nolint:paralleltest // see above
		rule := filepath.Base(filepath.Dir(example))
		t.Run(rule, func(t *testing.T) {
			name := "lint_" + strings.ReplaceAll(rule, "-", "_")
			execute(t, adminURL, "CREATE DATABASE "+name+" TEMPLATE "+filepath.Base(template[:strings.IndexByte(template+"?", '?')]))
			address := in(t, adminURL, name)
			all := fstest.MapFS{}
			maps.Copy(all, base)
			text := string(read(example))
			if !strings.HasPrefix(text, "-- file: ") {
				text = "-- file: 9002_example.sql\n" + text
			}
			for part := range strings.SplitSeq(strings.TrimPrefix(text, "-- file: "), "\n-- file: ") {
				name, content, _ := strings.Cut(part, "\n")
				all[name] = &fstest.MapFile{Data: []byte(content + "\n")}
			}
			require.NoError(t, migrations.Up(t.Context(), config(t, address, all)))
		})
	}
}
