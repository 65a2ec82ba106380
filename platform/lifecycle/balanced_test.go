package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
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

// withMoreAndMoreTime has try succeed within a short time, or within a longer one where the machine stood still meanwhile.
func withMoreAndMoreTime(t *testing.T, try func(time.Duration) error) {
	t.Helper()
	var failures error
	for _, given := range []time.Duration{300 * time.Millisecond, 3 * time.Second, 30 * time.Second} {
		err := try(given)
		if err == nil {
			return
		}
		failures = errors.Join(failures, fmt.Errorf("within %s: %w", given, err))
	}
	require.NoError(t, failures)
}

func TestBalanced(t *testing.T) {
	t.Parallel()
	fine := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }

	t.Run("lets_no_request_down_while_it_drains", func(t *testing.T) {
		t.Parallel()
		withMoreAndMoreTime(t, func(delay time.Duration) error {
			b := startBalanced(t, time.Minute, delay, fine)
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			// ask sends a POST, which no transport sends a second time by itself.
			ask := func() (closes bool, err error) {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url, http.NoBody)
				require.NoError(t, err)
				response, err := transport.RoundTrip(request)
				if err != nil {
					return false, err
				}
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				if err == nil && string(body) != "fine" {
					err = fmt.Errorf("the body is %q", body)
				}
				return response.Close, err
			}
			closes, err := ask()
			require.NoError(t, err)
			assert.False(t, closes, "connections are kept while it serves")
			b.stop()
			<-b.drained
			for range 20 {
				if closes, err = ask(); err != nil {
					break
				}
				assert.True(t, closes, "answers say that the connection closes")
			}
			require.NoError(t, <-b.result)
			return err
		})
	})

	t.Run("leaves_time_for_requests_in_flight", func(t *testing.T) {
		t.Parallel()
		withMoreAndMoreTime(t, func(half time.Duration) error {
			arrived, release := make(chan struct{}), make(chan struct{})
			b := startBalanced(t, 2*half, time.Hour, func(w http.ResponseWriter, r *http.Request) {
				close(arrived)
				<-release
				fine(w, r)
			})
			body := make(chan string, 1)
			go func() { body <- get(t, b.url) }()
			<-arrived
			b.stop()
			require.Eventually(t, func() bool {
				conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.url, "http://"))
				return err != nil || conn.Close() != nil
			}, time.Minute, time.Millisecond, "the door is closed, after half of the time")
			close(release)
			if got := <-body; got != "fine" {
				err := fmt.Errorf("the request in flight was answered %q: a delay longer than all of the time takes more than half of it", got)
				return errors.Join(err, <-b.result)
			}
			return <-b.result
		})
	})

	t.Run("does_not_wait_where_there_is_no_balancer", func(t *testing.T) {
		t.Parallel()
		b := startBalanced(t, time.Hour, 0, fine)
		b.stop()
		require.NoError(t, <-b.result)
	})
}
