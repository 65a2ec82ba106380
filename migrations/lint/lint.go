// Package lint says which statements of a migration would stop the running product: they hold a lock for as long as
// they read or write a large table, or they take something away that the release before still uses.
//
// It reads the files of migrations with PostgreSQL's own grammar, in their order, and connects to nothing. The command
// migrations/cmd/lint calls it (make migrate-lint). What it cannot see, such as the size of a table, it takes for the
// worst. It judges what goes up; what goes down loses data anyway and is for development. It is never linked into a
// process of the product: the parser adds 16 MB.
package lint

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Config is what the rules need to know beside the files.
type Config struct {
	// Released are the versions that a contract marker may name, without a leading v: "1.4.0". Nil accepts any.
	Released []string
}

// Finding is a statement that a rule refuses.
type Finding struct {
	// File and Line are where the statement begins.
	File string
	Line int
	// Rule is the name of the rule, Problem what is wrong with this statement, and Way what to write in its place.
	Rule, Problem, Way string
}

// String is "file:line: rule: problem", and the safe way below it.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s\n    the safe way: %s", f.File, f.Line, f.Rule, f.Problem, f.Way)
}

// Check judges the migrations *.sql of a folder, in the order of their names. A file that PostgreSQL's grammar refuses
// is a finding, too; an error is a folder that cannot be read.
func Check(files fs.FS, cfg Config) ([]Finding, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list the migrations: %w", err)
	}
	slices.Sort(names)
	known := newSchema()
	var found []Finding
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		c := &checker{cfg: cfg, schema: known, file: name}
		c.check(string(text))
		slices.SortStableFunc(c.found, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
		found = append(found, c.found...)
	}
	return found, nil
}

// checker judges one file.
type checker struct {
	cfg    Config
	schema *schema // what the files before have made; this one adds to it
	file   string
	// inTransaction says that the file is applied as a whole.
	inTransaction bool
	// made are the tables and functions that the file makes: nobody uses them yet.
	made map[string]bool
	// locked are the tables that were there before and that nobody can read until the transaction ends, in order.
	locked []string
	// added are constraints that the file adds, as "table.constraint".
	added  map[string]bool
	tables []*newTable
	found  []Finding
}

func (c *checker) check(text string) {
	source, err := read(text)
	if err != nil {
		c.found = append(c.found, c.finding(err.line, ruleSyntax, err.Error()))
		return
	}
	c.inTransaction, c.made, c.added = !source.noTransaction, map[string]bool{}, map[string]bool{}
	for i := range source.statements {
		c.statement(&source.statements[i])
	}
	c.finishTables()
	for _, m := range source.markers {
		switch {
		case m.wrong != "":
			c.found = append(c.found, c.finding(m.line, ruleMarker, m.wrong))
		case m.contract != "" && c.cfg.Released != nil && !slices.Contains(c.cfg.Released, strings.TrimPrefix(m.contract, "v")):
			c.found = append(c.found, c.finding(m.line, ruleMarker, fmt.Sprintf(
				"the contract names %s, which CHANGELOG.md does not have as a release", m.contract)))
		case !m.used:
			c.found = append(c.found, c.finding(m.line, ruleMarker, "nothing below the marker needs it"))
		}
	}
}

// report adds a finding, unless the statement says that it is allowed.
func (c *checker) report(s *statement, rule ruleName, format string, args ...any) {
	for _, m := range s.markers {
		if m.allow == rule || m.contract != "" && rule == ruleDrop {
			m.used = true
			return
		}
	}
	c.found = append(c.found, c.finding(s.line, rule, fmt.Sprintf(format, args...)))
}

func (c *checker) finding(line int, name ruleName, problem string) Finding {
	return Finding{File: c.file, Line: line, Rule: string(name), Problem: problem, Way: ruleOf(name).Way}
}

// isOld says whether a table was there before this file, and is in use.
func (c *checker) isOld(table string) bool { return !c.made[table] }

// lock notes that nobody can read a table until the transaction ends.
func (c *checker) lock(s *statement, table string) {
	if !c.isOld(table) || slices.Contains(c.locked, table) {
		return
	}
	c.locked = append(c.locked, table)
	if c.inTransaction && len(c.locked) > 1 {
		c.report(s, ruleOneLock, "it locks %s while the transaction holds %s", table, c.locked[0])
	}
}
