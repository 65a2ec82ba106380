package limits

import (
	"math"
	"time"
)

// tolerance is the part of one use by which sums of fractions may be off.
const tolerance = 1e-6

// bucket is the state of one key: GCRA in its continuous form (ITU-T I.371, annex A). What is used fills it, it leaks
// Limit uses per Per, and a use that would make it overflow is refused. Against the form that keeps a "theoretical
// arrival time" this one is exact for whole uses at any rate, and keeps its meaning when the rate changes.
//
// The shared limiter does the same sums in Lua: what changes here changes there.
type bucket struct {
	// level is how much was used and has not come back, as of at.
	level float64
	// at is when level was right, in microseconds since 1970.
	at int64
}

// levelAt returns the bucket's level at a time. A clock that went back leaks nothing, and never more than the limit is
// held against a key, whatever its limit was before.
func (b bucket) levelAt(now int64, rate Rate) float64 {
	level := math.Min(b.level, float64(rate.Limit))
	if now > b.at {
		level -= float64(now-b.at) * float64(rate.Limit) / micros(rate)
	}
	return math.Max(level, 0)
}

// fits says whether a use fits on top of a level.
func fits(level float64, cost int64, rate Rate) bool {
	return level+float64(cost) <= float64(rate.Limit)+tolerance
}

// drain returns how long a level takes to leak, in microseconds, rounded up.
func drain(level float64, rate Rate) int64 {
	return int64(math.Ceil(level * micros(rate) / float64(rate.Limit)))
}

// verdictOn says what a level means to a take that was allowed and left it.
func verdictOn(t Take, level float64) Verdict {
	return Verdict{
		Name: t.Name, Limit: t.Rate.Limit, Per: t.Rate.Per, Allowed: true,
		Remaining:  max(0, int64(math.Floor(float64(t.Rate.Limit)-level+tolerance))),
		ResetAfter: time.Duration(drain(level, t.Rate)) * time.Microsecond,
	}
}

// refusalOn says what a level means to a take that does not fit on top of it.
func refusalOn(t Take, level float64) Verdict {
	v := verdictOn(t, level)
	over := level + float64(t.Units()) - float64(t.Rate.Limit)
	v.RetryAfter = time.Duration(drain(math.Min(over, float64(t.Rate.Limit)), t.Rate)) * time.Microsecond
	v.Allowed = false
	return v
}

func micros(rate Rate) float64 { return float64(rate.Per.Microseconds()) }
