package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// Why an attempt's context ended.
var (
	errLost      = errors.New("the worker lost its claim to the job")
	errCancelled = errors.New("the job was cancelled")
	errStopping  = errors.New("the worker stops")
	errTimeout   = errors.New("the time for an attempt is over")
)

// attempt is a claim that this process holds.
type attempt struct {
	jobs.Attempt

	job    jobs.Job
	queue  string
	cancel context.CancelCauseFunc
	free   func() // gives the slot away

	// The rest is under leases.mu.

	until    time.Time // of the lease
	deadline time.Time // after which no beat extends the lease; zero before the handler runs
	settling bool      // the handler has ended
	closed   bool      // whatever the handler still does is refused
}

// leaseConfig is what newLeases needs.
type leaseConfig struct {
	Desk     jobs.Desk
	Lease    time.Duration
	Log      *logrus.Logger
	Now      func() time.Time
	Measures *measures
}

// leases knows what is under way and keeps the claims to it: one beat for all, every third of a lease.
type leases struct {
	leaseConfig

	hints chan string

	mu     sync.Mutex
	held   map[*attempt]struct{}
	busy   int  // jobs between their fetch and their end
	closed bool // nothing new begins
	idle   chan struct{}
}

func newLeases(config leaseConfig) *leases {
	return &leases{leaseConfig: config, hints: make(chan string, 64), held: map[*attempt]struct{}{}, idle: make(chan struct{})}
}

// enter counts a job in that was fetched, leave counts it out.
func (l *leases) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy++
}

func (l *leases) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	l.tellIdle()
}

// tellIdle closes idle where nothing is under way and nothing new begins.
func (l *leases) tellIdle() {
	if !l.closed || l.busy > 0 {
		return
	}
	select {
	case <-l.idle:
	default:
		close(l.idle)
	}
}

// close says that nothing new is to begin.
func (l *leases) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.tellIdle()
}

// hold keeps the claim of an attempt from now on. It answers false where nothing new is to begin.
func (l *leases) hold(a *attempt) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[a] = struct{}{}
	return !l.closed
}

// release forgets an attempt that has ended.
func (l *leases) release(a *attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, a)
}

// runUntil says when the attempt's time is over. A handler that goes on for a lease longer loses the job.
func (l *leases) runUntil(a *attempt, deadline time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.deadline = deadline.Add(l.Lease)
}

// settle says that the handler has ended and answers until when what became of the job can be written; false where it
// may not be any more.
func (l *leases) settle(a *attempt) (until time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.settling, a.deadline = true, time.Time{}
	return a.until, !a.closed
}

// count is how many attempts are under way.
func (l *leases) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}

// settling is of how many attempts the end is being written.
func (l *leases) settling() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for a := range l.held {
		if a.settling && !a.closed {
			n++
		}
	}
	return n
}

// idleWithin waits for what is under way and says whether all of it has ended.
func (l *leases) idleWithin(patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-l.idle:
		return true
	case <-timer.C:
		return false
	}
}

// cancelAll ends the contexts of all that runs.
func (l *leases) cancelAll(cause error) {
	for _, a := range l.list("") {
		a.cancel(cause)
	}
}

// abandon returns the attempts whose handlers still run; whatever these do from now on is refused.
func (l *leases) abandon() []*attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	var left []*attempt
	for a := range l.held {
		if !a.settling {
			a.closed = true
			left = append(left, a)
		}
	}
	return left
}

// list returns the attempts under way; of one job where a ref is given.
func (l *leases) list(ref string) []*attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*attempt
	for a := range l.held {
		if !a.closed && (ref == "" || a.String() == ref) {
			list = append(list, a)
		}
	}
	return list
}

// hint has a job looked at before its next beat, all of them where the ref is "".
func (l *leases) hint(ref string) {
	select {
	case l.hints <- ref:
	default: // the next beat finds out
	}
}

// serve beats until the context ends.
func (l *leases) serve(ctx context.Context) {
	timer := time.NewTimer(l.Lease / 3)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case ref := <-l.hints:
			_ = l.beat(ctx, l.list(ref)) // it was logged, and the regular beat follows
		case <-timer.C:
			next := l.Lease / 3
			if l.beat(ctx, l.list("")) != nil {
				next = l.Lease / 12
			}
			timer.Reset(next)
		}
	}
}

// beat extends the leases of attempts, and ends those that lost their job or were asked to end.
func (l *leases) beat(ctx context.Context, all []*attempt) error {
	now := l.Now()
	due := l.heeding(all, now)
	if len(due) == 0 {
		return nil
	}
	attempts := make([]jobs.Attempt, len(due))
	for i, a := range due {
		attempts[i] = a.Attempt
	}
	asking, cancel := context.WithTimeout(ctx, l.Lease/3)
	defer cancel()
	pulses, err := l.Desk.Beat(asking, attempts, l.Lease)
	if err == nil && len(pulses) != len(due) {
		err = errors.New("the answers are not as many as the attempts")
	}
	if err != nil {
		l.Log.WithError(err).WithField("jobs", len(due)).Warn("leases could not be extended; it will be tried again")
		l.expire(due)
		return err
	}
	for i, pulse := range pulses {
		switch {
		case !pulse.Held:
			l.lose(due[i])
		case pulse.Cancel:
			l.extend(due[i], now.Add(l.Lease))
			due[i].cancel(errCancelled)
		default:
			l.extend(due[i], now.Add(l.Lease))
		}
	}
	return nil
}

// heeding leaves those out whose handlers go on long after their time: others may have these jobs.
func (l *leases) heeding(all []*attempt, now time.Time) []*attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := make([]*attempt, 0, len(all))
	for _, a := range all {
		if a.deadline.IsZero() || now.Before(a.deadline) {
			due = append(due, a)
			continue
		}
		if !a.closed {
			a.closed = true
			l.Log.WithFields(a.fields()).Error("the job does not heed the end of its context; its lease is left to run out")
		}
	}
	return due
}

// expire ends the attempts whose leases have run out by our clock: another worker may have their jobs.
func (l *leases) expire(all []*attempt) {
	now := l.Now()
	for _, a := range all {
		l.mu.Lock()
		over := now.After(a.until)
		l.mu.Unlock()
		if over {
			l.lose(a)
		}
	}
}

func (l *leases) extend(a *attempt, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.until = until
}

// lose ends an attempt that holds its job no more. One that is being settled may have been so meanwhile.
func (l *leases) lose(a *attempt) {
	l.mu.Lock()
	_, held := l.held[a]
	lost := held && !a.settling
	l.mu.Unlock()
	if lost {
		a.cancel(errLost)
	}
}
