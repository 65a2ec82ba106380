package dispatch

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// feeder keeps one queue's list filled.
type feeder struct {
	*Dispatcher

	queue  string
	bell   chan struct{}
	paused atomic.Bool
	window window
	// cursor is the lane that was served last. It begins anywhere, so that the lanes behind others are not always those
	// that a scheduler serves last after its start.
	cursor tenancy.ID
}

func newFeeder(d *Dispatcher, queue string) *feeder {
	f := &feeder{Dispatcher: d, queue: queue, bell: make(chan struct{}, 1)}
	_, _ = rand.Read(f.cursor[:])
	return f
}

// ring has the queue looked at. While it is looked at, any number of rings are one more look.
func (f *feeder) ring() {
	select {
	case f.bell <- struct{}{}:
	default:
	}
}

// run looks at the queue whenever somebody rings, when time has passed, and at once again while there is more to do.
func (f *feeder) run(ctx context.Context) {
	var failing backoff
	full := busyPoll
	for ctx.Err() == nil {
		begun := f.Now()
		var found found
		err := within(ctx, func(ctx context.Context) (err error) {
			found, err = f.fill(ctx)
			return err
		})
		switch {
		case err != nil:
			sleep(ctx, failing.next()) // bells are not listened to meanwhile
			continue
		case found == more:
			full = busyPoll
			sleep(ctx, busyPoll)
		case found == noRoom:
			sleep(ctx, full)
			full = min(2*full, busyPollMost)
		default:
			full = busyPoll
			f.idle(ctx, f.Now().Sub(begun))
		}
		failing = backoff{}
	}
}

// idle waits for the bell. Where the bell rings all the time, looks are as far apart as one takes: then each finds many
// jobs, and the database is left half of its time.
func (f *feeder) idle(ctx context.Context, took time.Duration) {
	begun := f.Now()
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-f.bell:
		if rest := min(took, busyPollMost) - f.Now().Sub(begun); rest > 0 {
			sleep(ctx, rest)
		}
	}
}

// found is what a look at a queue came to.
type found int

const (
	nothingMore found = iota
	more              // there may be more waiting than was picked
	noRoom            // the list is full
)

// fill picks what the list has room for.
func (f *feeder) fill(ctx context.Context) (found, error) {
	if f.paused.Load() {
		return nothingMore, nil
	}
	list, err := f.Buffer.Look(ctx, f.queue)
	if err != nil {
		return nothingMore, f.redis.failed(f.queue, err)
	}
	f.metrics.listLength.WithLabelValues(f.queue).Set(float64(list.Waiting))
	room := f.window.room(list, f.Now())
	if room == 0 {
		f.redis.worked(f.queue)
		return noRoom, nil
	}
	var pushed error
	begun := f.Now()
	picked, err := f.Backlog.Pick(ctx, f.queue, room, f.cursor, func(refs []jobs.Ref) error {
		pushed = f.Buffer.Push(ctx, f.queue, refs)
		return pushed
	})
	switch {
	case pushed != nil:
		return nothingMore, f.redis.failed(f.queue, pushed)
	case err != nil:
		return nothingMore, f.sql.failed(f.queue, err)
	}
	f.redis.worked(f.queue)
	f.sql.worked(f.queue)
	if picked.Jobs > 0 {
		f.cursor = picked.Cursor
		f.metrics.picked.WithLabelValues(f.queue).Add(float64(picked.Jobs))
		f.metrics.pickSeconds.WithLabelValues(f.queue).Observe(f.Now().Sub(begun).Seconds())
	}
	if picked.Jobs >= room {
		return more, nil
	}
	return nothingMore, nil
}
