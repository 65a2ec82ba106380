package limits_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/limits/limitstest"
)

func openLocal(tb testing.TB, clock *limitstest.Clock, maxKeys int) *limits.Local {
	tb.Helper()
	local, err := limits.NewLocal(limits.LocalConfig{Clock: clock.Now, MaxKeys: maxKeys})
	require.NoError(tb, err)
	return local
}

func TestLocal(t *testing.T) {
	t.Parallel()
	t.Run("conforms", func(t *testing.T) {
		t.Parallel()
		limitstest.Run(t, func(tb testing.TB, clock *limitstest.Clock) limitstest.Subject {
			tb.Helper()
			return openLocal(tb, clock, 0)
		})
	})
	t.Run("needs_a_clock", func(t *testing.T) {
		t.Parallel()
		_, err := limits.NewLocal(limits.LocalConfig{})
		require.ErrorContains(t, err, "clock")
	})
	t.Run("remembers_a_bounded_number_of_keys", func(t *testing.T) {
		t.Parallel()
		local := openLocal(t, limitstest.NewClock(), 1_000)
		for n := range 20_000 {
			takeLocal(t, local, fmt.Sprint("unknown ", n), limits.Rate{Limit: 5, Per: time.Minute})
		}
		assert.LessOrEqual(t, local.Keys(), 1_000)
		assert.Greater(t, local.Keys(), 500)
	})
	t.Run("forgets_those_first_whose_use_is_soon_back", func(t *testing.T) {
		t.Parallel()
		local := openLocal(t, limitstest.NewClock(), 6_400)
		heavy := limits.Rate{Limit: 1, Per: 24 * time.Hour}
		for n := range 50 {
			require.True(t, takeLocal(t, local, fmt.Sprint("heavy ", n), heavy).Allowed)
		}
		for n := range 20_000 {
			takeLocal(t, local, fmt.Sprint("unknown ", n), limits.Rate{Limit: 5, Per: time.Minute})
		}
		for n := range 50 {
			assert.False(t, takeLocal(t, local, fmt.Sprint("heavy ", n), heavy).Allowed)
		}
	})
	t.Run("drops_keys_that_say_nothing_any_more", func(t *testing.T) {
		t.Parallel()
		clock := limitstest.NewClock()
		local := openLocal(t, clock, 100_000)
		for n := range 20_000 {
			takeLocal(t, local, fmt.Sprint("key ", n), limits.Rate{Limit: 60, Per: time.Minute})
			clock.Advance(10 * time.Millisecond) // a hundred keys are in use at any time
		}
		assert.Less(t, local.Keys(), 2_000)
	})
	t.Run("refuses_nothing_for_want_of_room", func(t *testing.T) {
		t.Parallel()
		local := openLocal(t, limitstest.NewClock(), 1)
		for n := range 1_000 {
			require.True(t, takeLocal(t, local, fmt.Sprint(n), limits.Rate{Limit: 1, Per: time.Hour}).Allowed)
		}
	})
}

func takeLocal(tb testing.TB, local *limits.Local, key string, rate limits.Rate) limits.Verdict {
	tb.Helper()
	verdicts, err := local.Take(tb.Context(), limits.Take{Name: "test", Key: key, Rate: rate})
	require.NoError(tb, err)
	return verdicts[0]
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	t.Run("finds_none_where_all_are_allowed", func(t *testing.T) {
		t.Parallel()
		_, refused := limits.Refusal([]limits.Verdict{{Allowed: true}, {Allowed: true}})
		assert.False(t, refused)
		_, refused = limits.Refusal(nil)
		assert.False(t, refused)
	})
	t.Run("returns_the_longest_wait", func(t *testing.T) {
		t.Parallel()
		worst, refused := limits.Refusal([]limits.Verdict{
			{Name: "a", RetryAfter: time.Second},
			{Name: "b", RetryAfter: time.Minute},
			{Name: "c", Allowed: true},
			{Name: "d", RetryAfter: 2 * time.Second},
		})
		assert.True(t, refused)
		assert.Equal(t, "b", worst.Name)
	})
}

func BenchmarkLocal(b *testing.B) {
	rate := limits.Rate{Limit: limits.MaxLimit, Per: time.Second}
	local := openLocal(b, limitstest.NewClock(), 0)
	takes := []limits.Take{
		{Name: "tenant", Key: "0198c0de-0000-7000-8000-000000000001", Rate: rate},
		{Name: "key", Key: "0198c0de-0000-7000-8000-000000000002", Rate: rate},
		{Name: "address", Key: "192.0.2.1", Rate: rate},
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := local.Take(b.Context(), takes...); err != nil {
				b.Error(err)
			}
		}
	})
}
