package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// selectRecords is a list's statement but for where its rows go.
func selectRecords(tx *gorm.DB, d *resource.Definition, q resource.Query) *gorm.DB {
	return selectAmong(tx, candidates{}, d, q)
}

// condition is a filter as SQL. Names come from definitions, never from requests; values are parameters.
func condition(f resource.Filter) clause.Expression {
	name := clause.Column{Table: clause.CurrentTable, Name: f.Field.Name}
	if f.Field.Kind == resource.Object {
		contained := make([]clause.Expression, len(f.Values))
		for i, value := range f.Values {
			contained[i] = clause.Expr{SQL: "? @> ?::jsonb", Vars: []any{name, jsonOf(map[string]any{f.Path: value})}}
		}
		return clause.Or(contained...)
	}
	switch f.Op {
	case resource.Ne:
		return clause.Expr{SQL: "? IS DISTINCT FROM ?", Vars: []any{name, f.Values[0]}}
	case resource.Any:
		return clause.Expr{SQL: "? && ?::text[]", Vars: []any{name, textsOf(f.Values)}}
	case resource.All:
		return clause.Expr{SQL: "? @> ?::text[]", Vars: []any{name, textsOf(f.Values)}}
	case resource.Null:
		if f.Values[0] != true {
			return clause.Expr{SQL: "? IS NOT NULL", Vars: []any{name}}
		}
		isNull := clause.Expr{SQL: "? IS NULL", Vars: []any{name}}
		if hasFloor(f.Field) {
			return clause.And(clause.Eq{Column: sortKey(f.Field), Value: clause.Expr{SQL: floors[f.Field.Kind]}}, isNull)
		}
		return isNull
	case resource.Eq, resource.Gt, resource.Gte, resource.Lt, resource.Lte:
	}
	if hasFloor(f.Field) {
		return clause.And(comparison(f, sortKey(f.Field)), clause.Expr{SQL: "? IS NOT NULL", Vars: []any{name}})
	}
	return comparison(f, name)
}

// comparison compares a key with a filter's values.
func comparison(f resource.Filter, key any) clause.Expression {
	switch f.Op { //nolint:exhaustive // condition has the others
	case resource.Eq:
		return clause.IN{Column: key, Values: f.Values}
	case resource.Gt:
		return clause.Gt{Column: key, Value: f.Values[0]}
	case resource.Gte:
		return clause.Gte{Column: key, Value: f.Values[0]}
	case resource.Lt:
		return clause.Lt{Column: key, Value: f.Values[0]}
	case resource.Lte:
		return clause.Lte{Column: key, Value: f.Values[0]}
	default:
		panic("postgres: no SQL for the operator " + string(f.Op))
	}
}

// floors stand for NULL in an order, below every value. An expression over them is indexable and can be compared by
// row, where NULL itself would lose rows. It is written with greatest, which passes NULL over: coalesce would say the
// same, but PostgreSQL does not take it for leakproof and under row level security would filter by it only after it has
// read every row from the beginning of the index.
//
//nolint:gochecknoglobals // a table
var floors = map[resource.Kind]string{
	resource.Time:    "'-infinity'::timestamptz",
	resource.Text:    "''::text",
	resource.Integer: "'-9223372036854775808'::bigint",
	resource.ID:      "'00000000-0000-0000-0000-000000000000'::uuid",
}

// hasFloor says whether lists order by the field through its floor. Filters by it then go through it, too, so that one
// index answers both.
func hasFloor(f *resource.Field) bool { return f.Sort && f.Nullable }

// sortKey is what a sort orders by.
func sortKey(f *resource.Field) clause.Expr {
	return clause.Expr{SQL: sortKeySQL(f, "?"), Vars: []any{clause.Column{Table: clause.CurrentTable, Name: f.Name}}}
}

// sortKeySQL is a sort's key over a column, as an index must have it.
func sortKeySQL(f *resource.Field, column string) string {
	if !f.Nullable {
		return column
	}
	return "greatest(" + column + ", " + floors[f.Kind] + ")"
}

// order is the query's order, turned round for a backward page.
func order(q resource.Query) clause.OrderBy {
	keys := make([]string, len(q.Sort))
	vars := make([]any, len(q.Sort))
	for i, s := range q.Sort {
		keys[i] = "?"
		if s.Desc != q.Backward {
			keys[i] = "? DESC"
		}
		vars[i] = sortKey(s.Field)
	}
	return clause.OrderBy{Expression: clause.Expr{SQL: strings.Join(keys, ", "), Vars: vars}}
}

// beyond selects what follows the position in the order. Where all fields go one way it is a comparison of rows, which
// an index answers; else it is spelled out, with a bound on the first field that an index can use.
func beyond(q resource.Query) clause.Expression {
	ways := make([]string, len(q.Sort))
	for i, s := range q.Sort {
		ways[i] = ">"
		if s.Desc != q.Backward {
			ways[i] = "<"
		}
	}
	at := func(i int) (key, value any) {
		s := q.Sort[i]
		if q.After[i] == nil {
			return sortKey(s.Field), clause.Expr{SQL: floors[s.Field.Kind]}
		}
		return sortKey(s.Field), q.After[i]
	}
	if len(slices.Compact(slices.Clone(ways))) == 1 {
		var keys, values []any
		for i := range q.Sort {
			key, value := at(i)
			keys, values = append(keys, key), append(values, value)
		}
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(keys)), ", ")
		return clause.Expr{SQL: "(" + marks + ") " + ways[0] + " (" + marks + ")", Vars: append(keys, values...)}
	}
	var choices []string
	var vars []any
	for i := range q.Sort {
		var all []string
		for j := range i {
			key, value := at(j)
			all, vars = append(all, "? = ?"), append(vars, key, value)
		}
		key, value := at(i)
		all, vars = append(all, "? "+ways[i]+" ?"), append(vars, key, value)
		choices = append(choices, "("+strings.Join(all, " AND ")+")")
	}
	key, value := at(0)
	return clause.Expr{
		SQL: "(? " + ways[0] + "= ? AND (" + strings.Join(choices, " OR ") + "))", Vars: append([]any{key, value}, vars...),
	}
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // text, numbers and booleans always can be
	}
	return string(b)
}

func textsOf(values []any) textList {
	texts := make(textList, len(values))
	for i, v := range values {
		texts[i] = textOf(v)
	}
	return texts
}

// textOf is a value in PostgreSQL's text form; "" for nil.
func textOf(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case time.Time:
		return v.Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(v)
	}
}
