package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/sentry"
	"github.com/groundwork-saas/groundwork/platform/sentry/sentrytest"
)

func TestPanicIsToldToSentry(t *testing.T) {
	t.Parallel()
	receiver := sentrytest.Start(t, nil)
	reporter, err := sentry.New(sentry.Config{DSN: receiver.DSN, Environment: "test", Process: "api", Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	handler, _ := bare(t, Route{Method: http.MethodGet, Path: "/test", Handle: func(c *Call) error {
		c.gin.Set(tenantKey, "0190f5a4-8f3e-7c3a-9d59-1f2c5b8a7d10")
		c.gin.Set(userKey, "0190f5a4-8f3e-7c3a-9d59-1f2c5b8a7d11")
		panic(fmt.Sprintf("no connection with postgres://app:hunter2@db/x for ada@example.com, %s", c.gin.GetHeader("Authorization")))
	}}, reporter)

	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, Base+"/test", http.NoBody)
	request.Header.Set("Authorization", "Bearer hunter2hunter2hunter2hunter2")
	request.Header.Set("Cookie", "session=hunter2")
	request.Header.Set("X-Request-Id", "the-request")
	request.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NoError(t, reporter.Close(t.Context()))

	event := receiver.Next(t)
	assert.Equal(t, "0190f5a4-8f3e-7c3a-9d59-1f2c5b8a7d10", event.Tags["tenant"])
	assert.Equal(t, "0190f5a4-8f3e-7c3a-9d59-1f2c5b8a7d11", event.User["id"])
	assert.Equal(t, "the-request", event.Tags["request_id"])
	assert.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", event.Tags["trace_id"])
	assert.Equal(t, Base+"/test", event.Tags["route"])
	assert.Equal(t, Base+"/test", event.Transaction)
	require.Len(t, event.Exception, 1)
	assert.Equal(t, "panic", event.Exception[0].Type)
	assert.Contains(t, event.Exception[0].Value, "no connection with postgres://[redacted]@db/x for [e-mail], Bearer [redacted]")
	frames := event.Exception[0].Stacktrace.Frames
	require.NotEmpty(t, frames)
	assert.Contains(t, frames[len(frames)-1].Function, "TestPanicIsToldToSentry", "the stack ends where it panicked")
	for _, kept := range []string{"hunter2", "ada@", "Cookie", "session="} {
		assert.NotContains(t, event.Text, kept)
	}
}
