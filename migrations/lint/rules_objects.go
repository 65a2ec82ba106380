package lint

import (
	"slices"
	"strings"
)

// newTable is a table that the file makes.
type newTable struct {
	name string
	at   *statement
	// isPartition is a table that is reached through its parent.
	isPartition bool
	hasTenant   bool
	hasPrimary  bool
	rls, forced bool
	hasPolicy   bool
	// untenanted are the keys without the tenant.
	untenanted []untenantedKey
}

type untenantedKey struct {
	at   *statement
	what string
}

func (c *checker) createTable(s *statement, create createTable) {
	table := create.Relation.name()
	c.made[table] = true
	if create.Relation.Persistence == "t" {
		return
	}
	t := &newTable{name: table, at: s, isPartition: create.Bound != nil}
	c.tables = append(c.tables, t)
	for _, element := range create.Elements {
		switch element.kind {
		case "ColumnDef":
			column := as[columnDef](element)
			if column.Name == "tenant_id" {
				t.hasTenant = true
			}
			for _, each := range column.Constraints {
				con := as[constraint](each)
				self := []node{stringNode(column.Name)}
				con.Keys, con.Columns = self, self
				c.key(t, s, con)
			}
		case "Constraint":
			c.key(t, s, as[constraint](element))
		}
	}
}

// key notes a key of a new table.
func (c *checker) key(t *newTable, s *statement, con constraint) {
	if con.Type == "CONSTR_PRIMARY" {
		t.hasPrimary = true
	}
	if what := untenanted(con); what != "" {
		t.untenanted = append(t.untenanted, untenantedKey{s, what})
	}
}

// untenanted says what is wrong with a key of a table of tenants; "" for nothing. A constraint that takes over an index
// was judged with it.
func untenanted(con constraint) string {
	switch con.Type {
	case "CONSTR_PRIMARY", "CONSTR_UNIQUE":
		if names := stringsOf(con.Keys); con.Index == "" && (len(names) == 0 || names[0] != "tenant_id") {
			return map[bool]string{true: "its primary key", false: "a unique constraint"}[con.Type == "CONSTR_PRIMARY"] + " does not begin with tenant_id"
		}
	case "CONSTR_FOREIGN":
		if !slices.Contains(stringsOf(con.Columns), "tenant_id") {
			return "its foreign key to " + con.Target.name() + " does not contain tenant_id"
		}
	}
	return ""
}

// tenantKey judges a key that is added to a table, a new one or not.
func (c *checker) tenantKey(s *statement, table string, con constraint) {
	for _, t := range c.tables {
		if t.name == table {
			c.key(t, s, con)
			return
		}
	}
	if what := untenanted(con); what != "" && c.schema.planes[table] == tenantPlane {
		c.report(s, ruleTenantTable, "%s: %s", table, what)
	}
}

func (c *checker) createIndex(s *statement, create createIndex) {
	table := create.Relation.name()
	c.schema.indexes[create.Name] = table
	if create.Concurrent && c.inTransaction {
		c.report(s, ruleNoTransaction, "CREATE INDEX CONCURRENTLY")
	}
	if c.isOld(table) && !create.Concurrent && create.Relation.Inherits {
		c.report(s, ruleConcurrently, "nobody can write to %s while %s is built", table, create.Name)
	}
	if !create.Unique {
		return
	}
	var keys []node
	for _, each := range create.Params {
		keys = append(keys, stringNode(as[indexElem](each).Name))
	}
	c.tenantKey(s, table, constraint{Type: "CONSTR_UNIQUE", Keys: keys})
}

func (c *checker) drop(s *statement, d drop) {
	for _, object := range d.Objects {
		names := objectName(object)
		switch d.Type {
		case "OBJECT_INDEX":
			c.dropIndex(s, d, qualified(names))
		case "OBJECT_POLICY", "OBJECT_TRIGGER", "OBJECT_RULE":
			c.lock(s, qualified(names[:len(names)-1]))
		case "OBJECT_TABLE":
			if table := qualified(names); c.isOld(table) {
				c.report(s, ruleDrop, "it takes %s away", table)
				c.lock(s, table)
			}
		case "OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_TYPE", "OBJECT_DOMAIN", "OBJECT_SEQUENCE",
			"OBJECT_SCHEMA", "OBJECT_EXTENSION":
			if name := qualified(names); !c.made[name] {
				c.report(s, ruleDrop, "it takes %s away", name)
			}
		}
	}
}

func (c *checker) dropIndex(s *statement, d drop, index string) {
	table, known := c.schema.indexes[index]
	delete(c.schema.indexes, index)
	switch {
	case known && !c.isOld(table):
	case d.Concurrent && c.inTransaction:
		c.report(s, ruleNoTransaction, "DROP INDEX CONCURRENTLY")
	case !d.Concurrent:
		c.report(s, ruleConcurrently, "nobody can read the table of %s while it is dropped, or while others are waited for", index)
	}
}

func (c *checker) rename(s *statement, r rename) {
	table := r.Relation.name()
	switch r.Type {
	case "OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_FUNCTION", "OBJECT_SCHEMA", "OBJECT_TYPE":
		if table == "" || c.isOld(table) {
			c.report(s, ruleRename, "what asks for %s by its name fails", strings.TrimSpace(table+" "+strings.ToLower(strings.TrimPrefix(r.Type, "OBJECT_"))))
		}
	case "OBJECT_COLUMN", "OBJECT_ATTRIBUTE":
		if c.isOld(table) {
			c.report(s, ruleRename, "what asks for %s.%s by its name fails", table, r.Column)
		}
	}
}

// noteProtection notes row level security that is written out, as that of a partition is.
func (c *checker) noteProtection(table, subtype string) {
	for _, t := range c.tables {
		if t.name == table {
			t.rls = t.rls || subtype == "AT_EnableRowSecurity"
			t.forced = t.forced || subtype == "AT_ForceRowSecurity"
		}
	}
}

// finishTables judges the new tables, when all that the file does to them is known.
func (c *checker) finishTables() {
	for _, t := range c.tables {
		switch p := c.schema.planes[t.name]; {
		case t.isPartition:
			if !t.rls || !t.forced || !t.hasPolicy {
				c.report(t.at, ruleTenantTable, "the partition %s lacks ENABLE and FORCE ROW LEVEL SECURITY, or its policy owner", t.name)
			}
		case p == controlPlane:
		case p != tenantPlane:
			c.report(t.at, ruleTenantTable, "nothing protects %s", t.name)
		case !t.hasTenant:
			c.report(t.at, ruleTenantTable, "%s has no tenant_id", t.name)
		case !t.hasPrimary:
			c.report(t.at, ruleTenantTable, "%s has no primary key", t.name)
		default:
			for _, key := range t.untenanted {
				c.report(key.at, ruleTenantTable, "%s: %s", t.name, key.what)
			}
		}
	}
}

func stringNode(value string) node {
	return nodeOf("String", text{Value: value})
}
