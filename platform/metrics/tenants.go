package metrics

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// shownTenants is how many tenants are shown, and so how many series there are.
	shownTenants = 10
	// countedTenants is how many are counted in a minute; those that come later in it are not, so that memory is bounded.
	countedTenants = 10_000
)

// Tenants counts requests by tenant, and shows those of the last full minute of the ten tenants that had most. A counter of
// each tenant would be a series of each, for ever.
type Tenants struct {
	now  func() time.Time
	desc *prometheus.Desc

	mu      sync.Mutex
	minute  time.Time
	counts  map[string]int64
	shown   []tenantCount
	shownAt time.Time
}

type tenantCount struct {
	tenant   string
	requests int64
}

// NewTenants returns the measure, registered.
func NewTenants(registry prometheus.Registerer, now func() time.Time) *Tenants {
	t := &Tenants{
		now: now, counts: map[string]int64{},
		desc: prometheus.NewDesc("groundwork_tenant_requests",
			"Requests to this process in the last full minute, of the ten organizations that sent most.", []string{"tenant"}, nil),
	}
	registry.MustRegister(t)
	return t
}

// Count counts a request of a tenant.
func (t *Tenants) Count(tenant string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn()
	if n, known := t.counts[tenant]; known || len(t.counts) < countedTenants {
		t.counts[tenant] = n + 1
	}
}

// turn ends the minute that is counted where another one has begun.
func (t *Tenants) turn() {
	minute := t.now().Truncate(time.Minute)
	if minute.Equal(t.minute) {
		return
	}
	t.shown, t.shownAt = nil, t.minute
	for _, tenant := range slices.Sorted(maps.Keys(t.counts)) {
		t.shown = append(t.shown, tenantCount{tenant, t.counts[tenant]})
	}
	slices.SortStableFunc(t.shown, func(a, b tenantCount) int { return cmp.Compare(b.requests, a.requests) })
	t.shown = slices.Clone(t.shown[:min(len(t.shown), shownTenants)])
	t.minute = minute
	clear(t.counts)
}

// Describe implements prometheus.Collector.
func (t *Tenants) Describe(descs chan<- *prometheus.Desc) { descs <- t.desc }

// Collect implements prometheus.Collector.
func (t *Tenants) Collect(metrics chan<- prometheus.Metric) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn()
	if t.minute.Sub(t.shownAt) > time.Minute {
		return // nobody has asked anything for a minute
	}
	for _, c := range t.shown {
		metrics <- prometheus.MustNewConstMetric(t.desc, prometheus.GaugeValue, float64(c.requests), c.tenant)
	}
}
