package dispatch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// within is how soon jobs that Redis lost must have run: within five seconds, and as many more as a machine may stand
// still meanwhile.
const within = 20 * time.Second

func TestDispatcher_loses_nothing(t *testing.T) {
	t.Parallel()
	// handedOver waits until all of some jobs are in the list.
	handedOver := func(t *testing.T, s *stand, n int64) {
		t.Helper()
		require.Eventually(t, func() bool { return s.states(t)[jobs.Dispatched] == n }, patience, tick)
	}
	// watches waits until the dispatcher knows which Redis it has.
	watches := func(t *testing.T, d *dispatcher) {
		t.Helper()
		require.Eventually(t, func() bool { return d.metric(t, "groundwork_jobs_redis_epoch_timestamp_seconds") > 0 }, patience, tick)
	}
	t.Run("when_all_of_Redis_is_flushed", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		s.beat(t, 60)
		s.enqueue(t, s.TenantID(t), 60, nil)
		d := s.dispatch(t)
		handedOver(t, s, 60)
		watches(t, d)
		s.do(t, "FLUSHALL")
		begun := time.Now()
		ran := s.work(t, 100)
		ran.requireOnce(t, 60)
		t.Logf("all have run %s after FLUSHALL", time.Since(begun))
		assert.Less(t, time.Since(begun), within)
		assert.InDelta(t, 1, d.metric(t, "groundwork_jobs_redis_losses_total"), 0)
	})
	t.Run("when_Redis_is_killed_and_starts_empty", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		s.beat(t, 60)
		tenant := s.TenantID(t)
		s.enqueue(t, tenant, 60, nil)
		d := s.dispatch(t)
		handedOver(t, s, 60)
		s.server.kill(t)
		require.Eventually(t, func() bool { return d.metric(t, "groundwork_jobs_away") == 1 }, patience, tick)
		s.enqueue(t, tenant, 5, nil) // nobody needs Redis to enqueue
		s.server.start(t)
		begun := time.Now()
		ran := s.work(t, 100)
		ran.requireOnce(t, 65)
		t.Logf("all have run %s after Redis was back", time.Since(begun))
		assert.Less(t, time.Since(begun), within)
		require.Eventually(t, func() bool { return d.metric(t, "groundwork_jobs_away") == 0 }, patience, tick)
		assert.Equal(t, 1, d.logs.count("Redis does not do its part"))
		assert.Equal(t, 1, d.logs.count("Redis does its part again"))
	})
	t.Run("when_a_worker_takes_one_and_is_gone", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		s.enqueue(t, s.TenantID(t), 3, nil)
		s.dispatch(t)
		handedOver(t, s, 3)
		require.Len(t, s.take(t.Context(), 3), 3) // and nobody claims them
		ran := s.work(t, 10)
		ran.requireOnce(t, 3)
	})
	t.Run("when_Redis_is_full", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		d := s.dispatch(t)
		watches(t, d)
		s.do(t, "CONFIG", "SET", "maxmemory", "1")
		s.enqueue(t, s.TenantID(t), 30, nil)
		require.Eventually(t, func() bool { return d.metric(t, "groundwork_jobs_away") == 1 }, patience, tick)
		assert.Equal(t, map[jobs.State]int64{jobs.Pending: 30}, s.states(t))
		s.do(t, "CONFIG", "SET", "maxmemory", "0")
		ran := s.work(t, 10)
		ran.requireOnce(t, 30)
		assert.Equal(t, 1, d.logs.count("Redis does not do its part"))
	})
	t.Run("when_PostgreSQL_cuts_its_connections", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		s.beat(t, 500)
		s.dispatch(t)
		tenant := s.TenantID(t)
		for range 8 {
			s.enqueue(t, tenant, 100, nil)
			s.Exec(t, `select pg_terminate_backend(pid) from pg_stat_activity
				where datname = current_database() and usename = 'groundwork_system'`)
		}
		ran := s.work(t, 50)
		ran.requireOnce(t, 800) // those that are twice in the list run once
	})
}
