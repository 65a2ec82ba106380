package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const checkout = "../.."

// copyOf the checkout's files, as a fresh clone or an unpacked archive would have them.
func copyOf(tb testing.TB) string {
	tb.Helper()
	names, err := list(checkout)
	require.NoError(tb, err)
	root := tb.TempDir()
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(checkout, name))
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(tb, err)
		info, err := os.Stat(filepath.Join(checkout, name))
		require.NoError(tb, err)
		target := filepath.Join(root, name)
		require.NoError(tb, os.MkdirAll(filepath.Dir(target), 0o700))
		require.NoError(tb, os.WriteFile(target, content, info.Mode().Perm()))
	}
	return root
}

func contents(tb testing.TB, root string) map[string]string {
	tb.Helper()
	names, err := list(root)
	require.NoError(tb, err)
	found := map[string]string{}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(tb, err)
		found[name] = string(content)
	}
	return found
}

func command(tb testing.TB, dir, name string, args ...string) string {
	tb.Helper()
	c := exec.CommandContext(tb.Context(), name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	output, err := c.CombinedOutput()
	require.NoError(tb, err, string(output))
	return string(output)
}

func TestRename_leaves_no_trace_and_what_builds(t *testing.T) {
	t.Parallel()
	old, err := current(checkout)
	require.NoError(t, err)
	root := copyOf(t)
	before := contents(t, root)
	const module = "git.example.com" + "/Acme/shop.v1/back-end" // in two, or the way back would find it here
	changed, err := rename(root, module)
	require.NoError(t, err)
	assert.Positive(t, changed)

	for name, content := range contents(t, root) {
		if !slices.Contains(kept(), name) {
			assert.NotContains(t, content, old, "%s still says %s", name, old)
		}
	}
	for _, name := range []string{"LICENSE", ".ci/run"} {
		before, err := os.Stat(filepath.Join(checkout, name))
		require.NoError(t, err)
		after, err := os.Stat(filepath.Join(root, name))
		require.NoError(t, err)
		assert.Equal(t, before.Mode(), after.Mode(), name)
	}
	// The module that imports none of ours, and one that imports another.
	for _, name := range []string{"domain", "migrations"} {
		command(t, filepath.Join(root, name), "go", "build", "./...")
		assert.Contains(t, command(t, filepath.Join(root, name), "go", "list", "-m"), module+"/"+name)
	}
	command(t, filepath.Join(root, "store"), "go", "build", "./redis/...")

	again, err := rename(root, module)
	require.NoError(t, err)
	assert.Zero(t, again, "the second time changes something")

	_, err = rename(root, old)
	require.NoError(t, err)
	assert.Equal(t, before, contents(t, root), "there and back is not the same")
}

func TestRename_touches_only_whole_names_in_text_that_git_knows(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	command(t, root, "git", "init", "--quiet")
	write := func(name, content string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o600))
	}
	write("domain/go.mod", "module example.com/old/base/domain\n")
	write(".gitignore", "/bin/\n")
	write("bin/note.txt", "example.com/old/base/domain")
	write("LICENSE", "example.com/old/base")
	write("image.bin", "\x00example.com/old/base")
	write("README.md", "example.com/old/base, `example.com/old/base/api`, example.com/old/base-line example.com/old/based, https://example.com/old/base.git, the end: example.com/old/base")
	git := func() string {
		return command(t, root, "git", "for-each-ref") + command(t, root, "git", "status", "--short", "--", ".git")
	}
	before := git()

	changed, err := rename(root, "example.org/new")
	require.NoError(t, err)
	assert.Equal(t, 2, changed)
	for name, want := range map[string]string{
		"domain/go.mod": "module example.org/new/domain\n",
		"bin/note.txt":  "example.com/old/base/domain",
		"LICENSE":       "example.com/old/base",
		"image.bin":     "\x00example.com/old/base",
		"README.md":     "example.org/new, `example.org/new/api`, example.com/old/base-line example.com/old/based, https://example.org/new.git, the end: example.org/new",
	} {
		got, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		assert.Equal(t, want, string(got), name)
	}
	assert.Equal(t, before, git())
}

func TestRename_refuses(t *testing.T) {
	t.Parallel()
	for _, module := range []string{
		"", "shop", "acme/shop", "github.com", "github.com/", "github.com//shop", "/github.com/acme", "github.com/acme/", "https://github.com/acme/shop",
		"github.com/acme/shop.git", "github.com/acme/shop/v2", "github.com/acme/../shop", "github.com/acme/.shop", "github.com/acme/shop.",
		"github.com/acme/sh op", "github.com/acme/shop$1", "GitHub.com/acme/shop", "github.com/acme/geschäft", "github.com/acme/shop\n",
	} {
		_, err := rename(checkout, module)
		require.Error(t, err, "%q", module)
	}
	_, err := rename(t.TempDir(), "github.com/acme/shop")
	require.ErrorContains(t, err, "not the root of the checkout")
}
