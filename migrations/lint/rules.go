package lint

import (
	"fmt"
	"slices"
	"strings"
)

type ruleName string

// The rules.
const (
	ruleNotNullColumn    ruleName = "not-null-column"
	ruleVolatileDefault  ruleName = "volatile-default"
	ruleStoredGenerated  ruleName = "stored-generated"
	ruleSetNotNull       ruleName = "set-not-null"
	ruleTypeChange       ruleName = "type-change"
	ruleRename           ruleName = "rename"
	ruleDrop             ruleName = "drop"
	ruleConstraint       ruleName = "constraint-not-valid"
	ruleUniqueIndex      ruleName = "unique-using-index"
	ruleValidateApart    ruleName = "validate-apart"
	ruleConcurrently     ruleName = "index-concurrently"
	ruleNoTransaction    ruleName = "no-transaction"
	ruleResumable        ruleName = "resumable"
	ruleDataChange       ruleName = "data-change"
	ruleRewrite          ruleName = "rewrite"
	ruleOneLock          ruleName = "one-lock"
	ruleHidden           ruleName = "hidden"
	ruleTenantTable      ruleName = "tenant-table"
	ruleMarker           ruleName = "marker"
	ruleSyntax           ruleName = "syntax"
	backfillInsteadOfSQL          = "declare a backfill (CONTRIBUTING.md, \"Add a backfill\"): a job that changes the rows in small transactions, " +
		"keeps its progress and holds back under load"
)

// Rule is one of the rules, for the page that lists them.
type Rule struct {
	// Name is what a marker calls it by.
	Name string
	// Refuses is what it refuses, and Why; Way is what to write in its place.
	Refuses, Why, Way string
}

// Rules are all rules, in the order in which the page lists them.
func Rules() []Rule {
	return []Rule{
		{
			string(ruleNotNullColumn), "ADD COLUMN … NOT NULL without a default", "it fails where the table has a row, and the release before inserts rows without it",
			"add the column with a constant default; or nullable, fill it by a backfill, and set NOT NULL in a later release",
		},
		{
			string(ruleVolatileDefault), "ADD COLUMN with a default that differs from row to row: a function, serial, identity", "the table is rewritten while nobody can read it (7.4 s for 2 million rows)",
			"add the column without the default, then ALTER COLUMN … SET DEFAULT, which holds for new rows, and fill the old ones by a backfill",
		},
		{
			string(ruleStoredGenerated), "ADD COLUMN … GENERATED … STORED", "the table is rewritten while nobody can read it",
			"add an ordinary column, have the program write it, and fill the old rows by a backfill; or index the expression CONCURRENTLY",
		},
		{
			string(ruleSetNotNull), "SET NOT NULL without a validated check, or in the statement that drops it", "the table is read while nobody can write to it (645 ms for 2 million rows)",
			"ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID; VALIDATE CONSTRAINT in the next file; then SET NOT NULL, which takes the check's word, and in a statement behind it DROP CONSTRAINT",
		},
		{
			string(ruleTypeChange), "ALTER COLUMN … TYPE", "the table and its indexes are rewritten, and the release before sends the old type",
			"add a column of the new type, write both, backfill, read the new one, and drop the old one in a later release",
		},
		{
			string(ruleRename), "RENAME of a table or column, SET SCHEMA", "the release before still asks for the old name, and its requests fail at once",
			"add what has the new name, write both, backfill, read the new one, and drop the old one in a later release; or keep the name and rename in the program only",
		},
		{
			string(ruleDrop), "DROP of a table, column, function, view or type, and TRUNCATE, without a contract", "the release before may still use it",
			"take its last use out of the program, release that, and write the release above the statement: -- contract: 1.4.0",
		},
		{
			string(ruleConstraint), "a CHECK or FOREIGN KEY without NOT VALID on a table in use", "the table is read while nobody can write to it (a foreign key: 282 ms for 2 million rows)",
			"ADD CONSTRAINT … NOT VALID, which holds for new rows at once, and VALIDATE CONSTRAINT in the next file",
		},
		{
			string(ruleUniqueIndex), "UNIQUE, PRIMARY KEY or EXCLUDE that builds its index on a table in use", "the index is built while nobody can write to the table",
			"CREATE UNIQUE INDEX CONCURRENTLY in a file of its own, then ADD CONSTRAINT … USING INDEX; EXCLUDE has no such way: enforce it on a new table",
		},
		{
			string(ruleValidateApart), "VALIDATE CONSTRAINT in the transaction that adds it, or that holds a lock", "the lock is held for as long as the table is read",
			"VALIDATE CONSTRAINT in a file of its own, after the one that adds it",
		},
		{
			string(ruleConcurrently), "CREATE INDEX, DROP INDEX or REINDEX without CONCURRENTLY on a table in use", "nobody can write to the table until it is done",
			"CREATE INDEX CONCURRENTLY IF NOT EXISTS in a file with -- +goose NO TRANSACTION; on a partitioned table CREATE INDEX … ON ONLY it, then each partition's CONCURRENTLY, then ATTACH PARTITION",
		},
		{
			string(ruleNoTransaction), "CONCURRENTLY in a transaction", "PostgreSQL refuses it",
			"begin the file with -- +goose NO TRANSACTION, and put nothing else into it",
		},
		{
			string(ruleResumable), "a statement in a file without a transaction that cannot be run twice", "a migrator that is killed in the middle runs the file again from its beginning",
			"say IF NOT EXISTS or IF EXISTS, or put the statement into a file with a transaction",
		},
		{
			string(ruleDataChange), "UPDATE, DELETE, MERGE, or INSERT and CREATE TABLE from a query", "rows stay locked, and dead ones stay, until the last of them is done",
			backfillInsteadOfSQL,
		},
		{
			string(ruleRewrite), "what rewrites or locks a whole table: make_searchable on a table in use, VACUUM FULL, CLUSTER, SET LOGGED, LOCK TABLE", "nobody can read the table until it is done",
			"make a new column or table beside the old one, fill it by a backfill, and move over; make_searchable belongs where the table is made",
		},
		{
			string(ruleOneLock), "locks of two tables in use that keep readers out, in one transaction", "the first is held while the second is waited for, and two such transactions may wait for each other",
			"one such table for each file",
		},
		{
			string(ruleHidden), "DO and CALL", "what they do cannot be judged",
			"write the statements out; what depends on data is a backfill",
		},
		{
			string(ruleTenantTable), "a new table that does not keep tenants apart: no protect_tenant_table (or protect_control_table), no tenant_id, or a primary key, unique index or foreign key without it", "a row of one tenant could be seen, taken or told of by another",
			"tenant_id uuid NOT NULL first in PRIMARY KEY, UNIQUE and FOREIGN KEY, and SELECT protect_tenant_table('…') below the table; a partition gets ENABLE and FORCE ROW LEVEL SECURITY and its policy owner",
		},
		{
			string(ruleMarker), "a marker that says nothing: no reason, no such rule or release, nothing below it that needs it", "an exception without a reason is one that nobody can take back",
			"-- lint: allow <rule>: <reason>, or -- contract: <release>, on a line of its own right above the statement; take out what is not needed",
		},
		{
			string(ruleSyntax), "what PostgreSQL's grammar refuses, or a file without -- +goose Up", "it would fail when it is applied",
			"mend it",
		},
	}
}

func ruleOf(name ruleName) Rule {
	for _, r := range Rules() {
		if r.Name == string(name) {
			return r
		}
	}
	return Rule{Name: string(name)} // a test keeps the names complete
}

func isRule(name ruleName) bool { return ruleOf(name).Way != "" }

// Markdown is the table of the rules for docs/migrations.md.
func Markdown() string {
	var out strings.Builder
	out.WriteString("| Rule | Refuses | Because | The safe way |\n|---|---|---|---|\n")
	for _, r := range Rules() {
		cell := strings.NewReplacer("|", `\|`, "<", `\<`).Replace
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", r.Name, cell(r.Refuses), cell(r.Why), cell(r.Way))
	}
	return out.String()
}

// statement judges one statement.
func (c *checker) statement(s *statement) {
	if !c.inTransaction && !isResumable(s.node) {
		c.report(s, ruleResumable, "it fails when the file is run again")
	}
	if s.kind != "CreateFunctionStmt" && s.kind != "CreateStmt" {
		c.dataChange(s)
	}
	switch s.kind {
	case "AlterTableStmt":
		c.alterTable(s, as[alterTable](s.node))
	case "CreateStmt":
		c.createTable(s, as[createTable](s.node))
	case "IndexStmt":
		c.createIndex(s, as[createIndex](s.node))
	case "DropStmt":
		c.drop(s, as[drop](s.node))
	case "RenameStmt":
		c.rename(s, as[rename](s.node))
	case "AlterObjectSchemaStmt":
		c.report(s, ruleRename, "it moves something to another schema")
	case "TruncateStmt":
		c.report(s, ruleDrop, "it takes all rows away")
	case "SelectStmt":
		c.call(s)
	case "CreateFunctionStmt":
		name := as[struct {
			Name []node `json:"funcname"`
		}](s.node)
		c.made[qualified(stringsOf(name.Name))] = true
	case "CreatePolicyStmt", "AlterPolicyStmt":
		c.policy(s, as[onRelation](s.node).Table.name())
	case "CreateTableAsStmt", "MergeStmt":
		c.report(s, ruleDataChange, "it copies or changes rows")
	case "DoStmt", "CallStmt":
		c.report(s, ruleHidden, "the linter cannot see what it does")
	case "LockStmt", "ClusterStmt":
		c.report(s, ruleRewrite, "it keeps everybody from the table until it is done")
	case "VacuumStmt":
		if strings.Contains(string(s.raw[s.kind]), `"full"`) {
			c.report(s, ruleRewrite, "VACUUM FULL rewrites the table")
		}
	case "ReindexStmt":
		if !strings.Contains(string(s.raw[s.kind]), `"concurrently"`) {
			c.report(s, ruleConcurrently, "REINDEX keeps writers from the table")
		} else if c.inTransaction {
			c.report(s, ruleNoTransaction, "REINDEX CONCURRENTLY")
		}
	}
}

// dataChange looks for a change of rows anywhere in a statement: WITH may hold one, too.
func (c *checker) dataChange(s *statement) {
	var problem string
	within(s.node, func(n node) bool {
		switch n.kind {
		case "UpdateStmt", "DeleteStmt":
			table := as[onRelation](n).Relation.name()
			if c.isOld(table) && problem == "" {
				problem = fmt.Sprintf("%s of %s changes rows in one transaction", strings.ToUpper(strings.TrimSuffix(n.kind, "Stmt")), table)
			}
		case "InsertStmt":
			query := as[struct {
				Query node `json:"selectStmt"`
			}](n)
			if len(as[selectStatement](query.Query).From) > 0 && problem == "" {
				problem = "INSERT from a query copies rows in one transaction"
			}
		}
		return true
	})
	if problem != "" {
		c.report(s, ruleDataChange, "%s", problem)
	}
}

// call looks at the functions of ours that a migration calls.
func (c *checker) call(s *statement) {
	for _, target := range as[selectStatement](s.node).Targets {
		value := as[resTarget](target).Value
		call := as[funcCall](value)
		if value.kind != "FuncCall" || len(call.Args) == 0 || call.Args[0].kind != "A_Const" {
			continue
		}
		said := as[literal](call.Args[0]).String
		if said == nil {
			continue
		}
		table := strings.TrimPrefix(said.Value, "public.")
		switch name := qualified(stringsOf(call.Name)); name {
		case "protect_tenant_table", "protect_control_table":
			c.schema.planes[table] = tenantPlane
			if name == "protect_control_table" {
				c.schema.planes[table] = controlPlane
			}
			c.lock(s, table)
		case "make_searchable":
			if c.isOld(table) {
				c.report(s, ruleRewrite, "make_searchable rewrites %s, which is in use", table)
			}
			c.lock(s, table)
		}
	}
}

func (c *checker) policy(s *statement, table string) {
	c.lock(s, table)
	for _, t := range c.tables {
		if t.name == table {
			t.hasPolicy = true
		}
	}
}

// isResumable says whether a statement may be run again after it was run. What is no change of the schema may.
func isResumable(n node) bool {
	switch n.kind {
	case "IndexStmt":
		return as[createIndex](n).IfMissing
	case "DropStmt":
		return as[drop](n).MissingOK
	case "CreateStmt":
		return as[struct {
			IfMissing bool `json:"if_not_exists"`
		}](n).IfMissing
	case "AlterTableStmt":
		repeatable := []string{
			"AT_ValidateConstraint", "AT_SetNotNull", "AT_DropNotNull", "AT_ColumnDefault", "AT_SetRelOptions",
			"AT_ResetRelOptions", "AT_EnableRowSecurity", "AT_ForceRowSecurity",
		}
		alter := as[alterTable](n)
		return !slices.ContainsFunc(alter.Commands, func(each node) bool {
			command := as[alterCommand](each)
			attachesIndex := command.Subtype == "AT_AttachPartition" && alter.Object == "OBJECT_INDEX"
			return !command.MissingOK && !attachesIndex && !slices.Contains(repeatable, command.Subtype)
		})
	case "VariableSetStmt", "ReindexStmt", "VacuumStmt", "SelectStmt", "GrantStmt":
		return true
	default:
		return false
	}
}
