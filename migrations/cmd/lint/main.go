// Command lint judges migrations before they are applied: `go run ./migrations/cmd/lint`, which is `make migrate-lint`.
//
// It is a command of its own, so that PostgreSQL's grammar is no part of the migrate command that is deployed.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/groundwork-saas/groundwork/migrations/lint"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// The exit codes: all is well, something is refused, wrong usage or nothing to read.
const (
	clean = iota
	refused
	broken
)

func run(args []string, out, wrong io.Writer) int {
	flags := flag.NewFlagSet("lint", flag.ContinueOnError)
	flags.SetOutput(wrong)
	dir := flags.String("dir", "migrations/sql", "the `folder` of the migrations")
	changelog := flags.String("changelog", "CHANGELOG.md", "the `file` whose releases a contract may name; empty accepts any")
	rules := flags.Bool("rules", false, "print the table of the rules and judge nothing")
	if err := flags.Parse(args); err != nil {
		return broken
	}
	if *rules {
		fmt.Fprint(out, lint.Markdown())
		return clean
	}
	var cfg lint.Config
	if *changelog != "" {
		releases, err := releasesOf(*changelog)
		if err != nil {
			fmt.Fprintln(wrong, "lint:", err)
			return broken
		}
		cfg.Released = releases
	}
	names, err := filepath.Glob(filepath.Join(*dir, "*.sql"))
	if err == nil && (len(names) == 0 || flags.NArg() > 0) {
		err = fmt.Errorf("no migrations in %s; -dir names their folder", *dir)
	}
	if err != nil {
		fmt.Fprintln(wrong, "lint:", err)
		return broken
	}
	found, err := lint.Check(os.DirFS(*dir), cfg)
	if err != nil {
		fmt.Fprintln(wrong, "lint:", err)
		return broken
	}
	for _, f := range found {
		f.File = filepath.Join(*dir, f.File)
		fmt.Fprintln(out, f)
	}
	if len(found) > 0 {
		fmt.Fprintf(wrong, "lint: %d refused in %d files; an exception says -- lint: allow <rule>: <reason> above the statement (docs/migrations.md)\n",
			len(found), len(names))
		return refused
	}
	fmt.Fprintf(wrong, "lint: %d migrations, nothing refused\n", len(names))
	return clean
}

// releasesOf are the versions of a changelog's headings, never nil.
func releasesOf(path string) ([]string, error) {
	content, err := os.ReadFile(path) //nolint:gosec // whoever calls names the file
	if err != nil {
		return nil, fmt.Errorf("read the releases: %w", err)
	}
	versions := []string{}
	for _, match := range regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\]`).FindAllStringSubmatch(string(content), -1) {
		versions = append(versions, match[1])
	}
	return versions, nil
}
