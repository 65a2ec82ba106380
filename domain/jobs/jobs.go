// Package jobs owns background work: what a job is, how its kind is declared, what becomes of it, and what the engine
// asks of its store.
//
// Whoever has something done later enqueues a job in the transaction of the change that calls for it; the scheduler
// dispatches it and a worker runs it. PostgreSQL holds the truth: a job that was committed runs, whatever dies
// meanwhile, and runs again where it cannot be known to have ended. The package runs nothing itself and knows no queue
// library.
package jobs

import (
	"encoding/json"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// The queues. A worker process serves some of them, each with so many jobs at a time.
const (
	// Critical has what somebody waits for: password and sign-in mails, security notices.
	Critical = "critical"
	// Default has everything else.
	Default = "default"
	// Webhooks has deliveries to customers' servers.
	Webhooks = "webhooks"
	// Transfers has imports and exports.
	Transfers = "transfers"
	// Reports has the nightly reports.
	Reports = "reports"
)

// Queues are all of them.
func Queues() []string { return []string{Critical, Default, Webhooks, Transfers, Reports} }

// State is what a job has come to.
type State string

// The states. A job begins as scheduled or pending; succeeded, dead and cancelled are final, though a dead one may be
// retried by hand.
const (
	// Scheduled waits for its time.
	Scheduled State = "scheduled"
	// Pending waits for a worker.
	Pending State = "pending"
	// Dispatched was handed to Redis, and is pending to everybody but the engine.
	Dispatched State = "dispatched"
	// Running is held by a worker.
	Running State = "running"
	// Retrying has failed and waits for its next attempt.
	Retrying State = "retrying"
	// Succeeded has ended well.
	Succeeded State = "succeeded"
	// Dead has used up its attempts, or said that another one would be of no use.
	Dead State = "dead"
	// Cancelled was stopped by somebody, or by itself.
	Cancelled State = "cancelled"
)

// Public is the state as a tenant sees it.
func (s State) Public() State {
	if s == Dispatched {
		return Pending
	}
	return s
}

// PublicStates are the states that a tenant sees, from a job's beginning to its end.
func PublicStates() []State {
	return []State{Scheduled, Pending, Running, Retrying, Succeeded, Dead, Cancelled}
}

// IsWaiting says whether an attempt is still to come and none is under way.
func (s State) IsWaiting() bool { return !s.IsFinal() && s != Running }

// IsFinal says whether nothing more happens by itself.
func (s State) IsFinal() bool { return s == Succeeded || s == Dead || s == Cancelled }

// Job is one piece of work, as its tenant and its operators see it.
type Job struct {
	Tenant tenancy.ID      `json:"-"`
	ID     tenancy.ID      `json:"id"`
	Kind   string          `json:"kind"`
	Queue  string          `json:"queue"`
	State  State           `json:"state"`
	Args   json.RawMessage `json:"args"`
	// Attempt counts the attempts begun; it is the fencing token of the one that runs.
	Attempt     int       `json:"attempt"`
	MaxAttempts int       `json:"max_attempts"`
	Progress    *Progress `json:"progress"`
	// Result is what a job that succeeded has to say; null for none.
	Result json.RawMessage `json:"result"`
	// Error is how the last attempt failed; null where none did.
	Error *string `json:"error"`
	// Failures are the attempts that failed, oldest first. The one that succeeded is told by StartedAt and FinishedAt.
	Failures        []Failure `json:"failures"`
	CancelRequested bool      `json:"cancel_requested"`
	// RequestID names the request that caused the job.
	RequestID string `json:"request_id"`
	// Trace is the trace that the request is part of.
	Trace     tenancy.Trace `json:"-"`
	CreatedAt time.Time     `json:"created_at"`
	// RunAt is when it is, or was, to run.
	RunAt time.Time `json:"run_at"`
	// StartedAt is when the last attempt began.
	StartedAt  *time.Time `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	// Worker names the process that holds it, or held it last.
	Worker string `json:"-"`
}

// Progress is how far a running job has come: Done of Total, which is 0 where nobody knows.
type Progress struct {
	Done    int64  `json:"done"`
	Total   int64  `json:"total"`
	Message string `json:"message"`
}

// Failure is an attempt that failed.
type Failure struct {
	Attempt   int       `json:"attempt"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
	Error     string    `json:"error"`
	// Stack is where a panic came from; it is for operators and not shown to a tenant.
	Stack  string `json:"stack,omitempty"`
	Worker string `json:"worker,omitempty"`
}

// Ref finds a job: the only thing of it that Redis is told.
type Ref struct{ Tenant, ID tenancy.ID }

// String is "<tenant>/<id>".
func (r Ref) String() string { return r.Tenant.String() + "/" + r.ID.String() }

// ParseRef reads what String wrote.
func ParseRef(s string) (Ref, error) {
	const half = 36
	if len(s) != 2*half+1 || s[half] != '/' {
		return Ref{}, errNoRef
	}
	tenant, err := tenancy.ParseID(s[:half])
	if err != nil {
		return Ref{}, err
	}
	id, err := tenancy.ParseID(s[half+1:])
	return Ref{Tenant: tenant, ID: id}, err
}
