package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// Migration is the migration that makes a resource's table as Verify wants it: with a column for each field, the indexes
// that its filters, orders, references and unique fields need, and its search.
func Migration(d *resource.Definition) string {
	t := tableParts{definition: d}
	for i := range d.Fields {
		t.add(&d.Fields[i])
	}
	var up, down strings.Builder
	write := func(b *strings.Builder, format string, args ...any) { _, _ = fmt.Fprintf(b, format+"\n", args...) }
	write(&up, "CREATE TABLE %s (", d.Plural)
	widest := len("tenant_id")
	for _, c := range t.columns {
		widest = max(widest, len(c.name))
	}
	write(&up, "  %-*s uuid        NOT NULL,", widest, "tenant_id")
	for _, c := range t.columns {
		write(&up, "%s", strings.TrimRight(fmt.Sprintf("  %-*s %-11s %s", widest, c.name, c.kind, c.rest), " ")+",")
	}
	write(&up, "  %s\n);", strings.Join(append([]string{"PRIMARY KEY (tenant_id, id)"}, t.constraints...), ",\n  "))
	for _, index := range t.indexes {
		write(&up, "%s;", index)
	}
	write(&up, "SELECT protect_tenant_table('%s');", d.Plural)
	if texts, collections := searchedColumns(d); len(texts)+len(collections) > 0 {
		write(&up, "SELECT make_searchable('%s', %s, %s);", d.Plural, arrayOf(texts), arrayOf(collections))
		write(&down, "DROP FUNCTION find_%s;", d.Plural)
	}
	write(&down, "DROP TABLE %s;", d.Plural)
	return "-- +goose Up\n" + up.String() + "\n-- +goose Down\n" + down.String()
}

// tableParts are what a migration is put together from.
type tableParts struct {
	definition  *resource.Definition
	columns     []tableColumn
	constraints []string
	indexes     []string
}

type tableColumn struct{ name, kind, rest string }

func (t *tableParts) add(f *resource.Field) {
	plural, name := t.definition.Plural, quoted(f.Name)
	kind := strings.Replace(columnTypes[f.Kind], "timestamp with time zone", "timestamptz", 1)
	c := tableColumn{name: name, kind: kind, rest: "NOT NULL"}
	if f.Nullable {
		c.rest = ""
	}
	t.columns = append(t.columns, c)
	if f.References != nil {
		t.constraints = append(t.constraints, fmt.Sprintf("CONSTRAINT %s FOREIGN KEY (tenant_id, %s) REFERENCES %s (tenant_id, id)",
			foreignKey(t.definition, f), name, f.References.Plural))
	}
	if f.Unique {
		t.indexes = append(t.indexes, fmt.Sprintf("CREATE UNIQUE INDEX %s ON %s (tenant_id, %s) WHERE deleted_at IS NULL",
			uniqueKey(t.definition, f), plural, name))
	}
	isFiltered := (f.Filter && !inTerms(f) && !f.Unique) || f.References != nil
	if f.Scan || f.Name == "id" || (!isFiltered && !f.Sort) {
		return
	}
	key, rest := name, ""
	if hasFloor(f) {
		key = sortKeySQL(f, name)
	}
	if f.Name == "deleted_at" {
		rest = " WHERE deleted_at IS NOT NULL" // only the trash is looked for by it
	}
	t.indexes = append(t.indexes, fmt.Sprintf("CREATE INDEX %s_%s_idx ON %s (tenant_id, %s, id)%s", plural, f.Name, plural, key, rest))
}

// uniqueKey is the name of the index that makes a field unique, by which a fault says which value was taken.
func uniqueKey(d *resource.Definition, f *resource.Field) string {
	return d.Plural + "_" + f.Name + "_key"
}

// quoted is a column's name as it stands in SQL: in quotes where it is one of the words that PostgreSQL reserves.
func quoted(name string) string {
	if slices.Contains(reserved(), name) {
		return `"` + name + `"`
	}
	return name
}

func reserved() []string {
	return strings.Fields(`all analyse analyze and any array as asc asymmetric authorization binary both case cast check
		collate collation column concurrently constraint create cross current_catalog current_date current_role
		current_schema current_time current_timestamp current_user default deferrable desc distinct do else end except
		false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is isnull join
		lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer
		overlaps placing primary references returning right select session_user similar some symmetric system_user table
		tablesample then to trailing true union unique user using variadic verbose when where window with`)
}
