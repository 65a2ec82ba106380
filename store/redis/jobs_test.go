package redis_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocraft/work"
	redigo "github.com/gomodule/redigo/redis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/redis"
)

// refs are names of as many jobs.
func refs(n int) []jobs.Ref {
	all := make([]jobs.Ref, n)
	for i := range all {
		all[i] = jobs.Ref{Tenant: tenancy.NewID(), ID: tenancy.NewID()}
	}
	return all
}

func TestJobs(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		t.Helper()
		client := open(t, redis.Config{URL: url})
		buffer := redis.NewJobs(client, time.Now)

		t.Run("hands_over_in_the_librarys_form", func(t *testing.T) {
			t.Parallel()
			want := refs(3)
			require.NoError(t, buffer.Push(t.Context(), jobs.Default, want[:1]))
			require.NoError(t, buffer.Push(t.Context(), jobs.Default, want[1:]))
			require.NoError(t, buffer.Push(t.Context(), jobs.Default, nil))
			command(t, client, "LPUSH", "{jobs:default}:jobs:run", "not one of ours", `{"args": {"ref": "nor this"}}`)

			waiting, err := buffer.Waiting(t.Context(), jobs.Default)
			require.NoError(t, err)
			assert.ElementsMatch(t, want, waiting)
			list, err := buffer.Look(t.Context(), jobs.Default)
			require.NoError(t, err)
			assert.Equal(t, jobs.List{Waiting: 5, Pushed: int64(len(want))}, list, "no worker is there")

			raw, err := redigo.Bytes(client.Do(t.Context(), "RPOP", "{jobs:default}:jobs:run"))
			require.NoError(t, err)
			var first work.Job
			require.NoError(t, json.Unmarshal(raw, &first))
			assert.Equal(t, "run", first.Name)
			assert.Equal(t, want[0].ID.String(), first.ID)
			assert.Equal(t, want[0].String(), first.ArgString("ref"), "the first one is taken first")
			require.NoError(t, first.ArgError())
			assert.InDelta(t, time.Now().Unix(), first.EnqueuedAt, 60)
		})
		t.Run("sweeps_what_dead_workers_left", func(t *testing.T) {
			t.Parallel()
			ns := redis.Namespace(jobs.Reports)
			command(t, client, "SADD", ns+":worker_pools", "alive", "dead")
			command(t, client, "HSET", ns+":worker_pools:alive", "concurrency", 2)
			for _, pool := range []string{"alive", "dead", "forgotten"} {
				command(t, client, "LPUSH", ns+":jobs:run:"+pool+":inprogress", "1", "2", "3")
				command(t, client, "HINCRBY", ns+":jobs:run:lock_info", pool, 7)
			}
			command(t, client, "SET", ns+":jobs:run:lock", "-4")

			list, err := buffer.Look(t.Context(), jobs.Reports)
			require.NoError(t, err)
			assert.Equal(t, 2, list.Slots, "the dead have none")
			removed, err := buffer.Sweep(t.Context(), jobs.Reports)
			require.NoError(t, err)
			assert.Equal(t, 7, removed, "all of two, and one of what cannot be under way in two slots")
			removed, err = buffer.Sweep(t.Context(), jobs.Reports)
			require.NoError(t, err)
			assert.Zero(t, removed)

			left, err := redigo.Strings(client.Do(t.Context(), "LRANGE", ns+":jobs:run:alive:inprogress", 0, -1))
			require.NoError(t, err)
			assert.Equal(t, []string{"3", "2"}, left, "the newest stay")
			pools, err := redigo.Strings(client.Do(t.Context(), "SMEMBERS", ns+":worker_pools"))
			require.NoError(t, err)
			assert.Equal(t, []string{"alive"}, pools)
			locks, err := redigo.IntMap(client.Do(t.Context(), "HGETALL", ns+":jobs:run:lock_info"))
			require.NoError(t, err)
			assert.Equal(t, map[string]int{"alive": 2}, locks)
			lock, err := redigo.Int(client.Do(t.Context(), "GET", ns+":jobs:run:lock"))
			require.NoError(t, err)
			assert.Equal(t, 2, lock)
			for _, key := range keysOf(t, client) {
				assert.False(t, strings.HasPrefix(key, ns) && (strings.Contains(key, "dead") || strings.Contains(key, "forgotten")), key)
			}
		})
		t.Run("has_one_epoch_until_all_is_lost", func(t *testing.T) {
			t.Parallel()
			// Wiping would disturb the others: the key alone goes.
			began := time.Date(2026, 1, 2, 3, 4, 5, 6_000, time.UTC)
			first, err := buffer.Epoch(t.Context(), began)
			require.NoError(t, err)
			assert.Equal(t, began, first.Since)
			again, err := buffer.Epoch(t.Context(), began.Add(time.Hour))
			require.NoError(t, err)
			assert.Equal(t, first, again)

			command(t, client, "DEL", "{jobs}:epoch")
			var asking sync.WaitGroup
			seen := make([]jobs.Epoch, 8)
			for i := range seen {
				asking.Go(func() {
					var err error
					seen[i], err = redis.NewJobs(client, time.Now).Epoch(t.Context(), began.Add(time.Duration(i)*time.Minute))
					assert.NoError(t, err)
				})
			}
			asking.Wait()
			assert.NotEqual(t, first.Name, seen[0].Name)
			for _, epoch := range seen {
				assert.Equal(t, seen[0], epoch, "all agree")
			}
		})
	})
	t.Run("a_restart_with_the_old_data_is_a_new_epoch", func(t *testing.T) {
		t.Parallel()
		s := startServerIn(t, t.TempDir())
		buffer := redis.NewJobs(open(t, redis.Config{URL: s.URL}), time.Now)
		before, err := buffer.Epoch(t.Context(), time.Now())
		require.NoError(t, err)
		require.NoError(t, buffer.Push(t.Context(), jobs.Default, refs(1)))
		require.NoError(t, s.running.Stop(t.Context()))
		_, err = buffer.Epoch(t.Context(), time.Now())
		require.Error(t, err, "a Redis that is away has no epoch")
		s.start(t)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			waiting, err := buffer.Waiting(t.Context(), jobs.Default)
			require.NoError(c, err)
			assert.Len(c, waiting, 1, "the data is there")
		}, patience, 10*time.Millisecond)
		after, err := buffer.Epoch(t.Context(), time.Now())
		require.NoError(t, err)
		assert.NotEqual(t, before.Name, after.Name)
	})
}
