package ops_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/ops"
)

// start runs an ops server until the test ends. The function it returns tells the process to stop and waits for it.
func start(t *testing.T, log io.Writer, more lifecycle.Component, checks ...ops.Check) (*ops.Server, func()) {
	t.Helper()
	server := ops.New(ops.Config{
		Addr: "127.0.0.1:0", Registry: metrics.New("test"), Checks: checks,
		Log: logging.New(logging.Config{Output: log}),
	})
	ctx, cancel := context.WithCancel(t.Context())
	up, over := make(chan struct{}), make(chan error, 1)
	go func() {
		over <- lifecycle.Run(ctx, time.Minute, server.Component, more,
			lifecycle.Component{Name: "last", Start: func(context.Context) error { close(up); return nil }})
	}()
	<-up
	stop := sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-over)
	})
	t.Cleanup(stop)
	return server, stop
}

func ask(t *testing.T, server *ops.Server, method, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+server.Addr()+path, nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

type readiness struct {
	Status string
	Checks map[string]struct {
		OK          bool
		Error, Took string
	}
}

func readyz(t *testing.T, server *ops.Server) (int, readiness) {
	t.Helper()
	status, body := ask(t, server, http.MethodGet, "/readyz")
	var r readiness
	require.NoError(t, json.Unmarshal([]byte(body), &r), body)
	return status, r
}

func TestServer(t *testing.T) {
	t.Parallel()
	server, _ := start(t, io.Discard, lifecycle.Component{})
	server.Handle("GET /console/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "console")
	}))
	for path, want := range map[string]string{
		"/livez":                 `{"status":"alive"}`,
		"/readyz":                `{"status":"ready","checks":{}}`,
		"/metrics":               "groundwork_build_info",
		"/debug/pprof/":          "goroutine",
		"/debug/pprof/heap":      "",
		"/debug/pprof/cmdline":   "ops.test",
		"/debug/pprof/symbol":    "num_symbols",
		"/console/":              "console",
		"/debug/pprof/goroutine": "",
	} {
		status, body := ask(t, server, http.MethodGet, path)
		assert.Equal(t, http.StatusOK, status, path)
		assert.Contains(t, body, want, path)
		assert.NotEmpty(t, body, path)
	}
	status, _ := ask(t, server, http.MethodPost, "/livez")
	assert.Equal(t, http.StatusMethodNotAllowed, status)
	status, _ = ask(t, server, http.MethodGet, "/")
	assert.Equal(t, http.StatusNotFound, status)
}

func TestReadiness(t *testing.T) {
	t.Parallel()

	t.Run("names_what_failed_without_its_secrets", func(t *testing.T) {
		t.Parallel()
		var down atomic.Bool
		down.Store(true)
		var log bytes.Buffer
		server, stop := start(
			t, &log, lifecycle.Component{},
			ops.Check{Name: "redis", Run: func(context.Context) error { return nil }},
			ops.Check{Name: "database", Run: func(context.Context) error {
				if down.Load() {
					return errors.New("dial postgres://app:hunter2@db: refused")
				}
				return nil
			}},
			ops.Check{Name: "broken", Run: func(context.Context) error {
				if down.Load() {
					panic("index out of range")
				}
				return nil
			}},
		)
		status, r := readyz(t, server)
		assert.Equal(t, http.StatusServiceUnavailable, status)
		assert.Equal(t, "not ready", r.Status)
		assert.True(t, r.Checks["redis"].OK)
		assert.NotEmpty(t, r.Checks["redis"].Took)
		assert.False(t, r.Checks["database"].OK)
		assert.Equal(t, "dial postgres://[redacted]@db: refused", r.Checks["database"].Error)
		assert.Equal(t, "the check panicked: index out of range", r.Checks["broken"].Error)

		down.Store(false)
		for range 3 {
			status, r = readyz(t, server)
			assert.Equal(t, http.StatusOK, status)
			assert.Equal(t, "ready", r.Status)
		}
		stop()
		assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("the process is ready")), "a change is logged once")
		assert.NotContains(t, log.String(), "hunter2")
	})

	t.Run("runs_checks_at_the_same_time", func(t *testing.T) {
		t.Parallel()
		var both sync.WaitGroup
		both.Add(2)
		meet := func(context.Context) error { both.Done(); both.Wait(); return nil } // neither passes alone
		server, _ := start(
			t, io.Discard, lifecycle.Component{},
			ops.Check{Name: "a", Timeout: time.Minute, Run: meet}, ops.Check{Name: "b", Timeout: time.Minute, Run: meet},
		)
		status, _ := readyz(t, server)
		assert.Equal(t, http.StatusOK, status)
	})

	t.Run("gives_up_a_check_that_hangs_and_does_not_pile_up_more", func(t *testing.T) {
		t.Parallel()
		var runs atomic.Int32
		forever := make(chan struct{})
		t.Cleanup(func() { close(forever) })
		server, _ := start(t, io.Discard, lifecycle.Component{}, ops.Check{
			Name: "deaf", Timeout: time.Millisecond, Run: func(context.Context) error { runs.Add(1); <-forever; return nil },
		})
		for range 3 {
			status, r := readyz(t, server)
			assert.Equal(t, http.StatusServiceUnavailable, status)
			assert.Equal(t, "no answer within 1ms", r.Checks["deaf"].Error)
		}
		assert.Equal(t, int32(1), runs.Load())
	})

	t.Run("is_off_while_the_process_stops", func(t *testing.T) {
		t.Parallel()
		stopping, release := make(chan struct{}), make(chan struct{})
		server, stop := start(t, io.Discard, lifecycle.Component{
			Name: "slow", Stop: func(context.Context) error { close(stopping); <-release; return nil },
		}, ops.Check{Name: "database", Run: func(context.Context) error { return nil }})
		status, _ := readyz(t, server)
		require.Equal(t, http.StatusOK, status)

		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		<-stopping
		status, r := readyz(t, server)
		assert.Equal(t, http.StatusServiceUnavailable, status)
		assert.Equal(t, "stopping", r.Status)
		assert.True(t, r.Checks["database"].OK)
		status, _ = ask(t, server, http.MethodGet, "/livez")
		assert.Equal(t, http.StatusOK, status, "it lives until the end")
		close(release)
		<-stopped
	})
}
