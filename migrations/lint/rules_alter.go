package lint

import (
	"slices"
	"strings"
)

func (c *checker) alterTable(s *statement, alter alterTable) {
	table := alter.Relation.name()
	if alter.Object != "OBJECT_TABLE" {
		return // an index that is attached, a view's options
	}
	c.dropsFirst(table, alter.Commands)
	for _, each := range alter.Commands {
		command := as[alterCommand](each)
		c.noteProtection(table, command.Subtype)
		if command.Subtype == "AT_AddConstraint" {
			c.tenantKey(s, table, as[constraint](command.Def))
		}
		if c.isOld(table) {
			c.alterCommand(s, table, command)
		}
	}
	if c.isOld(table) && keepsReadersOut(alter.Commands) {
		c.lock(s, table)
	}
}

// dropsFirst forgets the checks that a statement drops: PostgreSQL drops before it does anything else, wherever in the
// statement it stands, and SET NOT NULL cannot take their word any more.
func (c *checker) dropsFirst(table string, commands []node) {
	for _, each := range commands {
		if command := as[alterCommand](each); command.Subtype == "AT_DropConstraint" {
			delete(c.schema.notNull, table+"."+c.schema.checks[table+"."+command.Name])
		}
	}
}

// alterCommand judges one change of a table in use.
func (c *checker) alterCommand(s *statement, table string, command alterCommand) {
	switch command.Subtype {
	case "AT_AddColumn":
		c.addColumn(s, table, as[columnDef](command.Def))
	case "AT_AlterColumnType":
		c.report(s, ruleTypeChange, "%s.%s gets another type", table, command.Name)
	case "AT_DropColumn":
		c.report(s, ruleDrop, "it takes %s.%s away", table, command.Name)
	case "AT_SetNotNull":
		if !c.schema.notNull[table+"."+command.Name] {
			c.report(s, ruleSetNotNull, "no validated constraint says that %s.%s is not null", table, command.Name)
		}
	case "AT_AddConstraint":
		c.addConstraint(s, table, as[constraint](command.Def))
	case "AT_ValidateConstraint":
		if c.inTransaction && (c.added[table+"."+command.Name] || len(c.locked) > 0) {
			c.report(s, ruleValidateApart, "%s is read by the transaction that adds %s or holds another lock", table, command.Name)
		}
		c.schema.noteValid(table, command.Name)
	case "AT_SetLogged", "AT_SetUnLogged", "AT_SetTableSpace", "AT_SetAccessMethod":
		c.report(s, ruleRewrite, "it rewrites %s", table)
	}
}

func (c *checker) addColumn(s *statement, table string, column columnDef) {
	hasDefault, notNull := false, false
	for _, each := range column.Constraints {
		con := as[constraint](each)
		switch con.Type {
		case "CONSTR_NOTNULL":
			notNull = true
		case "CONSTR_DEFAULT":
			hasDefault = con.Expr.kind != "A_Const" || !as[literal](con.Expr).IsNull
			if call := volatileCall(con.Expr); call != "" {
				c.report(s, ruleVolatileDefault, "%s() may differ from row to row", call)
			}
		case "CONSTR_IDENTITY":
			hasDefault = true
			c.report(s, ruleVolatileDefault, "an identity differs from row to row")
		case "CONSTR_GENERATED":
			hasDefault = true
			c.report(s, ruleStoredGenerated, "%s.%s is computed for every row", table, column.Name)
		case "CONSTR_CHECK", "CONSTR_FOREIGN", "CONSTR_UNIQUE", "CONSTR_PRIMARY":
			c.addConstraint(s, table, con)
			if con.Type != "CONSTR_CHECK" {
				con.Keys, con.Columns = nil, nil // of this column alone
				c.tenantKey(s, table, con)
			}
		}
	}
	if strings.HasSuffix(column.Type.name(), "serial") {
		hasDefault = true
		c.report(s, ruleVolatileDefault, "%s counts from row to row", column.Type.name())
	}
	if notNull && !hasDefault {
		c.report(s, ruleNotNullColumn, "%s.%s has no value for the rows that there are", table, column.Name)
	}
}

func (c *checker) addConstraint(s *statement, table string, con constraint) {
	switch con.Type {
	case "CONSTR_CHECK", "CONSTR_FOREIGN":
		if !con.NotValid {
			c.report(s, ruleConstraint, "every row of %s is looked at", table)
		}
		c.added[table+"."+con.Name] = true
		c.schema.noteCheck(table, con)
	case "CONSTR_UNIQUE", "CONSTR_PRIMARY", "CONSTR_EXCLUSION":
		if con.Index == "" {
			c.report(s, ruleUniqueIndex, "an index of %s is built", table)
		}
	}
}

// volatileCall is the name of a function in a default that may give each row another value; "" for none. Those that are
// listed give one value for the whole statement.
func volatileCall(expr node) string {
	stable := []string{
		"now", "transaction_timestamp", "statement_timestamp", "date_trunc", "make_interval", "to_timestamp", "current_setting",
		"lower", "upper", "md5", "concat", "jsonb_build_object", "jsonb_build_array", "json_build_object", "array_fill", "coalesce",
	}
	var found string
	within(expr, func(n node) bool {
		if n.kind == "FuncCall" {
			names := stringsOf(as[funcCall](n).Name)
			if name := names[len(names)-1]; !slices.Contains(stable, name) {
				found = name
			}
		}
		return true
	})
	return found
}

// keepsReadersOut says whether one of the changes takes ACCESS EXCLUSIVE, in the words of PostgreSQL.
func keepsReadersOut(commands []node) bool {
	lesser := []string{
		"AT_ValidateConstraint", "AT_SetStatistics", "AT_SetOptions", "AT_ResetOptions", "AT_SetRelOptions", "AT_ResetRelOptions",
		"AT_ClusterOn", "AT_DropCluster", "AT_AttachPartition",
	}
	return slices.ContainsFunc(commands, func(each node) bool {
		command := as[alterCommand](each)
		if command.Subtype == "AT_AddConstraint" && as[constraint](command.Def).Type == "CONSTR_FOREIGN" {
			return false // it keeps writers out of both tables, for a moment where NOT VALID
		}
		return !slices.Contains(lesser, command.Subtype)
	})
}
