package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// tableQuery lists a table's columns, and the keys of each of its indexes, as PostgreSQL writes them.
const tableQuery = `
SELECT 'column', a.attname::text, CASE WHEN a.attnotnull THEN 'not null' ELSE '' END
  FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'index', i.indexrelid::regclass::text,
       (SELECT string_agg(pg_get_indexdef(i.indexrelid, k, true), E'\x1f' ORDER BY k) FROM generate_series(1, i.indnkeyatts) k)
  FROM pg_index i WHERE i.indrelid = to_regclass($1) AND i.indisvalid`

// Verify compares definitions with the database: every field has its column, and every field that a list may be
// filtered or sorted by has an index that answers it, unless it is declared to be scanned for. It returns every
// mismatch at once, with the field's name.
func (db *DB) Verify(ctx context.Context, definitions []*resource.Definition) error {
	var problems []error
	for _, d := range definitions {
		found, err := db.verify(ctx, d)
		if err != nil {
			return fmt.Errorf("read the table %s: %w", d.Plural, err)
		}
		problems = append(problems, found...)
	}
	return errors.Join(problems...)
}

func (db *DB) verify(ctx context.Context, d *resource.Definition) ([]error, error) {
	rows, err := db.sql.QueryContext(ctx, tableQuery, d.Plural)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // the error that counts is rows.Err's
	columns := map[string]bool{}
	var indexes [][]string
	for rows.Next() {
		var kind, name, detail string
		if err := rows.Scan(&kind, &name, &detail); err != nil {
			return nil, err
		}
		if kind == "column" {
			columns[name] = detail == "not null"
		} else {
			indexes = append(indexes, strings.Split(detail, "\x1f"))
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(columns) == 0 {
		return []error{fmt.Errorf("resource %s: there is no table %s; write its migration", d.Name, d.Plural)}, nil
	}
	var problems []error
	for i := range d.Fields {
		problems = append(problems, verifyField(d, &d.Fields[i], columns, indexes)...)
	}
	return problems, nil
}

func verifyField(d *resource.Definition, f *resource.Field, columns map[string]bool, indexes [][]string) []error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("resource %s: the field %s %s", d.Name, f.Name, fmt.Sprintf(format, args...))
	}
	notNull, exists := columns[f.Name]
	switch {
	case !exists:
		return []error{bad("has no column in %s; add it by a migration or take the field out", d.Plural)}
	case notNull && f.Nullable:
		return []error{bad("is a pointer, and its column is NOT NULL; make them agree")}
	case !notNull && !f.Nullable:
		return []error{bad("is no pointer, and its column may be NULL; make them agree")}
	}
	var problems []error
	if f.Filter && !f.Scan && !isIndexed(indexes, func(keys []string) bool { return keys[0] == f.Name }) {
		problems = append(problems, bad("is filtered by and no index of %s begins with (tenant_id, %s); "+
			"add one, or mark the field scan", d.Plural, f.Name))
	}
	key := f.Name
	if f.Nullable {
		key = "COALESCE(" + f.Name + ", " + floors[f.Kind] + ")"
	}
	same := func(a, b string) bool {
		strip := strings.NewReplacer("::timestamp with time zone", "::timestamptz", " ", "")
		return strings.EqualFold(strip.Replace(a), strip.Replace(b))
	}
	if f.Sort && f.Name != "id" && !f.Scan && !isIndexed(indexes, func(keys []string) bool {
		return same(keys[0], key) && slices.Contains(keys, "id")
	}) {
		problems = append(problems, bad("is sorted by and there is no index on (tenant_id, %s, id); "+
			"add one, or mark the field scan", key))
	}
	return problems
}

// isIndexed says whether an index begins with the tenant and goes on as the rest asks.
func isIndexed(indexes [][]string, rest func(keys []string) bool) bool {
	return slices.ContainsFunc(indexes, func(keys []string) bool {
		return len(keys) > 1 && keys[0] == "tenant_id" && rest(keys[1:])
	})
}
