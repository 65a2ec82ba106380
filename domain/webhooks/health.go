package webhooks

import (
	"math/rand/v2"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// When an endpoint is spared, and given up.
const (
	// openAfter failures in a row open the circuit; time-outs, which hold a worker for long, do it after hangsAfter.
	openAfter, hangsAfter = 5, 2
	// The cool-down of an open circuit: the first, doubled each time that the probe fails too, and the most.
	firstCoolDown, mostCoolDown = 10 * time.Second, 15 * time.Minute
	// probeLease is for how long one attempt has an endpoint that is half open to itself.
	probeLease = time.Minute
	// HopelessAfter is after how long of nothing but failures an endpoint is disabled.
	HopelessAfter = 5 * 24 * time.Hour
	// maxRetryAfter bounds what a receiver may ask for.
	maxRetryAfter = 24 * time.Hour
)

// Health is how an endpoint has answered lately. It is a circuit breaker: closed, an endpoint is sent all; open, until
// OpenUntil, nothing; then half open, one attempt at a time, until one succeeds.
type Health struct {
	ConsecutiveFailures int64 `json:"consecutive_failures"`
	// FailingSince is the first failure since the last success.
	FailingSince  *time.Time `json:"failing_since"`
	LastSuccessAt *time.Time `json:"last_success_at" doc:"The last success, to the minute."`
	LastFailureAt *time.Time `json:"last_failure_at"`
	// OpenUntil is until when it is spared, because it failed or asked for it; nil where the circuit is closed.
	OpenUntil *time.Time `json:"spared_until" doc:"Until when nothing is sent because it failed repeatedly or asked for it; deliveries are held meanwhile."`
	// Trips is how often the circuit opened since the last success.
	Trips int64 `json:"-"`
	// ProbeUntil is until when an attempt has the half-open endpoint to itself.
	ProbeUntil *time.Time `json:"-"`
}

// IsOpen says whether the endpoint is spared now.
func (h Health) IsOpen(now time.Time) bool { return h.OpenUntil != nil && now.Before(*h.OpenUntil) }

// IsHalfOpen says whether one attempt at a time may find out if it is well again.
func (h Health) IsHalfOpen(now time.Time) bool {
	return h.OpenUntil != nil && !now.Before(*h.OpenUntil)
}

// IsHopeless says whether it has failed for so long that it is to be disabled.
func (h Health) IsHopeless(now time.Time) bool {
	return h.FailingSince != nil && now.Sub(*h.FailingSince) >= HopelessAfter
}

// IsNews says whether a success changes what is known: the time of the last one is kept to the minute.
func (h Health) IsNews(now time.Time) bool {
	return h.ConsecutiveFailures > 0 || h.OpenUntil != nil || h.LastSuccessAt == nil || now.Sub(*h.LastSuccessAt) >= time.Minute
}

// Succeed is the health after a success: the circuit closes.
func (h Health) Succeed(now time.Time) Health {
	return Health{LastSuccessAt: &now, LastFailureAt: h.LastFailureAt}
}

// Fail is the health after a failure. That of a probe opens the circuit again, and any other that comes while it is open
// says nothing new.
func (h Health) Fail(now time.Time, f Failure) Health {
	if h.IsOpen(now) && !f.IsProbe {
		h.LastFailureAt = &now // one that was under way when the circuit opened says nothing new
		return h
	}
	h.ConsecutiveFailures++
	h.LastFailureAt = &now
	if h.FailingSince == nil {
		h.FailingSince = &now
	}
	opens := f.IsProbe || f.Throttles || h.ConsecutiveFailures >= openAfter || f.IsTimeout && h.ConsecutiveFailures >= hangsAfter
	if !opens {
		return h
	}
	wait := max(coolDown(h.Trips), f.RetryAfter)
	until := now.Add(wait)
	h.OpenUntil, h.ProbeUntil = &until, nil
	h.Trips++
	return h
}

// coolDown is how long the circuit stays open after so many trips.
func coolDown(trips int64) time.Duration {
	const doublings = 7
	if trips >= doublings {
		return jobs.Jittered(mostCoolDown)
	}
	return jobs.Jittered(min(firstCoolDown<<trips, mostCoolDown))
}

// Failure is how an attempt failed.
type Failure struct {
	// Reason is for the endpoint's owner.
	Reason string
	// Gone says that the endpoint wants no more.
	Gone bool
	// Throttles says that the endpoint asks to be spared.
	Throttles bool
	IsTimeout bool
	IsProbe   bool
	// RetryAfter is what it asked for, bounded; 0 for nothing.
	RetryAfter time.Duration
}

// MaxAttempts is how often a delivery is tried.
const MaxAttempts = 10

// waits is the schedule of Standard Webhooks: the time from one attempt to the next.
func waits() [MaxAttempts - 1]time.Duration {
	return [...]time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour,
		20 * time.Hour, 24 * time.Hour,
	}
}

// nextAttempt is when to try again after so many attempts of the round; false where they are used up. The waits have up
// to a fifth more at random, so that what failed together does not come again together.
func nextAttempt(now time.Time, made int64, f Failure) (time.Time, bool) {
	schedule := waits()
	if made > int64(len(schedule)) {
		return time.Time{}, false
	}
	wait := schedule[max(made, 1)-1]                      //nolint:gosec // made is 1 to the schedule's length here
	wait += time.Duration(rand.Int64N(int64(wait)/5 + 1)) //nolint:gosec // spreads retries, guards nothing
	return now.Add(max(wait, f.RetryAfter)), true
}
