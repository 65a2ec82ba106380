// Package limitstest proves that a limiter limits: one suite for every implementation of limits.Limiter.
//
// Tests of limiters call Run with a way to make one on a Clock; tests of those who use limiters may take the Clock
// alone. It is never part of a program.
package limitstest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/limits"
)

// Clock is a clock that a test moves.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at noon of a day in 2026.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, time.March, 14, 12, 0, 0, 0, time.UTC)}
}

// Now returns what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock, back where d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Subject is a limiter under test, as far as the suite asks for it.
type Subject interface {
	limits.Limiter
	Peek(ctx context.Context, takes ...limits.Take) ([]limits.Verdict, error)
	Reset(ctx context.Context, takes ...limits.Take) error
}

// Run runs the suite. Each call of open returns a limiter in which nothing is spent, on the given clock.
func Run(t *testing.T, open func(tb testing.TB, clock *Clock) Subject) {
	t.Helper()
	cases := map[string]func(*testing.T, *bench){
		"allows_exactly_the_burst":                        allowsExactlyTheBurst,
		"gives_uses_back_one_by_one":                      givesUsesBackOneByOne,
		"says_when_to_retry_to_the_microsecond":           saysWhenToRetry,
		"has_no_double_burst_at_a_windows_edge":           hasNoDoubleBurst,
		"never_saves_up_more_than_the_limit":              neverSavesUp,
		"keeps_keys_and_names_apart":                      keepsKeysApart,
		"finds_used_keys_among_unused_ones":               findsUsedAmongUnused,
		"spends_none_where_one_refuses":                   spendsNoneWhereOneRefuses,
		"counts_a_key_that_is_named_twice_twice":          countsTwice,
		"spends_costs_above_one":                          spendsCosts,
		"peeks_without_spending":                          peeks,
		"resets":                                          resets,
		"passes_what_is_off":                              passesWhatIsOff,
		"refuses_takes_that_make_no_sense":                refusesNonsense,
		"obeys_a_context_that_ended":                      obeysTheContext,
		"takes_any_text_for_a_key":                        takesAnyText,
		"serves_huge_and_tiny_rates":                      servesHugeAndTinyRates,
		"stays_exact_where_the_period_does_not_divide":    staysExact,
		"holds_no_more_than_a_limit_that_was_lowered":     holdsALoweredLimit,
		"adds_nothing_to_a_key_refused_twice_in_the_past": addsNothingInThePast,
		"survives_a_clock_that_goes_back":                 survivesAClockThatGoesBack,
		"allows_exactly_the_limit_to_many_at_once":        allowsExactlyToMany,
		"spends_several_keys_in_any_order_without_jams":   spendsInAnyOrder,
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			run(t, &bench{T: t, clock: clock, Subject: open(t, clock)})
		})
	}
}

// bench is a limiter on its test's table.
type bench struct {
	*testing.T
	Subject
	clock *Clock
}

func (b *bench) take(takes ...limits.Take) []limits.Verdict {
	b.Helper()
	verdicts, err := b.Take(b.Context(), takes...)
	require.NoError(b, err)
	require.Len(b, verdicts, len(takes))
	return verdicts
}

// one spends one take and returns its verdict.
func (b *bench) one(key string, rate limits.Rate) limits.Verdict {
	b.Helper()
	return b.take(on(key, rate))[0]
}

// burst spends until a refusal and returns how many were allowed; it gives up above most.
func (b *bench) burst(key string, rate limits.Rate, most int) int {
	b.Helper()
	for n := range most + 1 {
		if !b.one(key, rate).Allowed {
			return n
		}
	}
	require.Failf(b, "no refusal", "after %d uses of %s", most+1, rate)
	return most
}

func on(key string, rate limits.Rate) limits.Take {
	return limits.Take{Name: "test", Key: key, Rate: rate}
}

func per(limit int64, d time.Duration) limits.Rate { return limits.Rate{Limit: limit, Per: d} }

func allowsExactlyTheBurst(t *testing.T, b *bench) {
	t.Helper()
	rate := per(5, time.Minute)
	for n := range int64(5) {
		want := limits.Verdict{
			Name: "test", Limit: 5, Per: time.Minute, Allowed: true,
			Remaining: 4 - n, ResetAfter: time.Duration(n+1) * 12 * time.Second,
		}
		assert.Equal(t, want, b.one("k", rate))
	}
	want := limits.Verdict{
		Name: "test", Limit: 5, Per: time.Minute,
		ResetAfter: time.Minute, RetryAfter: 12 * time.Second,
	}
	assert.Equal(t, want, b.one("k", rate))
	assert.Equal(t, want, b.one("k", rate), "a refusal costs nothing")
}

func givesUsesBackOneByOne(t *testing.T, b *bench) {
	t.Helper()
	rate := per(600, time.Minute)
	assert.Equal(t, 600, b.burst("k", rate, 600))
	for range 50 {
		b.clock.Advance(100 * time.Millisecond)
		assert.Equal(t, 1, b.burst("k", rate, 1))
	}
	b.clock.Advance(time.Second)
	assert.Equal(t, 10, b.burst("k", rate, 10))
	b.clock.Advance(time.Minute)
	assert.Equal(t, 600, b.burst("k", rate, 600))
}

func saysWhenToRetry(t *testing.T, b *bench) {
	t.Helper()
	rate := per(7, time.Minute)
	assert.Equal(t, 7, b.burst("k", rate, 7))
	b.clock.Advance(3 * time.Second)
	refused := b.one("k", rate)
	require.False(t, refused.Allowed)
	require.Greater(t, refused.RetryAfter, 5*time.Second)

	b.clock.Advance(refused.RetryAfter - 10*time.Microsecond) // the millionth of a use is 8.6 µs here
	require.False(t, b.one("k", rate).Allowed, "too early")
	b.clock.Advance(10 * time.Microsecond)
	last := b.one("k", rate)
	require.True(t, last.Allowed, "as told")

	b.clock.Advance(last.ResetAfter)
	assert.Equal(t, 7, b.burst("k", rate, 7), "all is there again after ResetAfter")
}

func hasNoDoubleBurst(t *testing.T, b *bench) {
	t.Helper()
	rate := per(60, time.Minute)
	b.clock.Advance(59*time.Second + 999*time.Millisecond) // just before a minute of the clock ends
	assert.Equal(t, 60, b.burst("k", rate, 60))
	b.clock.Advance(2 * time.Millisecond)
	assert.Equal(t, 0, b.burst("k", rate, 60), "a new minute of the clock gives nothing")

	// Whatever the minute that is looked at: no more than the limit and what came back in it.
	allowed := 0
	for range 120 {
		b.clock.Advance(500 * time.Millisecond)
		allowed += b.burst("k", rate, 60)
	}
	assert.Equal(t, 60, allowed)
}

func neverSavesUp(t *testing.T, b *bench) {
	t.Helper()
	rate := per(10, time.Minute)
	assert.Equal(t, 10, b.burst("k", rate, 10))
	b.clock.Advance(time.Hour)
	assert.Equal(t, 10, b.burst("k", rate, 10))
}

func keepsKeysApart(t *testing.T, b *bench) {
	t.Helper()
	rate := per(3, time.Minute)
	assert.Equal(t, 3, b.burst("a", rate, 3))
	assert.Equal(t, 3, b.burst("b", rate, 3))
	other := limits.Take{Name: "other", Key: "a", Rate: rate}
	assert.True(t, b.take(other)[0].Allowed)
}

func findsUsedAmongUnused(t *testing.T, b *bench) {
	t.Helper()
	rate := per(3, time.Minute)
	b.take(on("used", rate))
	got := b.take(on("x", rate), on("y", rate), on("used", rate), on("z", rate))
	assert.Equal(t, []int64{2, 2, 1, 2}, []int64{got[0].Remaining, got[1].Remaining, got[2].Remaining, got[3].Remaining})
}

func spendsNoneWhereOneRefuses(t *testing.T, b *bench) {
	t.Helper()
	wide, narrow := per(10, time.Minute), per(1, time.Minute)
	takes := []limits.Take{
		{Name: "tenant", Key: "t", Rate: wide}, {Name: "key", Key: "k", Rate: narrow}, {Name: "address", Key: "a", Rate: wide},
	}
	first := b.take(takes...)
	_, refused := limits.Refusal(first)
	require.False(t, refused)
	assert.Equal(t, []int64{9, 0, 9}, []int64{first[0].Remaining, first[1].Remaining, first[2].Remaining})
	for range 3 {
		again := b.take(takes...)
		worst, refused := limits.Refusal(again)
		require.True(t, refused)
		assert.Equal(t, "key", worst.Name)
		assert.Equal(t, time.Minute, worst.RetryAfter)
		assert.True(t, again[0].Allowed)
		assert.True(t, again[2].Allowed)
		assert.Equal(t, []int64{9, 0, 9}, []int64{again[0].Remaining, again[1].Remaining, again[2].Remaining})
	}
	assert.Equal(t, int64(8), b.take(takes[0])[0].Remaining)
}

func countsTwice(t *testing.T, b *bench) {
	t.Helper()
	rate := per(5, time.Minute)
	b.take(on("k", rate), on("k", rate))
	b.take(on("k", rate), on("k", rate))
	refused := b.take(on("k", rate), on("k", rate))
	assert.True(t, refused[0].Allowed)
	assert.False(t, refused[1].Allowed)
	assert.Equal(t, 1, b.burst("k", rate, 1))
}

func spendsCosts(t *testing.T, b *bench) {
	t.Helper()
	rate := per(10, 10*time.Second)
	costly := limits.Take{Name: "test", Key: "k", Rate: rate, Cost: 4}
	assert.Equal(t, int64(6), b.take(costly)[0].Remaining)
	assert.Equal(t, int64(2), b.take(costly)[0].Remaining)
	refused := b.take(costly)[0]
	assert.False(t, refused.Allowed)
	assert.Equal(t, 2*time.Second, refused.RetryAfter)
	assert.Equal(t, int64(2), refused.Remaining)

	costly.Cost, costly.Key = 11, "other"
	never := b.take(costly)[0]
	assert.False(t, never.Allowed, "more than the limit never fits")
	costly.Cost = 10
	assert.True(t, b.take(costly)[0].Allowed)
}

func peeks(t *testing.T, b *bench) {
	t.Helper()
	take := on("k", per(2, time.Minute))
	for range 3 {
		verdicts, err := b.Peek(t.Context(), take)
		require.NoError(t, err)
		assert.Equal(t, []limits.Verdict{{Name: "test", Limit: 2, Per: time.Minute, Remaining: 2, Allowed: true}}, verdicts)
	}
	assert.Equal(t, 2, b.burst("k", take.Rate, 2))
	verdicts, err := b.Peek(t.Context(), take)
	require.NoError(t, err)
	assert.False(t, verdicts[0].Allowed)
	assert.Equal(t, 30*time.Second, verdicts[0].RetryAfter)
}

func resets(t *testing.T, b *bench) {
	t.Helper()
	rate := per(2, time.Minute)
	assert.Equal(t, 2, b.burst("k", rate, 2))
	assert.Equal(t, 2, b.burst("kept", rate, 2))
	require.NoError(t, b.Reset(t.Context(), on("k", rate), on("unknown", rate)))
	require.NoError(t, b.Reset(t.Context()))
	assert.Equal(t, 2, b.burst("k", rate, 2))
	assert.Equal(t, 0, b.burst("kept", rate, 2))
}

func passesWhatIsOff(t *testing.T, b *bench) {
	t.Helper()
	none := limits.Take{Name: "none", Key: "k"}
	assert.Equal(t, []limits.Verdict{{Name: "none", Allowed: true}}, b.take(none))
	assert.Empty(t, b.take())
	for range 2 {
		verdicts := b.take(none, on("k", per(2, time.Minute)), none)
		assert.Equal(t, limits.Verdict{Name: "none", Allowed: true}, verdicts[0])
		assert.True(t, verdicts[1].Allowed)
	}
	assert.False(t, b.take(none, on("k", per(2, time.Minute)))[1].Allowed)
}

func refusesNonsense(t *testing.T, b *bench) {
	t.Helper()
	rate := per(2, time.Minute)
	for name, take := range map[string]limits.Take{
		"limit 0":       on("k", per(0, time.Minute)),
		"negative":      on("k", per(-1, time.Minute)),
		"period 0":      on("k", per(1, 0)),
		"too long":      on("k", per(1, limits.MaxPer+time.Microsecond)),
		"too many":      on("k", per(limits.MaxLimit+1, time.Minute)),
		"negative cost": {Name: "test", Key: "k", Rate: rate, Cost: -1},
	} {
		_, err := b.Take(t.Context(), on("good", rate), take)
		require.ErrorIs(t, err, limits.ErrTake, name)
		require.ErrorContains(t, err, `"test"`, name)
	}
	assert.Equal(t, 2, b.burst("good", rate, 2), "nothing was spent")
}

func obeysTheContext(t *testing.T, b *bench) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Take(ctx, on("k", per(2, time.Minute)))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, b.Reset(ctx, on("k", per(2, time.Minute))), context.Canceled)
	assert.Equal(t, 2, b.burst("k", per(2, time.Minute), 2))
}

func takesAnyText(t *testing.T, b *bench) {
	t.Helper()
	long := make([]byte, 10_000)
	rate := per(1, time.Minute)
	for _, key := range []string{
		"", " ", "a b\r\nSET x y", "\x00\xff", "{slot}", "ann@example.com", "2001:db8::1", string(long), string(long[1:]),
		"0198c0de-0000-7000-8000-000000000001",
	} {
		assert.Equal(t, 1, b.burst(key, rate, 1), "key %.40q", key)
	}
}
