package dispatch_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/scheduler/internal/dispatch"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
)

// The variables by which the test's own program is a scheduler that stands still between handing over and committing.
const (
	haltDatabase = "DISPATCH_TEST_DATABASE_URL"
	haltRedis    = "DISPATCH_TEST_REDIS_URL"
)

func TestMain(m *testing.M) {
	if os.Getenv(haltDatabase) != "" {
		if err := halt(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// halt dispatches until jobs are handed over; then it says so, and waits for a line before it lets them be committed.
func halt(ctx context.Context) error {
	db, err := postgres.Open(ctx, postgres.Config{URL: os.Getenv(haltDatabase), MaxConnections: 8})
	if err != nil {
		return err
	}
	client, err := redis.Open(redis.Config{URL: os.Getenv(haltRedis)})
	if err != nil {
		return err
	}
	log := logrus.New()
	log.SetOutput(os.Stderr)
	dispatch.New(dispatch.Config{
		Backlog: postgres.NewJobEngine(db, postgres.NewJobs(postgres.Shared{DB: db}, nil)),
		Buffer:  halting{redis.NewJobs(client, time.Now)}, Queues: []string{queue}, Log: log,
		Registry: prometheus.NewRegistry(), Now: time.Now,
	}).Run(ctx)
	return nil
}

// halting is a buffer that stops the process's picks once they are handed over.
type halting struct{ jobs.Buffer }

func (h halting) Push(ctx context.Context, queue string, refs []jobs.Ref) error {
	err := h.Buffer.Push(ctx, queue, refs)
	fmt.Println("handed over") // the test reads it
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	return err
}

// process is a scheduler that stands still.
type process struct {
	*exec.Cmd

	release func()
}

// startHalting starts one and waits until it has handed jobs over.
func (s *stand) startHalting(t *testing.T) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), os.Args[0])}
	p.Env = append(os.Environ(), haltDatabase+"="+s.SystemURL, haltRedis+"="+s.server.URL)
	in, err := p.StdinPipe()
	require.NoError(t, err)
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	p.Stderr = os.Stderr
	p.release = func() {
		_, err := fmt.Fprintln(in)
		require.NoError(t, err)
	}
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	said, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "handed over\n", said)
	return p
}

func TestDispatcher_interrupted_before_its_commit(t *testing.T) {
	t.Parallel()
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		s.enqueue(t, s.TenantID(t), 8, nil)
		p := s.startHalting(t)
		assert.Equal(t, map[jobs.State]int64{jobs.Pending: 8}, s.states(t))
		require.NoError(t, p.Process.Kill())
		begun := time.Now()
		s.dispatch(t)
		ran := s.work(t, 10)
		ran.requireOnce(t, 8)
		t.Logf("all have run %s after the kill", time.Since(begun))
		assert.Less(t, time.Since(begun), within)
	})
	t.Run("stopped_and_woken", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		tenant := s.TenantID(t)
		s.enqueue(t, tenant, 8, nil)
		p := s.startHalting(t)
		require.NoError(t, p.Process.Signal(syscall.SIGSTOP))
		begun := time.Now()
		s.dispatch(t)
		ran := s.work(t, 10)
		s.enqueue(t, tenant, 2, nil) // the queue goes on, though the stopped one held it
		ran.requireOnce(t, 10)
		t.Logf("all have run %s after the stop", time.Since(begun))
		assert.Less(t, time.Since(begun), within)
		p.release()
		require.NoError(t, p.Process.Signal(syscall.SIGCONT))
		s.enqueue(t, tenant, 1, nil)
		ran.requireOnce(t, 11)
		require.Eventually(t, func() bool { return len(s.states(t)) == 0 }, patience, tick, "what the woken one commits changes nothing")
	})
}
