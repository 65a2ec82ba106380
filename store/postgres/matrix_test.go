package postgres

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// The matrix: what gorm can do, on every registered model, as one tenant beside another. It runs twice: with the
// clauses and guards alone, as a role for which row level security is not in force, and with row level security.

// subject is a model with a row of ours and one of another tenant.
type subject struct {
	t            *testing.T
	db           *DB
	model        *model
	us, them     tenancy.Scope
	ours, theirs reflect.Value // pointers to the rows
	column       *schema.Field // one that updates change
}

// operation is one case of the matrix.
type operation struct {
	name string
	// refused: it must fail, before or in the database. Otherwise it must succeed, on our rows only.
	refused bool
	// do returns what it found, in which nothing of the other tenant's may be.
	do func(s *subject, tx *gorm.DB) (found any, err error)
}

func (s *subject) row() any {
	return reflect.New(s.model.schema.ModelType).Interface()
}

func (s *subject) rows() any {
	return reflect.New(reflect.SliceOf(s.model.schema.ModelType)).Interface()
}

// of returns a copy of the row.
func (s *subject) of(row reflect.Value) any {
	c := reflect.New(row.Elem().Type())
	c.Elem().Set(row.Elem())
	return c.Interface()
}

// key is a condition on the row's primary key.
func (s *subject) key(row reflect.Value) clause.Expression {
	var key []clause.Expression
	for _, f := range s.model.schema.PrimaryFields {
		v, _ := f.ValueOf(context.Background(), row.Elem())
		key = append(key, clause.Eq{Column: f.DBName, Value: v})
	}
	return clause.And(key...)
}

// value is one that updates write.
func (s *subject) value() any {
	switch s.column.FieldType.Kind() {
	case reflect.String:
		return "changed"
	case reflect.Slice:
		return []byte("changed")
	default:
		return 7
	}
}

func TestMatrix(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(operations())+len(relationOperations()), 48)
	for _, protection := range []string{"clauses and guards alone", "with row level security"} {
		t.Run(protection, func(t *testing.T) {
			t.Parallel()
			s := newSample(t)
			db := s.Bare
			if protection != "clauses and guards alone" {
				db = s.App
			}
			registerProduct(t, s.App, s.Bare)
			s.dropForeignKeys(t)
			us, them := s.Tenant(t), s.Tenant(t)
			tested := 0
			for _, m := range tenantModels(db) {
				t.Run(m.schema.Table, func(t *testing.T) {
					subject := &subject{t: t, db: db, model: m, us: us, them: them, column: changeable(t, m)}
					seeder := newSeeder(t, s)
					subject.theirs = seeder.insert(t, m, them.Tenant)
					for _, op := range operations() {
						subject.ours = seeder.renew(t, m, us.Tenant)
						check(t, s, subject, op)
					}
				})
				tested++
			}
			require.GreaterOrEqual(t, tested, 3)
		})
	}
}

// check runs an operation and proves that it neither showed nor touched anything of the other tenant's, and, where it
// was refused, nothing of ours.
func check(t *testing.T, s *sample, subject *subject, op operation) {
	t.Helper()
	t.Run(op.name, func(t *testing.T) {
		before := s.contents(t, subject.them.Tenant)
		oursBefore := s.contents(t, subject.us.Tenant)
		subject.t = t
		found, err := op.do(subject, subject.db.Scoped(t.Context(), subject.us))
		assert.NotContains(t, text(found), subject.them.Tenant.String(), "it shows another tenant's row")
		assert.Equal(t, before, s.contents(t, subject.them.Tenant), "it changes another tenant's rows")
		if op.refused {
			if assert.Error(t, err) {
				assert.Equal(t, oursBefore, s.contents(t, subject.us.Tenant), "a refused operation changes rows: %v", err)
			}
			return
		}
		if sqlState(err) == "42501" && strings.Contains(err.Error(), "permission denied for") {
			return // the role may not do this to anybody's rows
		}
		assert.NoError(t, err)
	})
}

// text writes out what was found, pointers followed.
func text(v any) string {
	var b strings.Builder
	var write func(v reflect.Value, depth int)
	write = func(v reflect.Value, depth int) {
		if !v.IsValid() || depth > 8 {
			return
		}
		if v.CanInterface() {
			switch x := v.Interface().(type) {
			case time.Time:
				return
			case []byte:
				b.Write(x)
				return
			case fmt.Stringer:
				if v.Kind() != reflect.Pointer || !v.IsNil() {
					b.WriteString(x.String() + " ")
					return
				}
			}
		}
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			write(v.Elem(), depth+1)
		case reflect.Struct:
			for i := range v.NumField() {
				write(v.Field(i), depth+1)
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				write(v.Index(i), depth+1)
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				write(v.MapIndex(k), depth+1)
			}
		default:
			fmt.Fprint(&b, v, " ")
		}
	}
	write(reflect.ValueOf(v), 0)
	return b.String()
}

// contents is every row of a tenant in every tenant table, as text.
func (s *sample) contents(t *testing.T, tenant tenancy.ID) map[string]string {
	t.Helper()
	contents := make(map[string]string)
	for _, m := range tenantModels(s.Bare) {
		table := m.schema.Table
		var all string
		require.NoError(t, s.Bare.sql.QueryRowContext(t.Context(), `select coalesce(string_agg(x::text, E'\n' order by x::text), '')
			from `+pgx.Identifier{table}.Sanitize()+` x where tenant_id = $1`, tenant).Scan(&all))
		contents[table] = all
	}
	return contents
}

// tenantModels are the registered models of tenants' rows.
func tenantModels(db *DB) []*model {
	var all []*model
	for _, m := range *db.models.Load() {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *model) int { return strings.Compare(a.schema.Table, b.schema.Table) })
	return all
}

func changeable(t *testing.T, m *model) *schema.Field {
	t.Helper()
	for _, kind := range []reflect.Kind{reflect.String, reflect.Int, reflect.Int64} {
		for _, name := range m.schema.DBNames {
			f := m.schema.FieldsByDBName[name]
			if f.Updatable && !f.PrimaryKey && f != m.tenant && f.FieldType.Kind() == kind && f.Serializer == nil {
				return f
			}
		}
	}
	t.Fatalf("%s has no field of text or number that an update could change", m.schema.Name)
	return nil
}

// dropForeignKeys lets rows be made up one table at a time. What foreign keys keep apart is tested elsewhere.
func (s *sample) dropForeignKeys(t *testing.T) {
	t.Helper()
	s.Exec(t, `do $$ declare f record; begin
		for f in select conrelid::regclass as home, conname from pg_constraint
			where contype = 'f' and conparentid = 0 and connamespace = 'public'::regnamespace
		loop execute format('alter table %s drop constraint %I', f.home, f.conname); end loop; end $$`)
}

// seeder inserts rows as a superuser.
type seeder struct{ db *DB }

func newSeeder(t *testing.T, s *sample) *seeder {
	t.Helper()
	db := s.open(t, Config{URL: s.AdminURL, MaxConnections: 1})
	registerProduct(t, db)
	return &seeder{db: db}
}

// renew leaves one row of the tenant's.
func (s *seeder) renew(t *testing.T, m *model, tenant tenancy.ID) reflect.Value {
	t.Helper()
	_, err := s.db.sql.ExecContext(t.Context(), "delete from "+pgx.Identifier{m.schema.Table}.Sanitize()+" where tenant_id = $1", tenant)
	require.NoError(t, err)
	return s.insert(t, m, tenant)
}

// insert makes up a row. A column with a rule that made-up values break has its value in fixtures.
func (s *seeder) insert(t *testing.T, m *model, tenant tenancy.ID) reflect.Value {
	t.Helper()
	row := reflect.New(m.schema.ModelType)
	for _, name := range m.schema.DBNames {
		f := m.schema.FieldsByDBName[name]
		value, ok := fixtures()[m.schema.Table+"."+name]
		if !ok {
			value = madeUp(f, tenant)
		}
		if f == m.deleted {
			value = nil
		}
		if value != nil {
			require.NoError(t, f.Set(t.Context(), row.Elem(), value))
		}
	}
	require.NoError(t, m.tenant.Set(t.Context(), row.Elem(), tenant))
	err := s.db.Scoped(t.Context(), tenancy.AsSystem(tenant, "")).Create(row.Interface()).Error
	require.NoErrorf(t, err, "make a row of %s up; a column with a rule needs a value in fixtures()", m.schema.Table)
	return row
}

// fixtures are values for columns that take no made-up ones, as table.column.
func fixtures() map[string]any {
	return map[string]any{}
}

// madeUp is a value that names its tenant where it can, so that it is known wherever it turns up.
func madeUp(f *schema.Field, tenant tenancy.ID) any {
	t := f.IndirectFieldType
	switch {
	case t == reflect.TypeFor[tenancy.ID]():
		return tenancy.NewID()
	case t == reflect.TypeFor[time.Time]():
		return time.Now().UTC().Truncate(time.Microsecond)
	case f.Serializer != nil:
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		return tenant.String() + " " + tenancy.NewID().String()
	case reflect.Int, reflect.Int16, reflect.Int32, reflect.Int64:
		return 42
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			id := tenancy.NewID()
			return append([]byte(tenant.String()+" "), id[:]...)
		}
	}
	return nil
}
