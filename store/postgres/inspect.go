package postgres

import (
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// inspection looks through a statement's clauses for what brings rows in past the scope's clauses: subqueries in raw
// SQL, of another scope, or of gorm.G, which forgets the context.
type inspection struct {
	session *session
}

// inspectValues looks through values that are given as maps, which may be expressions.
func inspectValues(st *gorm.Statement) error {
	if isMarked(st, rawSetting) {
		return nil
	}
	look := inspection{session: sessionOf(st.Context)}
	switch dest := st.Dest.(type) {
	case map[string]any:
		return look.value(dest)
	case *map[string]any:
		return look.value(*dest)
	case []map[string]any:
		return look.maps(dest)
	case *[]map[string]any:
		return look.maps(*dest)
	default:
		return nil
	}
}

func (i inspection) maps(all []map[string]any) error {
	for _, each := range all {
		if err := i.value(each); err != nil {
			return err
		}
	}
	return nil
}

func (i inspection) clause(c clause.Clause) error {
	if c.Builder != nil {
		return errClause
	}
	for _, e := range []clause.Expression{c.BeforeExpression, c.AfterNameExpression, c.AfterExpression} {
		if err := i.expression(e); err != nil {
			return err
		}
	}
	switch e := c.Expression.(type) {
	case nil, clause.Limit, clause.Locking, clause.Values:
		return nil
	case clause.Where:
		return i.all(e.Exprs)
	case clause.Select:
		if err := columns(e.Columns); err != nil {
			return err
		}
		return i.expression(e.Expression)
	case clause.OrderBy:
		for _, by := range e.Columns {
			if by.Column.Raw && hasSubquery(by.Column.Name) {
				return errSubquery
			}
		}
		return i.expression(e.Expression)
	case clause.GroupBy:
		if err := columns(e.Columns); err != nil {
			return err
		}
		return i.all(e.Having)
	case clause.From:
		if len(e.Tables) > 0 || len(e.Joins) > 0 {
			return errRawJoin
		}
		return nil
	case clause.Set:
		return i.set(e)
	case clause.OnConflict:
		if err := i.set(e.DoUpdates); err != nil {
			return err
		}
		if err := i.all(e.TargetWhere.Exprs); err != nil {
			return err
		}
		return i.all(e.Where.Exprs)
	case clause.Returning:
		return columns(e.Columns)
	case clause.Insert:
		return table(e.Table, e.Modifier)
	case clause.Update:
		return table(e.Table, e.Modifier)
	case clause.Delete:
		return table(clause.Table{}, e.Modifier)
	case clause.Expr, clause.NamedExpr:
		return i.expression(e)
	default:
		return errClause
	}
}

func (i inspection) set(set clause.Set) error {
	for _, a := range set {
		if err := i.value(a.Value); err != nil {
			return err
		}
	}
	return nil
}

func (i inspection) all(exprs []clause.Expression) error {
	for _, e := range exprs {
		if err := i.expression(e); err != nil {
			return err
		}
	}
	return nil
}

func (i inspection) expression(e clause.Expression) error {
	switch e := e.(type) {
	case nil, predicate:
		return nil
	case clause.Expr:
		if hasSubquery(e.SQL) {
			return errSubquery
		}
		return i.values(e.Vars)
	case clause.NamedExpr:
		if hasSubquery(e.SQL) {
			return errSubquery
		}
		return i.values(e.Vars)
	case parentheses:
		return i.expression(e.inside)
	case clause.AndConditions:
		return i.all(e.Exprs)
	case clause.OrConditions:
		return i.all(e.Exprs)
	case clause.NotConditions:
		return i.all(e.Exprs)
	case clause.Where:
		return i.all(e.Exprs)
	case clause.IN:
		return i.comparison(e.Column, e.Values...)
	case clause.Eq:
		return i.comparison(e.Column, e.Value)
	case clause.Neq:
		return i.comparison(e.Column, e.Value)
	case clause.Gt:
		return i.comparison(e.Column, e.Value)
	case clause.Gte:
		return i.comparison(e.Column, e.Value)
	case clause.Lt:
		return i.comparison(e.Column, e.Value)
	case clause.Lte:
		return i.comparison(e.Column, e.Value)
	case clause.Like:
		return i.comparison(e.Column, e.Value)
	default:
		return ofGorm(e)
	}
}

func (i inspection) comparison(column any, values ...any) error {
	if err := i.value(column); err != nil {
		return err
	}
	return i.values(values)
}

func (i inspection) values(values []any) error {
	for _, v := range values {
		if err := i.value(v); err != nil {
			return err
		}
	}
	return nil
}

func (i inspection) value(v any) error {
	switch v := v.(type) {
	case nil, string, int, int64, bool:
		return nil
	case clause.Column:
		if v.Raw && hasSubquery(v.Name) {
			return errSubquery
		}
		return nil
	case *gorm.DB:
		return i.subquery(v)
	case clause.Expression:
		return i.expression(v)
	case []any:
		return i.values(v)
	case map[string]any: // the named values of an expression, or what an update sets
		for _, each := range v {
			if err := i.value(each); err != nil {
				return err
			}
		}
		return nil
	default:
		return ofGorm(v)
	}
}

// subquery lets a query of the same scope through; its own guard looks at the rest.
func (i inspection) subquery(sub *gorm.DB) error {
	st := sub.Statement
	if sub.Error != nil {
		return sub.Error
	}
	// Of a condition in a group, gorm takes the WHERE only; of what has a model or SQL, all.
	if !isMarked(st, rawSetting) && (st.SQL.Len() > 0 || st.Table != "" && st.Model == nil) {
		return errSubquery
	}
	s := sessionOf(st.Context)
	if s == nil || i.session == nil || s.tenant != i.session.tenant || s.control != i.session.control {
		return errSubquery
	}
	return nil
}

// ofGorm refuses values of gorm's own types: the chains of gorm.G.
func ofGorm(v any) error {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() == "gorm.io/gorm" {
		return errSubquery
	}
	return nil
}

func columns(list []clause.Column) error {
	for _, c := range list {
		if c.Raw && hasSubquery(c.Name) {
			return errSubquery
		}
	}
	return nil
}

func table(t clause.Table, modifier string) error {
	if t.Name != "" && t.Name != clause.CurrentTable || t.Raw || modifier != "" {
		return errTable
	}
	return nil
}

// hasSubquery says whether raw SQL holds the word select, or table, which is short for a select.
func hasSubquery(sql string) bool {
	return hasWord(sql, "select") || hasWord(sql, "table")
}

func hasWord(sql, word string) bool {
	for i := 0; i+len(word) <= len(sql); i++ {
		if !strings.EqualFold(sql[i:i+len(word)], word) {
			continue
		}
		end := i + len(word)
		if (i == 0 || !isNameByte(sql[i-1])) && (end == len(sql) || !isNameByte(sql[end])) {
			return true
		}
	}
	return false
}

func isNameByte(b byte) bool {
	return b == '_' || b == '$' || b >= 0x80 ||
		'0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}
