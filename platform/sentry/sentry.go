// Package sentry tells Sentry, or whoever speaks its protocol, of errors: of all that a process logs at the level error.
//
// A process adds one Reporter to its logger as a hook, so that what is worth an operator's look is said once, by logging
// it. What is sent is made here from the line's fields, by name: ids (the tenant, the user, the request, the job), what was
// done (a route, a kind of job, a duty), the error and its stack. Headers, cookies, queries and bodies are never sent, for
// nothing here sees them; secrets and e-mail addresses are taken out of all texts. Nobody waits for it: where it cannot keep
// up, events are dropped and counted.
package sentry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/getsentry/sentry-go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/platform/build"
	"github.com/groundwork-saas/groundwork/platform/logging"
)

const (
	// queueLength is how many events may wait to be made and sent.
	queueLength = 100
	// mostFrames bounds the stack of a line that no panic has led to.
	mostFrames = 32
	// sendTimeout bounds one request to Sentry.
	sendTimeout = 10 * time.Second
)

// Config says where events go.
type Config struct {
	// DSN is the project's address, https://key@host/1. It is a secret.
	DSN string
	// Environment tells installations apart: production, staging.
	Environment string
	// SampleRate is the share of events that are sent, more than 0 and at most 1; 0 is 1.
	SampleRate float64
	// Process is what the process is called: api, worker, scheduler.
	Process string
	// Registry takes the measure of what is sent and dropped.
	Registry prometheus.Registerer
}

// Reporter is a hook for a logger. It is safe for concurrent use.
type Reporter struct {
	client  *sentry.Client
	process string
	events  *prometheus.CounterVec

	// open says that the queue takes events; closing it is the end.
	mu    sync.RWMutex
	open  bool
	queue chan said
	done  chan struct{}
}

// New returns a reporter that has begun to work; Close ends it. Its error does not hold the DSN.
func New(config Config) (*Reporter, error) {
	info := build.Read()
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: config.DSN, Environment: config.Environment, SampleRate: config.SampleRate,
		Release:    release(info),
		BeforeSend: func(event *sentry.Event, _ *sentry.EventHint) *sentry.Event { return scrub(event) },
		HTTPClient: &http.Client{Timeout: sendTimeout},
		// What it would add of its own: reports about itself and a second queue.
		DisableClientReports: true, DisableTelemetryBuffer: true,
	})
	if err != nil {
		return nil, errors.New("it is not the address of a Sentry project: https://key@host/1")
	}
	r := &Reporter{
		client: client, process: config.Process, open: true, queue: make(chan said, queueLength), done: make(chan struct{}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "groundwork_sentry_events_total", Help: "Errors that were given to the client of Sentry, or dropped because too many waited.",
		}, []string{"outcome"}),
	}
	config.Registry.MustRegister(r.events)
	r.events.WithLabelValues("sent")
	r.events.WithLabelValues("dropped") // from 0 on, so that the first one is an increase
	go r.run()
	return r, nil
}

// release names the build as Sentry's releases are named.
func release(info build.Info) string {
	revision := info.Revision
	if len(revision) > 12 {
		revision = revision[:12]
	}
	return strings.NewReplacer("/", "-", " ", "-", "(", "", ")", "").Replace("groundwork@" + info.Version + "+" + revision)
}

// Levels implements logrus.Hook.
func (r *Reporter) Levels() []logrus.Level {
	return []logrus.Level{logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel}
}

// Fire implements logrus.Hook. It returns at once, and never an error.
func (r *Reporter) Fire(entry *logrus.Entry) error {
	if isElsewhere(entry) {
		return nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.open || len(r.queue) == cap(r.queue) {
		r.events.WithLabelValues("dropped").Inc()
		return nil
	}
	callers := make([]uintptr, mostFrames)
	callers = callers[:runtime.Callers(2, callers)]
	// Here and not later: what the fields point to may change.
	message, fields := logging.Clean(entry)
	select {
	case r.queue <- said{message: message, fields: fields, level: entry.Level, at: entry.Time, callers: callers}:
	default:
		r.events.WithLabelValues("dropped").Inc()
	}
	return nil
}

// isElsewhere says that a request was answered with 502 to 504: something that it needs is away, of which alerts tell once
// and not once a request.
func isElsewhere(entry *logrus.Entry) bool {
	status, ok := entry.Data["status"].(int)
	return ok && status > http.StatusInternalServerError
}

func (r *Reporter) run() {
	defer close(r.done)
	for waiting := range r.queue {
		r.report(waiting)
	}
}

// report makes an event and gives it to the client, whose own queue is bounded too. Whatever goes wrong here goes no further.
func (r *Reporter) report(waiting said) {
	defer func() {
		if recover() != nil {
			r.events.WithLabelValues("dropped").Inc()
		}
	}()
	r.client.CaptureEvent(r.event(waiting), nil, nil)
	r.events.WithLabelValues("sent").Inc()
}

// Close sends what waits, for as long as ctx allows, and takes nothing more.
func (r *Reporter) Close(ctx context.Context) error {
	r.mu.Lock()
	if r.open {
		r.open = false
		close(r.queue)
	}
	r.mu.Unlock()
	defer r.client.Close()
	select {
	case <-r.done:
	case <-ctx.Done():
		return fmt.Errorf("make events for Sentry: %w", ctx.Err())
	}
	if !r.client.FlushWithContext(ctx) {
		return errors.New("some events did not reach Sentry in time")
	}
	return nil
}
