package redis_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/limits/limitstest"
	"github.com/groundwork-saas/groundwork/store/redis"
)

// change is what OnChange told.
type change struct {
	healthy bool
	cause   error
}

// failoverOn opens a limiter that falls back, tries again every 5 ms and tells of changes on the channel.
func failoverOn(tb testing.TB, url string, changes chan change) *redis.Failover {
	tb.Helper()
	clock := limitstest.NewClock() // stands still: what the fallback allows is a number
	return failover(tb, url, nil, clock.Now, redis.FailoverConfig{
		OnChange: func(healthy bool, cause error) {
			if changes != nil {
				changes <- change{healthy, cause}
			}
		},
	})
}

func failover(tb testing.TB, url string, shared, local func() time.Time, config redis.FailoverConfig) *redis.Failover {
	tb.Helper()
	fallback, err := limits.NewLocal(limits.LocalConfig{Clock: local})
	require.NoError(tb, err)
	config.Shared, config.Local = limiterOn(tb, url, shared), fallback
	config.ProbeEvery = 5 * time.Millisecond
	if config.Patience == 0 {
		config.Patience = time.Minute // a test machine may be slow; an outage here is an error at once
	}
	f := redis.NewFailover(config)
	tb.Cleanup(f.Close)
	return f
}

func next(tb testing.TB, changes chan change) change {
	tb.Helper()
	select {
	case c := <-changes:
		return c
	case <-time.After(30 * time.Second):
		require.Fail(tb, "no change was told within 30 s")
		return change{}
	}
}

func TestFailover(t *testing.T) {
	t.Parallel()
	t.Run("conforms_while_redis_is_there", func(t *testing.T) {
		t.Parallel()
		url := startServer(t).URL
		limitstest.Run(t, func(tb testing.TB, clock *limitstest.Clock) limitstest.Subject {
			tb.Helper()
			f := failover(tb, url, clock.Now, clock.Now, redis.FailoverConfig{})
			tb.Cleanup(func() { assert.Zero(tb, f.AnsweredLocally()) })
			return named{f, tb.Name()}
		})
	})
	t.Run("conforms_while_redis_is_away", func(t *testing.T) {
		t.Parallel()
		limitstest.Run(t, func(tb testing.TB, clock *limitstest.Clock) limitstest.Subject {
			tb.Helper()
			f := failover(tb, "unix:///nowhere.sock", clock.Now, clock.Now, redis.FailoverConfig{})
			tb.Cleanup(func() { assert.Positive(tb, f.AnsweredLocally()) })
			return named{f, tb.Name()}
		})
	})
	t.Run("carries_a_load_through_a_crash", carriesALoadThroughACrash)
	t.Run("carries_a_load_through_a_wipe", carriesALoadThroughAWipe)
	t.Run("gives_a_silent_server_up_after_three_time_outs", func(t *testing.T) {
		t.Parallel()
		addr, _ := startSilent(t)
		changes := make(chan change, 10)
		f := failover(t, "redis://"+addr, nil, limitstest.NewClock().Now, redis.FailoverConfig{
			Patience: 10 * time.Millisecond,
			OnChange: func(healthy bool, cause error) { changes <- change{healthy, cause} },
		})
		take := limits.Take{Name: "n", Key: "k", Rate: limits.Rate{Limit: 10, Per: time.Hour}}
		for n := range int64(10) {
			verdicts, err := f.Take(t.Context(), take)
			require.NoError(t, err)
			assert.Equal(t, 9-n, verdicts[0].Remaining, "each is answered by the fallback")
			assert.Equal(t, n < 2, f.Healthy(), "after %d", n+1)
		}
		first := next(t, changes)
		assert.False(t, first.healthy)
		require.Error(t, first.cause)
		assert.Empty(t, changes, "one outage is told once")
	})
	t.Run("gives_a_replica_up_and_comes_back_with_the_primary", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		changes := make(chan change, 10)
		f := failoverOn(t, s.URL, changes)
		take := limits.Take{Name: "n", Key: "k", Rate: limits.Rate{Limit: 10, Per: time.Hour}}
		operator := open(t, redis.Config{URL: s.URL})
		command(t, operator, "REPLICAOF", "127.0.0.1", "1")
		verdicts, err := f.Take(t.Context(), take)
		require.NoError(t, err)
		assert.True(t, verdicts[0].Allowed)
		away := next(t, changes)
		assert.False(t, away.healthy)
		require.ErrorContains(t, away.cause, "READONLY")
		command(t, operator, "REPLICAOF", "NO", "ONE")
		assert.Equal(t, change{healthy: true}, next(t, changes))
	})
	t.Run("blames_nobody_for_a_caller_that_left", func(t *testing.T) {
		t.Parallel()
		f := failoverOn(t, "redis://"+startMini(t).Addr(), nil)
		take := limits.Take{Name: "n", Key: "k", Rate: limits.Rate{Limit: 10, Per: time.Hour}}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 5 {
			_, err := f.Take(ctx, take)
			require.ErrorIs(t, err, context.Canceled)
		}
		assert.True(t, f.Healthy())
		assert.Zero(t, f.AnsweredLocally())
	})
	t.Run("still_answers_after_its_end", func(t *testing.T) {
		t.Parallel()
		f := failoverOn(t, "unix:///nowhere.sock", nil)
		f.Close()
		f.Close()
		verdicts, err := f.Take(t.Context(), limits.Take{Name: "n", Key: "k", Rate: limits.Rate{Limit: 1, Per: time.Hour}})
		require.NoError(t, err)
		assert.True(t, verdicts[0].Allowed)
	})
}

// load is many clients that take without pause until they are told to stop.
type load struct {
	errors, wide, tight, refused atomic.Int64
	stopped                      atomic.Bool
	clients                      sync.WaitGroup
}

const tightLimit = 50

// startLoad starts eight clients. Half of the takes are under a limit that nobody reaches, half under one of 50.
func startLoad(t *testing.T, f *redis.Failover) *load {
	t.Helper()
	l := &load{}
	t.Cleanup(func() { l.stopped.Store(true); l.clients.Wait() }) // where the test fails before its end
	wide := limits.Take{Name: "wide", Key: "k", Rate: limits.Rate{Limit: limits.MaxLimit, Per: time.Hour}}
	tight := limits.Take{Name: "tight", Key: "k", Rate: limits.Rate{Limit: tightLimit, Per: 24 * time.Hour}}
	for range 8 {
		l.clients.Go(func() {
			var beyond atomic.Int64 // the tight limit's own refusals
			for !l.stopped.Load() {
				l.count(t, f, wide, &l.wide, &l.refused)
				l.count(t, f, tight, &l.tight, &beyond)
			}
		})
	}
	return l
}

func (l *load) count(t *testing.T, f *redis.Failover, take limits.Take, allowed, refused *atomic.Int64) {
	t.Helper()
	verdicts, err := f.Take(t.Context(), take)
	switch {
	case err != nil:
		l.errors.Add(1)
		t.Log(err)
	case verdicts[0].Allowed:
		allowed.Add(1)
	default:
		refused.Add(1)
	}
}

// until waits, under load, for something that the load itself brings about.
func (l *load) until(t *testing.T, done func() bool) {
	t.Helper()
	require.Eventually(t, done, 30*time.Second, time.Millisecond)
}

func (l *load) end(t *testing.T) {
	t.Helper()
	l.stopped.Store(true)
	l.clients.Wait()
	assert.Zero(t, l.errors.Load(), "no take may fail")
	assert.Zero(t, l.refused.Load(), "none may be refused for the outage")
}

func carriesALoadThroughACrash(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	changes := make(chan change, 100)
	f := failoverOn(t, s.URL, changes)
	l := startLoad(t, f)
	l.until(t, func() bool { return l.tight.Load() == tightLimit && l.wide.Load() > 500 })

	s.kill(t)
	away := next(t, changes)
	assert.False(t, away.healthy)
	require.Error(t, away.cause)
	before := l.wide.Load()
	l.until(t, func() bool { return l.tight.Load() == 2*tightLimit && l.wide.Load() > before+500 })
	assert.False(t, f.Healthy())
	assert.Positive(t, f.AnsweredLocally())

	s.start(t)
	assert.Equal(t, change{healthy: true}, next(t, changes))
	assert.True(t, f.Healthy())
	before = l.wide.Load()
	l.until(t, func() bool { return l.tight.Load() == 3*tightLimit && l.wide.Load() > before+500 })
	l.end(t)
	assert.Equal(t, int64(3*tightLimit), l.tight.Load(), "the limit, once before, once alone, once in an empty Redis")
	assert.Empty(t, changes, "each change is told once")
}

func carriesALoadThroughAWipe(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	changes := make(chan change, 100)
	f := failoverOn(t, s.URL, changes)
	operator := open(t, redis.Config{URL: s.URL})
	l := startLoad(t, f)
	l.until(t, func() bool { return l.tight.Load() == tightLimit })
	command(t, operator, "FLUSHALL")
	l.until(t, func() bool { return l.tight.Load() == 2*tightLimit })
	for range 20 {
		command(t, operator, "SCRIPT", "FLUSH")
		before := l.wide.Load()
		l.until(t, func() bool { return l.wide.Load() > before+20 })
	}
	l.end(t)
	assert.Equal(t, int64(2*tightLimit), l.tight.Load())
	assert.Zero(t, f.AnsweredLocally())
	assert.Empty(t, changes)
}
