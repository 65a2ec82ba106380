package jobs

import (
	"context"
	"encoding/json"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Enqueued is what became of a job that was to be enqueued.
type Enqueued struct {
	// ID is the job's; that of the job that is there already where Existed.
	ID tenancy.ID
	// Existed says that the key was taken: nothing was enqueued.
	Existed bool
}

// Queue takes jobs.
type Queue interface {
	// Enqueue saves jobs of the scope's tenant: in the transaction of ctx where it has one of that tenant, else in one of
	// its own. They run once it is committed, and never where it is not. The answers are in the order of the jobs.
	Enqueue(ctx context.Context, scope tenancy.Scope, jobs ...New) ([]Enqueued, error)
}

// Enqueue saves one job by its arguments; see Queue.
func Enqueue(ctx context.Context, q Queue, scope tenancy.Scope, args Args) (Enqueued, error) {
	job, err := Of(args)
	if err != nil {
		return Enqueued{}, err
	}
	done, err := q.Enqueue(ctx, scope, job)
	if err != nil {
		return Enqueued{}, err
	}
	return done[0], nil
}

// Query selects a tenant's jobs, newest first; zero values select all.
type Query struct {
	page.Request
	// States are public ones; pending selects dispatched ones too.
	States []State
	Kind   string
	Queue  string
	// From and To bound the time of creation.
	From, To time.Time
}

// Store reads and steers a tenant's jobs.
type Store interface {
	// ListJobs returns up to one job more than the limit, newest first.
	ListJobs(ctx context.Context, scope tenancy.Scope, query Query) ([]Job, error)
	// FindJob returns one job; NotFound "job.not_found".
	FindJob(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Job, error)
	// CancelJob ends a job that waits, and asks one that runs to end. One that was cancelled stays so; one that has
	// ended otherwise is Conflict "job.finished".
	CancelJob(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time) (Job, error)
	// RetryJob has a dead job run again at once, with its attempts counted from the start; another state is Conflict
	// "job.not_dead".
	RetryJob(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time) (Job, error)
}

// Amender alters jobs that have not begun.
type Amender interface {
	// AmendJob lets amend rewrite the arguments of a job that waits for an attempt, and answers the job as it is then. Those
	// of one that runs or has ended stay, and amend is not called. NotFound "job.not_found".
	AmendJob(ctx context.Context, scope tenancy.Scope, id tenancy.ID, amend func(json.RawMessage) (json.RawMessage, error)) (Job, error)
}

// Service is what a tenant does with its jobs.
type Service struct {
	store Store
	tell  CancelTeller
	now   func() time.Time
}

// CancelTeller tells workers, as well as it can, that somebody asked for a running job to be cancelled. A worker that
// was not told learns of it with the next beat of its lease. The call comes in the context of the request, which may be
// in a transaction that is not committed yet: the teller waits for that.
type CancelTeller func(ctx context.Context, ref Ref)

// NewService returns the service over a store; a nil tell leaves workers to find out about cancellations themselves.
func NewService(store Store, tell CancelTeller, now func() time.Time) *Service {
	return &Service{store: store, tell: tell, now: now}
}

// List returns one page, newest first.
func (s *Service) List(ctx context.Context, scope tenancy.Scope, query Query) (page.Page[Job], error) {
	query.Request = query.Normalized()
	rows, err := s.store.ListJobs(ctx, scope, query)
	if err != nil {
		return page.Page[Job]{}, err
	}
	return page.Of(rows, query.Request, func(j Job) page.Position { return page.Position{j.ID.String()} }), nil
}

// Find returns one job.
func (s *Service) Find(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Job, error) {
	return s.store.FindJob(ctx, scope, id)
}

// Cancel ends a job that waits, and asks one that runs to end.
func (s *Service) Cancel(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Job, error) {
	job, err := s.store.CancelJob(ctx, scope, id, s.now().UTC())
	if err != nil {
		return Job{}, err
	}
	if s.tell != nil && job.State == Running && job.CancelRequested {
		s.tell(ctx, Ref{Tenant: scope.Tenant, ID: job.ID})
	}
	return job, nil
}

// Retry has a dead job run again.
func (s *Service) Retry(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Job, error) {
	return s.store.RetryJob(ctx, scope, id, s.now().UTC())
}

// ErrNotFound is the answer for a job that is not there.
func ErrNotFound() error {
	return fault.New(fault.NotFound, "job.not_found", "There is no such job; those that have ended are kept for a while only.")
}

// ErrFinished is the answer to a cancellation that comes too late.
func ErrFinished(state State) error {
	return fault.New(fault.Conflict, "job.finished", "The job has ended already: it is "+string(state)+".")
}

// ErrNotDead is the answer to a retry of a job that is not dead.
func ErrNotDead(state State) error {
	return fault.New(fault.Conflict, "job.not_dead", "Only a dead job can be retried; this one is "+string(state.Public())+".")
}
