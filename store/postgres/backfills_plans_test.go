package postgres

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/store/databasetest"
)

// TestBackfillBatchReadsItsRowsOnly holds that a batch at the end of a large tenant costs what one at its beginning does, with a
// plan made for the values and with one made for any, to which PostgreSQL turns after some batches.
func TestBackfillBatchReadsItsRowsOnly(t *testing.T) {
	t.Parallel()
	const rows, limit = 5_000, 50
	s := newJobsSample(t)
	tenant := s.TenantID(t).String()
	s.Exec(t, `insert into customers (tenant_id, id, version, created_at, updated_at, name)
		select $1, ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 1, now(), now(), 'c' from generate_series(1, $2::int) n`, tenant, rows)
	s.Exec(t, "analyze customers")
	backfill := Backfill{Table: "customers", Key: "id", Change: "update customers c set version = 2 from batch b where c.tenant_id = $1 and c.id = b.id"}

	conn := databasetest.Connect(t, s.WorkerURL)
	_, err := conn.Exec(t.Context(), "select set_config('app.tenant_id', $1, false), "+strings.ReplaceAll(keepToIndexes, "true", "false"), tenant)
	require.NoError(t, err)
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		undone(t, conn, func() {
			root := explain(t, conn, mode, backfill.batchSQL(), []any{tenant, "00000000-0000-7000-8000-000000004900", limit})
			for _, n := range root.all() {
				assert.LessOrEqual(t, (n.Rows+n.Removed)*n.Loops, float64(limit), "%s: %s %s %s", mode, n.Type, n.Relation, n.Index)
			}
		})
	}
}
