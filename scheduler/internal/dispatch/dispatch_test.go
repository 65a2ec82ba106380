package dispatch_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/scheduler/internal/dispatch"
	"github.com/groundwork-saas/groundwork/store/redis"
)

func TestDispatcher(t *testing.T) {
	t.Parallel()
	t.Run("hands_over_at_once_what_was_committed", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		tenant := s.TenantID(t)
		s.dispatch(t)
		took := make([]time.Duration, 50)
		for i := range took {
			begun := time.Now()
			want := s.enqueue(t, tenant, 1, nil)
			s.takeOne(t, want[0])
			took[i] = time.Since(begun)
			require.Eventually(t, func() bool { // or it is handed over again
				claimed, _, err := s.engine.Claim(t.Context(), "test", want, time.Hour)
				return err == nil && len(claimed) == 1
			}, patience, tick, "it is locked for as long as the pick is not committed")
		}
		requireSoon(t, took)
	})
	t.Run("two_share_the_work_and_double_nothing", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		const n = 3000
		s.beat(t, 100)
		ran := s.work(t, 50)
		for range 3 {
			s.enqueue(t, s.TenantID(t), n/3, nil)
		}
		a, b := s.dispatch(t), s.dispatch(t)
		ran.requireOnce(t, n)
		require.Eventually(t, func() bool { return len(s.states(t)) == 0 }, patience, tick)
		both := func(name string) float64 { return a.metric(t, name) + b.metric(t, name) }
		// On a slow machine a worker may take longer than it is given to claim one, which may be picked once more then.
		assert.LessOrEqual(t, both("groundwork_jobs_picked_total"), n+both("groundwork_jobs_recalled_total"))
	})
	t.Run("keeps_the_list_short", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		s.beat(t, 20)
		s.enqueue(t, s.TenantID(t), 500, nil)
		d := s.dispatch(t)
		full := map[jobs.State]int64{jobs.Pending: 478, jobs.Dispatched: 22}
		require.Eventually(t, func() bool { return assert.ObjectsAreEqual(full, s.states(t)) }, patience, tick, "one for each slot, and two")
		require.Eventually(t, func() bool { return d.metric(t, "groundwork_jobs_list_length") == 22 }, patience, tick)
		refs := s.take(t.Context(), 1000)
		assert.Len(t, refs, 22)
		require.Eventually(t, func() bool { // or they are handed over again, where the machine is slow
			_, _, err := s.engine.Claim(t.Context(), "test", refs, time.Hour)
			return err == nil && s.states(t)[jobs.Running] == 22
		}, patience, tick)
		require.Eventually(t, func() bool {
			waiting, err := redis.NewJobs(s.client, time.Now).Waiting(t.Context(), queue)
			return err == nil && len(waiting) >= 22 // more, for the pace at which those were taken
		}, patience, tick, "those that were taken are followed")
	})
	t.Run("promotes_what_is_due", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		ran := s.work(t, 10)
		s.dispatch(t)
		soon := time.Now().Add(300 * time.Millisecond)
		s.enqueue(t, s.TenantID(t), 20, func(n *jobs.New) { n.RunAt = soon })
		ran.requireOnce(t, 20)
	})
	t.Run("takes_jobs_from_workers_that_are_gone", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		refs := s.enqueue(t, s.TenantID(t), 5, nil)
		claimed, _, err := s.engine.Claim(t.Context(), "gone", refs, time.Millisecond)
		require.NoError(t, err)
		require.Len(t, claimed, 5)
		d := s.dispatch(t)
		ran := s.work(t, 10)
		ran.requireOnce(t, 5)
		require.Eventually(t, func() bool { // they may have run before they are counted
			return d.metric(t, "groundwork_jobs_lease_expiries_total") == 5
		}, patience, tick)
	})
	t.Run("a_paused_queue_waits", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		require.NoError(t, s.engine.PauseQueue(t.Context(), queue))
		s.dispatch(t)
		paused := func() bool {
			reply, err := s.client.Do(t.Context(), "EXISTS", "{jobs:"+queue+"}:jobs:run:paused")
			return err == nil && reply == int64(1)
		}
		require.Eventually(t, paused, patience, tick)
		s.enqueue(t, s.TenantID(t), 5, nil)
		ran := s.work(t, 10)
		// A job of another queue's time passes: the poll comes by several times.
		assert.Never(t, func() bool { return ran.count() > 0 }, time.Second, 50*time.Millisecond)
		s.do(t, "FLUSHALL") // which it is told anew after that
		require.Eventually(t, paused, patience, tick)
		require.NoError(t, s.engine.ResumeQueue(t.Context(), queue))
		ran.requireOnce(t, 5)
		assert.False(t, paused())
	})
	t.Run("counts_what_waits", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		s.enqueue(t, s.TenantID(t), 7, func(n *jobs.New) { n.RunAt = time.Now().Add(time.Hour) })
		d := s.dispatch(t, func(c *dispatch.Config) {
			c.Count = func(ctx context.Context) ([]dispatch.Count, error) {
				stats, err := s.engine.JobStats(ctx)
				counts := make([]dispatch.Count, len(stats))
				for i, each := range stats {
					counts[i] = dispatch.Count{Queue: each.Queue, State: each.State, Jobs: each.Jobs, Oldest: each.Oldest}
				}
				return counts, err
			}
		})
		require.Eventually(t, func() bool { return d.metric(t, "groundwork_jobs_depth") == 7 }, patience, tick)
		assert.Zero(t, d.metric(t, "groundwork_jobs_oldest_pending_seconds"))
	})
}

func TestDispatcher_fairness(t *testing.T) {
	t.Parallel()
	t.Run("small_tenants_do_not_wait_for_a_flood", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		flood := s.TenantID(t)
		for range 20 {
			s.enqueue(t, flood, 1000, nil)
		}
		s.beat(t, 25) // a window of 50
		small := map[tenancy.ID]bool{}
		for range 50 {
			tenant := s.TenantID(t)
			small[tenant] = true
			s.enqueue(t, tenant, 1, nil)
		}
		s.dispatch(t)
		var order []jobs.Ref
		seen := map[jobs.Ref]bool{} // what is taken and not claimed is handed over again after a while
		require.Eventually(t, func() bool {
			for _, ref := range s.take(t.Context(), 50) {
				if !seen[ref] {
					seen[ref] = true
					order = append(order, ref)
				}
			}
			return len(order) >= 500
		}, patience, tick)
		last, served := 0, 0
		for i, ref := range order {
			if small[ref.Tenant] {
				served++
				last = i
			}
		}
		t.Logf("the last of 50 small tenants was number %d of 20,050", last)
		assert.Equal(t, 50, served)
		assert.Less(t, last, 100)
	})
	t.Run("future_jobs_of_ten_thousand_lanes_are_not_in_the_way", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		tenant := s.TenantID(t)
		later := time.Now().Add(time.Hour)
		for range 10 {
			s.enqueue(t, tenant, 1000, func(n *jobs.New) { n.Lane, n.RunAt = tenancy.NewID(), later })
		}
		s.dispatch(t)
		took := make([]time.Duration, 30)
		for i := range took {
			begun := time.Now()
			s.takeOne(t, s.enqueue(t, tenant, 1, func(n *jobs.New) { n.Lane = tenancy.NewID() })[0])
			took[i] = time.Since(begun)
		}
		requireSoon(t, took)
	})
}

// takeOne takes what waits until a job comes. Others come again that were taken before and claimed late, or not at all.
func (s *stand) takeOne(t *testing.T, ref jobs.Ref) {
	t.Helper()
	require.Eventually(t, func() bool { return slices.Contains(s.take(t.Context(), 10), ref) }, patience, 200*time.Microsecond)
}

// requireSoon demands that jobs came to the list without the wait for a poll, from the start of the transaction that
// enqueued them. Where nobody rings each waits for most of a poll; where the machine stands still, some do.
func requireSoon(t *testing.T, took []time.Duration) {
	t.Helper()
	slices.Sort(took)
	n := len(took)
	t.Logf("from the start of the enqueuing transaction to the list: p50 %s, p90 %s, most %s", took[n/2], took[n*9/10], took[n-1])
	require.Less(t, took[n/10], 150*time.Millisecond, "nobody rings: it waits for the next poll")
}
