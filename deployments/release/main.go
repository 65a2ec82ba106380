// Command release makes a version of what CHANGELOG.md has under Unreleased: it writes the version's section and notes, takes
// the API for the released one, commits that and tags it: `make release VERSION=1.2.0`.
//
// It refuses a tree that is not clean, a version that is not the next, and a changelog that says nothing; it runs `make verify`
// and the last release's tests first. It never pushes: what it made can be looked at, and taken back with what it prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	unverified := flag.Bool("unverified", false, "leave make verify and make check-upgrade out, where they have just been run")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "release VERSION: makes a version of what CHANGELOG.md has under Unreleased, and pushes nothing\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := release{dir: ".", now: time.Now, checks: [][]string{{"make", "verify"}, {"make", "check-upgrade"}}}
	if *unverified {
		r.checks = nil
	}
	if err := r.run(ctx, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// release makes a version in a clone.
type release struct {
	dir string
	now func() time.Time
	// checks are what must succeed before; the last release's tests are left out where there is none.
	checks [][]string
}

const (
	changelogFile = "CHANGELOG.md"
	notesFolder   = "docs/releases"
	promisesFile  = "docs/openapi/released.json"
)

func (r release) run(ctx context.Context, wanted string) error {
	next, err := parseVersion(wanted)
	if err != nil {
		return err
	}
	status, err := r.git(ctx, "status", "--porcelain")
	if err != nil {
		return err
	}
	if status != "" {
		return fmt.Errorf("the tree is not clean; commit or put away:\n%s", status)
	}
	last, err := r.lastVersion(ctx)
	if err != nil {
		return err
	}
	if last != nil && !next.isAfter(*last) {
		return fmt.Errorf("%s is not after %s, which is the last release", next, last)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, changelogFile))
	if err != nil {
		return fmt.Errorf("read the changelog: %w", err)
	}
	changed, notes, err := cut(string(text), next, r.now())
	if err != nil {
		return err
	}
	for _, check := range r.checks {
		if check[len(check)-1] == "check-upgrade" && last == nil {
			continue
		}
		if _, err := r.command(ctx, check[0], check[1:]...); err != nil {
			return err
		}
	}
	if err := r.write(ctx, next, changed, notes); err != nil {
		_, undone := r.git(context.WithoutCancel(ctx), "checkout", "--quiet", "HEAD", "--", changelogFile, promisesFile)
		return errors.Join(err, undone)
	}
	fmt.Printf("%s is committed and tagged, and nothing is pushed. Its notes are %s/%s.md.\n"+
		"  to publish it:      git push origin HEAD %s\n"+
		"  to take it back:    git tag -d %s && git reset --hard HEAD~1\n", next, notesFolder, next, next, next)
	return nil
}

// write writes the files, commits and tags them.
func (r release) write(ctx context.Context, next version, changelog, notes string) error {
	notesFile := filepath.Join(notesFolder, next.String()+".md")
	if err := os.MkdirAll(filepath.Join(r.dir, notesFolder), 0o755); err != nil { //nolint:gosec // a part of the repository
		return fmt.Errorf("make the folder of notes: %w", err)
	}
	for path, text := range map[string]string{changelogFile: changelog, notesFile: notes} {
		if err := os.WriteFile(filepath.Join(r.dir, path), []byte(text), 0o644); err != nil { //nolint:gosec // a part of the repository
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	if _, err := r.command(ctx, "make", "--no-print-directory", "openapi-release"); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"add", "--", changelogFile, notesFile, promisesFile},
		{"commit", "--quiet", "-m", "release: " + next.String()},
		{"tag", "--annotate", "--cleanup=verbatim", "-m", next.String() + "\n\n" + notes, next.String()},
	} {
		if _, err := r.git(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// lastVersion is the highest version that is tagged, nil where none is.
func (r release) lastVersion(ctx context.Context) (*version, error) {
	tags, err := r.git(ctx, "tag", "--list", "v*")
	if err != nil {
		return nil, err
	}
	var last *version
	for tag := range strings.FieldsSeq(tags) {
		if v, err := parseVersion(tag); err == nil && (last == nil || v.isAfter(*last)) {
			last = &v
		}
	}
	return last, nil
}

func (r release) git(ctx context.Context, args ...string) (string, error) {
	return r.command(ctx, "git", args...)
}

// command runs a program in the clone and returns what it said.
func (r release) command(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.dir
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if name == "make" { // it takes its time
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	}
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, said.String())
	}
	return strings.TrimSpace(said.String()), nil
}
