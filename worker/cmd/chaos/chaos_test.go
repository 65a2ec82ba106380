package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/worker/cmd/internal/stand"
)

// TestMain makes this program a worker where a trial starts it as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == stand.WorkerArgument {
		os.Exit(stand.Work(time.Now, handlers))
	}
	os.Exit(m.Run())
}

// spoken is what a trial says.
type spoken struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *spoken) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// take is what was said since it was asked last.
func (s *spoken) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.text.Reset()
	return s.text.String()
}

// newTestTrial brings a trial up that ends with the test.
func newTestTrial(t *testing.T) (*trial, *spoken) {
	t.Helper()
	said := &spoken{}
	o := options{rate: 100, seed: rand.Uint64(), lease: 2 * time.Second, patience: 5 * time.Minute, brief: true, rounds: 1, now: time.Now, out: said}
	t.Logf("seed %d", o.seed)
	// Not a folder of the test's: PostgreSQL's own user could not get there.
	dir, remove, err := stand.Scratch()
	require.NoError(t, err)
	w, err := newTrial(t.Context(), dir, o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		assert.NoError(t, w.close(ctx))
		if t.Failed() {
			t.Logf("logs are left in %s", dir)
			return
		}
		assert.NoError(t, remove())
	})
	if errors.Is(err, devstack.ErrNoRedis) {
		t.Skipf("this test needs a real redis-server: %s", err)
	}
	require.NoError(t, err)
	return w, said
}

// TestChaos is the whole of it in short. What single faults do to the runner and to the dispatcher alone stands in
// worker/internal/runner and in scheduler/internal/dispatch; here all of the engine is up, in processes of its own.
func TestChaos(t *testing.T) { //nolint:tparallel // its subtests break the same servers
	t.Parallel()
	w, said := newTestTrial(t)
	// during enqueues while something breaks, lets all jobs end, and counts.
	during := func(t *testing.T, breaks func(ctx context.Context)) *verdict {
		t.Helper()
		w.enqueuer.ledger = newLedger()
		w.crew.Told.Clear()
		clear(w.made)
		enqueuing, stop := context.WithCancel(t.Context())
		var enqueued sync.WaitGroup
		enqueued.Go(func() { w.enqueuer.run(enqueuing, w.rate, w.seed) })
		breaks(t.Context())
		stop()
		enqueued.Wait()
		ending, cancel := context.WithTimeout(t.Context(), w.patience)
		defer cancel()
		w.untilEnded(ending)
		w.enqueuer.cancels.Wait()
		v, err := w.count(t.Context())
		require.NoError(t, err)
		t.Logf("\n%sjobs=%d lost=%d doubled=%d", said.take(), v.jobs, v.lost, v.doubled)
		assert.Positive(t, v.jobs)
		assert.Zero(t, v.lost)
		assert.Zero(t, v.doubled)
		return v
	}
	for _, f := range otherFaults() { //nolint:paralleltest // they break the same server
		if !strings.Contains(f.name, "PostgreSQL") {
			continue // that have tests of their own elsewhere, and come below
		}
		t.Run(f.name, func(t *testing.T) {
			during(t, func(ctx context.Context) {
				require.NoError(t, wait(ctx, time.Second))
				w.make(ctx, f, rand.New(rand.NewPCG(w.seed, 9)), false)
				require.NoError(t, wait(ctx, 500*time.Millisecond))
			})
			assert.Equal(t, 1, w.made[f.name])
		})
	}
	t.Run("everything at once", func(t *testing.T) {
		v := during(t, func(ctx context.Context) {
			w.enqueuer.commit(ctx, tenancy.AsSystem(w.enqueuer.tenants[0], ""), []jobs.New{must(poison{})}, false)
			w.breaking(ctx)
		})
		for _, f := range append(workerFaults(), otherFaults()...) {
			assert.Positive(t, w.made[f.name], f.name)
		}
		assert.Positive(t, v.ends[[2]string{(poison{}).JobKind().Name, "dead"}])
		assert.Equal(t, poisonAttempts, v.killed, "what kills its worker does not go round for ever")
	})
}
