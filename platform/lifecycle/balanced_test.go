package lifecycle_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/lifecycle"
)

// balanced is a server behind a balancer, which runs.
type balanced struct {
	url     string
	stop    context.CancelFunc
	drained chan struct{} // closed when the process has turned unready
	result  chan error
}

func startBalanced(t *testing.T, shutdown, delay time.Duration, handler http.HandlerFunc) *balanced {
	t.Helper()
	address := make(chan net.Addr, 1)
	ctx, cancel := context.WithCancel(t.Context())
	b := &balanced{stop: cancel, drained: make(chan struct{}), result: make(chan error, 1)}
	server := &http.Server{Addr: "127.0.0.1:0", ReadHeaderTimeout: time.Minute, Handler: handler}
	component := lifecycle.Balanced("api server", server, delay, func(a net.Addr) { address <- a })
	unready := lifecycle.Component{Name: "ops", Drain: func() { close(b.drained) }}
	go func() { b.result <- lifecycle.Run(ctx, shutdown, component, unready) }()
	b.url = "http://" + (<-address).String()
	return b
}

func TestBalanced(t *testing.T) {
	t.Parallel()
	fine := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }

	t.Run("lets_no_request_down_while_it_drains", func(t *testing.T) {
		t.Parallel()
		b := startBalanced(t, time.Minute, 300*time.Millisecond, fine)
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		// ask sends a POST, which no transport sends a second time by itself.
		ask := func() (closes bool) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url, http.NoBody)
			require.NoError(t, err)
			response, err := transport.RoundTrip(request)
			require.NoError(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, "fine", string(body))
			return response.Close
		}
		assert.False(t, ask(), "connections are kept while it serves")
		b.stop()
		<-b.drained
		asked := 0
		for began := time.Now(); time.Since(began) < 100*time.Millisecond; asked++ {
			ask()
		}
		assert.Positive(t, asked)
		assert.True(t, ask(), "answers say that the connection closes")
		require.NoError(t, <-b.result)
	})

	t.Run("leaves_time_for_requests_in_flight", func(t *testing.T) {
		t.Parallel()
		arrived, release := make(chan struct{}), make(chan struct{})
		var isCut atomic.Bool
		b := startBalanced(t, 2*time.Second, time.Hour, func(w http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-release
			isCut.Store(r.Context().Err() != nil)
			fine(w, r)
		})
		body := make(chan string, 1)
		go func() { body <- get(t, b.url) }()
		<-arrived
		b.stop()
		<-b.drained
		close(release)
		assert.Equal(t, "fine", <-body)
		assert.False(t, isCut.Load())
		require.NoError(t, <-b.result, "a delay longer than all of the time takes half of it")
	})

	t.Run("does_not_wait_where_there_is_no_balancer", func(t *testing.T) {
		t.Parallel()
		b := startBalanced(t, time.Hour, 0, fine)
		b.stop()
		require.NoError(t, <-b.result)
	})
}
