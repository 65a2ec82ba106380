package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// Trash is the gorm scope for rows that are, or may be, deleted: tx.Scopes(Trash(resource.TrashOnly)). With
// either mode but Live, related rows are found whether they are deleted or not.
func Trash(mode resource.Trash) func(*gorm.DB) *gorm.DB {
	return func(tx *gorm.DB) *gorm.DB {
		return tx.Set(trashSetting, trash{mode: mode})
	}
}

const trashSetting = "groundwork:trash"

// trash is the mode of a statement, and the schema that it is about; related models are not.
type trash struct {
	mode resource.Trash
	root *schema.Schema
}

// model is what is known of a registered model.
type model struct {
	schema  *schema.Schema
	tenant  *schema.Field
	deleted *schema.Field // nil where a delete removes
	updated *schema.Field
	version *schema.Field
	rows    *rowPlan // nil where gorm reads the rows
}

// Register makes models of tenants' rows known: a statement on any other model is refused. A field TenantID scopes
// every statement to the tenant; a field DeletedAt *time.Time makes a delete mark the row, and hides marked rows.
// Models that a model relates to are registered with it. It is called before the first statement.
func (db *DB) Register(models ...any) error {
	db.registering.Lock()
	defer db.registering.Unlock()
	known := maps.Clone(*db.models.Load())
	for _, value := range models {
		st := &gorm.Statement{DB: db.gorm}
		if err := st.Parse(value); err != nil {
			return fmt.Errorf("postgres: register %T: %w", value, err)
		}
		if err := db.adopt(known, st.Schema); err != nil {
			return err
		}
	}
	db.models.Store(&known)
	return nil
}

// adopt adds the scope's clauses to a parsed schema and to those that it relates to.
func (db *DB) adopt(known map[*schema.Schema]*model, s *schema.Schema) error {
	if known[s] != nil {
		return nil
	}
	m := &model{schema: s}
	m.tenant = s.FieldsByName["TenantID"]
	if f := s.FieldsByName["DeletedAt"]; f != nil && f.FieldType == reflect.TypeFor[*time.Time]() {
		m.deleted = f
	}
	m.updated, m.version = s.FieldsByName["UpdatedAt"], s.FieldsByName["Version"]
	if m.tenant == nil {
		return fmt.Errorf("postgres: register %s: a tenant's model has a field TenantID", s.Name)
	}
	keepTenantOut(m.tenant, s)
	m.rows = newRowPlan(s)
	known[s] = m
	s.QueryClauses = append(s.QueryClauses, scope{db: db, model: m})
	s.UpdateClauses = append(s.UpdateClauses, scope{db: db, model: m, writes: true})
	s.DeleteClauses = append(s.DeleteClauses, removal{scope{db: db, model: m, writes: true}})
	s.CreateClauses = append(s.CreateClauses, creation{db: db, model: m})
	for _, r := range s.Relationships.Relations {
		if r.JoinTable != nil {
			return fmt.Errorf("postgres: register %s: %s is many-to-many through a table without a tenant; "+
				"declare a model with TenantID for it and two has-many relations", s.Name, r.Name)
		}
		if err := db.adopt(known, r.FieldSchema); err != nil {
			return fmt.Errorf("%w (related by %s.%s)", err, s.Name, r.Name)
		}
	}
	return nil
}

// keepTenantOut makes the tenant a column that statements never change, and that gorm does not look for in the key of
// a struct, where it is zero as often as not: it is in every predicate anyway.
func keepTenantOut(tenant *schema.Field, s *schema.Schema) {
	tenant.Updatable, tenant.PrimaryKey = false, false
	s.PrimaryFields = slices.DeleteFunc(s.PrimaryFields, func(f *schema.Field) bool { return f == tenant })
	s.PrimaryFieldDBNames = slices.DeleteFunc(s.PrimaryFieldDBNames, func(n string) bool { return n == tenant.DBName })
	if len(s.PrimaryFields) == 1 {
		s.PrioritizedPrimaryField = s.PrimaryFields[0]
	}
}

func (db *DB) modelOf(s *schema.Schema) *model {
	if s == nil {
		return nil
	}
	return (*db.models.Load())[s]
}

// contextOf is the statement's context; that of a join's condition is its parent's.
func contextOf(st *gorm.Statement) context.Context {
	if st.Context != nil {
		return st.Context
	}
	if parent := parentOf(st); parent != nil && parent.Context != nil {
		return parent.Context
	}
	return context.Background()
}

// scope is the clause that adds a model's predicates to a statement, or to a join's condition.
type scope struct {
	db     *DB
	model  *model
	writes bool
}

// Name is "": it is no clause of its own, but changes others.
func (scope) Name() string { return "" }

// Build is not called.
func (scope) Build(clause.Builder) {}

// MergeClause is not called.
func (scope) MergeClause(*clause.Clause) {}

// ModifyStatement puts the predicates in front of what stands in WHERE, and parentheses around that.
func (c scope) ModifyStatement(st *gorm.Statement) {
	if st.SQL.Len() > 0 {
		return // raw, which the guard has seen
	}
	if c.writes {
		c.db.checkUnchangedTenant(st, c.model)
	}
	c.apply(st)
}

func (c scope) apply(st *gorm.Statement) {
	where := st.Clauses["WHERE"]
	given, ok := where.Expression.(clause.Where)
	if where.Expression != nil && !ok || where.Builder != nil || where.AfterExpression != nil {
		_ = st.AddError(fmt.Errorf("%w: it has a WHERE of an unknown kind", errUnscopable))
	}
	exprs := make([]clause.Expression, 0, 2)
	exprs = append(exprs, c.predicate(st))
	if rest := withoutPredicate(given.Exprs); len(rest) > 0 {
		exprs = append(exprs, enclosed(rest))
	}
	where.Name, where.Expression = "WHERE", clause.Where{Exprs: exprs}
	st.Clauses["WHERE"] = where
}

// predicate is what limits the statement to the session's tenant, and to the rows that its trash mode is about. A
// statement that may not run gets an error and a condition that is never true, since the errors of a subquery are
// lost.
func (c scope) predicate(st *gorm.Statement) predicate {
	p := predicate{deleted: c.model.deleted}
	s := sessionOf(contextOf(st))
	if !s.hasTenant() {
		_ = st.AddError(errNoTenant)
		p.never = true
		return p
	}
	p.tenant, p.session, p.trash = c.model.tenant, s, c.trashMode(st)
	return p
}

func (c scope) trashMode(st *gorm.Statement) resource.Trash {
	if c.model.deleted == nil {
		return resource.Live
	}
	if _, ok := settingOf(st, purgeSetting).(mark); ok {
		return resource.WithTrash
	}
	t, ok := settingOf(st, trashSetting).(trash)
	switch {
	case !ok:
		return resource.Live
	case t.root == nil && st.Schema == c.model.schema:
		t.root = st.Schema
		st.Settings.Store(trashSetting, t)
		return t.mode
	case t.root == c.model.schema && st.Schema == c.model.schema, t.mode == resource.Live:
		return t.mode
	default:
		return resource.WithTrash
	}
}

func settingOf(st *gorm.Statement, name string) any {
	v, ok := st.Settings.Load(name)
	if parent := parentOf(st); !ok && parent != nil {
		v, _ = parent.Settings.Load(name)
	}
	return v
}

// parentOf is the statement that a join's condition is built for; nil for a statement of its own.
func parentOf(st *gorm.Statement) *gorm.Statement {
	if st.DB == nil || st.DB.Statement == st { //nolint:staticcheck // the embedded DB's statement is meant
		return nil
	}
	return st.DB.Statement //nolint:staticcheck // the embedded DB's statement is meant
}

// predicate is the condition that the scope adds. It is a type of its own so that a statement that is run again is
// scoped anew, whatever was added to it meanwhile.
type predicate struct {
	tenant  *schema.Field
	session *session
	deleted *schema.Field
	trash   resource.Trash
	never   bool
}

// Build writes the condition.
func (p predicate) Build(b clause.Builder) {
	written := false
	and := func() {
		if written {
			_, _ = b.WriteString(" AND ")
		}
		written = true
	}
	if p.never {
		and()
		_, _ = b.WriteString("1 = 0")
	}
	if p.tenant != nil {
		and()
		b.WriteQuoted(clause.Column{Table: clause.CurrentTable, Name: p.tenant.DBName})
		_, _ = b.WriteString(" = ")
		b.AddVar(b, p.session.tenant)
	}
	if p.deleted != nil && p.trash != resource.WithTrash {
		and()
		b.WriteQuoted(clause.Column{Table: clause.CurrentTable, Name: p.deleted.DBName})
		if p.trash == resource.TrashOnly {
			_, _ = b.WriteString(" IS NOT NULL")
		} else {
			_, _ = b.WriteString(" IS NULL")
		}
	}
	if !written {
		_, _ = b.WriteString("1 = 1")
	}
}

func withoutPredicate(exprs []clause.Expression) []clause.Expression {
	return slices.DeleteFunc(slices.Clone(exprs), func(e clause.Expression) bool {
		_, ours := e.(predicate)
		return ours
	})
}

// enclosed is the conjunction of conditions with parentheses that hold whatever a raw one contains.
func enclosed(exprs []clause.Expression) clause.Expression {
	inside := make([]clause.Expression, len(exprs))
	for i, e := range exprs {
		inside[i] = parenthesized(e)
	}
	return clause.AndConditions{Exprs: inside}
}

func parenthesized(e clause.Expression) clause.Expression {
	switch e := e.(type) {
	case clause.Expr, clause.NamedExpr:
		return parentheses{e}
	case clause.AndConditions:
		return clause.AndConditions{Exprs: parenthesizedAll(e.Exprs)}
	case clause.OrConditions:
		return clause.OrConditions{Exprs: parenthesizedAll(e.Exprs)}
	case clause.NotConditions:
		return clause.NotConditions{Exprs: parenthesizedAll(e.Exprs)}
	default:
		return e
	}
}

func parenthesizedAll(exprs []clause.Expression) []clause.Expression {
	out := make([]clause.Expression, len(exprs))
	for i, e := range exprs {
		out[i] = parenthesized(e)
	}
	return out
}

type parentheses struct{ inside clause.Expression }

// Build writes the condition in parentheses.
func (p parentheses) Build(b clause.Builder) {
	_ = b.WriteByte('(')
	p.inside.Build(b)
	_ = b.WriteByte(')')
}

var errUnscopable = errors.New("postgres: this statement cannot be limited to a tenant")
