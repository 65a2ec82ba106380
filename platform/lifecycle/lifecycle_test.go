package lifecycle_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/lifecycle"
)

// journal notes what happened, in order.
type journal struct {
	mu     sync.Mutex
	events []string
}

func (j *journal) note(event string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, event)
}

// component notes its acts and serves until it is stopped.
func (j *journal) component(name string) lifecycle.Component {
	end := make(chan struct{})
	return lifecycle.Component{
		Name:  name,
		Start: func(context.Context) error { j.note("start " + name); return nil },
		Serve: func() error { <-end; return nil },
		Drain: func() { j.note("drain " + name) },
		Stop:  func(context.Context) error { j.note("stop " + name); close(end); return nil },
	}
}

func TestRun(t *testing.T) {
	t.Parallel()

	t.Run("stops_in_the_reverse_order_when_its_context_ends", func(t *testing.T) {
		t.Parallel()
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		last := j.component("c")
		last.Start = func(context.Context) error { j.note("start c"); time.AfterFunc(0, cancel); return nil }
		require.NoError(t, lifecycle.Run(ctx, time.Minute, j.component("a"), j.component("b"), last, lifecycle.Component{Name: "nothing"}))
		assert.Equal(t, []string{
			"start a", "start b", "start c", "drain a", "drain b", "drain c", "stop c", "stop b", "stop a",
		}, j.events)
	})

	t.Run("stops_what_was_started_when_a_start_fails", func(t *testing.T) {
		t.Parallel()
		var j journal
		errTaken := errors.New("port is taken")
		bad := j.component("bad")
		bad.Start = func(context.Context) error { return errTaken }
		err := lifecycle.Run(t.Context(), time.Minute, j.component("a"), bad, j.component("never"))
		require.ErrorIs(t, err, errTaken)
		require.EqualError(t, err, "start bad: port is taken")
		assert.Equal(t, []string{"start a", "drain a", "stop a"}, j.events)
	})

	t.Run("stops_all_when_one_fails", func(t *testing.T) {
		t.Parallel()
		var j journal
		errLost := errors.New("connection lost")
		bad := j.component("bad")
		bad.Serve = func() error { return errLost }
		bad.Stop = nil
		err := lifecycle.Run(t.Context(), time.Minute, bad, j.component("b"))
		require.ErrorIs(t, err, errLost)
		assert.EqualError(t, err, "bad: connection lost")
	})

	t.Run("takes_work_that_ends_by_itself_for_a_failure", func(t *testing.T) {
		t.Parallel()
		err := lifecycle.Run(t.Context(), time.Minute, lifecycle.Component{Name: "loop", Serve: func() error { return nil }})
		assert.EqualError(t, err, "loop: ended by itself")
	})

	t.Run("gives_up_a_start_when_another_part_fails", func(t *testing.T) {
		t.Parallel()
		bad := lifecycle.Component{Name: "bad", Serve: func() error { return errors.New("no more") }}
		slow := lifecycle.Component{Name: "slow", Start: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		assert.EqualError(t, lifecycle.Run(t.Context(), time.Minute, bad, slow), "bad: no more")
	})

	t.Run("starts_nothing_when_it_is_over_already", func(t *testing.T) {
		t.Parallel()
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, lifecycle.Run(ctx, time.Minute, j.component("a")))
		assert.Empty(t, j.events)
	})

	t.Run("leaves_behind_what_does_not_stop_and_stops_the_rest", func(t *testing.T) {
		t.Parallel()
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		forever := make(chan struct{})
		t.Cleanup(func() { close(forever) })
		hanging := lifecycle.Component{
			Name: "hanging", Start: func(context.Context) error { cancel(); return nil },
			Stop: func(context.Context) error { <-forever; return nil },
		}
		err := lifecycle.Run(ctx, time.Millisecond, j.component("a"), hanging)
		require.EqualError(t, err, "stop hanging: it did not stop in time and was left behind")
		assert.Equal(t, []string{"start a", "drain a", "stop a"}, j.events)
	})

	t.Run("gives_memory_back_at_rest", func(t *testing.T) {
		t.Parallel()
		forced := func() uint32 {
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			return stats.NumForcedGC
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		before := forced()
		go func() { done <- lifecycle.Run(ctx, time.Second) }()
		assert.Eventually(t, func() bool { return forced() > before }, time.Minute, 10*time.Millisecond)
		cancel()
		assert.NoError(t, <-done)
	})
	t.Run("tells_what_went_wrong_while_stopping", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		bad := lifecycle.Component{
			Name: "bad", Start: func(context.Context) error { cancel(); return nil },
			Stop: func(context.Context) error { return errors.New("flush: disk full") },
		}
		assert.EqualError(t, lifecycle.Run(ctx, time.Minute, bad), "stop bad: flush: disk full")
	})
}

func TestHTTP(t *testing.T) {
	t.Parallel()

	t.Run("finishes_requests_in_flight", func(t *testing.T) {
		t.Parallel()
		arrived, release := make(chan struct{}), make(chan struct{})
		address := make(chan net.Addr, 1)
		server := &http.Server{Addr: "127.0.0.1:0", ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(arrived)
			<-release
			_, _ = io.WriteString(w, "done")
		})}
		server.RegisterOnShutdown(func() { close(release) })
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			result <- lifecycle.Run(ctx, time.Minute, lifecycle.HTTP("api server", server, func(a net.Addr) { address <- a }))
		}()
		url := "http://" + (<-address).String()
		body := make(chan string, 1)
		go func() { body <- get(t, url) }()
		<-arrived
		cancel()
		assert.Equal(t, "done", <-body)
		require.NoError(t, <-result)
	})

	t.Run("cuts_off_requests_when_the_time_is_over", func(t *testing.T) {
		t.Parallel()
		arrived, address := make(chan struct{}), make(chan net.Addr, 1)
		server := &http.Server{Addr: "127.0.0.1:0", ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
		})}
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			result <- lifecycle.Run(ctx, time.Millisecond, lifecycle.HTTP("api server", server, func(a net.Addr) { address <- a }))
		}()
		url := "http://" + (<-address).String()
		go get(t, url)
		<-arrived
		cancel()
		require.EqualError(t, <-result, "stop api server: requests in flight were cut off: context deadline exceeded")
	})

	t.Run("names_a_port_that_is_taken", func(t *testing.T) {
		t.Parallel()
		taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer taken.Close()
		server := &http.Server{Addr: taken.Addr().String(), ReadHeaderTimeout: time.Minute}
		err = lifecycle.Run(t.Context(), time.Minute, lifecycle.HTTP("api server", server, nil))
		assert.ErrorContains(t, err, "start api server: listen tcp "+taken.Addr().String()+": bind: address already in use")
	})
}

// get returns the body that url answers with; "" where the connection is cut.
func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	response, err := new(http.Transport).RoundTrip(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// TestMain lets the test's own program play a process that is sent signals.
func TestMain(m *testing.M) {
	if os.Getenv("LIFECYCLE_TEST_PROCESS") == "" {
		os.Exit(m.Run())
	}
	hang := os.Getenv("LIFECYCLE_TEST_PROCESS") == "hang"
	err := lifecycle.Run(context.Background(), time.Hour, lifecycle.Component{
		Name:  "child",
		Start: func(context.Context) error { _, err := fmt.Fprintln(os.Stdout, "up"); return err },
		Drain: func() { _, _ = fmt.Fprintln(os.Stdout, "draining") },
		Stop: func(ctx context.Context) error {
			_, _ = fmt.Fprintln(os.Stdout, "stopping")
			if hang {
				<-ctx.Done()
			}
			return nil
		},
	})
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func TestSignals(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, mode string) (*exec.Cmd, func() string) {
		t.Helper()
		program, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = append(os.Environ(), "LIFECYCLE_TEST_PROCESS="+mode)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		next := func() string { lines.Scan(); return lines.Text() }
		require.Equal(t, "up", next())
		return cmd, next
	}

	for _, first := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(first.String()+"_stops_with_success", func(t *testing.T) {
			t.Parallel()
			cmd, next := start(t, "stop")
			require.NoError(t, cmd.Process.Signal(first))
			assert.Equal(t, "draining", next())
			assert.Equal(t, "stopping", next())
			require.NoError(t, cmd.Wait())
		})
		t.Run("a_second_"+first.String()+"_exits_at_once", func(t *testing.T) {
			t.Parallel()
			cmd, next := start(t, "hang")
			require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			assert.Equal(t, "draining", next())
			assert.Equal(t, "stopping", next())
			require.NoError(t, cmd.Process.Signal(first))
			var exit *exec.ExitError
			require.ErrorAs(t, cmd.Wait(), &exit)
			assert.Equal(t, 128+int(first), exit.ExitCode())
		})
	}
}
