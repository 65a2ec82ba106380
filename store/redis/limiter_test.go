package redis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/limits/limitstest"
	"github.com/groundwork-saas/groundwork/store/redis"
)

func TestLimiter(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		t.Helper()
		t.Run("conforms", func(t *testing.T) {
			t.Parallel()
			limitstest.Run(t, func(tb testing.TB, clock *limitstest.Clock) limitstest.Subject {
				tb.Helper()
				return named{limiterOn(tb, url, clock.Now), tb.Name()}
			})
		})
		t.Run("decides_as_the_one_in_the_process_does", func(t *testing.T) {
			t.Parallel()
			decidesAlike(t, url)
		})
		t.Run("goes_by_the_servers_own_clock", func(t *testing.T) {
			t.Parallel()
			limiter := named{limiterOn(t, url, nil), t.Name()}
			take := limits.Take{Name: "clock", Key: "k", Rate: limits.Rate{Limit: 2, Per: time.Hour}}
			first, err := limiter.Take(t.Context(), take)
			require.NoError(t, err)
			assert.Equal(t, 30*time.Minute, first[0].ResetAfter)
			_, err = limiter.Take(t.Context(), take)
			require.NoError(t, err)
			refused, err := limiter.Take(t.Context(), take)
			require.NoError(t, err)
			assert.False(t, refused[0].Allowed)
			assert.Positive(t, refused[0].RetryAfter)
			assert.LessOrEqual(t, refused[0].RetryAfter, 30*time.Minute)
		})
		t.Run("gives_uses_back_by_the_servers_own_clock", func(t *testing.T) {
			t.Parallel()
			limiter := named{limiterOn(t, url, nil), t.Name()}
			take := limits.Take{Name: "clock", Key: "k", Rate: limits.Rate{Limit: 1, Per: 20 * time.Millisecond}}
			// A slow machine may be given back what it used before it asks again: it asks until it was refused, too.
			allowed, refused := 0, 0
			for began := time.Now(); allowed < 3 || refused == 0; {
				verdicts, err := limiter.Take(t.Context(), take)
				require.NoError(t, err)
				if verdicts[0].Allowed {
					allowed++
				} else {
					refused++
				}
				require.Less(t, time.Since(began), patience, "%d were allowed, %d refused", allowed, refused)
			}
		})
	})
	t.Run("keeps_nothing_longer_than_it_matters", func(t *testing.T) {
		t.Parallel()
		client := open(t, redis.Config{URL: startServer(t).URL})
		limiter := redis.NewLimiter(redis.LimiterConfig{Client: client})
		rate := limits.Rate{Limit: 60, Per: time.Hour} // one comes back each minute
		for range 5 {
			_, err := limiter.Take(t.Context(), limits.Take{Name: "a", Key: "k", Rate: rate})
			require.NoError(t, err)
		}
		keys := keysOf(t, client)
		require.Len(t, keys, 1)
		ttl, err := redigo.Int64(client.Do(t.Context(), "PTTL", keys[0]))
		require.NoError(t, err)
		assert.Greater(t, ttl, (4 * time.Minute).Milliseconds())
		assert.LessOrEqual(t, ttl, (5*time.Minute + time.Second).Milliseconds(), "five minutes until all is back, and a second more")

		_, err = limiter.Peek(t.Context(), limits.Take{Name: "peeked", Key: "k", Rate: rate})
		require.NoError(t, err)
		assert.Len(t, keysOf(t, client), 1, "to look leaves nothing behind")
	})
	t.Run("shows_no_text_of_users_in_its_keys", func(t *testing.T) {
		t.Parallel()
		client := open(t, redis.Config{URL: "redis://" + startMini(t).Addr()})
		limiter := redis.NewLimiter(redis.LimiterConfig{Client: client})
		id := "0198c0de-0000-7000-8000-000000000001"
		for _, key := range []string{id, "ann@example.com", "192.0.2.77", strings.Repeat("x", 100_000)} {
			_, err := limiter.Take(t.Context(), limits.Take{Name: "n", Key: key, Rate: limits.Rate{Limit: 1, Per: time.Hour}})
			require.NoError(t, err)
		}
		keys := keysOf(t, client)
		require.Len(t, keys, 4)
		assert.Contains(t, keys, "gw:limit:n:"+id)
		for _, key := range keys {
			assert.Regexp(t, `^gw:limit:n:[0-9a-f-]{32,36}$`, key)
		}
	})
	t.Run("survives_a_server_that_forgot_its_scripts", func(t *testing.T) {
		t.Parallel()
		onBoth(t, func(t *testing.T, url string) {
			t.Helper()
			client := open(t, redis.Config{URL: url})
			limiter := redis.NewLimiter(redis.LimiterConfig{Client: client})
			take := limits.Take{Name: "n", Key: "k", Rate: limits.Rate{Limit: 10, Per: time.Hour}}
			for want := int64(9); want >= 5; want-- {
				verdicts, err := limiter.Take(t.Context(), take)
				require.NoError(t, err)
				assert.Equal(t, want, verdicts[0].Remaining)
				command(t, client, "SCRIPT", "FLUSH")
			}
			command(t, client, "FLUSHALL")
			verdicts, err := limiter.Take(t.Context(), take)
			require.NoError(t, err)
			assert.Equal(t, int64(9), verdicts[0].Remaining)
		})
	})
	t.Run("starts_anew_on_a_key_that_it_cannot_read", func(t *testing.T) {
		t.Parallel()
		client := open(t, redis.Config{URL: startServer(t).URL})
		limiter := redis.NewLimiter(redis.LimiterConfig{Client: client})
		id := "0198c0de-0000-7000-8000-000000000001"
		for _, rubbish := range []string{"", "rubbish", "1 2 3", "x 5", "5 x"} {
			command(t, client, "SET", "gw:limit:n:"+id, rubbish)
			verdicts, err := limiter.Take(t.Context(), limits.Take{Name: "n", Key: id, Rate: limits.Rate{Limit: 3, Per: time.Hour}})
			require.NoError(t, err)
			assert.Equal(t, int64(2), verdicts[0].Remaining, "%q", rubbish)
		}
	})
	t.Run("says_that_redis_is_away", func(t *testing.T) {
		t.Parallel()
		limiter := redis.NewLimiter(redis.LimiterConfig{Client: open(t, redis.Config{URL: "unix:///nowhere.sock"})})
		_, err := limiter.Take(t.Context(), limits.Take{Name: "n", Key: "k", Rate: limits.Rate{Limit: 1, Per: time.Hour}})
		require.ErrorContains(t, err, "ask redis for limits")
	})
}

func limiterOn(tb testing.TB, url string, clock func() time.Time) *redis.Limiter {
	tb.Helper()
	return redis.NewLimiter(redis.LimiterConfig{Client: open(tb, redis.Config{URL: url}), Clock: clock})
}

// decidesAlike asks the limiter in Redis and the one in the process the same thousand things.
func decidesAlike(t *testing.T, url string) {
	t.Helper()
	clock := limitstest.NewClock()
	shared := named{limiterOn(t, url, clock.Now), t.Name()}
	local, err := limits.NewLocal(limits.LocalConfig{Clock: clock.Now})
	require.NoError(t, err)
	alike := named{local, t.Name()}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	rates := []limits.Rate{
		{},
		{Limit: 1, Per: time.Second},
		{Limit: 7, Per: time.Second},
		{Limit: 600, Per: time.Minute},
		{Limit: 3, Per: 24 * time.Hour},
		{Limit: limits.MaxLimit, Per: limits.MinPer},
		{Limit: 999_999_937, Per: 31 * time.Hour},
		{Limit: 1, Per: limits.MaxPer},
	}
	for range 1_000 {
		takes := make([]limits.Take, chance.IntN(5))
		for i := range takes {
			n := chance.IntN(2 * len(rates)) // a key keeps its rate: when it may be forgotten depends on the last one
			rate := rates[n/2]
			takes[i] = limits.Take{Name: "alike", Key: fmt.Sprint(n), Rate: rate, Cost: chance.Int64N(4)}
			if chance.IntN(4) == 0 {
				takes[i].Cost = chance.Int64N(rate.Limit + 2)
			}
		}
		do := redis.Engine.Take
		if chance.IntN(5) == 0 {
			do = redis.Engine.Peek
		}
		want, err := do(alike, t.Context(), takes...)
		require.NoError(t, err)
		got, err := do(shared, t.Context(), takes...)
		require.NoError(t, err)
		require.Equal(t, want, got, "%+v", takes)
		clock.Advance(time.Duration(chance.Int64N(int64(time.Second))))
	}
}

// named keeps the keys of tests that share a server apart.
type named struct {
	redis.Engine
	test string
}

func (n named) own(takes []limits.Take) []limits.Take {
	own := make([]limits.Take, len(takes))
	for i, t := range takes {
		t.Key = n.test + "\x00" + t.Key
		own[i] = t
	}
	return own
}

// Take spends on the test's own keys.
func (n named) Take(ctx context.Context, takes ...limits.Take) ([]limits.Verdict, error) {
	return n.Engine.Take(ctx, n.own(takes)...)
}

// Peek looks at the test's own keys.
func (n named) Peek(ctx context.Context, takes ...limits.Take) ([]limits.Verdict, error) {
	return n.Engine.Peek(ctx, n.own(takes)...)
}

// Reset forgets the test's own keys.
func (n named) Reset(ctx context.Context, takes ...limits.Take) error {
	return n.Engine.Reset(ctx, n.own(takes)...)
}

func BenchmarkTake(b *testing.B) {
	clients := map[string]func(testing.TB) string{
		"redis-server": func(tb testing.TB) string { tb.Helper(); return startServer(tb).URL },
		"miniredis":    func(tb testing.TB) string { tb.Helper(); return "redis://" + startMini(tb).Addr() },
	}
	rate := limits.Rate{Limit: limits.MaxLimit, Per: time.Second}
	takes := []limits.Take{
		{Name: "tenant", Key: "0198c0de-0000-7000-8000-000000000001", Rate: rate},
		{Name: "key", Key: "0198c0de-0000-7000-8000-000000000002", Rate: rate},
		{Name: "address", Key: "192.0.2.1", Rate: rate},
	}
	for name, start := range clients {
		b.Run(name+"/three_keys", func(b *testing.B) {
			limiter := failoverOn(b, start(b), nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := limiter.Take(b.Context(), takes...); err != nil {
					b.Fatal(err)
				}
			}
			require.Zero(b, limiter.AnsweredLocally())
		})
		b.Run(name+"/three_keys_in_parallel", func(b *testing.B) {
			limiter := failoverOn(b, start(b), nil)
			b.ReportAllocs()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := limiter.Take(b.Context(), takes...); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
