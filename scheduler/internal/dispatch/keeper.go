package dispatch

import (
	"context"
	"slices"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// batch is how many jobs one statement promotes or expires.
const batch = 1000

// keeper does what is not picking: it makes due jobs pending, takes jobs from workers that are gone, and has those run
// again that Redis has lost.
type keeper struct {
	*Dispatcher

	epoch     jobs.Epoch
	told      string // the epoch that was told of last: where its recall fails that is done again, and not told of again
	nextTend  time.Time
	nextPause time.Time
}

// promote makes jobs pending whose time has come.
func (k *keeper) promote(ctx context.Context) error {
	for {
		moved, queues, err := k.Backlog.Promote(ctx, batch)
		if err != nil {
			return k.sql.failed("promote", err)
		}
		k.sql.worked("promote")
		k.metrics.promoted.Add(float64(moved))
		for _, queue := range queues {
			k.Wake(queue)
		}
		if moved < batch {
			return nil
		}
	}
}

// expire takes jobs from workers whose lease ran out.
func (k *keeper) expire(ctx context.Context) error {
	for {
		again, dead, err := k.Backlog.Expire(ctx, batch)
		if err != nil {
			return k.sql.failed("expire", err)
		}
		k.sql.worked("expire")
		k.metrics.expired.WithLabelValues("again").Add(float64(again))
		k.metrics.expired.WithLabelValues("dead").Add(float64(dead))
		if again > 0 {
			k.Wake("")
		}
		if again+dead < batch {
			return nil
		}
	}
}

// watch looks whether Redis is still the one it was, and now and then whether what was handed over is still there.
func (k *keeper) watch(ctx context.Context) error {
	now, err := k.Backlog.Now(ctx)
	if err != nil {
		return k.sql.failed("watch", err)
	}
	epoch, err := k.Buffer.Epoch(ctx, now)
	if err != nil {
		return k.redis.failed("watch", err)
	}
	isLost := epoch.Name != k.epoch.Name
	if isLost && k.epoch.Name != "" && k.told != epoch.Name {
		k.told = epoch.Name
		k.metrics.losses.Inc()
		k.Log.WithField("since", epoch.Since).Warn("Redis lost what was in it, or may have: jobs handed over before are handed over again")
	}
	if isLost || !now.Before(k.nextTend) || now.Before(k.nextTend.Add(-2*tendEvery)) {
		if err := k.recall(ctx, epoch, now); err != nil {
			return err
		}
		if err := k.pause(ctx, now, isLost); err != nil {
			return err
		}
		k.nextTend = now.Add(tendEvery)
	}
	k.epoch = epoch // when all of it is done: a failure has it done again
	k.metrics.epoch.Set(float64(epoch.Since.UnixMicro()) / 1e6)
	k.sql.worked("watch")
	k.redis.worked("watch")
	return nil
}

// recall makes jobs pending again that were handed over, are not in the list, and are not on their way from there: for
// longer than anything is on its way, or since before Redis lost its lists. What a pick had not yet committed when they
// were lost is found by one of the next calls.
func (k *keeper) recall(ctx context.Context, epoch jobs.Epoch, now time.Time) error {
	before := now.Add(-overdue)
	if epoch.Since.After(before) {
		before = epoch.Since
	}
	for _, queue := range k.Queues {
		waiting, err := k.Buffer.Waiting(ctx, queue)
		if err != nil {
			return k.redis.failed("watch", err)
		}
		recalled, err := k.Backlog.Recall(ctx, queue, before, waiting)
		if err != nil {
			return k.sql.failed("watch", err)
		}
		if recalled > 0 {
			k.metrics.recalled.WithLabelValues(queue).Add(float64(recalled))
			k.Wake(queue)
		}
	}
	return nil
}

// pause tells Redis which queues are paused: when it changes, and now and then, since Redis forgets.
func (k *keeper) pause(ctx context.Context, now time.Time, tellAll bool) error { //nolint:revive // told all or what changed
	paused, err := k.Backlog.PausedQueues(ctx)
	if err != nil {
		return k.sql.failed("watch", err)
	}
	if !now.Before(k.nextPause) {
		tellAll, k.nextPause = true, now.Add(sweepEvery)
	}
	for queue, f := range k.feeders {
		isPaused := slices.Contains(paused, queue)
		if !tellAll && f.paused.Load() == isPaused {
			continue
		}
		if err := k.Buffer.Pause(ctx, queue, isPaused); err != nil {
			return k.redis.failed("watch", err)
		}
		if f.paused.Swap(isPaused) && !isPaused {
			f.ring()
		}
	}
	return nil
}

// sweep removes what dead workers left in Redis.
func (k *keeper) sweep(ctx context.Context) error {
	for _, queue := range k.Queues {
		removed, err := k.Buffer.Sweep(ctx, queue)
		if err != nil {
			return k.redis.failed("sweep", err)
		}
		k.metrics.swept.WithLabelValues(queue).Add(float64(removed))
	}
	k.redis.worked("sweep")
	return nil
}

// count measures what waits. What is not counted any more is 0.
func (k *keeper) count(ctx context.Context) error {
	counts, err := k.Count(ctx)
	if err != nil {
		return k.sql.failed("count", err)
	}
	k.sql.worked("count")
	k.metrics.depth.Reset()
	oldest := make(map[string]time.Duration, len(k.Queues))
	for _, queue := range k.Queues {
		oldest[queue] = 0
		for _, state := range []jobs.State{jobs.Scheduled, jobs.Pending, jobs.Dispatched, jobs.Running, jobs.Retrying, jobs.Dead} {
			k.metrics.depth.WithLabelValues(queue, string(state)).Set(0)
		}
	}
	for _, c := range counts {
		k.metrics.depth.WithLabelValues(c.Queue, string(c.State)).Set(float64(c.Jobs))
		if c.State.Public() == jobs.Pending {
			oldest[c.Queue] = max(oldest[c.Queue], c.Oldest)
		}
	}
	for queue, age := range oldest {
		k.metrics.oldest.WithLabelValues(queue).Set(age.Seconds())
	}
	return nil
}
