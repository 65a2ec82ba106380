package runner

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// measures is what a worker measures of its jobs. Kinds are those that the process knows; others are "unknown".
type measures struct {
	wait     *prometheus.HistogramVec
	run      *prometheus.HistogramVec
	attempts *prometheus.CounterVec
	claims   *prometheus.CounterVec
	lost     *prometheus.CounterVec
	inFlight *prometheus.GaugeVec
}

func newMeasures(registry prometheus.Registerer) *measures {
	ofJob := []string{"kind", "queue"}
	m := &measures{
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "groundwork_jobs_wait_seconds", Help: "Time from when a job could run to its start, by kind and queue.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200},
		}, ofJob),
		run: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "groundwork_jobs_run_seconds", Help: "Time that an attempt took, by kind and queue.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200},
		}, ofJob),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "groundwork_jobs_attempts_total", Help: "Attempts that have ended, by kind, queue and what became of the job.",
		}, append(ofJob, "outcome")),
		claims: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "groundwork_jobs_claims_total", Help: "Jobs that came from Redis, by queue: taken, gone (done or taken by another), locked, failed.",
		}, []string{"queue", "result"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "groundwork_jobs_leases_lost_total", Help: "Attempts that lost their job to its lease, by queue.",
		}, []string{"queue"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "groundwork_jobs_in_flight", Help: "Jobs that run now, by queue.",
		}, []string{"queue"}),
	}
	registry.MustRegister(m.wait, m.run, m.attempts, m.claims, m.lost, m.inFlight)
	return m
}

func (m *measures) claim(queue, result string) { m.claims.WithLabelValues(queue, result).Inc() }

// ended is what there is to measure of an attempt.
type ended struct {
	kind, queue, outcome string
	wait, took           time.Duration
}

func (m *measures) end(e ended) {
	m.wait.WithLabelValues(e.kind, e.queue).Observe(e.wait.Seconds())
	m.run.WithLabelValues(e.kind, e.queue).Observe(e.took.Seconds())
	m.attempts.WithLabelValues(e.kind, e.queue, e.outcome).Inc()
	if e.outcome == outcomeLost {
		m.lost.WithLabelValues(e.queue).Inc()
	}
}
