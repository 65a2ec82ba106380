package postgres

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// perLane counts jobs by their lane, which is the tenant here.
func perLane(refs []jobs.Ref) map[tenancy.ID]int {
	counts := make(map[tenancy.ID]int)
	for _, ref := range refs {
		counts[ref.Tenant]++
	}
	return counts
}

func many(n int, change ...func(*jobs.New)) []jobs.New {
	list := make([]jobs.New, n)
	for i := range list {
		list[i] = newJob1(change...)
	}
	return list
}

func TestPick(t *testing.T) {
	t.Parallel()
	t.Run("goes round the lanes, the oldest of each first", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		flood, small := s.scope(t), s.scope(t)
		first := s.enqueue(t, flood, many(50)...)
		second := s.enqueue(t, small, many(2)...)
		handed, picked := s.pick(t, jobs.Default, 10, tenancy.ID{})
		assert.Equal(t, 10, picked.Jobs)
		assert.Equal(t, map[tenancy.ID]int{flood.Tenant: 8, small.Tenant: 2}, perLane(handed))
		assert.ElementsMatch(t, []tenancy.ID{flood.Tenant, small.Tenant}, []tenancy.ID{handed[0].Tenant, handed[1].Tenant})
		assert.ElementsMatch(t, second, []jobs.Ref{of(handed, small)[0], of(handed, small)[1]})
		assert.Len(t, of(handed, flood), 8)
		for _, ref := range handed {
			assert.Equal(t, jobs.Dispatched, s.find(t, ref).State)
		}
		rest, _ := s.pick(t, jobs.Default, 100, picked.Cursor)
		assert.Len(t, rest, 42)
		assert.ElementsMatch(t, first, append(of(handed, flood), rest...))
		none, picked := s.pick(t, jobs.Default, 100, picked.Cursor)
		assert.Empty(t, none)
		assert.Zero(t, picked.Jobs)
	})
	t.Run("a lane of its own", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		scope, endpoint := s.scope(t), tenancy.NewID()
		s.enqueue(t, scope, many(20)...)
		quick := s.enqueue(t, scope, newJob1(inLane(endpoint)))[0]
		handed, _ := s.pick(t, jobs.Default, 2, tenancy.ID{})
		assert.Contains(t, handed, quick)
	})
	t.Run("leaves what is scheduled, other queues' and locked ones", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		scope := s.scope(t)
		refs := s.enqueue(t, scope, newJob1(), newJob1(), newJob1(inQueue(jobs.Reports)), newJob1(at(time.Now().Add(time.Hour))))
		s.held(t, refs[0], func() {
			handed, _ := s.pick(t, jobs.Default, 1, tenancy.ID{})
			assert.Equal(t, refs[1:2], handed)
		})
		handed, _ := s.pick(t, jobs.Default, 10, tenancy.ID{})
		assert.Equal(t, refs[:1], handed)
	})
	t.Run("nothing changes where it cannot be handed over", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		ref := s.enqueue(t, s.scope(t), newJob1())[0]
		cursor := tenancy.NewID()
		undisturbed(t, func() error {
			picked, err := s.Engine.Pick(t.Context(), jobs.Default, 10, cursor, func([]jobs.Ref) error { return assert.AnError })
			assert.Equal(t, jobs.Picked{Cursor: cursor}, picked)
			if isOverdue(err) {
				return err
			}
			require.ErrorIs(t, err, assert.AnError)
			return nil
		})
		assert.Equal(t, jobs.Pending, s.find(t, ref).State)
		assert.Zero(t, s.System.Stats().InUse)
	})
	t.Run("a paused queue rests", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		s.enqueue(t, s.scope(t), newJob1(), newJob1(inQueue(jobs.Reports)))
		require.NoError(t, s.Engine.PauseQueue(t.Context(), jobs.Default))
		require.NoError(t, s.Engine.PauseQueue(t.Context(), jobs.Default))
		paused, err := s.Engine.PausedQueues(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{jobs.Default}, paused)
		handed, picked := s.pick(t, jobs.Default, 10, tenancy.ID{})
		assert.Empty(t, handed)
		assert.False(t, picked.Busy)
		handed, _ = s.pick(t, jobs.Reports, 10, tenancy.ID{})
		assert.Len(t, handed, 1)
		require.NoError(t, s.Engine.ResumeQueue(t.Context(), jobs.Default))
		handed, _ = s.pick(t, jobs.Default, 10, tenancy.ID{})
		assert.Len(t, handed, 1)
	})
	t.Run("one dispatcher at a time in a queue", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		scope := s.scope(t)
		var same, other jobs.Picked
		undisturbed(t, func() error {
			s.enqueue(t, scope, newJob1(), newJob1(inQueue(jobs.Reports)))
			_, err := s.Engine.Pick(t.Context(), jobs.Default, 1, tenancy.ID{}, func([]jobs.Ref) error {
				_, same = s.pick(t, jobs.Default, 1, tenancy.ID{})
				_, other = s.pick(t, jobs.Reports, 1, tenancy.ID{})
				return nil
			})
			return err
		})
		assert.True(t, same.Busy)
		assert.Zero(t, same.Jobs)
		assert.False(t, other.Busy)
		assert.Equal(t, 1, other.Jobs)
	})
	t.Run("one that stops before its commit frees the queue, and nothing is lost", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		ref := s.enqueue(t, s.scope(t), newJob1())[0]
		_, err := s.Engine.Pick(t.Context(), jobs.Default, 1, tenancy.ID{}, func([]jobs.Ref) error {
			require.Eventually(t, func() bool {
				handed, picked := s.pick(t, jobs.Default, 1, tenancy.ID{})
				return !picked.Busy && assert.Equal(t, []jobs.Ref{ref}, handed)
			}, waitFor/2, 20*time.Millisecond) // the role's own time is a minute
			return nil
		})
		require.Error(t, err)
		assert.Equal(t, jobs.Dispatched, s.find(t, ref).State)
	})
}

func of(refs []jobs.Ref, scope tenancy.Scope) (kept []jobs.Ref) {
	for _, ref := range refs {
		if ref.Tenant == scope.Tenant {
			kept = append(kept, ref)
		}
	}
	return kept
}

// With more lanes than a pick takes, each pick goes on where the last one ended, and all are served.
func TestPick_serves_all_lanes(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	s.fill(t, jobs.Default, "pending", 300, 20)
	served := make(map[tenancy.ID]int)
	var cursor tenancy.ID
	for range 20 {
		handed, picked := s.pick(t, jobs.Default, 100, cursor)
		assert.Len(t, handed, 100)
		cursor = picked.Cursor
		for lane, n := range perLane(handed) {
			served[lane] += n
		}
	}
	assert.Len(t, served, 300)
	for lane, n := range served {
		assert.GreaterOrEqual(t, n, 6, lane)
		assert.LessOrEqual(t, n, 7, lane)
	}
}

func TestPick_caps(t *testing.T) {
	t.Parallel()
	// underWay is the most jobs with a cap that a lane has under way.
	underWay := func(t *testing.T, s *jobsSample) int {
		t.Helper()
		return value[int](t, s.Database, `select coalesce(max(n), 0) from (select count(*) n from jobs
			where state in ('dispatched', 'running') and max_running > 0 group by queue, lane) c`)
	}
	t.Run("hold for a lane, and leave the others' turns alone", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		greedy, modest := s.scope(t), s.scope(t)
		s.enqueue(t, greedy, many(20, capped(3))...)
		s.enqueue(t, modest, many(5, capped(3))...)
		handed, _ := s.pick(t, jobs.Default, 100, tenancy.ID{})
		assert.Equal(t, map[tenancy.ID]int{greedy.Tenant: 3, modest.Tenant: 3}, perLane(handed))
		s.claim(t, handed[0])
		none, _ := s.pick(t, jobs.Default, 100, tenancy.ID{})
		assert.Empty(t, none, "a running one counts, too")
		require.True(t, s.settle(t, jobs.Outcome{Attempt: jobs.Attempt{Ref: handed[0], Number: 1}, State: jobs.Succeeded}))
		next, _ := s.pick(t, jobs.Default, 100, tenancy.ID{})
		require.Len(t, next, 1)
		assert.Equal(t, handed[0].Tenant, next[0].Tenant)
	})
	t.Run("are not in the way of jobs without, or with another one", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		scope := s.scope(t)
		s.enqueue(t, scope, many(300, capped(2))...)
		free := s.enqueue(t, scope, many(3)...)
		s.enqueue(t, scope, many(10, capped(5))...)
		handed, _ := s.pick(t, jobs.Default, 8, tenancy.ID{})
		assert.Subset(t, handed, free)
		rest, _ := s.pick(t, jobs.Default, 100, tenancy.ID{})
		assert.LessOrEqual(t, underWay(t, s), 5)
		assert.GreaterOrEqual(t, len(handed)+len(rest), 3+2)
	})
	t.Run("lanes that have theirs do not keep later ones waiting", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		s.Exec(t, `insert into jobs (tenant_id, id, kind, queue, state, lane, max_running, max_attempts, tries, run_at, created_at)
			select t.id, gen_random_uuid(), 'test.work', 'default', case n when 1 then 'running' else 'pending' end, t.id, 1, 20, 20, now(), now()
			from (select gen_random_uuid() as id from generate_series(1, 200)) t, generate_series(1, 3) n`)
		s.Exec(t, `insert into jobs (tenant_id, id, kind, queue, state, lane, max_attempts, tries, run_at, created_at)
			select l, gen_random_uuid(), 'test.work', 'default', 'pending', l, 20, 20, now(), now()
			from (values ('ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid), ('00000000-0000-0000-0000-000000000001')) v (l)`)
		handed, _ := s.pick(t, jobs.Default, 10, tenancy.ID{0x80})
		assert.Len(t, handed, 2)
	})
	t.Run("are strict under several dispatchers and workers", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		scopes := []tenancy.Scope{s.scope(t), s.scope(t)}
		for _, scope := range scopes {
			s.enqueue(t, scope, many(60, capped(2))...)
		}
		var (
			all     sync.WaitGroup
			handed  = make(chan jobs.Ref, 1000)
			stopped = make(chan struct{})
			done    = make(chan struct{}, 1000)
			overdue atomic.Int64 // picks in which the machine stood still: what they handed over was not picked
		)
		for range 3 {
			all.Go(func() {
				for {
					select {
					case <-stopped:
						return
					default:
					}
					_, err := s.Engine.Pick(t.Context(), jobs.Default, 7, tenancy.ID{}, func(refs []jobs.Ref) error {
						for _, ref := range refs {
							handed <- ref
						}
						return nil
					})
					if isOverdue(err) {
						overdue.Add(1)
						continue
					}
					assert.NoError(t, err)
				}
			})
		}
		for range 4 {
			all.Go(func() {
				for {
					select {
					case <-stopped:
						return
					case ref := <-handed:
						claimed, locked, err := s.Engine.Claim(t.Context(), "w", []jobs.Ref{ref}, lease)
						if err != nil {
							t.Errorf("claim: %v", err)
							return
						}
						if len(locked) > 0 {
							handed <- ref // not committed yet
							continue
						}
						if len(claimed) == 0 && overdue.Load() > 0 {
							continue // its pick came to nothing, or it was picked and claimed once more
						}
						if !assert.Len(t, claimed, 1) {
							return
						}
						held, err := s.Engine.Settle(t.Context(), []jobs.Outcome{{Attempt: attemptOf(claimed[0]), State: jobs.Succeeded}})
						if err != nil {
							t.Errorf("settle: %v", err)
						}
						assert.Equal(t, []bool{true}, held)
						done <- struct{}{}
					}
				}
			})
		}
		most, ended := 0, 0
		require.Eventually(t, func() bool {
			most = max(most, underWay(t, s))
			for {
				select {
				case <-done:
					ended++
				default:
					return ended == 120
				}
			}
		}, 3*waitFor, tick)
		close(stopped)
		all.Wait()
		assert.LessOrEqual(t, most, 2)
		assert.Positive(t, most)
	})
}

func TestClaim(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	scope := s.scope(t)
	t.Run("gives what a handler needs", func(t *testing.T) {
		t.Parallel()
		ref := s.enqueue(t, scope, newJob1())[0]
		job := s.claim(t, ref)[0]
		assert.Equal(t, jobs.Running, job.State)
		assert.Equal(t, 1, job.Attempt)
		assert.Equal(t, jobs.DefaultMaxAttempts, job.MaxAttempts)
		assert.Equal(t, "test.work", job.Kind)
		assert.JSONEq(t, `{"n":1}`, string(job.Args))
		assert.Equal(t, "req-1", job.RequestID)
		assert.Equal(t, "worker-1", job.Worker)
		assert.NotNil(t, job.StartedAt)
	})
	t.Run("each of the same jobs once", func(t *testing.T) {
		t.Parallel()
		refs := s.enqueue(t, scope, many(40)...)
		var (
			all   sync.WaitGroup
			mu    sync.Mutex
			times = make(map[tenancy.ID]int)
		)
		for range 50 {
			all.Go(func() {
				claimed, _, err := s.Engine.Claim(t.Context(), "w", refs, lease)
				if err != nil {
					t.Errorf("claim: %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, job := range claimed {
					times[job.ID]++
				}
			})
		}
		all.Wait()
		assert.Len(t, times, len(refs))
		for id, n := range times {
			assert.Equal(t, 1, n, id)
		}
	})
	t.Run("what is not there is missing, what is held is told", func(t *testing.T) {
		t.Parallel()
		refs := s.enqueue(t, scope, newJob1(), newJob1(), newJob1(capped(1)), newJob1(capped(1)), newJob1(at(time.Now().Add(time.Hour))))
		running := attemptOf(s.start(t, scope)).Ref
		wrong := jobs.Ref{Tenant: tenancy.NewID(), ID: refs[0].ID}
		asked := append([]jobs.Ref{running, wrong, {Tenant: scope.Tenant, ID: tenancy.NewID()}, refs[0]}, refs...)
		s.held(t, refs[1], func() {
			s.held(t, refs[2], func() {
				claimed, locked, err := s.Engine.Claim(t.Context(), "w", asked, lease)
				require.NoError(t, err)
				require.Len(t, claimed, 1)
				assert.Equal(t, refs[0].ID, claimed[0].ID)
				assert.ElementsMatch(t, refs[1:3], locked, "the one with a cap that nobody holds waits for its dispatcher")
			})
		})
		assert.Equal(t, jobs.Pending, s.find(t, refs[3]).State)
		s.claim(t, refs[1])
	})
	t.Run("a job that is asked for before its dispatcher has committed", func(t *testing.T) {
		t.Parallel()
		for _, change := range []func(*jobs.New){capped(0), capped(2)} {
			var ref jobs.Ref
			var claimed []jobs.Job
			var locked []jobs.Ref
			undisturbed(t, func() error {
				s.enqueue(t, scope, newJob1(inQueue(jobs.Webhooks), change))
				_, err := s.Engine.Pick(t.Context(), jobs.Webhooks, 1, tenancy.ID{}, func(refs []jobs.Ref) (err error) {
					ref = refs[0]
					claimed, locked, err = s.Engine.Claim(t.Context(), "w", refs, lease)
					return err
				})
				return err
			})
			assert.Empty(t, claimed)
			assert.Equal(t, []jobs.Ref{ref}, locked)
			s.claim(t, ref)
		}
	})
	t.Run("nothing asked for", func(t *testing.T) {
		t.Parallel()
		claimed, locked, err := s.Engine.Claim(context.WithoutCancel(t.Context()), "w", nil, lease)
		require.NoError(t, err)
		assert.Empty(t, claimed)
		assert.Empty(t, locked)
	})
}
