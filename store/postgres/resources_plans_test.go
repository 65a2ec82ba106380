package postgres

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

type reminder struct {
	resource.Base

	Title string     `json:"title"  api:"sort"`
	DueAt *time.Time `json:"due_at" api:"filter,sort"`
}

const remindersSQL = `
set role groundwork_owner;
create table reminders (
  tenant_id uuid not null, id uuid not null, version bigint not null, created_at timestamptz not null,
  updated_at timestamptz not null, deleted_at timestamptz, title text not null, due_at timestamptz,
  primary key (tenant_id, id)
);
create index reminders_title_idx on reminders (tenant_id, title, id);
create index reminders_due_at_idx on reminders (tenant_id, greatest(due_at, '-infinity'), id);
create index reminders_created_at_idx on reminders (tenant_id, created_at, id);
create index reminders_updated_at_idx on reminders (tenant_id, updated_at, id);
create index reminders_deleted_at_idx on reminders (tenant_id, deleted_at, id) where deleted_at is not null;
select protect_tenant_table('reminders');
reset role;
insert into reminders
select ('00000000-0000-7000-8000-00000000000' || n % 4)::uuid, gen_random_uuid(), 1, moment, moment,
  case when n % 19 = 0 then moment end, 'title ' || n % 997, case when n % 3 > 0 then moment - make_interval(hours => n % 700) end
from (select n, timestamptz '2026-01-01' + make_interval(secs => n) as moment from generate_series(1, 100000) n) rows;
analyze reminders;`

// TestListsUseIndexes holds that a page of 25, the first or one deep inside, is read from an index in its order, under
// row level security, with plans made for the values and with those made for any.
func TestListsUseIndexes(t *testing.T) {
	t.Parallel()
	database := databasetest.New(t)
	admin := database.Admin(t)
	_, err := admin.PgConn().Exec(t.Context(), remindersSQL).ReadAll()
	require.NoError(t, err)
	db, err := Open(t.Context(), Config{URL: database.AppURL, MaxConnections: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.Register(&reminder{}))
	d := resource.Define[reminder](resource.Options{Name: "reminder", Plural: "reminders"})
	require.NoError(t, db.Verify(t.Context(), []*resource.Definition{d}))
	tenant := tenancy.MustParseID("00000000-0000-7000-8000-000000000002")
	scope := tenancy.AsSystem(tenant, "")

	app := databasetest.Connect(t, database.AppURL)
	_, err = app.Exec(t.Context(), "select set_config('app.tenant_id', $1, false)", tenant.String())
	require.NoError(t, err)
	for query, index := range map[string]string{
		"": "reminders_pkey", "sort=id": "reminders_pkey", "sort=title": "reminders_title_idx",
		"sort=-due_at": "reminders_due_at_idx", "sort=due_at": "reminders_due_at_idx", "sort=-created_at": "reminders_created_at_idx",
		"sort=due_at&due_at[gte]=2025-12-05&due_at[lt]=2025-12-30": "reminders_due_at_idx",
		"sort=due_at&due_at[null]=true":                            "reminders_due_at_idx",
	} {
		params, err := url.ParseQuery(query)
		require.NoError(t, err)
		q, err := d.ParseQuery(params)
		require.NoError(t, err)
		for name, request := range map[string]page.Request{
			"first": {Limit: 25}, "deep": {Limit: 25, After: deep(t, db, scope, d, q)},
			"deep and back": {Limit: 25, After: deep(t, db, scope, d, q), Backward: true},
		} {
			for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
				q.Request = request
				sql, args := statementOf(t, db, scope, d, q)
				root := explain(t, app, mode, sql, args)
				about := fmt.Sprintf("%q, the %s page, %s:\n%s", query, name, mode, asText(t, root))
				assert.InDelta(t, 26, root.Rows, 0, about)
				var kinds []string
				for _, node := range root.all() {
					if node.Type != "Result" { // what tests the tenant once
						kinds = append(kinds, node.Type)
					}
					assert.LessOrEqual(t, node.Removed, 10.0, about)
					assert.LessOrEqual(t, node.Rows, 26.0, about)
					if node.Index != "" {
						assert.Equal(t, index, node.Index, about)
					}
				}
				assert.Equal(t, []string{"Limit", "Index Scan"}, kinds, about)
			}
		}
	}
}

// deep is a position far inside of a tenant's 25,000 records.
func deep(t *testing.T, db *DB, scope tenancy.Scope, d *resource.Definition, q resource.Query) page.Position {
	t.Helper()
	q.Request = page.Request{Limit: 1}
	rows := d.NewList(1)
	require.NoError(t, selectRecords(db.Scoped(t.Context(), scope), d, q).Offset(6000).Find(rows).Error)
	require.NotEmpty(t, d.Entities(rows))
	values, err := q.ParsePosition(q.Position(d.Entities(rows)[0]))
	require.NoError(t, err)
	return values
}

// statementOf is what a list sends.
func statementOf(t *testing.T, db *DB, scope tenancy.Scope, d *resource.Definition, q resource.Query) (string, []any) {
	t.Helper()
	dry := selectRecords(db.Scoped(t.Context(), scope).Session(&gorm.Session{DryRun: true}), d, q).Find(d.NewList(0))
	require.NoError(t, dry.Error)
	return dry.Statement.SQL.String(), dry.Statement.Vars
}

// node is a part of a plan that was run.
type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Filter   string  `json:"Filter"`
	Cond     string  `json:"Index Cond"`
	Plans    []node  `json:"Plans"`
}

func (n node) all() []node {
	list := []node{n}
	for _, inner := range n.Plans {
		list = append(list, inner.all()...)
	}
	return list
}

// explain runs the statement as a prepared one and returns its plan.
func explain(t *testing.T, conn *pgx.Conn, mode, sql string, args []any) node {
	t.Helper()
	literals := make([]string, len(args))
	for i, arg := range args {
		switch arg := arg.(type) {
		case int:
			literals[i] = fmt.Sprint(arg)
		case time.Time:
			literals[i] = "'" + arg.Format(time.RFC3339Nano) + "'"
		default:
			literals[i] = "'" + fmt.Sprint(arg) + "'"
		}
	}
	for _, before := range []string{"deallocate all", "set plan_cache_mode = " + mode, "prepare list as " + sql} {
		_, err := conn.Exec(t.Context(), before, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	}
	var plans []struct{ Plan node }
	var text []byte
	err := conn.QueryRow(t.Context(), "explain (analyze, timing off, format json) execute list("+strings.Join(literals, ", ")+")",
		pgx.QueryExecModeSimpleProtocol).Scan(&text)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &plans))
	require.Len(t, plans, 1)
	return plans[0].Plan
}

func asText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	require.NoError(t, err)
	return string(b)
}
