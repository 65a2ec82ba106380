package postgres

import (
	"database/sql/driver"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/orders"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

// manyOrdersSQL makes 30,000 orders of 100 tenants, every fifth of them of one. "Everywhere" is a word, a tag and a value
// that 40 of the tenant's orders have and nearly all of the others'.
const manyOrdersSQL = `
insert into orders (tenant_id, id, version, created_at, updated_at, customer_id, number, currency, status, note, total_cents, lines, tags, custom)
select ('00000000-0000-7000-8000-' || lpad((case when n % 5 = 0 then 0 else 1 + n % 99 end)::text, 12, '0'))::uuid,
  ('0199' || lpad(to_hex(n), 8, '0') || '70008000000000000000')::uuid, 1, now(), now(), gen_random_uuid(), 'ORD-' || n, 'EUR', 'draft',
  'deliver to gate ' || n % 97 || case when somewhere then ' everywhere' else '' end || case when n <= 15000 then ' formerly' else '' end,
  n, '[]', case when somewhere then '{everywhere}'::text[] else '{}' end,
  jsonb_build_object('gate', n % 97, 'place', case when somewhere then 'everywhere' else 'nowhere' end)
from (select n, n % 5 > 0 or n % 750 = 0 as somewhere from generate_series(1, 30000) n) rows;
analyze orders;`

// TestSearchesUseTheIndex holds that what matches few of a tenant's records is found by the index of terms however many
// records of other tenants it matches, that those few are then read by their ids, and that what matches many is read in
// the list's order until the page is full.
func TestSearchesUseTheIndex(t *testing.T) {
	t.Parallel()
	database := databasetest.New(t)
	// Foreign keys are not what is tested here.
	_, err := database.Admin(t).PgConn().Exec(t.Context(), "set session_replication_role = replica;"+manyOrdersSQL).ReadAll()
	require.NoError(t, err)
	db, err := Open(t.Context(), Config{URL: database.AppURL, MaxConnections: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	d := orders.Definition()
	require.NoError(t, db.Register(d.New()))
	scope := tenancy.AsSystem(tenancy.MustParseID("00000000-0000-7000-8000-000000000000"), "")
	app := watched(t, database, scope.Tenant)

	for params, want := range map[string]struct {
		rows     int  // that match in the tenant
		isGlance bool // whether they are so many that the newest rows tell
		read     int  // how many rows a page of 25 reads at most
	}{
		"q=everywhere":             {rows: 40, read: 40},
		"q=every":                  {rows: 40, read: 40},
		"q=deliver everyw":         {rows: 40, read: 40},
		"q=30000":                  {rows: 1, read: 1},
		"q=nothing":                {rows: 0},
		"tags[any]=everywhere,any": {rows: 40, read: 40},
		"tags[all]=everywhere":     {rows: 40, read: 40},
		"custom.place=everywhere":  {rows: 40, read: 40},
		"custom.gate=3":            {rows: 62, read: 62},
		"q=everywhere&tags[any]=everywhere&custom.gate=7&sort=-total_cents": {rows: 0},
		"q=everywhere&status=draft,paid&sort=total_cents":                   {rows: 40, read: 40},
		"q=deliver":                   {rows: 6000, isGlance: true, read: 26},
		"q=d&sort=id":                 {rows: 6000, isGlance: true, read: 26},
		"custom.place=nowhere":        {rows: 5960, isGlance: true, read: 30},
		"q=formerly&sort=id":          {rows: 3000, read: 26},
		"q=formerly&sort=-updated_at": {rows: 3000, read: 3500},
	} {
		values := map[string][]string{}
		for param := range strings.SplitSeq(params, "&") {
			name, value, _ := strings.Cut(param, "=")
			values[name] = []string{value}
		}
		q, err := d.ParseQuery(values)
		require.NoError(t, err, params)
		q.Limit = 25
		asked := findStatement(db.Scoped(t.Context(), scope), d, q, mostFound).Statement
		plans := app.run(t, asked.SQL.String(), asked.Vars)
		about := params + "\n" + strings.Join(plans, "\n")
		gin := regexp.MustCompile(`Bitmap Index Scan on orders_search_terms_idx .*rows=(\d+)`).FindStringSubmatch(strings.Join(plans, "\n"))
		assert.NotContains(t, about, "Seq Scan on", about)
		assert.NotContains(t, about, "BitmapAnd", about)
		if want.isGlance {
			assert.Nil(t, gin, about)
		} else if assert.NotNil(t, gin, about) {
			assert.Equal(t, fmt.Sprint(want.rows), gin[1], about)
		}

		c, err := find(db.Scoped(t.Context(), scope), d, q, mostFound)
		require.NoError(t, err)
		if want.rows == 0 {
			assert.True(t, c.isEmpty(), about)
			continue
		}
		if want.rows <= mostFound {
			assert.Len(t, c.ids, want.rows, about)
		} else {
			require.Nil(t, c.ids, about)
		}
		q.Ranked = q.Ranked && c.ids != nil
		dry := selectAmong(db.Scoped(t.Context(), scope).Session(&gorm.Session{DryRun: true}), c, d, q).Find(d.NewList(0))
		require.NoError(t, dry.Error)
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			root := explain(t, app.conn, mode, dry.Statement.SQL.String(), plainly(t, dry.Statement.Vars))
			about := params + ", " + mode + "\n" + asText(t, root)
			read := 0.0
			for _, n := range root.all() {
				if len(n.Plans) == 0 {
					read += n.Rows + n.Removed
				}
				assert.NotEqual(t, "Seq Scan", n.Type, about)
			}
			assert.LessOrEqual(t, read, float64(want.read), about)
			assert.InDelta(t, min(want.rows, 26), root.Rows, 0, about)
		}
	}
}

// plainly are arguments as they are sent, to be written into a statement.
func plainly(t *testing.T, vars []any) []any {
	t.Helper()
	plain := make([]any, len(vars))
	for i, v := range vars {
		if valuer, ok := v.(driver.Valuer); ok {
			value, err := valuer.Value()
			require.NoError(t, err)
			v = value
		}
		if text, ok := v.(string); ok {
			v = strings.ReplaceAll(text, "'", "''")
		}
		plain[i] = v
	}
	return plain
}

// watcher is a connection of the app's that is told the plans of what runs inside of functions.
type watcher struct {
	conn  *pgx.Conn
	mu    sync.Mutex
	plans []string
}

func watched(t *testing.T, database *databasetest.Database, tenant tenancy.ID) *watcher {
	t.Helper()
	w := &watcher{}
	config, err := pgx.ParseConfig(database.AdminURL)
	require.NoError(t, err)
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.plans = append(w.plans, n.Message)
	}
	w.conn, err = pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.conn.Close(t.Context()) })
	_, err = w.conn.PgConn().Exec(t.Context(), `load 'auto_explain'; set auto_explain.log_nested_statements = on; set auto_explain.log_analyze = on;
		set auto_explain.log_timing = off; set auto_explain.log_min_duration = 0; set auto_explain.log_level = notice;
		set role groundwork_app; select set_config('app.tenant_id', '`+tenant.String()+`', false)`).ReadAll()
	require.NoError(t, err)
	return w
}

// run runs a statement and returns the plans of all that ran.
func (w *watcher) run(t *testing.T, sql string, args []any) []string {
	t.Helper()
	w.mu.Lock()
	w.plans = nil
	w.mu.Unlock()
	rows, err := w.conn.Query(t.Context(), sql, append([]any{pgx.QueryExecModeExec}, args...)...)
	require.NoError(t, err)
	rows.Close()
	require.NoError(t, rows.Err())
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.plans
}
