package jobs

import (
	"context"
	"encoding/json"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// What the engine asks of its parts. All of it acts for the system, across tenants; times are the database's own, so
// that machines whose clocks differ agree.

// Backlog is the jobs as the dispatcher sees them.
type Backlog interface {
	// Promote makes up to limit jobs pending whose time has come, and says how many and in which queues.
	Promote(ctx context.Context, limit int) (moved int, queues []string, err error)
	// Pick chooses up to limit pending jobs of a queue, fairly among lanes from the one after cursor on, marks them
	// dispatched, has deliver hand them over, and commits. Where deliver fails nothing is changed. One dispatcher picks
	// from a queue at a time: the others get Busy.
	Pick(ctx context.Context, queue string, limit int, cursor tenancy.ID, deliver func([]Ref) error) (Picked, error)
	// Recall makes dispatched jobs pending again that were handed over before the given time and are not among those
	// that are known to wait in Redis. A queue of "" is all of them.
	Recall(ctx context.Context, queue string, before time.Time, waiting []Ref) (int64, error)
	// Expire takes running jobs from workers whose lease has run out: they are pending again, or dead where that was
	// their last attempt. It answers how many of each.
	Expire(ctx context.Context, limit int) (again, dead int64, err error)
	// Now is the database's time.
	Now(ctx context.Context) (time.Time, error)
	// PausedQueues are the queues that operators have paused.
	PausedQueues(ctx context.Context) ([]string, error)
}

// Picked is what a pick came to.
type Picked struct {
	Jobs int
	// Cursor is the last lane that was served.
	Cursor tenancy.ID
	// Busy says that another dispatcher was picking from the queue.
	Busy bool
}

// Buffer is Redis as the dispatcher sees it: a bounded, disposable list for each queue. Its errors are those of a Redis
// that is away.
type Buffer interface {
	// Waiting returns the jobs in a queue's list that no worker has taken.
	Waiting(ctx context.Context, queue string) ([]Ref, error)
	// Look is what a queue's list is like.
	Look(ctx context.Context, queue string) (List, error)
	// Push hands jobs over and rings the queue's doorbell.
	Push(ctx context.Context, queue string, refs []Ref) error
	// Pause stops or resumes the taking of a queue's jobs.
	Pause(ctx context.Context, queue string, paused bool) error
	// Epoch names the contents of Redis: it changes where they were lost, or may have been. now is the database's time,
	// which becomes the epoch's beginning where a new one begins.
	Epoch(ctx context.Context, now time.Time) (Epoch, error)
	// Sweep removes what dead workers left in a queue's lists.
	Sweep(ctx context.Context, queue string) (removed int, err error)
}

// List is what a queue's list of jobs is like at some moment.
type List struct {
	// Waiting is how many jobs wait in it that no worker has taken.
	Waiting int
	// Slots is how many jobs the queue's workers may run at once, as far as heartbeats tell; Running is how many they do,
	// as far as Redis knows.
	Slots, Running int
	// Pushed is how many jobs were handed over since Redis was empty.
	Pushed int64
}

// Epoch is a time during which Redis has lost nothing.
type Epoch struct {
	Name string
	// Since is when it began, by the database's clock: what was handed over before may be lost.
	Since time.Time
}

// Desk is the jobs as a worker sees them.
type Desk interface {
	// Claim takes jobs for a worker until the lease runs out, each with its next attempt. Those that are not there to be
	// taken (done, cancelled, taken by another) are missing in the answer. Locked lists those that a transaction under
	// way holds: to be asked for again in a moment.
	Claim(ctx context.Context, worker string, refs []Ref, lease time.Duration) (claimed []Job, locked []Ref, err error)
	// Settle ends attempts, each only where it still holds its job. It answers for each, in order, whether it did.
	Settle(ctx context.Context, outcomes []Outcome) ([]bool, error)
	// Beat extends the leases of attempts under way and answers what to do about each, in order.
	Beat(ctx context.Context, attempts []Attempt, lease time.Duration) ([]Pulse, error)
	// SaveProgress notes how far attempts have come; of those that lost their job it says nothing.
	SaveProgress(ctx context.Context, progress []AttemptProgress) error
	// Within runs fn in a transaction of the job's tenant and settles the attempt in it: both or neither. held is false,
	// and nothing is kept, where the attempt had lost its job.
	Within(ctx context.Context, scope tenancy.Scope, outcome func() Outcome, fn func(ctx context.Context) error) (held bool, err error)
}

// Attempt is one attempt of a job: the fencing token stands in it.
type Attempt struct {
	Ref

	Number int
}

// Pulse is what a beat finds out about an attempt.
type Pulse struct {
	// Held says that the attempt still holds its job.
	Held bool
	// Cancel says that somebody asked for it to be cancelled.
	Cancel bool
}

// AttemptProgress is how far an attempt has come.
type AttemptProgress struct {
	Attempt
	Progress
}

// Outcome is how an attempt ended.
type Outcome struct {
	Attempt

	// State is Succeeded, Retrying, Dead, Cancelled, or Pending for a claim that is given back: that attempt does not
	// count.
	State State
	// RunAt is when a retrying or pending job is to run.
	RunAt  time.Time
	Result json.RawMessage
	// Error and Stack are what went wrong; "" where nothing did.
	Error, Stack string
}
