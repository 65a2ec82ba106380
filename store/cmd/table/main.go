// Command table writes the migration that makes the table of a resource which is declared and in the catalog.
//
//	go run ./store/cmd/table products migrations/sql
//
// writes migrations/sql/NNNN_products.sql with the next free number. What it writes is the developer's from then on.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("say which resource, and the folder of the migrations: table products migrations/sql")

func run(args []string, out io.Writer) error {
	if len(args) != 2 || args[0] == "" {
		return errUsage
	}
	all, folder := catalog.All(), args[1]
	at := slices.IndexFunc(all, func(d *resource.Definition) bool { return d.Plural == args[0] })
	if at < 0 {
		known := make([]string, len(all))
		for i, d := range all {
			known[i] = d.Plural
		}
		return fmt.Errorf("the catalog has no resource %q; it has: %s", args[0], strings.Join(known, ", "))
	}
	path, err := nextFile(folder, args[0])
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(postgres.Migration(all[at])), 0o644); err != nil { //nolint:gosec // it is source
		return fmt.Errorf("write the migration: %w", err)
	}
	_, err = fmt.Fprintln(out, path)
	return err
}

// nextFile is the path of the next migration, unless there is one of that name.
func nextFile(folder, name string) (string, error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return "", fmt.Errorf("read the migrations: %w", err)
	}
	last := 0
	for _, f := range files {
		number, rest, _ := strings.Cut(f.Name(), "_")
		if rest == name+".sql" {
			return "", fmt.Errorf("there is %s already; change it, or where it was released write another one by hand", f.Name())
		}
		if n, err := strconv.Atoi(number); err == nil {
			last = max(last, n)
		}
	}
	return filepath.Join(folder, fmt.Sprintf("%04d_%s.sql", last+1, name)), nil
}
