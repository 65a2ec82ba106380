// Package metrics holds what every process measures of itself, for Prometheus.
//
// A process makes one registry with New and passes it to whatever measures; there is no global one, so that tests and
// processes in one program do not meet. Labels have few values by construction: a route is the pattern that matched,
// never a path, and no label is a tenant.
package metrics

import (
	"cmp"
	"database/sql"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/groundwork-saas/groundwork/platform/build"
)

// New returns a registry that measures the process, the Go runtime and which build it is.
func New(process string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(process),
	)
	return registry
}

// Handler serves the registry's metrics.
func Handler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, MaxRequestsInFlight: 4})
}

func buildInfo(process string) prometheus.Collector {
	info := build.Read()
	labels := prometheus.Labels{"process": process, "version": info.Version, "revision": info.Revision, "go": info.Go}
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "groundwork_build_info", Help: "Always 1; its labels say which build this is.", ConstLabels: labels,
	})
	gauge.Set(1)
	return gauge
}

// HTTP measures the requests that a server answers.
type HTTP struct {
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	statements *prometheus.CounterVec
	inFlight   prometheus.Gauge
}

// NewHTTP returns the measures of one server, registered. It panics where the registry has them already.
func NewHTTP(registry prometheus.Registerer) *HTTP {
	h := &HTTP{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total", Help: "Requests answered, by route, method and status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "Time from a request's arrival to the end of its answer, by route and method.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "method"}),
		statements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_request_statements_total", Help: "Statements that requests sent to the database, by route and method.",
		}, []string{"route", "method"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_requests_in_flight", Help: "Requests being answered now.",
		}),
	}
	registry.MustRegister(h.requests, h.duration, h.statements, h.inFlight)
	return h
}

// noRoute is the route of requests that none matched.
const noRoute = "none"

// Enter counts a request in. Each Enter is followed by one Leave, also where the handler panics.
func (h *HTTP) Enter() { h.inFlight.Inc() }

// Leave counts a request out. The route is the pattern that matched, "/api/v1/customers/:id"; "" where none did.
func (h *HTTP) Leave(route, method string, status int, took time.Duration) {
	route, method = cmp.Or(route, noRoute), methodLabel(method)
	h.inFlight.Dec()
	h.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	h.duration.WithLabelValues(route, method).Observe(took.Seconds())
}

// Statements counts what a request has asked of the database; the route is as for Leave.
func (h *HTTP) Statements(route, method string, n int64) {
	h.statements.WithLabelValues(cmp.Or(route, noRoute), methodLabel(method)).Add(float64(n))
}

// methodLabel keeps what a client makes up out of the labels.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "other"
	}
}

// NewStatements returns the measure of how long statements to the database take, in seconds, registered.
func NewStatements(registry prometheus.Registerer) prometheus.Observer {
	took := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "db_statement_seconds", Help: "Time until a statement's first row or end, with the wait for what was pipelined before it.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	})
	registry.MustRegister(took)
	return took
}

// RegisterRedis registers the measures of a pool of connections to Redis, read at each scrape.
func RegisterRedis(registry prometheus.Registerer, pool string, connections func() (open, idle int)) {
	labels := prometheus.Labels{"pool": pool}
	registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "redis_pool_connections_open", Help: "Connections to Redis that are open.", ConstLabels: labels,
		}, func() float64 { open, _ := connections(); return float64(open) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "redis_pool_connections_idle", Help: "Connections to Redis that are idle.", ConstLabels: labels,
		}, func() float64 { _, idle := connections(); return float64(idle) }),
	)
}

// RegisterPool registers the measures of a database pool, read from stats at each scrape. The pool's name tells it
// from others of the process: "app", "system".
func RegisterPool(registry prometheus.Registerer, pool string, stats func() sql.DBStats) {
	registry.MustRegister(newPoolCollector(pool, stats))
}

// poolCollector turns one sql.DBStats into metrics, so that the figures of a scrape belong together.
type poolCollector struct {
	stats    func() sql.DBStats
	measures []poolMeasure
}

type poolMeasure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(sql.DBStats) float64
}

func newPoolCollector(pool string, stats func() sql.DBStats) *poolCollector {
	measure := func(kind prometheus.ValueType, name, help string, value func(sql.DBStats) float64) poolMeasure {
		return poolMeasure{prometheus.NewDesc("db_pool_"+name, help, nil, prometheus.Labels{"pool": pool}), kind, value}
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	return &poolCollector{stats: stats, measures: []poolMeasure{
		measure(gauge, "connections_max", "The most connections that the pool opens; 0 is no bound.", func(s sql.DBStats) float64 { return float64(s.MaxOpenConnections) }),
		measure(gauge, "connections_open", "Connections that are open.", func(s sql.DBStats) float64 { return float64(s.OpenConnections) }),
		measure(gauge, "connections_in_use", "Connections that are in use.", func(s sql.DBStats) float64 { return float64(s.InUse) }),
		measure(gauge, "connections_idle", "Connections that are idle.", func(s sql.DBStats) float64 { return float64(s.Idle) }),
		measure(counter, "waits_total", "Times that a connection had to be waited for.", func(s sql.DBStats) float64 { return float64(s.WaitCount) }),
		measure(counter, "wait_seconds_total", "Time spent waiting for a connection.", func(s sql.DBStats) float64 { return s.WaitDuration.Seconds() }),
		measure(counter, "closed_total", "Connections closed for being idle or old.", func(s sql.DBStats) float64 {
			return float64(s.MaxIdleClosed + s.MaxIdleTimeClosed + s.MaxLifetimeClosed)
		}),
	}}
}

// Describe implements prometheus.Collector.
func (c *poolCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, m := range c.measures {
		descs <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *poolCollector) Collect(metrics chan<- prometheus.Metric) {
	stats := c.stats()
	for _, m := range c.measures {
		metrics <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(stats))
	}
}
