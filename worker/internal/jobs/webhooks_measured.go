package jobs

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// measured is a sender whose calls are counted and timed: that a receiver fails is no failure of a job, so that jobs' own
// measures say nothing of it.
type measured struct {
	webhooks.Sender

	now   func() time.Time
	calls *prometheus.HistogramVec
}

// Measured measures a sender's calls.
func Measured(sender webhooks.Sender, registry prometheus.Registerer, now func() time.Time) webhooks.Sender {
	m := &measured{Sender: sender, now: now, calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "groundwork_webhook_call_seconds", Help: "Time that calls of webhook endpoints took, by what they answered: 2xx to 5xx, timeout, unanswered, refused.",
		Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30},
	}, []string{"answer"})}
	registry.MustRegister(m.calls)
	return m
}

// Post implements webhooks.Sender.
func (m *measured) Post(ctx context.Context, message webhooks.Message) (webhooks.Answer, error) {
	began := m.now()
	answer, err := m.Sender.Post(ctx, message)
	if ctx.Err() == nil {
		m.calls.WithLabelValues(outcomeOf(answer, err)).Observe(m.now().Sub(began).Seconds())
	}
	return answer, err
}

func outcomeOf(answer webhooks.Answer, err error) string {
	var refused *webhooks.RefusedError
	var unanswered *webhooks.UnansweredError
	switch {
	case errors.As(err, &refused):
		return "refused"
	case errors.As(err, &unanswered) && unanswered.IsTimeout:
		return "timeout"
	case err != nil, answer.Status < 100, answer.Status > 599:
		return "unanswered"
	default:
		return strconv.Itoa(answer.Status/100) + "xx"
	}
}
