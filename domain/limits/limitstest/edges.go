package limitstest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/groundwork-saas/groundwork/domain/limits"
)

// The cases at the edges: extreme rates, changed rates, clocks that go back, and many callers at once.

func servesHugeAndTinyRates(t *testing.T, b *bench) {
	t.Helper()
	yearly := per(1, limits.MaxPer)
	assert.Equal(t, 1, b.burst("yearly", yearly, 1))
	assert.Equal(t, limits.MaxPer, b.one("yearly", yearly).RetryAfter)
	b.clock.Advance(limits.MaxPer - time.Hour)
	assert.False(t, b.one("yearly", yearly).Allowed)
	b.clock.Advance(time.Hour)
	assert.True(t, b.one("yearly", yearly).Allowed)

	shortest := per(1, limits.MinPer)
	assert.Equal(t, 1, b.burst("shortest", shortest, 1))
	b.clock.Advance(limits.MinPer - time.Microsecond)
	assert.False(t, b.one("shortest", shortest).Allowed)
	b.clock.Advance(time.Microsecond)
	assert.True(t, b.one("shortest", shortest).Allowed)

	huge := limits.Take{Name: "test", Key: "huge", Rate: per(limits.MaxLimit, limits.MinPer), Cost: limits.MaxLimit - 1}
	assert.Equal(t, int64(1), b.take(huge)[0].Remaining)
	huge.Cost = 1
	assert.Equal(t, int64(0), b.take(huge)[0].Remaining)
	assert.False(t, b.take(huge)[0].Allowed)
	b.clock.Advance(time.Microsecond)
	assert.Equal(t, int64(limits.MaxLimit/1000-1), b.take(huge)[0].Remaining)

	slow := limits.Take{Name: "test", Key: "slow", Rate: per(limits.MaxLimit, limits.MaxPer), Cost: limits.MaxLimit}
	assert.True(t, b.take(slow)[0].Allowed)
	slow.Cost = 1
	assert.Equal(t, 31623*time.Microsecond, b.take(slow)[0].RetryAfter)
}

func staysExact(t *testing.T, b *bench) {
	t.Helper()
	rate := per(7, time.Second)
	assert.Equal(t, 7, b.burst("k", rate, 7))
	allowed := 0
	for range 3_000 { // three seconds by the millisecond
		b.clock.Advance(time.Millisecond)
		if b.one("k", rate).Allowed {
			allowed++
		}
	}
	assert.Equal(t, 21, allowed)
}

func holdsALoweredLimit(t *testing.T, b *bench) {
	t.Helper()
	assert.Equal(t, 100, b.burst("k", per(100, time.Minute), 100))
	refused := b.one("k", per(6, time.Minute))
	assert.False(t, refused.Allowed)
	assert.Equal(t, 10*time.Second, refused.RetryAfter)
	assert.Equal(t, time.Minute, refused.ResetAfter)
	b.clock.Advance(10 * time.Second)
	assert.Equal(t, 1, b.burst("k", per(6, time.Minute), 1))
	assert.Equal(t, 94, b.burst("k", per(100, time.Minute), 100), "what was used stays used")
}

func survivesAClockThatGoesBack(t *testing.T, b *bench) {
	t.Helper()
	rate := per(6, time.Minute)
	assert.Equal(t, 6, b.burst("k", rate, 6))
	b.clock.Advance(-time.Hour)
	assert.Equal(t, 0, b.burst("k", rate, 6), "going back gives nothing")
	b.clock.Advance(10 * time.Second)
	assert.Equal(t, 1, b.burst("k", rate, 6), "and what comes back does so from then on")
}

func addsNothingInThePast(t *testing.T, b *bench) {
	t.Helper()
	rate := per(3, time.Hour)
	b.one("k", rate)
	b.clock.Advance(-time.Minute)
	twice := limits.Take{Name: "test", Key: "k", Rate: rate, Cost: 2}
	assert.False(t, b.take(twice, twice)[1].Allowed)
	assert.Equal(t, 2, b.burst("k", rate, 3))
}

func allowsExactlyToMany(t *testing.T, b *bench) {
	t.Helper()
	const goroutines, each, limit = 64, 20, 333
	tight, wide := on("tight", per(limit, time.Hour)), on("wide", per(10_000, time.Hour))
	allowed := inParallel(t, goroutines, each, func() bool {
		verdicts, err := b.Take(t.Context(), wide, tight)
		_, refused := limits.Refusal(verdicts)
		return assert.NoError(t, err) && !refused
	})
	assert.Equal(t, limit, allowed)
	assert.Equal(t, int64(10_000-limit-1), b.take(wide)[0].Remaining, "the wide one was spent with the tight one only")
}

func spendsInAnyOrder(t *testing.T, b *bench) {
	t.Helper()
	rate := per(10_000, time.Hour)
	forth := []limits.Take{on("a", rate), on("b", rate), on("c", rate), on("d", rate), on("e", rate)}
	back := []limits.Take{forth[4], forth[3], forth[2], forth[1], forth[0]}
	done := inParallel(t, 16, 25, func() bool {
		_, errForth := b.Take(t.Context(), forth...)
		_, errBack := b.Take(t.Context(), back...)
		return assert.NoError(t, errForth) && assert.NoError(t, errBack)
	})
	assert.Equal(t, 400, done)
	for _, take := range forth {
		assert.Equal(t, int64(10_000-800-1), b.take(take)[0].Remaining)
	}
}

// inParallel returns how often do returned true when each goroutine called it so many times.
func inParallel(t *testing.T, goroutines, each int, do func() bool) int {
	t.Helper()
	var all sync.WaitGroup
	counts := make([]int, goroutines)
	for g := range goroutines {
		all.Go(func() {
			for range each {
				if do() {
					counts[g]++
				}
			}
		})
	}
	all.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return total
}
