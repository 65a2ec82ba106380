package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const changelogBefore = `# Changelog

## [Unreleased]

### Added

- Ships.

### Fixed

- Boats.

## [1.1.0] - 2026-01-02

- Rafts.
`

func TestRelease_makes_a_version(t *testing.T) {
	t.Parallel()
	r := newClone(t, changelogBefore)
	r.tag(t, "v1.1.0", "v1.1.1-rc.1", "v0.9.0", "vessel")
	require.NoError(t, r.run(t.Context(), "1.2.0"))
	assert.Equal(t, strings.Replace(changelogBefore, "## [Unreleased]\n", "## [Unreleased]\n\n## [1.2.0] - 2026-11-25\n", 1), r.read(t, changelogFile))
	const notes = "### Added\n\n- Ships.\n\n### Fixed\n\n- Boats.\n"
	assert.Equal(t, notes, r.read(t, "docs/releases/v1.2.0.md"))
	assert.Equal(t, "promised\n", r.read(t, promisesFile))
	assert.Empty(t, r.must(t, "status", "--porcelain"), "all is committed")
	assert.Equal(t, "release: v1.2.0", r.must(t, "log", "-1", "--format=%s"))
	assert.Equal(t, "tag", r.must(t, "cat-file", "-t", "v1.2.0"), "it is annotated")
	assert.Equal(t, r.must(t, "rev-parse", "HEAD"), r.must(t, "rev-parse", "v1.2.0^{commit}"))
	assert.Contains(t, r.must(t, "tag", "--list", "--format=%(contents)", "v1.2.0"), notes[:len(notes)-1], "headings and all")
	assert.Equal(t, "checked upgraded", strings.Join(strings.Fields(r.readAny(t, "../checks")), " "))
	// A second one has nothing to say.
	require.ErrorIs(t, r.run(t.Context(), "1.3.0"), errNothing)
}

func TestRelease_refuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version, changelog, says string
		prepare                  func(testing.TB, clone)
	}{
		"no version":              {"", changelogBefore, "is no version", nil},
		"a word":                  {"next", changelogBefore, "is no version", nil},
		"an option":               {"--force", changelogBefore, "is no version", nil},
		"an older version":        {"1.1.0-rc.1", changelogBefore, "is not after v1.1.0", nil},
		"the same version":        {"v1.1.0", changelogBefore, "is not after v1.1.0", nil},
		"no section":              {"1.2.0", "# Changelog\n", "has no line", nil},
		"a heading only":          {"1.2.0", "## [Unreleased]\n\n### Added\n\n## [1.1.0]\n\n- x\n", "nothing under", nil},
		"a section that is there": {"1.1.5", changelogBefore + "\n## [1.1.5] - 2026-01-03\n", "already", nil},
		"a tree that is not clean": {"1.2.0", changelogBefore, "not clean", func(tb testing.TB, r clone) {
			tb.Helper()
			r.put(tb, "stray", "x")
		}},
		"a check that fails": {"1.2.0", changelogBefore, "make verify", func(tb testing.TB, r clone) {
			tb.Helper()
			r.put(tb, "Makefile", "verify:\n\t@false\n")
			r.must(tb, "commit", "--quiet", "-am", "break")
		}},
		"an API that cannot be written": {"1.2.0", changelogBefore, "openapi-release", func(tb testing.TB, r clone) {
			tb.Helper()
			r.put(tb, "Makefile", "verify check-upgrade:\n\nopenapi-release:\n\t@false\n")
			r.must(tb, "commit", "--quiet", "-am", "break")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newClone(t, c.changelog)
			r.tag(t, "v1.1.0")
			if c.prepare != nil {
				c.prepare(t, r)
			}
			before := r.must(t, "rev-parse", "HEAD")
			require.ErrorContains(t, r.run(t.Context(), c.version), c.says)
			assert.Equal(t, c.changelog, r.read(t, changelogFile), "nothing is changed")
			assert.Equal(t, before, r.must(t, "rev-parse", "HEAD"))
			assert.Equal(t, "v1.1.0", r.must(t, "tag"))
		})
	}
}

func TestVersion_is_after_another(t *testing.T) {
	t.Parallel()
	ascending := []string{
		"0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0",
		"1.0.1", "1.2.0", "1.10.0", "2.0.0",
	}
	for i, a := range ascending {
		for j, b := range ascending {
			v, err := parseVersion(a)
			require.NoError(t, err)
			o, err := parseVersion(b)
			require.NoError(t, err)
			assert.Equal(t, i > j, v.isAfter(o), "%s after %s", a, b)
		}
	}
}

// clone is a release in a clone of the test's own.
type clone struct{ release }

func newClone(tb testing.TB, changelog string) clone {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "clone")
	require.NoError(tb, os.MkdirAll(filepath.Join(dir, "docs", "openapi"), 0o700))
	r := clone{release{
		dir: dir, checks: [][]string{{"make", "verify"}, {"make", "check-upgrade"}},
		now: func() time.Time { return time.Date(2026, 11, 25, 23, 30, 0, 0, time.UTC) },
	}}
	r.must(tb, "init", "--quiet")
	for key, value := range map[string]string{"user.name": "T", "user.email": "t@example.com", "commit.gpgsign": "false", "tag.gpgsign": "false"} {
		r.must(tb, "config", key, value)
	}
	r.put(tb, changelogFile, changelog)
	r.put(tb, promisesFile, "before\n")
	r.put(tb, "Makefile", "verify:\n\t@echo checked >> ../checks\n\ncheck-upgrade:\n\t@echo upgraded >> ../checks\n\n"+
		"openapi-release:\n\t@echo promised > "+promisesFile+"\n")
	r.must(tb, "add", ".")
	r.must(tb, "commit", "--quiet", "-m", "first")
	return r
}

func (r clone) tag(tb testing.TB, names ...string) {
	tb.Helper()
	for _, name := range names {
		r.must(tb, "tag", name)
	}
}

func (r clone) put(tb testing.TB, path, text string) {
	tb.Helper()
	require.NoError(tb, os.WriteFile(filepath.Join(r.dir, path), []byte(text), 0o600))
}

func (r clone) read(tb testing.TB, path string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, path))
	require.NoError(tb, err)
	return string(text)
}

func (r clone) readAny(tb testing.TB, path string) string {
	tb.Helper()
	text, _ := os.ReadFile(filepath.Join(r.dir, path))
	return string(text)
}

func (r clone) must(tb testing.TB, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), "git", args...)
	cmd.Dir = r.dir
	said, err := cmd.CombinedOutput()
	require.NoError(tb, err, "git %v: %s", args, said)
	return strings.TrimSpace(string(said))
}
