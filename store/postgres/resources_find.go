package postgres

import (
	"context"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// FindRecords returns the records that have one of the values in the field. Those that are held are locked in the order
// of their ids, so that two who hold some of the same wait for each other and never both.
func (s *Resources) FindRecords(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, f *resource.Field, values []any, how resource.Finding,
) ([]resource.Entity, error) {
	if len(values) == 0 {
		return nil, nil
	}
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	rows := d.NewList(len(values))
	if how == resource.LookInTrash {
		err = db.Scoped(ctx, scope).Scopes(Trash(resource.WithTrash)).Where(clause.Expr{ // one array: one statement to prepare
			SQL:  "? = ANY(?::" + columnTypes[f.Kind] + "[])",
			Vars: []any{clause.Column{Table: clause.CurrentTable, Name: f.Name}, textsOf(values)},
		}).Find(rows).Error
	} else {
		err = db.InTx(ctx, scope, func(ctx context.Context) error {
			tx := db.Scoped(ctx, scope)
			if err := Defer(tx, "select "+keepToIndexes); err != nil {
				return err
			}
			query, err := findSQL(tx, d, f, how)
			if err != nil {
				return err
			}
			return rawOK(tx).Raw(query, distinctTextsOf(values), scope.Tenant).Find(rows).Error
		})
	}
	if err != nil {
		return nil, resourceFault(err, d)
	}
	return d.Entities(rows), nil
}

// findSQL is a statement that looks each value of an array up by itself, by the index that makes the field unique. It
// must do so whatever the statistics say: a table may be empty when the plan is made and have a million rows before
// anybody counts them. A value that is asked for as a range and in its order is found by the index that has the order;
// any other plan would have to sort.
func findSQL(tx *gorm.DB, d *resource.Definition, f *resource.Field, how resource.Finding) (string, error) {
	st := &gorm.Statement{DB: tx}
	if err := st.Parse(d.New()); err != nil {
		return "", err //nolint:wrapcheck // gorm's error names the model
	}
	columns := func(of string) string { return of + `."` + strings.Join(st.Schema.DBNames, `", `+of+`."`) + `"` }
	// lookUp is the one live record whose column is as wanted.
	lookUp := func(targets, column, wanted string) string {
		return " CROSS JOIN LATERAL (SELECT " + targets + " FROM " + d.Plural + " t WHERE t.tenant_id = $2 AND t." + column + " >= " + wanted +
			" AND t." + column + " <= " + wanted + " AND t.deleted_at IS NULL ORDER BY t." + column + " LIMIT 1"
	}
	name := quoted(f.Name)
	given := " FROM unnest($1::" + columnTypes[f.Kind] + "[]) AS w (v)"
	lock := "UPDATE"
	switch how {
	case resource.Look, resource.LookInTrash:
		return "SELECT " + columns("r") + given + lookUp(columns("t"), name, "w.v") + ") r", nil
	case resource.Keep: // as a foreign key does; a deletion locks the row first, and has to wait
		lock = "KEY SHARE"
	case resource.Hold:
	}
	return "WITH found AS MATERIALIZED (SELECT r.id, w.v" + given + lookUp("t.id", name, "w.v") + ") r ORDER BY r.id) SELECT " + columns("r") +
		" FROM found" + lookUp(columns("t"), "id", "found.id") + " FOR " + lock + ") r WHERE r." + name + " = found.v", nil
}

// distinctTextsOf are values in PostgreSQL's text form, each once.
func distinctTextsOf(values []any) textList {
	seen := make(map[string]bool, len(values))
	texts := make(textList, 0, len(values))
	for _, v := range values {
		if text := textOf(v); !seen[text] {
			seen[text] = true
			texts = append(texts, text)
		}
	}
	return texts
}
