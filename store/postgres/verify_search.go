package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// termsQuery returns what the terms of a table are made of; nothing where no index, or no function that this role may
// call, answers by them.
const termsQuery = `
SELECT pg_get_expr(e.adbin, e.adrelid, true)
  FROM pg_attribute a JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
 WHERE a.attrelid = to_regclass($1) AND a.attname = $2 AND NOT a.attisdropped
   AND EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
     WHERE i.indrelid = a.attrelid AND i.indisvalid AND m.amname = 'gin' AND i.indkey[0] = a.attnum)
   AND EXISTS (SELECT FROM pg_proc p JOIN pg_roles o ON o.oid = p.proowner
     WHERE p.oid = to_regprocedure($3) AND p.prosecdef AND o.rolname = 'groundwork_search' AND has_function_privilege(p.oid, 'EXECUTE'))`

// verifySearch compares what a definition searches, and filters by what it holds, with what make_searchable made.
func (db *DB) verifySearch(ctx context.Context, d *resource.Definition) (problem, err error) {
	texts, collections := searchedColumns(d)
	var parts []string
	if len(texts) > 0 {
		parts = append(parts, "search_vector(tenant_id, ARRAY["+strings.Join(searched(d), ", ")+"])")
	}
	for _, name := range collections {
		parts = append(parts, fmt.Sprintf("search_values(tenant_id, '%s', %s)", name, name))
	}
	if len(parts) == 0 {
		return nil, nil
	}
	var made string
	err = db.sql.QueryRowContext(ctx, termsQuery, d.Plural, termsColumn, "find_"+d.Plural+"(tsquery, tsquery, integer)").Scan(&made)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	strip := strings.NewReplacer("::text", "", " ", "", `"`, "")
	for _, part := range parts {
		if !strings.Contains(strip.Replace(made), strip.Replace(part)) {
			return fmt.Errorf("resource %s: the table %s is not made to be searched as its fields say; "+
				"SELECT make_searchable('%s', %s, %s) in a migration, or mark what is filtered by scan",
				d.Name, d.Plural, d.Plural, arrayOf(texts), arrayOf(collections)), nil
		}
	}
	return nil, nil
}

// searchedColumns are what make_searchable is told: the columns searched for words, and those filtered by what they hold.
func searchedColumns(d *resource.Definition) (texts, collections []string) {
	for _, f := range d.SearchFields() {
		texts = append(texts, f.Name)
	}
	for i := range d.Fields {
		if f := &d.Fields[i]; inTerms(f) {
			collections = append(collections, f.Name)
		}
	}
	return texts, collections
}

// searched are the texts that are searched, as they stand in SQL.
func searched(d *resource.Definition) []string {
	var texts []string
	for _, f := range d.SearchFields() {
		if f.Kind == resource.TextList {
			texts = append(texts, "search_text("+f.Name+")")
		} else {
			texts = append(texts, f.Name)
		}
	}
	return texts
}

func arrayOf(names []string) string {
	if len(names) == 0 {
		return "'{}'"
	}
	return "ARRAY['" + strings.Join(names, "', '") + "']"
}
