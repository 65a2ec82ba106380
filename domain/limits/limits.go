// Package limits says how often something may be done, and decides it.
//
// It owns the rate and its text form, the verdict that transports turn into headers, the Limiter that they ask, and
// Local, a limiter inside one process. The limiter that all replicas share lives with the store; both follow the same
// arithmetic and pass limitstest.Run. The package knows no transport and never reads the clock by itself.
package limits

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrTake is in the chain of every error about a Take that makes no sense: a rate out of range or a negative cost.
var ErrTake = errors.New("not a valid take")

// Limiter decides whether something may be done now, and counts it if so.
//
// It is GCRA: a key may be used Limit times at once, and what was used comes back evenly, one per Per/Limit. There is
// no window, so no edge of one at which twice the limit could pass.
type Limiter interface {
	// Take spends every take or none: where one of them refuses, nothing is spent on the others either. It answers
	// with a verdict for each take, in their order. A take whose rate is off is always allowed. Its errors are
	// ErrTake, the context's, and, of a limiter that can be away, that it is.
	Take(ctx context.Context, takes ...Take) ([]Verdict, error)
}

// Take is one limit that a request falls under.
type Take struct {
	// Name is the limit's own: "tenant", "key", "address". Limits of different names share nothing. It is chosen by
	// the program and shown to clients, never taken from a request.
	Name string
	// Key is whose limit it is: a tenant's id, an address, an e-mail's text. It may come from a request.
	Key string
	// Rate is the limit. It may change from one call to the next; what was used stays used, up to the new limit.
	Rate Rate
	// Cost is how much is spent; 0 is 1. What costs more than Rate.Limit is never allowed.
	Cost int64
}

// Verdict is the answer to one Take.
type Verdict struct {
	// Name is the Take's.
	Name string
	// Limit and Per are the Take's rate; 0 where it is off, and then there is nothing to tell the client.
	Limit int64
	Per   time.Duration
	// Remaining is how much could be spent at once after this.
	Remaining int64
	// ResetAfter is how long it takes until all of Limit is there again, if nothing more is spent.
	ResetAfter time.Duration
	// RetryAfter is how long to wait before the same take may be allowed; 0 where it is allowed.
	RetryAfter time.Duration
	// Allowed says whether this take was within its limit. The whole call is allowed where all are.
	Allowed bool
}

// Refusal returns the verdict that refused, the one with the longest wait where several did, and whether any did.
func Refusal(verdicts []Verdict) (Verdict, bool) {
	var worst Verdict
	refused := false
	for _, v := range verdicts {
		if !v.Allowed && (!refused || v.RetryAfter > worst.RetryAfter) {
			worst, refused = v, true
		}
	}
	return worst, refused
}

// Units returns what the take spends: its cost, or 1.
func (t Take) Units() int64 {
	if t.Cost == 0 {
		return 1
	}
	return t.Cost
}

// Check returns an error with ErrTake in its chain for the first take that makes no sense, nil if all do.
func Check(takes []Take) error {
	for _, t := range takes {
		if err := t.Rate.Validate(); err != nil {
			return fmt.Errorf("limit %q: %w: %w", t.Name, ErrTake, err)
		}
		if t.Cost < 0 {
			return fmt.Errorf("limit %q: %w: the cost %d is negative", t.Name, ErrTake, t.Cost)
		}
	}
	return nil
}
