package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jinzhu/inflection"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// tableQuery lists a table, its columns, and its indexes with their keys, as PostgreSQL writes them.
const tableQuery = `
SELECT 'table', c.relname::text, CASE WHEN c.relrowsecurity AND c.relforcerowsecurity THEN 'protected' ELSE '' END, '', false, ''
  FROM pg_class c WHERE c.oid = to_regclass($1)
UNION ALL
SELECT 'column', a.attname::text, format_type(a.atttypid, a.atttypmod), '', a.attnotnull, ''
  FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'reference', c.conname::text, pg_get_constraintdef(c.oid, true), '', false, ''
  FROM pg_constraint c WHERE c.conrelid = to_regclass($1) AND c.contype = 'f'
UNION ALL
SELECT 'index', i.indexrelid::regclass::text,
       (SELECT string_agg(pg_get_indexdef(i.indexrelid, k, true), E'\x1f' ORDER BY k) FROM generate_series(1, i.indnkeyatts) k),
       coalesce(pg_get_expr(i.indpred, i.indrelid, true), ''), i.indisunique, m.amname::text
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
 WHERE i.indrelid = to_regclass($1) AND i.indisvalid`

// layout is what the database has for a resource.
type layout struct {
	exists, isProtected bool
	columns             map[string]layoutColumn
	references          map[string]string // foreign keys, as PostgreSQL writes them, by name
	indexes             []layoutIndex
}

type layoutColumn struct {
	kind    string
	notNull bool
}

type layoutIndex struct {
	name      string
	keys      []string
	predicate string
	isUnique  bool
	method    string
}

// Verify compares definitions with the database: every table is protected, every field has a column of its type, every
// field that a list may be filtered or sorted by has an index that answers it, unless it is declared to be scanned for,
// every unique field has the index that makes it so, and the fields that are searched are those that make_searchable was
// told. It returns every mismatch at once, with the field's name.
func (db *DB) Verify(ctx context.Context, definitions []*resource.Definition) error {
	var problems []error
	for _, d := range definitions {
		t, err := db.layout(ctx, d.Plural)
		if err != nil {
			return fmt.Errorf("read the table %s: %w", d.Plural, err)
		}
		problems = append(problems, db.verify(d, t)...)
		if !t.exists {
			continue
		}
		problem, err := db.verifySearch(ctx, d)
		if err != nil {
			return fmt.Errorf("read how the table %s is searched: %w", d.Plural, err)
		}
		problems = append(problems, problem)
	}
	return errors.Join(problems...)
}

func (db *DB) layout(ctx context.Context, name string) (layout, error) {
	t := layout{columns: map[string]layoutColumn{}, references: map[string]string{}}
	rows, err := db.sql.QueryContext(ctx, tableQuery, name)
	if err != nil {
		return t, err
	}
	defer func() { _ = rows.Close() }() // the error that counts is rows.Err's
	for rows.Next() {
		var kind, name, detail, predicate, method string
		var is bool
		if err := rows.Scan(&kind, &name, &detail, &predicate, &is, &method); err != nil {
			return t, err
		}
		detail = strings.ReplaceAll(detail, `"`, "") // around names that are SQL's words, such as "interval"
		switch kind {
		case "table":
			t.exists, t.isProtected = true, detail == "protected"
		case "column":
			t.columns[name] = layoutColumn{kind: detail, notNull: is}
		case "reference":
			t.references[name] = strings.TrimSuffix(detail, " NOT VALID")
		default:
			keys := strings.Split(detail, "\x1f")
			t.indexes = append(t.indexes, layoutIndex{name: name, keys: keys, predicate: predicate, isUnique: is, method: method})
		}
	}
	return t, rows.Err()
}

func (db *DB) verify(d *resource.Definition, t layout) []error {
	if !t.exists {
		return []error{fmt.Errorf("resource %s: there is no table %s; make migration RESOURCE=%s writes its migration",
			d.Name, d.Plural, d.Plural)}
	}
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("resource "+d.Name+": "+format, args...))
	}
	if !t.isProtected {
		bad("the table %s does not force row level security; call protect_tenant_table in its migration", d.Plural)
	}
	if singular := inflection.Singular(d.Plural); singular != d.Name {
		bad("faults of its constraints would speak of a %s; choose a plural whose singular is %s", singular, d.Name)
	}
	st := &gorm.Statement{DB: db.gorm}
	if err := st.Parse(d.New()); err != nil {
		bad("%w", err)
		return problems
	}
	if st.Schema.Table != d.Plural {
		bad("the struct's table is %s and not %s; give it a method TableName", st.Schema.Table, d.Plural)
	}
	for i := range d.Fields {
		f := &d.Fields[i]
		for _, problem := range verifyField(d, f, st.Schema, t) {
			bad("the field %s %s", f.Name, problem)
		}
	}
	return problems
}

// columnTypes are those that keep every value of a kind.
//
//nolint:gochecknoglobals // a table
var columnTypes = map[resource.Kind]string{
	resource.Text:     "text",
	resource.Integer:  "bigint",
	resource.Boolean:  "boolean",
	resource.Time:     "timestamp with time zone",
	resource.ID:       "uuid",
	resource.TextList: "text[]",
	resource.Object:   "jsonb",
	resource.List:     "jsonb",
}

func verifyField(d *resource.Definition, f *resource.Field, s *schema.Schema, t layout) []string {
	c, exists := t.columns[f.Name]
	switch {
	case !exists:
		return []string{"has no column in " + d.Plural + "; add it by a migration or take the field out"}
	case s.FieldsByDBName[f.Name] == nil:
		return []string{"is kept in a column of another name; rename the Go field, or tag it gorm:\"column:" + f.Name + "\""}
	case c.kind != columnTypes[f.Kind]:
		return []string{"holds " + string(f.Kind) + ", and its column is " + c.kind + "; it must be " + columnTypes[f.Kind]}
	case c.notNull && f.Nullable:
		return []string{"is a pointer, and its column is NOT NULL; make them agree"}
	case !c.notNull && !f.Nullable:
		return []string{"is no pointer, and its column may be NULL; make them agree"}
	}
	return append(verifyReference(d, f, t), verifyIndexes(d, f, t)...)
}

// verifyReference demands the foreign key that keeps what is referred to from being purged.
func verifyReference(d *resource.Definition, f *resource.Field, t layout) []string {
	if f.References == nil {
		return nil
	}
	want := fmt.Sprintf("FOREIGN KEY (tenant_id, %s) REFERENCES %s(tenant_id, id)", f.Name, f.References.Plural)
	if t.references[foreignKey(d, f)] == want {
		return nil
	}
	return []string{fmt.Sprintf("refers to %s and there is no CONSTRAINT %s %s", f.References.Plural, foreignKey(d, f), want)}
}

func verifyIndexes(d *resource.Definition, f *resource.Field, t layout) []string {
	var problems []string
	key := f.Name
	if hasFloor(f) {
		key = sortKeySQL(f, f.Name)
	}
	if (f.Filter || f.References != nil) && !f.Scan && !inTerms(f) && !t.has(func(x layoutIndex) bool { return sameSQL(x.keys[1], key) }) {
		use := "is filtered by"
		if !f.Filter {
			use = "is a reference"
		}
		problems = append(problems, fmt.Sprintf(
			use+" and no index of %s begins with (tenant_id, %s); add one, or mark the field scan", d.Plural, key))
	}
	if f.Sort && !f.Scan && f.Name != "id" && !t.has(func(x layoutIndex) bool {
		return len(x.keys) > 2 && sameSQL(x.keys[1], key) && x.keys[2] == "id" && x.method == "btree"
	}) {
		problems = append(problems, fmt.Sprintf(
			"is sorted by and no index of %s begins with (tenant_id, %s, id); add one, or mark the field scan", d.Plural, key))
	}
	name := uniqueKey(d, f)
	if f.Unique && !t.has(func(x layoutIndex) bool {
		return len(x.keys) == 2 && x.keys[1] == f.Name && x.isUnique && x.predicate == "deleted_at IS NULL" && x.name == name
	}) {
		problems = append(problems, fmt.Sprintf(
			"is unique and there is no unique index %s on (tenant_id, %s) WHERE deleted_at IS NULL", name, f.Name))
	}
	return problems
}

// has says whether one of the indexes that begin with the tenant is as asked.
func (t layout) has(asked func(layoutIndex) bool) bool {
	return slices.ContainsFunc(t.indexes, func(x layoutIndex) bool {
		return len(x.keys) > 1 && x.keys[0] == "tenant_id" && asked(x)
	})
}

// sameSQL compares what a definition needs with what PostgreSQL made of an index's key.
func sameSQL(a, b string) bool {
	strip := strings.NewReplacer("::timestamp with time zone", "::timestamptz", " ", "")
	return strings.EqualFold(strip.Replace(a), strip.Replace(b))
}
