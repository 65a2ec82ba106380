package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// kept are the files that speak of the project this clone came from, and go on doing so.
func kept() []string { return []string{"LICENSE", "CHANGELOG.md"} }

// rename rewrites the module path of the checkout at root and says how many files changed.
func rename(root, module string) (int, error) {
	if err := check(module); err != nil {
		return 0, err
	}
	old, err := current(root)
	if err != nil {
		return 0, err
	}
	if old == module {
		return 0, nil
	}
	names, err := list(root)
	if err != nil {
		return 0, err
	}
	// Not part of a longer name: github.com/acme/shopping is another module than github.com/acme/shop.
	mention := regexp.MustCompile(`\b` + regexp.QuoteMeta(old) + `($|[^A-Za-z0-9_~-])`)
	replacement := []byte(strings.ReplaceAll(module, "$", "$$") + "${1}")
	changed := 0
	for _, name := range names {
		if slices.Contains(kept(), name) {
			continue
		}
		rewritten, err := rewrite(filepath.Join(root, filepath.FromSlash(name)), mention, replacement)
		if err != nil {
			return changed, err
		}
		if rewritten {
			changed++
		}
	}
	return changed, nil
}

var (
	host    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	element = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_~-]*(\.[A-Za-z0-9_~-]+)*$`)
	major   = regexp.MustCompile(`^v[0-9]+$`)
)

// check refuses what the go command would not take for the beginning of a module path (go.dev/ref/mod#go-mod-file-ident).
func check(module string) error {
	elements := strings.Split(module, "/")
	switch {
	case strings.Contains(module, "://"):
		return fmt.Errorf("%q is a URL: leave out what stands before %q", module, module[strings.Index(module, "://")+3:])
	case len(elements) < 2 || !host.MatchString(elements[0]) || !strings.Contains(elements[0], "."):
		return fmt.Errorf("%q is no module path: it begins with a domain and goes on with a slash, as in github.com/acme/shop", module)
	case major.MatchString(elements[len(elements)-1]):
		return fmt.Errorf("%q ends in a major version, which go allows at the end of a module path only, and the modules' names follow", module)
	case strings.HasSuffix(module, ".git"):
		return fmt.Errorf("%q: leave out .git", module)
	}
	for _, e := range elements[1:] {
		if !element.MatchString(e) {
			return fmt.Errorf("%q is no module path: %q may hold letters, digits and -_~. and must not begin or end with a dot", module, e)
		}
	}
	return nil
}

// current reads the module path from the domain module, without the module's own name.
func current(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "domain", "go.mod")) //nolint:gosec // of the checkout
	if err != nil {
		return "", fmt.Errorf("this is not the root of the checkout: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(strings.TrimSpace(line), "module "); found {
			if prefix, found := strings.CutSuffix(strings.TrimSpace(rest), "/domain"); found {
				return prefix, nil
			}
		}
	}
	return "", errors.New("domain/go.mod names no module that ends in /domain")
}

// list names the files of the checkout, with slashes: those that git knows or would add; in an unpacked archive all.
func list(root string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(root, ".git")); err == nil {
		git := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard") //nolint:noctx // it is over in a moment
		out, err := git.Output()
		if err != nil {
			return nil, fmt.Errorf("git ls-files: %w", err)
		}
		return slices.DeleteFunc(strings.Split(string(out), "\x00"), func(name string) bool { return name == "" }), nil
	}
	var names []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{"bin", "dist", ".local", "node_modules"}, path.Base(name)) {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the files: %w", err)
	}
	return names, nil
}

// rewrite replaces what it finds in a text file, which keeps its mode.
func rewrite(name string, mention *regexp.Regexp, replacement []byte) (bool, error) {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // deleted, and git has not been told
	}
	if err != nil {
		return false, fmt.Errorf("look at the file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return false, nil
	}
	before, err := os.ReadFile(name) //nolint:gosec // of the checkout
	if err != nil {
		return false, fmt.Errorf("read the file: %w", err)
	}
	if bytes.IndexByte(before[:min(len(before), 8000)], 0) >= 0 {
		return false, nil // not text, as git judges it
	}
	after := mention.ReplaceAll(before, replacement)
	if bytes.Equal(before, after) {
		return false, nil
	}
	if err := os.WriteFile(name, after, info.Mode().Perm()); err != nil {
		return false, fmt.Errorf("write the file: %w", err)
	}
	return true, nil
}
