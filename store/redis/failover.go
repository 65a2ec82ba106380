package redis

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/groundwork-saas/groundwork/domain/limits"
)

const (
	defaultPatience   = 50 * time.Millisecond
	defaultProbeEvery = time.Second
	// timeoutsInRow is how many answers in a row may come too late before Redis is taken to be away. One or two are a
	// busy machine's; any other error says so at once.
	timeoutsInRow = 3
)

// FailoverConfig is what NewFailover needs.
type FailoverConfig struct {
	// Shared decides while it answers, for all replicas. It must be set.
	Shared Engine
	// Local decides while Shared is away, for this process alone. It must be set.
	Local Engine
	// Patience is how long a call waits for Shared before Local answers it; 0 is 50 ms.
	Patience time.Duration
	// ProbeEvery is how often Shared is tried in the background while it is away; 0 is 1 s.
	ProbeEvery time.Duration
	// OnChange is called when Shared goes away, with what happened to it, and when it is back, with nil; once each
	// time and in that order. It is where to log and to set a gauge; it should return soon. It may be nil.
	OnChange func(healthy bool, cause error)
}

// Failover is a limiter that nothing can take away: while Redis is, each process limits by itself. A limit is then
// one per replica, and starts from the full one; no request fails or is refused because of the outage.
type Failover struct {
	config FailoverConfig
	// term counts the changes; it is even while Shared is trusted. A failure counts only in the term it began in.
	term     atomic.Uint64
	timeouts atomic.Int32
	local    atomic.Int64

	mu     sync.Mutex // held while changing, so that OnChange is called in order
	closed bool
	stop   chan struct{}
	probes sync.WaitGroup
}

// NewFailover returns a limiter that trusts Shared until it fails. Close it when done.
func NewFailover(config FailoverConfig) *Failover {
	if config.Patience <= 0 {
		config.Patience = defaultPatience
	}
	if config.ProbeEvery <= 0 {
		config.ProbeEvery = defaultProbeEvery
	}
	if config.OnChange == nil {
		config.OnChange = func(bool, error) {}
	}
	return &Failover{config: config, stop: make(chan struct{})}
}

// Take spends every take or none. Its only errors are limits.ErrTake and the context's.
func (f *Failover) Take(ctx context.Context, takes ...limits.Take) ([]limits.Verdict, error) {
	return f.decide(ctx, takes, Engine.Take)
}

// Peek answers as Take would and spends nothing.
func (f *Failover) Peek(ctx context.Context, takes ...limits.Take) ([]limits.Verdict, error) {
	return f.decide(ctx, takes, Engine.Peek)
}

// Reset forgets what was spent on the takes' names and keys, here and, if it is there, in Redis.
func (f *Failover) Reset(ctx context.Context, takes ...limits.Take) error {
	if _, err := f.decide(ctx, takes, reset); err != nil {
		return err
	}
	return f.config.Local.Reset(ctx, takes...)
}

// Healthy says whether Redis decides.
func (f *Failover) Healthy() bool { return f.term.Load()%2 == 0 }

// AnsweredLocally returns how many calls the process answered by itself since it started.
func (f *Failover) AnsweredLocally() int64 { return f.local.Load() }

// Close ends the attempts to reach Redis. The limiter still answers.
func (f *Failover) Close() {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		close(f.stop)
	}
	f.mu.Unlock()
	f.probes.Wait()
}

// act is Take, Peek or Reset.
type act func(e Engine, ctx context.Context, takes ...limits.Take) ([]limits.Verdict, error)

func reset(e Engine, ctx context.Context, takes ...limits.Take) ([]limits.Verdict, error) { //nolint:revive // a method expression's order
	return nil, e.Reset(ctx, takes...)
}

func (f *Failover) decide(ctx context.Context, takes []limits.Take, do act) ([]limits.Verdict, error) {
	if term := f.term.Load(); term%2 == 0 {
		verdicts, err := f.ask(ctx, takes, do)
		switch {
		case err == nil:
			f.timeouts.Store(0)
			return verdicts, nil
		case errors.Is(err, limits.ErrTake):
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !isTimeout(err) || f.timeouts.Add(1) >= timeoutsInRow:
			f.goLocal(term, err)
		}
	}
	f.local.Add(1)
	return do(f.config.Local, ctx, takes...)
}

func (f *Failover) ask(ctx context.Context, takes []limits.Take, do act) ([]limits.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, f.config.Patience)
	defer cancel()
	return do(f.config.Shared, ctx, takes...)
}

// goLocal ends the term in which Redis was trusted, unless that has ended already.
func (f *Failover) goLocal(term uint64, cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || !f.term.CompareAndSwap(term, term+1) {
		return
	}
	f.config.OnChange(false, cause)
	f.probes.Go(f.probe)
}

// probe tries Redis until it can be written to again.
func (f *Failover) probe() {
	ticker := time.NewTicker(f.config.ProbeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-f.stop:
			return
		case <-ticker.C:
		}
		// A take that is allowed writes: a replica or a full server does not pass.
		try := limits.Take{Name: "probe", Key: "failover", Rate: limits.Rate{Limit: limits.MaxLimit, Per: time.Second}}
		if _, err := f.ask(context.Background(), []limits.Take{try}, Engine.Take); err != nil {
			continue
		}
		f.mu.Lock()
		f.timeouts.Store(0)
		f.term.Add(1)
		f.config.OnChange(true, nil)
		f.mu.Unlock()
		return
	}
}

func isTimeout(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}
