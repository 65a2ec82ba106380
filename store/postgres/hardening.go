package postgres

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// The clauses of scopes.go reach what gorm builds from a registered model. What it builds otherwise is refused here,
// before anything is sent. Row level security stands behind both.

var (
	errRaw          = fmt.Errorf("%w: it is raw SQL", errUnscopable)
	errUnregistered = fmt.Errorf("%w: its model is not registered", errUnscopable)
	errTable        = fmt.Errorf("%w: it names a table other than its model's", errUnscopable)
	errRawJoin      = fmt.Errorf("%w: it joins by raw SQL", errUnscopable)
	errSubquery     = fmt.Errorf("%w: it has a subquery in raw SQL, of another scope, or of gorm.G", errUnscopable)
	errClause       = fmt.Errorf("%w: it has a clause of an unknown kind", errUnscopable)
	errUnscoped     = fmt.Errorf("%w: it asked to be unscoped", errUnscopable)
	errOtherTenant  = errors.New("postgres: a row of another tenant was given")
	errMovesTenant  = errors.New("postgres: a row cannot change its tenant")
)

const (
	rawSetting   = "groundwork:raw"
	purgeSetting = "groundwork:purge"
)

// mark is a setting's value that no other package can make.
type mark struct{}

// rawOK lets a chain of the store's own use raw SQL, tables without a model, and joins by hand. Whoever calls it
// names the tenant in the statement.
func rawOK(tx *gorm.DB) *gorm.DB { return tx.Set(rawSetting, mark{}) }

func isMarked(st *gorm.Statement, setting string) bool {
	_, ok := settingOf(st, setting).(mark)
	return ok
}

// harden puts the guards in front of what gorm does.
func (db *DB) harden() error {
	on := db.gorm.Callback()
	return errors.Join(
		on.Query().Before("gorm:query").Register("groundwork:guard", db.guardRead),
		on.Row().Before("gorm:row").Register("groundwork:guard", db.guardRead),
		on.Raw().Before("gorm:raw").Register("groundwork:guard", db.guardRead),
		on.Create().Before("gorm:before_create").Register("groundwork:guard", db.guardCreate),
		on.Update().Before("gorm:before_update").Register("groundwork:guard", db.guardUpdate),
		on.Delete().Before("gorm:before_delete").Register("groundwork:guard", db.guardDelete),
	)
}

func (db *DB) guardRead(tx *gorm.DB) {
	if tx.Error == nil {
		db.guard(tx)
	}
}

// guard refuses what cannot be scoped, and returns the statement's model where there is one.
func (db *DB) guard(tx *gorm.DB) *model {
	st := tx.Statement
	m := db.modelOf(st.Schema)
	if isMarked(st, rawSetting) {
		return m
	}
	if err := db.refusal(st, m); err != nil {
		_ = tx.AddError(err)
		return nil
	}
	return m
}

func (db *DB) refusal(st *gorm.Statement, m *model) error {
	switch {
	case st.SQL.Len() > 0:
		return errRaw
	case m == nil:
		return errUnregistered
	case st.TableExpr != nil || st.Table != "" && st.Table != m.schema.Table:
		return errTable
	case st.Unscoped:
		return errUnscoped
	}
	s := sessionOf(st.Context)
	if err := m.reachable(s); err != nil {
		return err
	}
	if err := inspectJoins(st); err != nil {
		return err
	}
	look := inspection{session: s}
	for _, column := range st.Selects {
		if hasSubquery(column) {
			return errSubquery
		}
	}
	for name := range st.Clauses {
		if err := look.clause(st.Clauses[name]); err != nil {
			return err
		}
	}
	return nil
}

// inspectJoins lets joins along declared relations through, whose related rows are scoped by their own clauses.
func inspectJoins(st *gorm.Statement) error {
	look := inspection{session: sessionOf(st.Context)}
	for i := range st.Joins {
		j := &st.Joins[i]
		if j.Expression != nil || !isRelation(st, j.Name) {
			return errRawJoin
		}
		if j.On == nil {
			continue
		}
		if err := look.all(j.On.Exprs); err != nil {
			return err
		}
		// gorm puts the condition behind the predicates without parentheses.
		if len(j.On.Exprs) > 0 {
			j.On = &clause.Where{Exprs: []clause.Expression{enclosed(j.On.Exprs)}}
		}
	}
	return nil
}

func isRelation(st *gorm.Statement, name string) bool {
	relations := st.Schema.Relationships.Relations
	if relations[name] != nil {
		return true
	}
	for part := range strings.SplitSeq(name, ".") {
		r := relations[part]
		if r == nil {
			return false
		}
		relations = r.FieldSchema.Relationships.Relations
	}
	return true
}

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
	if m.tenant == nil || s == nil || s.tenant.IsZero() {
		return // a control function names the tenant itself
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
	switch rows := st.ReflectValue; rows.Kind() { //nolint:exhaustive // gorm refuses the others
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

// Name, Build and MergeClause make it a clause.Interface; gorm calls ModifyStatement.
func (creation) Name() string { return "" }

// Build is not called.
func (creation) Build(clause.Builder) {}

// MergeClause is not called.
func (creation) MergeClause(*clause.Clause) {}

// ModifyStatement refuses rows of another tenant.
func (c creation) ModifyStatement(st *gorm.Statement) {
	s := sessionOf(st.Context)
	if err := c.model.reachable(s); err != nil {
		_ = st.AddError(err)
		return
	}
	if c.model.tenant != nil && !s.tenant.IsZero() {
		_ = st.AddError(setTenant(st, c.model, s.tenant))
	}
}

// guardUpdate refuses an update without a condition, and one that moves rows to another tenant.
func (db *DB) guardUpdate(tx *gorm.DB) {
	if tx.Error != nil {
		return
	}
	st := tx.Statement
	m := db.guard(tx)
	if m == nil || tx.Error != nil {
		return
	}
	if err := inspectValues(st); err != nil {
		_ = tx.AddError(err)
		return
	}
	db.checkUnchangedTenant(st, m)
	if !hasCondition(st, m) && !hasKey(st, st.ReflectValue, m, false) {
		_ = tx.AddError(gorm.ErrMissingWhereClause)
	}
}

// guardDelete refuses a delete without a condition.
func (db *DB) guardDelete(tx *gorm.DB) {
	if tx.Error != nil {
		return
	}
	st := tx.Statement
	m := db.guard(tx)
	if m == nil || tx.Error != nil {
		return
	}
	if hasCondition(st, m) || hasKey(st, st.ReflectValue, m, true) {
		return
	}
	if st.Model != nil && st.Dest != st.Model && hasKey(st, reflect.Indirect(reflect.ValueOf(st.Model)), m, true) {
		return
	}
	_ = tx.AddError(gorm.ErrMissingWhereClause)
}

// checkUnchangedTenant refuses an update that sets the tenant, but to what it is.
func (db *DB) checkUnchangedTenant(st *gorm.Statement, m *model) {
	if m.tenant == nil {
		return
	}
	s := sessionOf(contextOf(st))
	if s == nil || m.control && s.control {
		return
	}
	if set, ok := st.Clauses["SET"].Expression.(clause.Set); ok {
		for _, a := range set {
			if namesColumn(a.Column.Name, m.tenant.DBName) && !isTenant(a.Value, s.tenant) {
				_ = st.AddError(errMovesTenant)
			}
		}
	}
	var changes map[string]any
	switch dest := st.Dest.(type) {
	case map[string]any:
		changes = dest
	case *map[string]any:
		changes = *dest
	default:
		checkTenantOfStruct(st, m, s.tenant)
		return
	}
	for key, value := range changes {
		if namesColumn(key, m.tenant.DBName) || key == m.tenant.Name {
			if !isTenant(value, s.tenant) {
				_ = st.AddError(errMovesTenant)
			}
		}
	}
}

// checkTenantOfStruct refuses values of another tenant. gorm would leave the tenant's column as it is, and the caller
// would believe otherwise.
func checkTenantOfStruct(st *gorm.Statement, m *model, tenant tenancy.ID) {
	row := reflect.Indirect(reflect.ValueOf(st.Dest))
	if row.Kind() != reflect.Struct || row.Type() != m.schema.ModelType {
		return
	}
	if value, zero := m.tenant.ValueOf(st.Context, row); !zero && value != any(tenant) {
		_ = st.AddError(errMovesTenant)
	}
}

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
	switch rows.Kind() { //nolint:exhaustive // others have no key
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
	if m.tenant == nil {
		return false
	}
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
