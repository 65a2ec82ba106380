package metrics_test

import (
	"database/sql"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/metrics"
)

func TestNew(t *testing.T) {
	t.Parallel()
	first, second := metrics.New("api"), metrics.New("api") // no registry is shared
	assert.NotSame(t, first, second)

	response := httptest.NewRecorder()
	metrics.Handler(first).ServeHTTP(response, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	body := response.Body.String()
	assert.Equal(t, 200, response.Code)
	assert.Contains(t, body, "\ngo_goroutines ")
	assert.Contains(t, body, `groundwork_build_info{go="go1.`)
	assert.Contains(t, body, `process="api"`)

	problems, err := testutil.GatherAndLint(first, "groundwork_build_info")
	require.NoError(t, err)
	assert.Empty(t, problems)
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	h := metrics.NewHTTP(registry)

	h.Enter()
	h.Enter()
	h.Enter()
	h.Enter()
	h.Leave("/customers/:id", "GET", 200, 3*time.Millisecond)
	h.Leave("", "BREW", 404, time.Second)
	h.Leave("", "brew", 404, time.Minute)

	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP http_requests_in_flight Requests being answered now.
# TYPE http_requests_in_flight gauge
http_requests_in_flight 1
# HELP http_requests_total Requests answered, by route, method and status.
# TYPE http_requests_total counter
http_requests_total{method="GET",route="/customers/:id",status="200"} 1
http_requests_total{method="other",route="none",status="404"} 2
`), "http_requests_in_flight", "http_requests_total"))

	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != "http_request_duration_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			if m.GetLabel()[0].GetValue() == "GET" {
				assert.Equal(t, uint64(1), m.GetHistogram().GetSampleCount())
				assert.InDelta(t, 0.003, m.GetHistogram().GetSampleSum(), 1e-9)
			}
		}
	}
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)
}

func TestRegisterPool(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	stats := sql.DBStats{
		MaxOpenConnections: 20, OpenConnections: 5, InUse: 3, Idle: 2, WaitCount: 7, WaitDuration: 1500 * time.Millisecond,
		MaxIdleClosed: 1, MaxIdleTimeClosed: 2, MaxLifetimeClosed: 4,
	}
	metrics.RegisterPool(registry, "app", func() sql.DBStats { return stats })
	metrics.RegisterPool(registry, "system", func() sql.DBStats { return sql.DBStats{OpenConnections: 1} })

	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP db_pool_closed_total Connections closed for being idle or old.
# TYPE db_pool_closed_total counter
db_pool_closed_total{pool="app"} 7
db_pool_closed_total{pool="system"} 0
# HELP db_pool_connections_open Connections that are open.
# TYPE db_pool_connections_open gauge
db_pool_connections_open{pool="app"} 5
db_pool_connections_open{pool="system"} 1
# HELP db_pool_wait_seconds_total Time spent waiting for a connection.
# TYPE db_pool_wait_seconds_total counter
db_pool_wait_seconds_total{pool="app"} 1.5
db_pool_wait_seconds_total{pool="system"} 0
`), "db_pool_closed_total", "db_pool_connections_open", "db_pool_wait_seconds_total"))

	stats.OpenConnections = 6
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP db_pool_connections_open Connections that are open.
# TYPE db_pool_connections_open gauge
db_pool_connections_open{pool="app"} 6
db_pool_connections_open{pool="system"} 1
`), "db_pool_connections_open"), "each scrape reads anew")
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)
}
