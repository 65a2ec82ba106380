package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/ulule/limiter/v3"

	"github.com/groundwork-saas/groundwork/domain/limits"
)

// Store lets ulule/limiter use an Engine, as in limiter.New(store, rate). It differs from that library's own stores in
// being GCRA: a refused request spends nothing, and Reset is when all of the limit is there again.
type Store struct {
	engine Engine
	name   string
	clock  func() time.Time
}

var _ limiter.Store = (*Store)(nil)

// StoreConfig is what NewStore needs.
type StoreConfig struct {
	// Engine decides: a Failover, so that an outage fails no request. It must be set.
	Engine Engine
	// Name is the limit's; stores of different names share nothing.
	Name string
	// Clock tells the time for limiter.Context.Reset, which is a point in time. It must be set.
	Clock func() time.Time
}

// Spend is one key of a call to Store.Take.
type Spend struct {
	Key   string
	Count int64 // 0 is 1
	Rate  limiter.Rate
}

// NewStore returns a store for ulule/limiter.
func NewStore(config StoreConfig) *Store {
	return &Store{engine: config.Engine, name: config.Name, clock: config.Clock}
}

// RateOf returns a rate as ulule/limiter takes it.
func RateOf(r limits.Rate) limiter.Rate {
	return limiter.Rate{Formatted: r.String(), Limit: r.Limit, Period: r.Per}
}

// Get spends one use.
func (s *Store) Get(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return s.Increment(ctx, key, 1, rate)
}

// Peek says what Get would and spends nothing. Reached says whether Get would be refused.
func (s *Store) Peek(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	verdicts, err := s.engine.Peek(ctx, s.take(Spend{Key: key, Rate: rate}))
	return s.only(verdicts, err)
}

// Reset gives all of the limit back.
func (s *Store) Reset(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	if err := s.engine.Reset(ctx, s.take(Spend{Key: key, Rate: rate})); err != nil {
		return limiter.Context{}, err
	}
	return limiter.Context{Limit: rate.Limit, Remaining: rate.Limit, Reset: s.clock().Unix()}, nil
}

// Increment spends count uses or none; a count of 0 spends nothing.
func (s *Store) Increment(ctx context.Context, key string, count int64, rate limiter.Rate) (limiter.Context, error) {
	if count == 0 {
		return s.Peek(ctx, key, rate)
	}
	verdicts, err := s.engine.Take(ctx, s.take(Spend{Key: key, Count: count, Rate: rate}))
	return s.only(verdicts, err)
}

// Take spends on several keys or on none, in one round trip.
func (s *Store) Take(ctx context.Context, spends ...Spend) ([]limiter.Context, error) {
	takes := make([]limits.Take, len(spends))
	for i, spend := range spends {
		takes[i] = s.take(spend)
	}
	verdicts, err := s.engine.Take(ctx, takes...)
	if err != nil {
		return nil, err
	}
	contexts := make([]limiter.Context, len(verdicts))
	for i, v := range verdicts {
		contexts[i] = s.contextOf(v)
	}
	return contexts, nil
}

func (s *Store) take(spend Spend) limits.Take {
	rate := limits.Rate{Limit: spend.Rate.Limit, Per: spend.Rate.Period}
	return limits.Take{Name: s.name, Key: spend.Key, Rate: rate, Cost: spend.Count}
}

func (s *Store) only(verdicts []limits.Verdict, err error) (limiter.Context, error) {
	if err != nil {
		return limiter.Context{}, err
	}
	if len(verdicts) != 1 {
		return limiter.Context{}, fmt.Errorf("limit %q: %d verdicts for one key", s.name, len(verdicts))
	}
	return s.contextOf(verdicts[0]), nil
}

func (s *Store) contextOf(v limits.Verdict) limiter.Context {
	reset := s.clock().Add(v.ResetAfter + time.Second - 1) // up to the next whole second
	return limiter.Context{Limit: v.Limit, Remaining: v.Remaining, Reset: reset.Unix(), Reached: !v.Allowed}
}
