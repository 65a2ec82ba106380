package dispatch

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the dispatcher measures of itself. docs/jobs.md says what each is for.
type metrics struct {
	depth       *prometheus.GaugeVec
	oldest      *prometheus.GaugeVec
	listLength  *prometheus.GaugeVec
	picked      *prometheus.CounterVec
	pickSeconds *prometheus.HistogramVec
	promoted    prometheus.Counter
	recalled    *prometheus.CounterVec
	expired     *prometheus.CounterVec
	swept       *prometheus.CounterVec
	losses      prometheus.Counter
	epoch       prometheus.Gauge
	away        *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: "groundwork_jobs_" + name, Help: help}
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Name: "groundwork_jobs_" + name, Help: help}
	}
	queue := []string{"queue"}
	m := &metrics{
		depth:      prometheus.NewGaugeVec(gauge("depth", "Jobs that are not over, by queue and state."), []string{"queue", "state"}),
		oldest:     prometheus.NewGaugeVec(gauge("oldest_pending_seconds", "How long the oldest job that waits for a worker has been due, by queue."), queue),
		listLength: prometheus.NewGaugeVec(gauge("list_length", "Jobs in the queue's list in Redis that no worker has taken."), queue),
		picked:     prometheus.NewCounterVec(counter("picked_total", "Jobs handed over to Redis, by queue."), queue),
		pickSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "groundwork_jobs_pick_seconds", Help: "Time to pick and hand over one batch of jobs, by queue.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, queue),
		promoted: prometheus.NewCounter(counter("promoted_total", "Jobs made pending because their time had come.")),
		recalled: prometheus.NewCounterVec(counter("recalled_total", "Jobs made pending again because Redis had lost them, by queue."), queue),
		expired:  prometheus.NewCounterVec(counter("lease_expiries_total", "Jobs taken from workers whose lease ran out, by what became of them: again or dead."), []string{"outcome"}),
		swept:    prometheus.NewCounterVec(counter("swept_total", "Entries removed from the lists of dead workers, by queue."), queue),
		losses:   prometheus.NewCounter(counter("redis_losses_total", "Times that Redis lost what was in it, or may have.")),
		epoch:    prometheus.NewGauge(gauge("redis_epoch_timestamp_seconds", "Since when Redis has lost nothing, as seconds of Unix; 0 until that is known.")),
		away:     prometheus.NewGaugeVec(gauge("away", "1 while the dispatcher waits for PostgreSQL or Redis, by which."), []string{"part"}),
	}
	registry.MustRegister(m.depth, m.oldest, m.listLength, m.picked, m.pickSeconds, m.promoted, m.recalled, m.expired, m.swept, m.losses, m.epoch, m.away)
	return m
}
