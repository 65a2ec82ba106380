// Package backfills owns changes of the rows that were there before a column was: what a backfill is, how far it has
// come, and how it is steered.
//
// A migration changes the shape of a table and a backfill its rows, afterwards: tenant by tenant and batch by batch, each
// batch a short transaction that keeps the progress with it. So it may be killed anywhere, and goes on where it stopped.
// It holds back: never more than its rows a second, and never more than half of the time. Operators start it; a worker
// runs it as a job of the reserved tenant. The statements are the store's; the package knows none.
package backfills

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Definition declares a backfill. Zero values mean what is said of each.
type Definition struct {
	// Name is unique and never used again: "orders-channel".
	Name string
	// Summary says in a line what it does.
	Summary string
	// Batch is how many rows one transaction looks at, at most; 0 is 500. It looks at fewer where they take long.
	Batch int
	// PerSecond is how many rows it looks at in a second, at most; 0 is 5,000.
	PerSecond int
}

// State is what a backfill has come to.
type State string

// The states of a backfill that was started.
const (
	Running State = "running"
	Paused  State = "paused"
	Done    State = "done"
)

// Run is how far a backfill has come.
type Run struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Tenant is the one that it is at; Tenants are how many it is done with.
	Tenant  tenancy.ID `json:"tenant_id"`
	Tenants int64      `json:"tenants"`
	// Looked are the rows that it has looked at, Changed those of them that it has changed, and Expected how many there
	// were when it began, as PostgreSQL estimates it.
	Looked   int64 `json:"rows_looked_at"`
	Changed  int64 `json:"rows_changed"`
	Expected int64 `json:"rows_expected"`
	// Error is why the last attempt failed; null where it did not.
	Error      *string    `json:"error"`
	StartedAt  time.Time  `json:"started_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	FinishedAt *time.Time `json:"finished_at"`
}

// Work is the job that runs a backfill to its end, or until it is paused.
type Work struct {
	Name string `json:"name"`
}

// JobKind declares the kind. An attempt that a worker's stop or death cuts short is followed by another.
func (Work) JobKind() jobs.Kind {
	return jobs.Kind{Name: "backfills.run", Unique: jobs.UniqueWhileLive, Timeout: 24 * time.Hour}
}

// Step is one batch.
type Step struct {
	// Run is how far the backfill has come with it.
	Run Run
	// Looked is how many rows it looked at.
	Looked int64
}

// Store keeps how far backfills have come and changes the rows.
type Store interface {
	// Definitions are all that this program has.
	Definitions() []Definition
	// ListBackfills returns all that were started, by name.
	ListBackfills(ctx context.Context) ([]Run, error)
	// FindBackfill returns one that was started; found is false for one that was not.
	FindBackfill(ctx context.Context, name string) (run Run, found bool, err error)
	// BeginBackfill notes that a backfill is running from its beginning, and calls then in the same transaction; begun is
	// false, and nothing is done, where it was begun before.
	BeginBackfill(ctx context.Context, name string, then func(ctx context.Context) error) (begun bool, err error)
	// ForgetBackfill forgets one that is done, so that it can begin again.
	ForgetBackfill(ctx context.Context, name string) error
	// SteerBackfill changes the state of one that is not done, and calls then in the same transaction.
	SteerBackfill(ctx context.Context, name string, to State, then func(ctx context.Context) error) error
	// StepBackfill changes the next rows, up to limit, and keeps how far it came, in one transaction. Of one that is not
	// running it changes nothing.
	StepBackfill(ctx context.Context, name string, limit int) (Step, error)
	// NoteBackfillError keeps why an attempt failed; the next step that does not fail takes it away.
	NoteBackfillError(ctx context.Context, name, text string) error
}

// Check says what is wrong with a declaration.
func (d Definition) Check() error {
	for _, r := range d.Name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return fmt.Errorf("backfills: the name %q may have small letters, digits and hyphens only", d.Name)
		}
	}
	switch {
	case d.Name == "" || len(d.Name) > 60:
		return errors.New("backfills: a backfill needs a name of at most 60 characters")
	case d.Summary == "":
		return fmt.Errorf("backfills: %s needs a summary", d.Name)
	case d.Batch < 0 || d.Batch > maxBatch:
		return fmt.Errorf("backfills: the batch of %s is %d; it is 1 to %d", d.Name, d.Batch, maxBatch)
	case d.PerSecond < 0:
		return fmt.Errorf("backfills: the rows a second of %s are %d; they are more than 0", d.Name, d.PerSecond)
	}
	return nil
}

const (
	defaultBatch     = 500
	maxBatch         = 10_000
	leastBatch       = 10
	defaultPerSecond = 5_000
	// longBatch is how long a batch may take before the next is a smaller one: as long may a request wait for a row.
	longBatch = 100 * time.Millisecond
)

// Complete returns the definition with its defaults filled in.
func (d Definition) Complete() Definition {
	if d.Batch == 0 {
		d.Batch = defaultBatch
	}
	if d.PerSecond == 0 {
		d.PerSecond = defaultPerSecond
	}
	return d
}

// next is the size of the batch after one of a size that took some time.
func (d Definition) next(size int, took time.Duration) int {
	switch {
	case took > longBatch:
		return max(size/2, min(leastBatch, d.Batch))
	case took < longBatch/2:
		return min(size+size/4+1, d.Batch)
	default:
		return size
	}
}

// pause is how long to wait after a batch: as long as it took, so that others have half of the time, and as long as the
// rows a second ask for.
func (d Definition) pause(looked int64, took time.Duration) time.Duration {
	due := time.Duration(looked) * time.Second / time.Duration(d.PerSecond)
	return max(took, due-took)
}
