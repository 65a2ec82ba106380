package runner_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
	"github.com/groundwork-saas/groundwork/worker/internal/runner"
)

// What a worker's process of the tests is told. It is this program, started again.
const (
	envRole     = "RUNNER_TEST_PROCESS"
	envWorker   = "RUNNER_TEST_WORKER_URL"
	envSystem   = "RUNNER_TEST_SYSTEM_URL"
	envRedis    = "RUNNER_TEST_REDIS_URL"
	envLease    = "RUNNER_TEST_LEASE"
	envShutdown = "RUNNER_TEST_SHUTDOWN"
)

func TestMain(m *testing.M) {
	if os.Getenv(envRole) != "" {
		if err := beWorker(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// marked is a job that leaves marks in a folder: <process>.began, and <process>.ended once the folder has "finish".
type marked struct{ Dir string }

func (marked) JobKind() jobs.Kind { return jobs.Kind{Name: "test.marked", MaxAttempts: 5} }

func beWorker() error {
	ctx := context.Background()
	lease, err := time.ParseDuration(os.Getenv(envLease))
	if err != nil {
		return err
	}
	shutdown, err := time.ParseDuration(os.Getenv(envShutdown))
	if err != nil {
		return err
	}
	own, err := postgres.Open(ctx, postgres.Config{URL: os.Getenv(envWorker), MaxConnections: 4})
	if err != nil {
		return err
	}
	system, err := postgres.Open(ctx, postgres.Config{URL: os.Getenv(envSystem), MaxConnections: 4})
	if err != nil {
		return err
	}
	client, err := redis.Open(redis.Config{URL: os.Getenv(envRedis)})
	if err != nil {
		return err
	}
	bells := redis.NewBells(client)
	tenants := postgres.NewJobs(postgres.Shared{DB: own}, bells.Wake)
	r, err := runner.New(runner.Config{
		Handlers: []jobs.Handler{jobs.Handle(mark)},
		Desk:     postgres.NewJobEngine(system, tenants), Effects: tenants,
		Queues: []runner.Queue{{Name: jobs.Default, Workers: 4}}, Fetch: fetchWith(client, bells), OnCancel: bells.OnCancel,
		Name: fmt.Sprint(os.Getpid()), Lease: lease, Log: logging.New(logging.Config{}), Registry: prometheus.NewRegistry(), Now: time.Now,
	})
	if err != nil {
		return err
	}
	return lifecycle.Run(ctx, shutdown, r.Component())
}

func mark(ctx context.Context, run *jobs.Run, args marked) error {
	own := filepath.Join(args.Dir, fmt.Sprintf("%d-%d", os.Getpid(), run.Job.Attempt))
	if err := os.WriteFile(own+".began", nil, 0o600); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(args.Dir, "finish")); err == nil {
			return os.WriteFile(own+".ended", nil, 0o600)
		}
		select {
		case <-ctx.Done():
			if _, err := os.Stat(filepath.Join(args.Dir, "stubborn")); err != nil {
				return ctx.Err()
			}
		default:
		}
		time.Sleep(time.Millisecond)
	}
}

// process is a worker in a process of its own.
type process struct {
	*exec.Cmd

	said *lines
}

func (w *world) startProcess(t *testing.T, lease, shutdown time.Duration) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &process{Cmd: exec.CommandContext(context.WithoutCancel(t.Context()), self), said: &lines{}}
	p.Env = append(os.Environ(), envRole+"=1", envWorker+"="+w.WorkerURL, envSystem+"="+w.SystemURL, envRedis+"="+w.redisURL,
		envLease+"="+lease.String(), envShutdown+"="+shutdown.String())
	p.Stdout, p.Stderr = p.said, p.said
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
		if t.Failed() {
			t.Logf("process %d said:\n%s", p.Process.Pid, p.said.String())
		}
	})
	return p
}

// marks waits for a mark of a kind that none of the given ones is, and returns its process and attempt.
func marks(t *testing.T, dir, kind string, but ...string) string {
	t.Helper()
	var found string
	require.Eventually(t, func() bool {
		names, err := filepath.Glob(filepath.Join(dir, "*."+kind))
		if err != nil {
			return false
		}
		for _, name := range names {
			found = strings.TrimSuffix(filepath.Base(name), "."+kind)
			known := false
			for _, each := range but {
				known = known || each == found
			}
			if !known {
				return true
			}
		}
		return false
	}, patience, 2*time.Millisecond)
	return found
}

// finish has a job end that is marked in the folder.
func finish(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "finish"), nil, 0o600))
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	// lease is one that a worker keeps though the machine stands still for some seconds.
	const lease = 10 * time.Second
	t.Run("a_killed_workers_job_runs_again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.dispatch(t)
		first := w.startProcess(t, lease, time.Second)
		dir := t.TempDir()
		id := w.enqueue(t, marked{Dir: dir})
		began := marks(t, dir, "began")
		require.Equal(t, fmt.Sprintf("%d-1", first.Process.Pid), began)
		second := w.startProcess(t, time.Hour, time.Second)
		require.NoError(t, first.Process.Kill())
		killed := time.Now()
		again := marks(t, dir, "began", began)
		t.Logf("ran again %s after kill -9, with a lease of %s", time.Since(killed), lease)
		assert.Equal(t, fmt.Sprintf("%d-2", second.Process.Pid), again)
		finish(t, dir)
		assert.Equal(t, 2, w.until(t, id, jobs.Succeeded).Attempt)
	})
	t.Run("a_worker_that_slept_past_its_lease_is_refused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.dispatch(t)
		sleeper := w.startProcess(t, time.Hour, time.Second) // by its own clock it holds the job still
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "stubborn"), nil, 0o600))
		id := w.enqueue(t, marked{Dir: dir})
		began := marks(t, dir, "began")
		require.NoError(t, sleeper.Process.Signal(syscall.SIGSTOP))
		w.startProcess(t, time.Hour, time.Second)
		w.Exec(t, expire, []string{fmt.Sprint(sleeper.Process.Pid)})
		again := marks(t, dir, "began", began)
		require.NoError(t, sleeper.Process.Signal(syscall.SIGCONT))
		require.Equal(t, jobs.Running, w.until(t, id, jobs.Running).State)
		finish(t, dir)
		for _, each := range []string{began, again} {
			require.Eventually(t, func() bool {
				_, err := os.Stat(filepath.Join(dir, each+".ended"))
				return err == nil
			}, patience, 2*time.Millisecond, "both come to their end")
		}
		job := w.until(t, id, jobs.Succeeded)
		assert.Equal(t, 2, job.Attempt)
		assert.Equal(t, "lost", sleeper.said.of(t, id)["state"], "the sleeper's completion counts for nothing")
		var worker string
		require.NoError(t, w.Admin(t).QueryRow(t.Context(), "select worker from jobs_finished where id = $1", id.String()).Scan(&worker))
		assert.Equal(t, again, worker+"-2")
	})
	t.Run("a_terminated_worker_hands_its_jobs_over", func(t *testing.T) {
		t.Parallel()
		requireOnce(t, func() bool { return handsOver(t) })
	})
	t.Run("five_kills_among_a_thousand_jobs", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.dispatch(t)
		dir := t.TempDir()
		finish(t, dir)
		list := make([]jobs.New, 1_000)
		for i := range list {
			var err error
			list[i], err = jobs.Of(marked{Dir: dir})
			require.NoError(t, err)
		}
		_, err := w.queue.Enqueue(t.Context(), w.scope, list...)
		require.NoError(t, err)
		admin := w.Admin(t)
		done := func() (n int) {
			require.NoError(t, admin.QueryRow(t.Context(), "select count(*) from jobs_finished where state = 'succeeded'").Scan(&n))
			return n
		}
		var killed []string
		endLeases := func() { // again and again: a claim may be under way in PostgreSQL when its worker is killed
			_, err := admin.Exec(t.Context(), expire, killed)
			require.NoError(t, err)
		}
		for kill := range 5 {
			p := w.startProcess(t, time.Hour, time.Second)
			require.Eventually(t, func() bool { return done() > kill*150 }, patience, time.Millisecond)
			require.NoError(t, p.Process.Kill())
			killed = append(killed, fmt.Sprint(p.Process.Pid))
			endLeases()
		}
		w.startProcess(t, time.Hour, time.Second)
		require.Eventually(t, func() bool {
			endLeases()
			return done() == len(list)
		}, patience, 10*time.Millisecond)
		var again int
		require.NoError(t, admin.QueryRow(t.Context(), "select count(*) from jobs_finished where attempt > 1").Scan(&again))
		assert.LessOrEqual(t, again, 5*4*3, "only what was under way ran again, and what was not written yet")
		t.Logf("%d of %d ran more than once", again, len(list))
	})
}

// handsOver terminates a worker while a job runs, and says whether another one goes on with it. One that cannot say in
// time what becomes of the job, on a machine that stands still just then, has to have said so.
func handsOver(t *testing.T) bool {
	t.Helper()
	w := newWorld(t)
	w.dispatch(t)
	first := w.startProcess(t, time.Hour, shutdown)
	dir := t.TempDir()
	id := w.enqueue(t, marked{Dir: dir})
	began := marks(t, dir, "began")
	w.startProcess(t, time.Hour, time.Second)
	require.NoError(t, first.Process.Signal(syscall.SIGTERM))
	terminated := time.Now()
	err := first.Wait()
	if said := first.said.String(); strings.Contains(said, lateSettle) || strings.Contains(said, lateEnd) {
		return false
	}
	require.NoError(t, err, "it ended well")
	again := marks(t, dir, "began", began)
	t.Logf("ran elsewhere %s after SIGTERM, with a shutdown of %s and a lease of an hour", time.Since(terminated), shutdown)
	assert.NotEqual(t, began, again)
	finish(t, dir)
	marks(t, dir, "ended")
	w.until(t, id, jobs.Succeeded)
	return true
}
