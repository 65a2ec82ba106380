package postgres

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
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
		on.Query().Replace("gorm:query", db.query),
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
	case st.Unscoped: //nolint:forbidigo // it is refused
		return errUnscoped
	}
	s := sessionOf(st.Context)
	if !s.hasTenant() {
		return errNoTenant
	}
	if err := inspectJoins(st); err != nil {
		return err
	}
	look := inspection{session: s}
	if slices.ContainsFunc(st.Selects, hasSubquery) {
		return errSubquery
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
	s := sessionOf(contextOf(st))
	if !s.hasTenant() {
		return // refused elsewhere
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
