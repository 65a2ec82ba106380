package postgres

import (
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// hasKey says whether gorm will add a condition on the primary key of the rows. Of several rows any must have one, or
// every one must.
func hasKey(st *gorm.Statement, rows reflect.Value, m *model, anyRow bool) bool {
	one := func(row reflect.Value) bool {
		row = reflect.Indirect(row)
		if !row.IsValid() || row.Type() != m.schema.ModelType {
			return false
		}
		for _, f := range m.schema.PrimaryFields {
			if _, zero := f.ValueOf(st.Context, row); !zero {
				return true
			}
		}
		return false
	}
	switch rows.Kind() {
	case reflect.Struct:
		return one(rows)
	case reflect.Slice, reflect.Array:
		found := 0
		for i := range rows.Len() {
			if one(rows.Index(i)) {
				found++
			}
		}
		return found > 0 && (anyRow || found == rows.Len())
	default:
		return false
	}
}

// hasCondition says whether the statement has a condition of its caller's; the tenant alone is none.
func hasCondition(st *gorm.Statement, m *model) bool {
	where, _ := st.Clauses["WHERE"].Expression.(clause.Where)
	return narrows(withoutPredicate(where.Exprs), m)
}

func narrows(exprs []clause.Expression, m *model) bool {
	for _, e := range exprs {
		switch e := e.(type) {
		case clause.AndConditions:
			if narrows(e.Exprs, m) {
				return true
			}
		case clause.Expr:
			if strings.TrimSpace(e.SQL) != "" {
				return true
			}
		case clause.Eq:
			if !isTenantColumn(e.Column, m) {
				return true
			}
		default:
			return true
		}
	}
	return false
}

func isTenantColumn(column any, m *model) bool {
	switch c := column.(type) {
	case string:
		return namesColumn(c, m.tenant.DBName)
	case clause.Column:
		return namesColumn(c.Name, m.tenant.DBName)
	default:
		return false
	}
}

// namesColumn says whether a key of a map, which may be qualified and quoted, names the column.
func namesColumn(key, column string) bool {
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		key = key[i+1:]
	}
	return strings.EqualFold(strings.Trim(key, `"`+"` \t\n"), column)
}

func isTenant(value any, tenant tenancy.ID) bool {
	switch v := value.(type) {
	case tenancy.ID:
		return v == tenant
	case *tenancy.ID:
		return v != nil && *v == tenant
	case string:
		return v == tenant.String()
	default:
		return false
	}
}
