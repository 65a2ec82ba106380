package redis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gocraft/work"
	redigo "github.com/gomodule/redigo/redis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/store/redis"
)

// fetching is a pool of the library's that fetches, and what it fetched.
type fetching struct {
	*redis.Fetch

	library *work.WorkerPool
	got     chan string
	changes chan change
}

func startFetching(tb testing.TB, url string, workers int) *fetching {
	tb.Helper()
	f := &fetching{got: make(chan string, 10_000), changes: make(chan change, 100)}
	f.Fetch = redis.NewFetch(redis.FetchConfig{
		Client: open(tb, redis.Config{URL: url, ClientName: "fetching"}), Bells: bells(tb, url), Queue: jobs.Default, Workers: workers,
		OnChange: func(healthy bool, cause error) { f.changes <- change{healthy, cause} },
	})
	f.library = work.NewWorkerPool(struct{}{}, uint(workers), redis.Namespace(jobs.Default), f.Pool())
	f.library.JobWithOptions(redis.JobName, work.JobOptions{MaxFails: 1, SkipDead: true}, func(job *work.Job) error {
		f.got <- job.ArgString("ref")
		return nil
	})
	f.library.Start()
	tb.Cleanup(f.stop)
	return f
}

func (f *fetching) stop() {
	f.Halt()
	f.library.Stop()
}

func (f *fetching) next(tb testing.TB) string {
	tb.Helper()
	select {
	case ref := <-f.got:
		return ref
	case <-time.After(patience):
		require.Fail(tb, "nothing was fetched")
		return ""
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		t.Helper()
		t.Run("takes_each_job_once_and_cleans_up", func(t *testing.T) {
			t.Parallel()
			client := open(t, redis.Config{URL: url})
			buffer := redis.NewJobs(client, time.Now)
			f := startFetching(t, url, 10)
			want := map[string]bool{}
			var batch []jobs.Ref
			for _, ref := range refs(500) {
				want[ref.String()] = true
				batch = append(batch, ref)
			}
			require.NoError(t, buffer.Push(t.Context(), jobs.Default, batch))
			for len(want) > 0 {
				ref := f.next(t)
				assert.True(t, want[ref], "once")
				delete(want, ref)
			}
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				list, err := buffer.Look(t.Context(), jobs.Default)
				require.NoError(c, err)
				assert.Equal(c, 10, list.Slots)
				assert.Zero(c, list.Running)
			}, patience, 10*time.Millisecond)

			var took []time.Duration
			for range 100 {
				begun := time.Now()
				require.NoError(t, buffer.Push(t.Context(), jobs.Default, refs(1)))
				f.next(t)
				took = append(took, time.Since(begun))
			}
			t.Logf("picked up by an idle worker: %s", spread(took))

			begun := time.Now()
			f.Halt()
			f.library.Stop()
			t.Logf("stopped in %s", time.Since(begun))
			list, err := buffer.Look(t.Context(), jobs.Default)
			require.NoError(t, err)
			assert.Zero(t, list.Slots, "who has stopped counts no more")
			require.NoError(t, buffer.Push(t.Context(), jobs.Default, batch[:1]))
			_, err = redigo.Values(f.Pool().Get().Do("EVALSHA", "hash", 6, "list", "x:inprogress", "x:paused", "l", "i", "c", "pool"))
			require.ErrorIs(t, err, redigo.ErrNil, "nobody is given a job any more")
		})
	})
	t.Run("does_the_librarys_housekeeping_itself", func(t *testing.T) {
		t.Parallel()
		mini := startMini(t)
		client := open(t, redis.Config{URL: "redis://" + mini.Addr()})
		f := redis.NewFetch(redis.FetchConfig{Client: client, Bells: bells(t, "redis://"+mini.Addr()), Queue: jobs.Default, Workers: 1})
		defer f.Halt()
		ns := redis.Namespace(jobs.Default)
		command(t, client, "SADD", ns+":worker_pools", "dead")
		conn := f.Pool().Get()
		pools, err := redigo.Strings(conn.Do("SMEMBERS", ns+":worker_pools"))
		require.NoError(t, err)
		assert.Empty(t, pools, "it rescues nobody")
		_, err = redigo.String(conn.Do("EVALSHA", "hash", 3, ns+":retry", ns+":dead", ns+":jobs:run", ns+":jobs:", 1))
		require.ErrorIs(t, err, redigo.ErrNil, "it retries nothing")
		last, err := redigo.Int64(conn.Do("GET", ns+":last_periodic_enqueue"))
		require.NoError(t, err)
		assert.Greater(t, last, time.Now().Unix(), "it enqueues nothing")
		require.NoError(t, conn.Send("HMSET", ns+":worker:1", "job_name", "run"))
		require.NoError(t, conn.Send("HMSET", ns+":worker_pools:p", "concurrency", "1"))
		require.NoError(t, conn.Flush())
		assert.False(t, mini.Exists(ns+":worker:1"))
		assert.Equal(t, 15*time.Second, mini.TTL(ns+":worker_pools:p"), "a heartbeat ends by itself")
		require.NoError(t, conn.Close())
	})
	t.Run("waits_for_a_redis_that_is_away_and_holds_no_connections", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		buffer := redis.NewJobs(open(t, redis.Config{URL: s.URL}), time.Now)
		f := startFetching(t, s.URL, 20)
		require.NoError(t, buffer.Push(t.Context(), jobs.Default, refs(1)))
		f.next(t)
		s.kill(t)
		away := next(t, f.changes)
		assert.False(t, away.healthy)
		require.Error(t, away.cause)
		s.start(t)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			assert.NoError(c, buffer.Push(t.Context(), jobs.Default, refs(1)))
		}, patience, 10*time.Millisecond)
		f.next(t)
		assert.True(t, next(t, f.changes).healthy)
		s.kill(t)
		begun := time.Now()
		f.stop()
		assert.Less(t, time.Since(begun), patience, "it stops without Redis")
	})
	t.Run("a_paused_queue_is_left_alone", func(t *testing.T) {
		t.Parallel()
		url := startServer(t).URL
		client := open(t, redis.Config{URL: url})
		buffer := redis.NewJobs(client, time.Now)
		require.NoError(t, buffer.Pause(t.Context(), jobs.Default, true))
		f := startFetching(t, url, 2)
		want := refs(1)
		require.NoError(t, buffer.Push(t.Context(), jobs.Default, want))
		require.EventuallyWithT(t, func(c *assert.CollectT) { // all workers have asked since
			stats, err := redigo.String(client.Do(t.Context(), "INFO", "commandstats"))
			require.NoError(c, err)
			var calls int
			_, err = fmt.Sscanf(after(stats, "cmdstat_evalsha:"), "calls=%d", &calls)
			require.NoError(c, err)
			assert.Greater(c, calls, 4)
		}, patience, 10*time.Millisecond)
		assert.Empty(t, f.got)
		require.NoError(t, buffer.Pause(t.Context(), jobs.Default, false))
		assert.Equal(t, want[0].String(), f.next(t))
	})
}
