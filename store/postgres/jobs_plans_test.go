package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

// engineStatement is one of the engine's statements, with arguments as literals.
type engineStatement struct {
	name, sql string
	args      []any
}

// engineStatements are those that run all the time, about 100 of the jobs that are given.
func engineStatements(refs []jobs.Ref) []engineStatement {
	tenants, ids := columnsOfRefs(refs)
	list := func(v any) string { return "{" + strings.Trim(strings.ReplaceAll(fmt.Sprint(v), " ", ","), "[]") + "}" }
	each := func(v string) string { return "{" + strings.TrimSuffix(strings.Repeat(v+",", len(refs)), ",") + "}" }
	t, i := list(tenants), list(ids)
	return []engineStatement{
		{"promote", promoteJobs, []any{100}},
		{"expire", expireJobs, []any{100, "x"}},
		{"recall", recallJobs, []any{time.Now().Add(-time.Hour), "", t, i}},
		{"lanes", nextLanes, []any{jobs.Default, tenancy.ID{}, lastID(), 100}},
		{"take", takeFromLanes, []any{jobs.Default, t, each("0"), 1}},
		{"take, with caps", takeFromLanes, []any{jobs.Default, t, each("3"), 1}},
		{"claim", claimJobs, []any{t, i, "w", 1000000}},
		{"locked", lockedJobs, []any{t, i}},
		{"beat", beatJobs, []any{t, i, each("1"), 1000000}},
		{"progress", saveProgress, []any{t, i, each("1"), each("1"), each("1"), each("x")}},
		{"settle", settleJobs(""), []any{t, i, each("1"), each("succeeded"), each("null"), each(`""`), each(`""`), each(`""`)}},
	}
}

// TestEngineStatementsUseIndexes holds that the engine reads what it works on and no more: on an empty table, with a
// backlog that the statistics know nothing of, and with one that they know; with plans made for the values and with
// those made for any.
func TestEngineStatementsUseIndexes(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	conn := databasetest.Connect(t, s.SystemURL)
	for _, setting := range []string{"select set_config('app.control', 'on', false)", "select " + strings.ReplaceAll(keepToIndexes, "true", "false")} {
		_, err := conn.Exec(t.Context(), setting)
		require.NoError(t, err)
	}
	look := func(about string, refs []jobs.Ref) {
		for _, statement := range engineStatements(refs) {
			for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
				var root node
				undone(t, conn, func() { root = explain(t, conn, mode, statement.sql, statement.args) })
				for _, n := range root.all() {
					assert.False(t, n.Type == "Seq Scan" && strings.HasPrefix(n.Relation, "jobs"),
						"%s, %s, %s reads all of %s", statement.name, about, mode, n.Relation)
					assert.LessOrEqual(t, n.Rows*n.Loops+n.Removed*n.Loops, 1000.0,
						"%s, %s, %s: %s %s %s", statement.name, about, mode, n.Type, n.Relation, n.Index)
				}
			}
		}
	}
	none := make([]jobs.Ref, 100)
	for i := range none {
		none[i] = jobs.Ref{Tenant: tenancy.NewID(), ID: tenancy.NewID()}
	}
	s.Exec(t, "vacuum analyze jobs")
	look("empty", none)
	s.Exec(t, "alter table jobs set (autovacuum_enabled = off)")
	s.fill(t, jobs.Default, "pending", 100, 200)
	s.fill(t, jobs.Default, "scheduled", 100, 50)
	s.fill(t, jobs.Default, "dead", 100, 50)
	var refs []jobs.Ref
	rows, err := conn.Query(t.Context(), "select tenant_id::text, id::text from jobs where state = 'pending' limit 100")
	require.NoError(t, err)
	for rows.Next() {
		var tenant, id string
		require.NoError(t, rows.Scan(&tenant, &id))
		refs = append(refs, jobs.Ref{Tenant: tenancy.MustParseID(tenant), ID: tenancy.MustParseID(id)})
	}
	require.NoError(t, rows.Err())
	look("a backlog unknown", refs)
	s.Exec(t, "vacuum analyze jobs")
	look("a backlog known", refs)
	s.Exec(t, "update jobs set state = 'running', attempt = 1, lease_until = now() + interval '1 minute' where state = 'pending'")
	look("many running", refs)
}

// undone rolls back what act does.
func undone(t *testing.T, conn *pgx.Conn, act func()) {
	t.Helper()
	_, err := conn.Exec(t.Context(), "begin")
	require.NoError(t, err)
	act()
	_, err = conn.Exec(t.Context(), "rollback")
	require.NoError(t, err)
}

// Future jobs of many lanes are not in the way of a pick, nor are many lanes.
func TestPick_among_many_lanes(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	s.fill(t, jobs.Default, "scheduled", 10_000, 1)
	ref := s.enqueue(t, s.scope(t), newJob1())[0]
	var stats *Stats
	var handed []jobs.Ref
	undisturbed(t, func() error {
		var ctx context.Context
		ctx, stats = WithStats(t.Context())
		_, err := s.Engine.Pick(ctx, jobs.Default, 100, tenancy.NewID(), func(refs []jobs.Ref) error { handed = refs; return nil })
		return err
	})
	assert.Equal(t, []jobs.Ref{ref}, handed)
	assert.LessOrEqual(t, stats.Statements(), int64(6))
}
