// Package sqltest proves of SQL that was sent in tests that it names the tenant.
//
// Tests record what they send; when all have run, each different statement is parsed with PostgreSQL's own grammar, and
// every table of tenants that it touches must be held to one tenant by the statement itself, whatever row level
// security does beside it. It is never linked into a process of the product.
package sqltest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	pgquery "github.com/wasilibs/go-pgquery"
)

// ControlTables are the tables of the control plane, which are looked into before the tenant is known. Each has its
// own rule, and is reached through narrow functions only.
func ControlTables() []string {
	return []string{
		"tenants", "users", "memberships", "invitations", "sessions", "refresh_tokens", "api_keys", "signing_keys", "job_queues",
		"account_tokens", "invitation_tokens", "intake_tokens", "backfills",
	}
}

// Recorder keeps the different statements that were sent, and the tables that have a tenant.
type Recorder struct {
	mu         sync.Mutex
	statements map[string]bool
	tables     map[string]bool
}

// Record keeps a statement.
func (r *Recorder) Record(sql string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.statements == nil {
		r.statements = make(map[string]bool)
	}
	r.statements[sql] = true
}

// Tables adds tables of tenants.
func (r *Recorder) Tables(names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tables == nil {
		r.tables = make(map[string]bool)
	}
	for _, name := range names {
		if !slices.Contains(ControlTables(), name) {
			r.tables[name] = true
		}
	}
}

// Offences are the recorded statements that do not name the tenant, with what they lack, and how many were looked at.
func (r *Recorder) Offences() (offences []string, looked int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sql := range slices.Sorted(maps.Keys(r.statements)) {
		looked++
		for _, offence := range Check(sql, r.tables) {
			offences = append(offences, offence+": "+sql)
		}
	}
	return offences, looked
}

// node is a part of a parse tree: an object with one key, its kind, or the object itself.
type node = map[string]any

// Check says where a statement touches a tenant's table without holding it to one tenant.
func Check(sql string, tables map[string]bool) []string {
	text, err := pgquery.ParseToJSON(sql)
	if err != nil {
		return []string{"it cannot be parsed (" + err.Error() + ")"}
	}
	var tree node
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return []string{"its tree cannot be read"}
	}
	c := checker{tables: tables}
	c.walk(tree)
	return c.offences
}

type checker struct {
	tables   map[string]bool
	offences []string
}

// walk looks at every statement of the tree, subqueries among them.
func (c *checker) walk(v any) {
	switch v := v.(type) {
	case []any:
		for _, each := range v {
			c.walk(each)
		}
	case node:
		for kind, inside := range v {
			if n, ok := inside.(node); ok {
				c.statement(kind, n)
			}
			c.walk(inside)
		}
	}
}

func (c *checker) statement(kind string, n node) {
	switch kind {
	case "SelectStmt":
		c.held(list(n["fromClause"]), n["whereClause"])
	case "UpdateStmt", "DeleteStmt":
		from := append(list(n["fromClause"]), list(n["usingClause"])...)
		if relation, ok := n["relation"].(node); ok {
			from = append(from, node{"RangeVar": relation})
		}
		c.held(from, n["whereClause"])
		for _, target := range list(n["targetList"]) {
			if t := inside(target, "ResTarget"); t != nil && t["name"] == "tenant_id" {
				c.offences = append(c.offences, "it sets tenant_id")
			}
		}
	case "InsertStmt":
		c.insert(n)
	}
}

// held demands a condition tenant_id = $n for each tenant's table in FROM: in WHERE, or in the table's own ON.
func (c *checker) held(from []any, where any) {
	conditions := tenantConditions(where)
	var alone string
	tables := 0
	var visit func(v any, conditions map[string]bool)
	visit = func(v any, conditions map[string]bool) {
		if join := inside(v, "JoinExpr"); join != nil {
			on := tenantConditions(join["quals"])
			both := maps.Clone(conditions)
			maps.Copy(both, on)
			visit(join["larg"], both)
			visit(join["rarg"], both)
			return
		}
		table := inside(v, "RangeVar")
		if table == nil {
			return
		}
		tables++
		name, _ := table["relname"].(string)
		if !c.tables[name] {
			return
		}
		alias := name
		if a, ok := table["alias"].(node); ok {
			alias, _ = a["aliasname"].(string)
		}
		if !conditions[alias] && !conditions[""] {
			c.offences = append(c.offences, fmt.Sprintf("%s is not held to a tenant", alias))
		}
		alone = alias
	}
	for _, each := range from {
		visit(each, conditions)
	}
	if conditions[""] && tables > 1 && alone != "" {
		c.offences = append(c.offences, "tenant_id is not qualified among several tables")
	}
}

func (c *checker) insert(n node) {
	relation, _ := n["relation"].(node)
	name, _ := relation["relname"].(string)
	if !c.tables[name] {
		return
	}
	named := false
	for _, column := range list(n["cols"]) {
		if t := inside(column, "ResTarget"); t != nil && t["name"] == "tenant_id" {
			named = true
		}
	}
	if !named {
		c.offences = append(c.offences, name+" gets rows without a tenant_id")
	}
	conflict, ok := n["onConflictClause"].(node)
	if !ok || conflict["action"] != "ONCONFLICT_UPDATE" {
		return
	}
	if conditions := tenantConditions(conflict["whereClause"]); !conditions[name] && !conditions[""] {
		c.offences = append(c.offences, name+" is not held to a tenant in DO UPDATE")
	}
}

// tenantConditions are the aliases ("" for none) that a conjunction holds to tenant_id = $n.
func tenantConditions(v any) map[string]bool {
	held := make(map[string]bool)
	if both := inside(v, "BoolExpr"); both != nil && both["boolop"] == "AND_EXPR" {
		for _, each := range list(both["args"]) {
			maps.Copy(held, tenantConditions(each))
		}
		return held
	}
	e := inside(v, "A_Expr")
	if e == nil || e["kind"] != "AEXPR_OP" || !isEquals(e["name"]) {
		return held
	}
	for _, sides := range [][2]any{{e["lexpr"], e["rexpr"]}, {e["rexpr"], e["lexpr"]}} {
		if alias, ok := tenantColumn(sides[0]); ok && isParameter(sides[1]) {
			held[alias] = true
		}
	}
	return held
}

func tenantColumn(v any) (alias string, ok bool) {
	column := inside(v, "ColumnRef")
	if column == nil {
		return "", false
	}
	var names []string
	for _, f := range list(column["fields"]) {
		s := inside(f, "String")
		if s == nil {
			return "", false
		}
		name, _ := s["sval"].(string)
		names = append(names, name)
	}
	if len(names) == 0 || names[len(names)-1] != "tenant_id" {
		return "", false
	}
	if len(names) > 1 {
		alias = names[len(names)-2]
	}
	return alias, true
}

func isParameter(v any) bool {
	if cast := inside(v, "TypeCast"); cast != nil {
		return isParameter(cast["arg"])
	}
	return inside(v, "ParamRef") != nil
}

func isEquals(name any) bool {
	parts := list(name)
	if len(parts) != 1 {
		return false
	}
	s := inside(parts[0], "String")
	return s != nil && s["sval"] == "="
}

func inside(v any, kind string) node {
	n, _ := v.(node)
	found, _ := n[kind].(node)
	return found
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// Sent is what the tests of this process sent through a store of storetest.
//
//nolint:gochecknoglobals // tests of a process share it, and the process looks at it when all have run
var Sent Recorder
