package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// woken are the queues that were woken until now.
func (s *jobsSample) woken() (queues []string) {
	for {
		select {
		case queue := <-s.Woken:
			queues = append(queues, queue)
		default:
			return queues
		}
	}
}

func TestEnqueue(t *testing.T) {
	t.Parallel()
	t.Run("goes with the transaction, and wakes each queue once after it", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		scope := s.scope(t)
		err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
			_, err := s.Jobs.Enqueue(ctx, scope, newJob1(), newJob1(inQueue(jobs.Critical)))
			require.NoError(t, err)
			_, err = s.Jobs.Enqueue(ctx, scope, newJob1())
			require.NoError(t, err)
			assert.Empty(t, s.woken(), "before the commit")
			return assert.AnError
		})
		require.ErrorIs(t, err, assert.AnError)
		assert.Empty(t, s.woken())
		assert.Zero(t, value[int](t, s.Database, "select count(*) from jobs"))
		runs := 0
		err = s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
			_, err := s.Jobs.Enqueue(ctx, scope, newJob1(), newJob1(inQueue(jobs.Critical)))
			require.NoError(t, err)
			_, err = s.Jobs.Enqueue(ctx, scope, newJob1())
			require.NoError(t, err)
			if runs++; runs == 1 {
				return exec(s.App.Scoped(context.WithValue(ctx, unrecordedKey{}, true), scope), "do $$ begin raise sqlstate '40001'; end $$")
			}
			assert.Empty(t, s.woken(), "before the commit")
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, []string{jobs.Default, jobs.Critical}, s.woken())
		assert.Equal(t, 3, value[int](t, s.Database, "select count(*) from jobs where state = 'pending'"))
	})
	t.Run("one costs no round trip in a transaction, and one outside", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		scope := s.scope(t)
		s.enqueue(t, scope, newJob1()) // the statements are known to a connection now
		s.App.sql.SetMaxOpenConns(1)
		s.enqueue(t, scope, newJob1())
		ctx, stats := WithStats(t.Context())
		_, err := s.Jobs.Enqueue(ctx, scope, newJob1())
		require.NoError(t, err)
		assert.EqualValues(t, 1, stats.RoundTrips())
	})
	t.Run("says what cannot be kept", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		scope := s.scope(t)
		for about, job := range map[string]jobs.New{
			"no JSON":     newJob1(func(n *jobs.New) { n.Args = json.RawMessage(`{`) }),
			"at most":     newJob1(func(n *jobs.New) { n.Args = json.RawMessage(`"` + strings.Repeat("x", jobs.MaxArgs) + `"`) }),
			"has no key":  newJob1(keyed("", jobs.UniqueWhileLive, 0)),
			"no queue":    newJob1(inQueue("nowhere")),
			"go together": newJob1(keyed("k", jobs.UniqueForPeriod, 0)),
		} {
			_, err := s.Jobs.Enqueue(t.Context(), scope, job)
			require.ErrorContains(t, err, about)
		}
		job := newJob1()
		s.enqueue(t, scope, job)
		_, err := s.Jobs.Enqueue(t.Context(), scope, job)
		assert.Equal(t, fault.Conflict, fault.KindOf(err), "the same id twice: %v", err)
		done, err := s.Jobs.Enqueue(t.Context(), scope)
		require.NoError(t, err)
		assert.Empty(t, done)
	})
	t.Run("keeps arguments and keys as they are, whatever is in them", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		scope := s.scope(t)
		args := `{"b": "\u0000\ud800", "a": 1234567890123456789, "a": []}`
		key := "\x00\xff" + strings.Repeat("k", 5000)
		ref := s.enqueue(t, scope, newJob1(keyed(key, jobs.UniqueWhileLive, 0), func(n *jobs.New) { n.Args = json.RawMessage(args) }))[0]
		assert.Equal(t, args, string(s.find(t, ref).Args))
		assert.Equal(t, ref, s.enqueue(t, scope, newJob1(keyed(key, jobs.UniqueWhileLive, 0)))[0])
		assert.NotEqual(t, ref, s.enqueue(t, scope, newJob1(keyed(key+"k", jobs.UniqueWhileLive, 0)))[0])
	})
	t.Run("many, some with keys, are answered in order", func(t *testing.T) {
		t.Parallel()
		s := newJobsSample(t)
		scope := s.scope(t)
		var list []jobs.New
		for i := range 2500 {
			n := newJob1()
			switch i % 100 {
			case 7:
				n = newJob1(keyed(fmt.Sprint("key ", i/200), jobs.UniqueWhileLive, 0))
			case 8:
				n = newJob1(at(time.Now().Add(time.Hour)))
			}
			list = append(list, n)
		}
		done, err := s.Jobs.Enqueue(t.Context(), scope, list...)
		require.NoError(t, err)
		require.Len(t, done, len(list))
		first := make(map[string]tenancy.ID)
		for i, d := range done {
			if list[i].Key == "" || first[list[i].Key].IsZero() {
				first[list[i].Key] = list[i].ID
				assert.Equal(t, jobs.Enqueued{ID: list[i].ID}, d)
				continue
			}
			assert.Equal(t, jobs.Enqueued{ID: first[list[i].Key], Existed: true}, d)
		}
		assert.Equal(t, 2500-12, value[int](t, s.Database, "select count(*) from jobs"))
		assert.Equal(t, 25, value[int](t, s.Database, "select count(*) from jobs where state = 'scheduled'"))
	})
	t.Run("works without kept plans", func(t *testing.T) {
		t.Parallel()
		for _, mode := range []ExecMode{Exec, CacheDescribe} {
			s := newJobsSample(t)
			scope := s.scope(t)
			db, err := Open(t.Context(), Config{URL: s.AppURL, ExecMode: mode})
			require.NoError(t, err)
			system, err := Open(t.Context(), Config{URL: s.SystemURL, ExecMode: mode})
			require.NoError(t, err)
			list := NewJobs(Shared{DB: db}, nil)
			e := NewJobEngine(system, list)
			_, err = list.Enqueue(t.Context(), scope, newJob1(), newJob1(at(time.Now())), newJob1(keyed("k", jobs.UniqueForPeriod, time.Microsecond)))
			require.NoError(t, err)
			_, err = list.Enqueue(t.Context(), scope, newJob1(capped(2)))
			require.NoError(t, err)
			var handed []jobs.Ref
			undisturbed(t, func() error {
				_, err := e.Pick(t.Context(), jobs.Default, 10, tenancy.ID{}, func(refs []jobs.Ref) error { handed = refs; return nil })
				return err
			})
			assert.Len(t, handed, 4)
			claimed, locked, err := e.Claim(t.Context(), "w", append(handed, jobs.Ref{Tenant: scope.Tenant, ID: tenancy.NewID()}), lease)
			require.NoError(t, err)
			assert.Empty(t, locked)
			require.Len(t, claimed, 4)
			_, err = e.Beat(t.Context(), []jobs.Attempt{attemptOf(claimed[0])}, lease)
			require.NoError(t, err)
			require.NoError(t, e.SaveProgress(t.Context(), []jobs.AttemptProgress{{Attempt: attemptOf(claimed[0])}}))
			held, err := e.Settle(t.Context(), []jobs.Outcome{{Attempt: attemptOf(claimed[0]), State: jobs.Succeeded}, {Attempt: attemptOf(claimed[1]), State: jobs.Dead, Error: "x"}})
			require.NoError(t, err)
			assert.Equal(t, []bool{true, true}, held)
			_, _, err = e.Promote(t.Context(), 10)
			require.NoError(t, err)
			_, _, err = e.Expire(t.Context(), 10)
			require.NoError(t, err)
			_, err = e.Recall(t.Context(), "", time.Now(), handed)
			require.NoError(t, err)
			n, err := e.RetryAllDead(t.Context(), "", "", time.Now())
			require.NoError(t, err)
			assert.Equal(t, 1, n)
			_, err = list.ListJobs(t.Context(), scope, jobs.Query{})
			require.NoError(t, err)
			require.NoError(t, db.Close())
			require.NoError(t, system.Close())
		}
	})
}

func TestUnique(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	end := func(t *testing.T, job jobs.Job) {
		t.Helper()
		require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(job), State: jobs.Succeeded}))
	}
	t.Run("while pending", func(t *testing.T) {
		t.Parallel()
		scope := s.scope(t)
		fresh := func() jobs.New { return newJob1(keyed("k", jobs.UniqueWhilePending, 0)) }
		first := s.enqueue(t, scope, fresh())[0]
		done, err := s.Jobs.Enqueue(t.Context(), scope, fresh())
		require.NoError(t, err)
		assert.Equal(t, []jobs.Enqueued{{ID: first.ID, Existed: true}}, done)
		other := s.scope(t)
		assert.NotEqual(t, first.ID, s.enqueue(t, other, fresh())[0].ID, "another tenant's keys are its own")
		kind := fresh()
		kind.Kind.Name = "test.other"
		assert.NotEqual(t, first.ID, s.enqueue(t, scope, kind)[0].ID, "another kind's, too")
		job := s.claim(t, first)[0]
		second := s.enqueue(t, scope, fresh())[0]
		assert.NotEqual(t, first, second)
		end(t, job)
		assert.Equal(t, second, s.enqueue(t, scope, fresh())[0])
	})
	t.Run("while live", func(t *testing.T) {
		t.Parallel()
		scope := s.scope(t)
		fresh := func() jobs.New { return newJob1(keyed("k", jobs.UniqueWhileLive, 0)) }
		job := s.start(t, scope, keyed("k", jobs.UniqueWhileLive, 0))
		assert.Equal(t, job.ID, s.enqueue(t, scope, fresh())[0].ID)
		require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(job), State: jobs.Retrying}))
		assert.Equal(t, job.ID, s.enqueue(t, scope, fresh())[0].ID)
		job = s.claimAgain(t, attemptOf(job).Ref)
		end(t, job)
		assert.NotEqual(t, job.ID, s.enqueue(t, scope, fresh())[0].ID)
	})
	t.Run("for a period", func(t *testing.T) {
		t.Parallel()
		scope := s.scope(t)
		fresh := func() jobs.New { return newJob1(keyed("k", jobs.UniqueForPeriod, time.Hour)) }
		job := s.start(t, scope, keyed("k", jobs.UniqueForPeriod, time.Hour))
		end(t, job)
		assert.Equal(t, job.ID, s.enqueue(t, scope, fresh())[0].ID, "the key outlives its job")
		s.Exec(t, "update job_keys set expires_at = now() where tenant_id = $1", scope.Tenant.String())
		next := s.enqueue(t, scope, fresh())[0]
		assert.NotEqual(t, job.ID, next.ID)
		assert.Equal(t, next, s.enqueue(t, scope, fresh())[0])
		// A key that goes with a transaction that is rolled back is free.
		err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
			_, err := s.Jobs.Enqueue(ctx, scope, newJob1(keyed("rolled back", jobs.UniqueForPeriod, time.Hour)))
			require.NoError(t, err)
			return assert.AnError
		})
		require.ErrorIs(t, err, assert.AnError)
		done, err := s.Jobs.Enqueue(t.Context(), scope, newJob1(keyed("rolled back", jobs.UniqueForPeriod, time.Hour)))
		require.NoError(t, err)
		assert.False(t, done[0].Existed)
	})
}

// claimAgain makes a job that is to be tried again due, and claims it.
func (s *jobsSample) claimAgain(tb testing.TB, ref jobs.Ref) jobs.Job {
	tb.Helper()
	s.Exec(tb, "update jobs set state = 'dispatched', lease_until = now() where id = $1", ref.ID.String())
	return s.claim(tb, ref)[0]
}

// Many want the same few keys at once, one of them in the opposite order, which is a deadlock now and then: each key has one job, and nobody gets an error.
func TestUnique_races(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	for _, unique := range []jobs.Uniqueness{jobs.UniqueWhileLive, jobs.UniqueWhilePending, jobs.UniqueForPeriod} {
		scope := s.scope(t)
		period := time.Duration(0)
		if unique == jobs.UniqueForPeriod {
			period = time.Hour
		}
		var (
			all   sync.WaitGroup
			mu    sync.Mutex
			holds = make(map[string]map[tenancy.ID]int)
			made  int
		)
		for i := range 12 {
			all.Go(func() {
				keys := []string{"a", "b", "c"}
				if i == 0 {
					keys = []string{"c", "b", "a"}
				}
				err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
					for _, key := range keys {
						done, err := s.Jobs.Enqueue(ctx, scope, newJob1(keyed(key, unique, period)))
						if err != nil {
							return err
						}
						mu.Lock()
						if holds[key] == nil {
							holds[key] = make(map[tenancy.ID]int)
						}
						if done[0].Existed {
							holds[key][done[0].ID]++
						} else {
							made++
						}
						mu.Unlock()
					}
					return nil
				})
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.GreaterOrEqual(t, made, 3)
		for key, ids := range holds {
			assert.Len(t, ids, 1, "key %s of %d", key, unique)
		}
		assert.Equal(t, 3, value[int](t, s.Database, "select count(*) from jobs where tenant_id = $1", scope.Tenant.String()))
	}
}

// A key whose holders come and go all the time is had or told of, and never held twice.
func TestUnique_while_its_job_starts(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	scope := s.scope(t)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for range 50 {
				done, err := s.Jobs.Enqueue(t.Context(), scope, newJob1(keyed("k", jobs.UniqueWhilePending, 0)))
				if err != nil {
					t.Errorf("enqueue: %v", err)
					return
				}
				_, _, err = s.Engine.Claim(t.Context(), "w", []jobs.Ref{{Tenant: scope.Tenant, ID: done[0].ID}}, lease)
				assert.NoError(t, err)
			}
		})
	}
	all.Wait()
	assert.LessOrEqual(t, value[int](t, s.Database, "select count(*) from jobs where state = 'pending'"), 1)
}

func TestEffects(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	ref := jobs.Ref{Tenant: s.TenantID(t), ID: tenancy.NewID()}
	for _, step := range []string{"charge", "\x00\xff" + strings.Repeat("s", 4000)} {
		_, found, err := s.Jobs.FindEffect(t.Context(), ref, step)
		require.NoError(t, err)
		assert.False(t, found)
		require.NoError(t, s.Jobs.RecordEffect(t.Context(), ref, step, json.RawMessage(`{"id":"\u0000"}`)))
		require.NoError(t, s.Jobs.RecordEffect(t.Context(), ref, step, json.RawMessage(`"second"`)))
		outcome, found, err := s.Jobs.FindEffect(t.Context(), ref, step)
		require.NoError(t, err)
		assert.True(t, found)
		assert.JSONEq(t, `{"id":"\u0000"}`, string(outcome))
		_, found, err = s.Jobs.FindEffect(t.Context(), jobs.Ref{Tenant: s.TenantID(t), ID: ref.ID}, step)
		require.NoError(t, err)
		assert.False(t, found, "another tenant's")
	}
}
