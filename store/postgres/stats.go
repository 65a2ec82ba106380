package postgres

import (
	"context"
	"sync/atomic"
	"time"
)

// Stats counts what a request asked of the database. It may be read while statements run.
type Stats struct {
	statements atomic.Int64
	roundTrips atomic.Int64
}

// Statements is how many statements callers sent; what the driver adds (begin, the tenant's setting, commit) is not
// counted.
func (s *Stats) Statements() int64 { return s.statements.Load() }

// RoundTrips is how often the database was waited for, preparing statements included.
func (s *Stats) RoundTrips() int64 { return s.roundTrips.Load() }

type statsKey struct{}

// WithStats returns a context whose statements are counted.
func WithStats(ctx context.Context) (context.Context, *Stats) {
	s := new(Stats)
	return context.WithValue(ctx, statsKey{}, s), s
}

func statsOf(ctx context.Context) *Stats {
	s, _ := ctx.Value(statsKey{}).(*Stats)
	return s
}

func (s *Stats) statement(n int) {
	if s != nil {
		s.statements.Add(int64(n))
	}
}

func (s *Stats) roundTrip() {
	if s != nil {
		s.roundTrips.Add(1)
	}
}

// Statement is one statement that was sent, as observers see it.
type Statement struct {
	// SQL is its text, which holds no values.
	SQL string
	// Took is the time until the first row or the end, with the wait for what was pipelined before it.
	Took time.Duration
	// Err is the database's error as it is: its message may hold a value, and is not for logs that outlive a day.
	Err error
	// System says that it is the job engine's or an operator's, and goes across tenants.
	System bool
}

// Observer is told of each statement after it ran; it must be quick and safe for concurrent use.
type Observer func(ctx context.Context, statement Statement)
