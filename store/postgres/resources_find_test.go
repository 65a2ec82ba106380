package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/store/databasetest"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// A plan that is made while a table is empty, as it is before the first import, is kept while that import fills it: it
// must look each value up by the index that makes it unique, and read nothing else.
func TestFindRecords_looks_up_by_the_index_whatever_the_statistics_say(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var mu sync.Mutex
	said := map[string]bool{}
	s = s.over(t, s.Open(t, postgres.Config{URL: s.AppURL, Observe: func(_ context.Context, st postgres.Statement) {
		mu.Lock()
		defer mu.Unlock()
		said[st.SQL] = true
	}}))
	for _, mode := range []resource.BulkMode{resource.BulkCreate, resource.BulkUpsert} {
		bulk := resource.Bulk{Mode: mode, Items: []resource.BulkItem{named(string(mode), "Somebody"), named("x"+string(mode), "Else")}}
		if mode == resource.BulkUpsert {
			bulk.By = s.customers.Definition.Field("code")
		}
		results, err := s.customers.Bulk(t.Context(), s.scope, bulk)
		require.NoError(t, err)
		require.NoError(t, results[0].Err)
	}
	_, err := s.orders.Bulk(t.Context(), s.scope, resource.Bulk{Mode: resource.BulkCreate, Items: []resource.BulkItem{ordering(s.customer(t, "C"))}})
	require.NoError(t, err)
	s.Exec(t, "truncate customers, orders")

	conn := databasetest.Connect(t, s.AppURL)
	_, err = conn.Exec(t.Context(), `set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_hashjoin = off;
		set enable_mergejoin = off; set app.tenant_id = '`+s.scope.Tenant.String()+`'`)
	require.NoError(t, err)
	looked := 0
	for query := range said {
		if !strings.Contains(query, "unnest($1") {
			continue
		}
		name := fmt.Sprint("find_", looked)
		looked++
		_, err := conn.Exec(t.Context(), "prepare "+name+" as "+query)
		require.NoError(t, err, query)
		rows, err := conn.Query(t.Context(), "explain execute "+name+"('{}', '"+s.scope.Tenant.String()+"')")
		require.NoError(t, err)
		var plan []string
		for rows.Next() {
			var line string
			require.NoError(t, rows.Scan(&line))
			plan = append(plan, line)
		}
		require.NoError(t, rows.Err())
		for i, line := range plan {
			if strings.Contains(line, "Scan using") || strings.Contains(line, "Bitmap") || strings.Contains(line, "Seq Scan") {
				assert.Regexp(t, `Index Cond: \(\(tenant_id = .*\) AND \((code|id) >= .*\) AND \((code|id) <= .*\)\)`, plan[i+1], strings.Join(plan, "\n"))
			}
		}
	}
	assert.GreaterOrEqual(t, looked, 3, "what is looked at, what is held, and what is kept")
}
