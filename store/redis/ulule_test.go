package redis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/ulule/limiter/v3"

	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/limits/limitstest"
	"github.com/groundwork-saas/groundwork/store/redis"
)

func TestStore(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		t.Helper()
		clock := limitstest.NewClock()
		store := redis.NewStore(redis.StoreConfig{Engine: limiterOn(t, url, clock.Now), Name: "ulule", Clock: clock.Now})
		rate, err := limiter.NewRateFromFormatted("3-M")
		require.NoError(t, err)
		noon := clock.Now().Unix()

		t.Run("serves_the_library", func(t *testing.T) {
			t.Parallel()
			ask := limiter.New(store, rate)
			for n := range int64(3) {
				got, err := ask.Get(t.Context(), "a")
				require.NoError(t, err)
				assert.Equal(t, limiter.Context{Limit: 3, Remaining: 2 - n, Reset: noon + 20*(n+1)}, got)
			}
			full := limiter.Context{Limit: 3, Reset: noon + 60, Reached: true}
			got, err := ask.Get(t.Context(), "a")
			require.NoError(t, err)
			assert.Equal(t, full, got)
			got, err = ask.Peek(t.Context(), "a")
			require.NoError(t, err)
			assert.Equal(t, full, got)
			got, err = ask.Reset(t.Context(), "a")
			require.NoError(t, err)
			assert.Equal(t, limiter.Context{Limit: 3, Remaining: 3, Reset: noon}, got)
			got, err = ask.Increment(t.Context(), "a", 2)
			require.NoError(t, err)
			assert.Equal(t, limiter.Context{Limit: 3, Remaining: 1, Reset: noon + 40}, got)
			got, err = ask.Increment(t.Context(), "a", 2)
			require.NoError(t, err)
			assert.Equal(t, limiter.Context{Limit: 3, Remaining: 1, Reset: noon + 40, Reached: true}, got)
			got, err = ask.Increment(t.Context(), "a", 0)
			require.NoError(t, err)
			assert.Equal(t, int64(1), got.Remaining)
			_, err = ask.Increment(t.Context(), "a", -1)
			require.ErrorIs(t, err, limits.ErrTake)
		})
		t.Run("takes_several_keys_or_none", func(t *testing.T) {
			t.Parallel()
			spends := []redis.Spend{{Key: "b", Rate: rate}, {Key: "c", Rate: rate, Count: 3}}
			got, err := store.Take(t.Context(), spends...)
			require.NoError(t, err)
			assert.Equal(t, []limiter.Context{
				{Limit: 3, Remaining: 2, Reset: noon + 20}, {Limit: 3, Remaining: 0, Reset: noon + 60},
			}, got)
			got, err = store.Take(t.Context(), spends...)
			require.NoError(t, err)
			assert.Equal(t, []limiter.Context{
				{Limit: 3, Remaining: 2, Reset: noon + 20}, {Limit: 3, Remaining: 0, Reset: noon + 60, Reached: true},
			}, got)
		})
	})
	t.Run("translates_rates", func(t *testing.T) {
		t.Parallel()
		want := limiter.Rate{Formatted: "600/1m", Limit: 600, Period: time.Minute}
		assert.Equal(t, want, redis.RateOf(limits.Rate{Limit: 600, Per: time.Minute}))
	})
}
