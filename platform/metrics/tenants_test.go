package metrics_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/metrics"
)

func TestTenants(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	later := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	registry := prometheus.NewRegistry()
	tenants := metrics.NewTenants(registry, func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	})
	shown := func() string {
		families, err := registry.Gather()
		require.NoError(t, err)
		var lines []string
		for _, f := range families {
			for _, m := range f.GetMetric() {
				lines = append(lines, fmt.Sprintf("%s=%v", m.GetLabel()[0].GetValue(), m.GetGauge().GetValue()))
			}
		}
		return strings.Join(lines, " ")
	}

	for i := range 30 {
		for range i + 1 {
			tenants.Count(fmt.Sprintf("t%02d", i))
		}
	}
	assert.Empty(t, shown(), "a minute that is not over is not shown")
	later(time.Minute)
	assert.Equal(t, "t20=21 t21=22 t22=23 t23=24 t24=25 t25=26 t26=27 t27=28 t28=29 t29=30", shown())
	tenants.Count("t00")
	later(time.Minute)
	assert.Equal(t, "t00=1", shown())
	later(3 * time.Minute)
	tenants.Count("t01")
	assert.Empty(t, shown(), "what was long ago is not the last minute")

	var counting sync.WaitGroup
	for i := range 8 {
		counting.Go(func() {
			for n := range 3000 {
				tenants.Count(fmt.Sprintf("many%d-%d", i, n))
			}
		})
	}
	counting.Wait()
	later(time.Minute)
	n, err := testutil.GatherAndCount(registry)
	require.NoError(t, err)
	assert.Equal(t, 10, n)
}
