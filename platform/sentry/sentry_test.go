package sentry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/platform/sentry"
	"github.com/groundwork-saas/groundwork/platform/sentry/sentrytest"
)

type world struct {
	*sentrytest.Receiver

	log      *logrus.Logger
	out      *bytes.Buffer
	reporter *sentry.Reporter
	registry *prometheus.Registry
}

func newWorld(t *testing.T, answer <-chan struct{}) *world {
	t.Helper()
	w := &world{Receiver: sentrytest.Start(t, answer), out: &bytes.Buffer{}, registry: prometheus.NewRegistry()}
	var err error
	w.reporter, err = sentry.New(sentry.Config{DSN: w.DSN, Environment: "staging", Process: "api", Registry: w.registry})
	require.NoError(t, err)
	w.log = logging.New(logging.Config{Output: w.out})
	w.log.AddHook(w.reporter)
	return w
}

func (w *world) close(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, w.reporter.Close(ctx))
}

// secrets are of each shape that the log knows, and an address that is a person's.
const secrets = `postgres://app:hunter2@db/x gw_key_0123456789abcdefABCDEF Bearer abcdefghijklmnopqrstuvwxyz password=hunter2 ada@example.com`

func TestReporter(t *testing.T) {
	t.Parallel()

	t.Run("tells_of_a_line_with_its_ids_and_without_its_secrets", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		w.log.WithFields(logrus.Fields{
			"tenant": "t-1", "user": "u-1", "request_id": "r-1", "route": "/api/v1/customers/:id", "status": 500,
			"password": "hunter2", "cookie": "session=hunter2", "query": "name=hunter2", "route_of": "ada@example.com",
		}).WithError(errors.New("insert customer 17: " + secrets)).Error("request failed")
		w.close(t)

		event := w.Next(t)
		assert.Equal(t, "error", event.Level)
		assert.Equal(t, "staging", event.Environment)
		assert.Regexp(t, `^groundwork@\S+\+\S+$`, event.Release)
		assert.Equal(t, map[string]string{
			"process": "api", "tenant": "t-1", "user": "u-1", "request_id": "r-1", "route": "/api/v1/customers/:id", "status": "500",
		}, event.Tags)
		assert.Equal(t, map[string]string{"id": "u-1"}, event.User)
		assert.Empty(t, event.Request)
		require.Len(t, event.Exception, 1)
		assert.Equal(t, "request failed", event.Exception[0].Type)
		assert.Contains(t, event.Exception[0].Value, "insert customer 17: postgres://[redacted]@db/x")
		assert.Contains(t, event.Exception[0].Value, "[e-mail]")
		for _, secret := range []string{"hunter2", "0123456789abcdefABCDEF", "abcdefghijklmnopqrstuvwxyz", "ada@"} {
			assert.NotContains(t, event.Text, secret)
		}
		assert.Contains(t, w.out.String(), "ada@example.com", "the log is not Sentry: it stays here")
		frames := event.Exception[0].Stacktrace.Frames
		require.NotEmpty(t, frames)
		assert.Contains(t, frames[len(frames)-1].Function, "TestReporter", "the stack ends where the line was logged")
		assert.True(t, frames[len(frames)-1].InApp)
	})

	t.Run("shows_the_stack_of_a_panic", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		for _, log := range []func(value any, stack []byte){
			func(value any, stack []byte) {
				w.log.WithField("error", fmt.Sprintf("panic: %v\n%s", value, stack)).Error("request failed")
			},
			func(value any, stack []byte) {
				w.log.WithError(fmt.Errorf("panic: %v", value)).WithField("stack", string(stack)).Error("job")
			},
		} {
			func() {
				defer func() { log(recover(), debug.Stack()) }()
				burst(&world{})
			}()
			event := w.Next(t)
			require.Len(t, event.Exception, 1)
			assert.Equal(t, "panic", event.Exception[0].Type)
			assert.Equal(t, "burst with "+"password=[redacted]", event.Exception[0].Value)
			frames := event.Exception[0].Stacktrace.Frames
			require.NotEmpty(t, frames)
			assert.Equal(t, "burst", frames[len(frames)-1].Function)
			assert.Equal(t, "github.com/groundwork-saas/groundwork/platform/sentry_test", frames[len(frames)-1].Module)
			assert.NotContains(t, event.Text, "hunter2")
		}
		w.close(t)
	})

	t.Run("takes_two_times_of_one_error_for_the_same", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		for _, line := range []struct{ duty, why string }{
			{"partitions", `table "a" of 17 rows: 0190f5a4-8f3e-7c3a-9d59-1f2c5b8a7d10`},
			{"partitions", `table "b" of 4 rows: 0190f5a4-8f3e-7c3a-9d59-1f2c5b8a7d11`},
			{"signing keys", `table "a" of 17 rows`},
		} {
			w.log.WithField("duty", line.duty).WithError(errors.New(line.why)).Error("upkeep failed")
		}
		w.close(t)
		first, second, third := w.Next(t), w.Next(t), w.Next(t)
		assert.Equal(t, first.Fingerprint, second.Fingerprint)
		assert.NotEqual(t, first.Fingerprint, third.Fingerprint)
	})

	t.Run("leaves_out_what_is_no_error_of_ours", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		w.log.Warn("a warning")
		w.log.WithField("status", 503).Error("request failed")
		w.log.WithField("status", 500).Error("request failed")
		w.close(t)
		assert.Equal(t, "500", w.Next(t).Tags["status"])
		assert.Empty(t, w.Events)
	})

	t.Run("holds_nobody_up_and_drops_what_it_cannot_send", func(t *testing.T) {
		t.Parallel()
		answer := make(chan struct{})
		w := newWorld(t, answer)
		const many = 5000
		began := time.Now()
		for i := range many {
			w.log.WithField("attempt", i).Error("job")
		}
		assert.Less(t, time.Since(began), time.Minute, "a receiver that does not answer was waited for")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, w.reporter.Close(ctx), "it says that not all was sent")
		w.log.Error("after the end")
		n, err := testutil.GatherAndCount(w.registry, "groundwork_sentry_events_total")
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		close(answer)
	})
}

func burst(*world) { panic("burst with password=hunter2") }

func TestNew(t *testing.T) {
	t.Parallel()
	_, err := sentry.New(sentry.Config{DSN: "https://hunter2.example.com", Registry: prometheus.NewRegistry()})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "hunter2")
}
