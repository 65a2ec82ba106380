package postgres

import (
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// guardCreate gives new rows their tenant, refuses another's, and keeps an upsert from taking over another's row.
func (db *DB) guardCreate(tx *gorm.DB) {
	if tx.Error != nil {
		return
	}
	st := tx.Statement
	m := db.guard(tx)
	if m == nil {
		return
	}
	if err := inspectValues(st); err != nil {
		_ = tx.AddError(err)
		return
	}
	s := sessionOf(st.Context)
	if !s.hasTenant() {
		_ = tx.AddError(errNoTenant) // a chain that may be raw is still about a tenant's rows
		return
	}
	if isSaveOfMissingRow(st) {
		_ = tx.AddError(gorm.ErrRecordNotFound)
		return
	}
	_ = tx.AddError(setTenant(st, m, s.tenant))
	guardConflict(st, m, s.tenant)
}

// isSaveOfMissingRow knows the insert that gorm's Save falls back to where its update met no row: it would bring a
// deleted row back, or take over a row that the tenant cannot see.
func isSaveOfMissingRow(st *gorm.Statement) bool {
	conflict, ok := st.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	return ok && conflict.UpdateAll && st.SkipHooks && len(st.Selects) == 1 && st.Selects[0] == "*"
}

// setTenant sets the tenant of rows that have none.
func setTenant(st *gorm.Statement, m *model, tenant tenancy.ID) error {
	switch dest := st.Dest.(type) {
	case map[string]any:
		return setTenantIn(dest, m, tenant)
	case *map[string]any:
		return setTenantIn(*dest, m, tenant)
	case []map[string]any:
		return setTenantInAll(dest, m, tenant)
	case *[]map[string]any:
		return setTenantInAll(*dest, m, tenant)
	}
	set := func(row reflect.Value) error {
		value, zero := m.tenant.ValueOf(st.Context, row)
		if zero {
			return m.tenant.Set(st.Context, row, tenant) //nolint:wrapcheck // gorm's error names the field
		}
		if value != any(tenant) {
			return errOtherTenant
		}
		return nil
	}
	switch rows := st.ReflectValue; rows.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range rows.Len() {
			if row := reflect.Indirect(rows.Index(i)); row.IsValid() {
				if err := set(row); err != nil {
					return err
				}
			}
		}
		return nil
	case reflect.Struct:
		return set(rows)
	default:
		return nil
	}
}

func setTenantInAll(rows []map[string]any, m *model, tenant tenancy.ID) error {
	for _, row := range rows {
		if err := setTenantIn(row, m, tenant); err != nil {
			return err
		}
	}
	return nil
}

func setTenantIn(row map[string]any, m *model, tenant tenancy.ID) error {
	for key, value := range row {
		if !namesColumn(key, m.tenant.DBName) && key != m.tenant.Name {
			continue
		}
		if !isTenant(value, tenant) {
			return errOtherTenant
		}
		delete(row, key)
	}
	row[m.tenant.DBName] = tenant
	return nil
}

// guardConflict names the tenant in what an upsert looks for and in what it changes.
func guardConflict(st *gorm.Statement, m *model, tenant tenancy.ID) {
	c, ok := st.Clauses["ON CONFLICT"]
	if !ok {
		return
	}
	conflict, ok := c.Expression.(clause.OnConflict)
	if !ok {
		_ = st.AddError(errClause)
		return
	}
	if conflict.DoNothing {
		return
	}
	if conflict.UpdateAll && len(conflict.Columns) == 0 && conflict.OnConstraint == "" {
		for _, name := range m.schema.PrimaryFieldDBNames {
			conflict.Columns = append(conflict.Columns, clause.Column{Name: name})
		}
	}
	names := false
	for _, column := range conflict.Columns {
		names = names || column.Name == m.tenant.DBName
	}
	if len(conflict.Columns) > 0 && !names {
		conflict.Columns = append([]clause.Column{{Name: m.tenant.DBName}}, conflict.Columns...)
	}
	updates := make(clause.Set, 0, len(conflict.DoUpdates))
	for _, a := range conflict.DoUpdates {
		if !namesColumn(a.Column.Name, m.tenant.DBName) {
			updates = append(updates, a)
		}
	}
	conflict.DoUpdates = updates
	exprs := []clause.Expression{
		clause.Eq{Column: clause.Column{Table: m.schema.Table, Name: m.tenant.DBName}, Value: tenant},
	}
	if len(conflict.Where.Exprs) > 0 {
		exprs = append(exprs, enclosed(conflict.Where.Exprs))
	}
	conflict.Where = clause.Where{Exprs: exprs}
	c.Expression = conflict
	st.Clauses["ON CONFLICT"] = c
}

// creation is the clause that looks at rows once more, after the hooks of their model ran.
type creation struct {
	db    *DB
	model *model
}

// Name is "": it is no clause of its own, but changes others.
func (creation) Name() string { return "" }

// Build is not called.
func (creation) Build(clause.Builder) {}

// MergeClause is not called.
func (creation) MergeClause(*clause.Clause) {}

// ModifyStatement refuses rows of another tenant.
func (c creation) ModifyStatement(st *gorm.Statement) {
	s := sessionOf(st.Context)
	if !s.hasTenant() {
		_ = st.AddError(errNoTenant)
		return
	}
	_ = st.AddError(setTenant(st, c.model, s.tenant))
}
