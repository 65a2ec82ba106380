package postgres

import (
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// forGood returns a session in which Delete removes rows, and which sees deleted ones. Only a purge calls it.
func forGood(tx *gorm.DB) *gorm.DB { return tx.Set(purgeSetting, mark{}) }

// removal is the clause of a delete: it scopes it, and where the model has a DeletedAt turns it into an update that
// marks the row, as a new version of it.
type removal struct{ scope }

// ModifyStatement scopes the delete, or builds the update in its place.
func (c removal) ModifyStatement(st *gorm.Statement) {
	if st.SQL.Len() > 0 {
		return
	}
	c.apply(st)
	m := c.model
	if m.deleted == nil || isMarked(st, purgeSetting) {
		return
	}
	now := st.NowFunc()
	set := clause.Set{{Column: clause.Column{Name: m.deleted.DBName}, Value: now}}
	st.SetColumn(m.deleted.DBName, now, true)
	if m.updated != nil {
		set = append(set, clause.Assignment{Column: clause.Column{Name: m.updated.DBName}, Value: now})
	}
	if m.version != nil {
		column := clause.Column{Name: m.version.DBName}
		set = append(set, clause.Assignment{Column: column, Value: clause.Expr{SQL: "? + 1", Vars: []any{column}}})
	}
	st.AddClause(set)
	addKeys(st, st.ReflectValue)
	if st.Model != nil && st.Dest != st.Model && st.ReflectValue.CanAddr() {
		addKeys(st, reflect.ValueOf(st.Model))
	}
	st.AddClauseIfNotExists(clause.Update{})
	st.Build(st.Callback().Update().Clauses...)
}

// addKeys adds the condition on the primary keys of rows, as gorm does for a delete.
func addKeys(st *gorm.Statement, rows reflect.Value) {
	if st.Schema == nil {
		return
	}
	_, found := schema.GetIdentityFieldValuesMap(st.Context, rows, st.Schema.PrimaryFields)
	column, values := schema.ToQueryValues(st.Table, st.Schema.PrimaryFieldDBNames, found)
	if len(values) > 0 {
		st.AddClause(clause.Where{Exprs: []clause.Expression{clause.IN{Column: column, Values: values}}})
	}
}
