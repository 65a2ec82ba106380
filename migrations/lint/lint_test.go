package lint_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/migrations/lint"
)

// parsing has one parser at work: each of those that work at a time costs seconds to compile.
var parsing sync.Mutex

func check(files fs.FS, cfg lint.Config) ([]lint.Finding, error) {
	parsing.Lock()
	defer parsing.Unlock()
	return lint.Check(files, cfg)
}

// example is a file of testdata as migrations: one, or several that begin with a line -- file: NNNN_name.sql.
func example(tb testing.TB, path string) fstest.MapFS {
	tb.Helper()
	read := func(path string) string {
		text, err := os.ReadFile(path)
		require.NoError(tb, err)
		return string(text)
	}
	all := fstest.MapFS{"9001_base.sql": {Data: []byte(read("testdata/base.sql"))}}
	text := read(path)
	if !strings.HasPrefix(text, "-- file: ") {
		text = "-- file: 9002_example.sql\n" + text
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(text, "-- file: "), "\n-- file: ") {
		name, content, _ := strings.Cut(part, "\n")
		all[name] = &fstest.MapFile{Data: []byte(content + "\n")}
	}
	return all
}

func TestRules(t *testing.T) {
	t.Parallel()
	// How many statements, or markers, of its refused.sql a rule refuses.
	refuses := map[string]int{
		"volatile-default": 3, "set-not-null": 2, "rename": 3, "drop": 3, "constraint-not-valid": 3, "index-concurrently": 2, "no-transaction": 2,
		"resumable": 3, "data-change": 4, "rewrite": 3, "tenant-table": 7, "marker": 6,
	}
	named := map[string]bool{}
	for _, rule := range lint.Rules() {
		named[rule.Name] = true
		t.Run(rule.Name, func(t *testing.T) {
			t.Parallel()
			found, err := check(example(t, filepath.Join("testdata", rule.Name, "refused.sql")), lint.Config{})
			require.NoError(t, err)
			own := 0
			for _, f := range found {
				assert.Contains(t, f.File, "_example.sql")
				assert.Positive(t, f.Line)
				assert.NotEmpty(t, f.Problem)
				assert.NotEmpty(t, f.Way)
				if f.Rule == rule.Name {
					own++
				} else {
					assert.Contains(t, []string{"one-lock", "drop"}, f.Rule, "%s", f)
				}
			}
			assert.Equal(t, max(1, refuses[rule.Name]), own, "%v", found)

			found, err = check(example(t, filepath.Join("testdata", rule.Name, "accepted.sql")), lint.Config{})
			require.NoError(t, err)
			assert.Empty(t, found)
		})
	}
	folders, err := filepath.Glob("testdata/*/")
	require.NoError(t, err)
	for _, folder := range folders {
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			assert.True(t, named[filepath.Base(folder)], "there is no rule %s", filepath.Base(folder))
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	said := func(t *testing.T, cfg lint.Config, text string) []string {
		t.Helper()
		found, err := check(fstest.MapFS{"0001_a.sql": {Data: []byte(text)}}, cfg)
		require.NoError(t, err)
		lines := []string{}
		for _, f := range found {
			lines = append(lines, f.String())
		}
		return lines
	}

	t.Run("says file, line, rule, problem and the safe way", func(t *testing.T) {
		t.Parallel()
		lines := said(t, lint.Config{}, "-- ü\n-- +goose Up\n/* a /* nested */ comment; */\n\nALTER TABLE orders ADD COLUMN a int;\n-- why\nALTER TABLE\n  orders DROP COLUMN b;\n")
		require.Len(t, lines, 1)
		assert.Regexp(t, `^0001_a\.sql:7: drop: it takes orders\.b away\n    the safe way: take its last use out`, lines[0])
	})

	t.Run("says where the syntax is wrong, going up and down", func(t *testing.T) {
		t.Parallel()
		assert.Regexp(t, `^0001_a\.sql:3: syntax: syntax error at or near "int"`, said(t, lint.Config{}, "-- +goose Up\nALTER TABLE a\nADD COLUMM b int;\n")[0])
		assert.Regexp(t, `^0001_a\.sql:4: syntax: `, said(t, lint.Config{}, "-- +goose Up\nALTER TABLE a ADD COLUMN b int;\n-- +goose Down\nDROPP TABLE a;\n")[0])
		assert.Regexp(t, `no line -- \+goose Up`, said(t, lint.Config{}, "ALTER TABLE a ADD COLUMN b int;\n")[0])
		assert.Regexp(t, `no line -- \+goose Up`, said(t, lint.Config{}, "")[0])
	})

	t.Run("does not judge what goes down", func(t *testing.T) {
		t.Parallel()
		assert.Empty(t, said(t, lint.Config{}, "-- +goose Up\nALTER TABLE a ADD COLUMN b int;\n-- +goose Down\nALTER TABLE a DROP COLUMN b;\nDROP TABLE c;\n"))
	})

	t.Run("takes a contract for releases that there were only", func(t *testing.T) {
		t.Parallel()
		text := "-- +goose Up\n-- contract: v1.4.0\nALTER TABLE a DROP COLUMN b;\n"
		assert.Empty(t, said(t, lint.Config{Released: []string{"1.4.0"}}, text))
		lines := said(t, lint.Config{Released: []string{}}, text)
		require.Len(t, lines, 1)
		assert.Contains(t, lines[0], "does not have as a release")
	})

	t.Run("knows a table under either of its names", func(t *testing.T) {
		t.Parallel()
		assert.Empty(t, said(t, lint.Config{}, "-- +goose Up\nCREATE TABLE public.hosts (id uuid PRIMARY KEY);\nSELECT protect_control_table('hosts');\nCREATE INDEX hosts_id_idx ON hosts (id);\nUPDATE hosts SET id = id;\n"))
	})

	t.Run("lets a table that the same file makes be changed at will", func(t *testing.T) {
		t.Parallel()
		assert.Empty(t, said(t, lint.Config{}, "-- +goose Up\nCREATE TABLE a (id int PRIMARY KEY);\nSELECT protect_control_table('a');\n"+
			"ALTER TABLE a ADD COLUMN b text NOT NULL, ADD CHECK (b <> ''), ALTER COLUMN id TYPE bigint;\nALTER TABLE a RENAME b TO c;\n"+
			"CREATE TABLE b (id int PRIMARY KEY);\nSELECT protect_control_table('b');\nALTER TABLE b ADD COLUMN x text;\n"))
	})
}

// The product's own migrations.
func TestProduct(t *testing.T) {
	t.Parallel()
	found, err := check(os.DirFS("../sql"), lint.Config{})
	require.NoError(t, err)
	assert.Empty(t, found)
}

// The page's table of the rules is this one. UPDATE_DOCS=1 writes it.
func TestPage(t *testing.T) {
	t.Parallel()
	const page = "../../docs/migrations.md"
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	table := regexp.MustCompile(`(?s)\| Rule \| Refuses .*?\n\n`)
	require.Regexp(t, table, string(content))
	if os.Getenv("UPDATE_DOCS") != "" {
		written := table.ReplaceAllLiteralString(string(content), lint.Markdown()+"\n")
		require.NoError(t, os.WriteFile(page, []byte(written), 0o644))
		return
	}
	assert.Equal(t, lint.Markdown()+"\n", table.FindString(string(content)), "UPDATE_DOCS=1 go test ./migrations/lint writes it anew")
}
