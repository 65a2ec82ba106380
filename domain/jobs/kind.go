package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Kind declares a kind of job. Zero values mean what is said of each.
type Kind struct {
	// Name is unique among the kinds: "mail.welcome".
	Name string
	// Queue is one of Queues; "" is Default.
	Queue string
	// MaxAttempts is how often it is tried before it is dead; 0 is 20.
	MaxAttempts int
	// Timeout is how long an attempt may take before its context ends and it has failed; 0 is 5 minutes.
	Timeout time.Duration
	// Backoff is the wait after so many failed attempts, the first being 1; nil is Exponential.
	Backoff func(failed int) time.Duration
	// Unique is what keeps a job from being enqueued twice; arguments that are Keyed name the key.
	Unique Uniqueness
	// UniqueFor is how long the key of UniqueForPeriod stands after the job was enqueued.
	UniqueFor time.Duration
	// MaxRunning is how many jobs of one lane may be under way in the queue at once; 0 is any number. It is for long
	// jobs: a tenant's five imports leave workers for the others.
	MaxRunning int
	// Transactional says that the effect is in the tenant's database: the attempt runs in a transaction, which its
	// completion commits with it. What it does happens exactly once. Such a job is short, and calls nobody outside.
	Transactional bool
}

// Uniqueness says for how long a job's key keeps others out. Jobs of one tenant and kind share keys.
type Uniqueness int

// The kinds of uniqueness.
const (
	// NotUnique keeps nobody out.
	NotUnique Uniqueness = iota
	// UniqueWhilePending keeps others out until the job starts: what changes while it runs has it run once more.
	UniqueWhilePending
	// UniqueWhileLive keeps others out until the job has ended.
	UniqueWhileLive
	// UniqueForPeriod keeps others out for Kind.UniqueFor, whatever became of the job.
	UniqueForPeriod
)

// What a Kind's zero values mean.
const (
	DefaultMaxAttempts = 20
	DefaultTimeout     = 5 * time.Minute
	// MaxArgs is how large arguments may be, as JSON.
	MaxArgs = 64 << 10
	// MaxResult is how large a result may be, as JSON.
	MaxResult = 64 << 10
)

// Args are what a job is told, as JSON: ids, never secrets. Their type declares its kind.
type Args interface {
	JobKind() Kind
}

// Laned are arguments whose fairness is not by tenant: those of a delivery name the endpoint.
type Laned interface {
	JobLane() tenancy.ID
}

// Keyed are arguments with a key of their own for uniqueness; those without are their own key.
type Keyed interface {
	JobKey() string
}

// Exponential is the backoff of kinds that declare none: 10 s, 20 s, 40 s and so on up to 6 hours, with up to a fifth
// more or less at random, so that jobs that failed together do not come again together. Twenty attempts take two days.
func Exponential(failed int) time.Duration {
	const first, most = 10 * time.Second, 6 * time.Hour
	wait := most
	if failed <= 12 {
		wait = min(first<<max(failed-1, 0), most)
	}
	return Jittered(wait)
}

// Jittered is the wait with up to a fifth more or less, at random.
func Jittered(wait time.Duration) time.Duration {
	spread := int64(wait) / 5
	if spread <= 0 {
		return wait
	}
	return wait - time.Duration(spread) + time.Duration(rand.Int64N(2*spread+1)) //nolint:gosec // spreads retries, guards nothing
}

// Complete returns the kind with its defaults filled in.
func (k Kind) Complete() Kind {
	if k.Queue == "" {
		k.Queue = Default
	}
	if k.MaxAttempts <= 0 {
		k.MaxAttempts = DefaultMaxAttempts
	}
	if k.Timeout <= 0 {
		k.Timeout = DefaultTimeout
	}
	if k.Backoff == nil {
		k.Backoff = Exponential
	}
	return k
}

// Check says what is wrong with a declaration.
func (k Kind) Check() error {
	switch {
	case k.Name == "" || len(k.Name) > 100:
		return errors.New("jobs: a kind needs a name of at most 100 characters")
	case k.Queue != "" && !slices.Contains(Queues(), k.Queue):
		return fmt.Errorf("jobs: kind %s: there is no queue %q; the queues are %v", k.Name, k.Queue, Queues())
	case (k.Unique == UniqueForPeriod) != (k.UniqueFor > 0):
		return fmt.Errorf("jobs: kind %s: UniqueForPeriod and UniqueFor go together", k.Name)
	case k.MaxRunning < 0 || k.MaxRunning > 1000:
		return fmt.Errorf("jobs: kind %s: MaxRunning is 0 (any number) to 1000", k.Name)
	}
	return nil
}

// New is a job about to be enqueued.
type New struct {
	// ID is given by Of; a repeat with the same id is an error.
	ID   tenancy.ID
	Kind Kind
	Args json.RawMessage
	// Lane is the key among which workers are shared fairly; zero is the tenant.
	Lane tenancy.ID
	// Key is the uniqueness' key; "" for none.
	Key string
	// RunAt is the earliest time to run; zero is at once.
	RunAt time.Time
}

// Of returns the job that the arguments ask for, at once.
func Of(args Args) (New, error) {
	kind := args.JobKind().Complete()
	if err := kind.Check(); err != nil {
		return New{}, err
	}
	data, err := json.Marshal(args)
	if err != nil {
		return New{}, fmt.Errorf("jobs: write the arguments of %s: %w", kind.Name, err)
	}
	if len(data) > MaxArgs {
		return New{}, fmt.Errorf("jobs: the arguments of %s take %d bytes; at most %d are kept: hand over ids", kind.Name, len(data), MaxArgs)
	}
	job := New{ID: tenancy.NewID(), Kind: kind, Args: data}
	if laned, ok := args.(Laned); ok {
		job.Lane = laned.JobLane()
	}
	if kind.Unique != NotUnique {
		job.Key = string(data)
		if keyed, ok := args.(Keyed); ok {
			job.Key = keyed.JobKey()
		}
		if job.Key == "" || len(job.Key) > maxKey {
			return New{}, fmt.Errorf("jobs: the key of %s has %d bytes; it needs 1 to %d", kind.Name, len(job.Key), maxKey)
		}
	}
	return job, nil
}

// At has the job run no earlier than a time.
func (n New) At(t time.Time) New {
	n.RunAt = t
	return n
}

// maxKey is how long a uniqueness' key may be: it stands in an index.
const maxKey = 500

var errNoRef = errors.New("jobs: this names no job")

// Handler runs the jobs of one kind.
type Handler struct {
	Kind Kind
	run  func(ctx context.Context, run *Run) error
}

// Handle declares who runs the jobs whose arguments are of type A. The function returns nil where the job is done. Its
// context ends with the kind's time-out, with the loss of the lease, with a cancellation and with the process.
func Handle[A Args](fn func(ctx context.Context, run *Run, args A) error) Handler {
	var zero A
	kind := zero.JobKind().Complete()
	return Handler{Kind: kind, run: func(ctx context.Context, run *Run) error {
		var args A
		if err := json.Unmarshal(run.Job.Args, &args); err != nil {
			return Permanent(fmt.Errorf("read the arguments of %s: %w", kind.Name, err))
		}
		return fn(ctx, run, args)
	}}
}

// Run runs one attempt.
func (h Handler) Run(ctx context.Context, run *Run) error { return h.run(ctx, run) }
