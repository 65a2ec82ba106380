package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// jobView is a job in a list.
type jobView struct {
	ID          tenancy.ID `json:"id"`
	Kind        string     `json:"kind" example:"transfers.import" doc:"What sort of work it is."`
	Queue       string     `json:"queue" example:"transfers"`
	State       jobs.State `json:"state" doc:"Where the job stands; succeeded, dead and cancelled are its ends."`
	Attempt     int        `json:"attempt" example:"1" doc:"How often it was tried, the attempt under way included."`
	MaxAttempts int        `json:"max_attempts" example:"20" doc:"How often it is tried before it is dead."`

	Progress *jobs.Progress  `json:"progress"`
	Result   json.RawMessage `json:"result"`
	Error    *string         `json:"error" doc:"How the last attempt failed; null where none did."`

	CancelRequested bool `json:"cancel_requested" doc:"Somebody asked for it to be cancelled, and it is still running."`

	RequestID  string     `json:"request_id" doc:"The request that caused the job."`
	CreatedAt  time.Time  `json:"created_at"`
	RunAt      time.Time  `json:"run_at" doc:"When it is, or was, to run."`
	StartedAt  *time.Time `json:"started_at" doc:"When its last attempt began."`
	FinishedAt *time.Time `json:"finished_at"`
}

// jobDetail is a job as it is read by its id.
type jobDetail struct {
	jobView

	Args     json.RawMessage  `json:"args"`
	Failures []jobFailureView `json:"failures" doc:"The attempts that failed, the oldest first."`
}

// jobFailureView is an attempt that failed. Its stack and its worker are the operators'.
type jobFailureView struct {
	Attempt   int       `json:"attempt" example:"1"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
	Error     string    `json:"error" example:"the server answered 503"`
}

func jobRoutes(service *jobs.Service) []Route {
	h := jobHandler{service: service}
	const root, one = "/jobs", "/jobs/:id"
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: members.JobsRead, Status: http.StatusOK,
			Params:  pageParameters("state", "kind", "queue", "from", "to"),
			Summary: "List jobs, the newest first", Answer: jobView{}, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: members.JobsRead, Status: http.StatusOK,
			Summary: "Read a job: how far it is, what came of it, and how attempts failed", Answer: jobDetail{},
			Handle: withID(service.Find, answerJob),
		},
		{
			Method: http.MethodPost, Path: one + "/cancel", Access: Tenant, Permission: members.JobsWrite, Status: http.StatusOK,
			Summary: "Cancel a job that waits, or ask a running one to end", Answer: jobDetail{},
			Handle: withID(service.Cancel, answerJob),
		},
		{
			Method: http.MethodPost, Path: one + "/retry", Access: Tenant, Permission: members.JobsWrite, Status: http.StatusOK,
			Summary: "Have a dead job run again", Answer: jobDetail{}, Handle: withID(service.Retry, answerJob),
		},
	}
}

type jobHandler struct{ service *jobs.Service }

func (h jobHandler) list(c *Call) error {
	q := c.filteredList("jobs")
	query := jobs.Query{States: statesOf(q, jobs.PublicStates()), Kind: q.Get("kind"), Queue: q.Get("queue")}
	if q.Has("kind") && !isKind(query.Kind) {
		q.refuse("kind", "value",
			"is not the name of a kind: it has 1 to "+strconv.Itoa(maxKindLength)+" printable characters, such as transfers.import")
	}
	if q.Has("queue") && !slices.Contains(jobs.Queues(), query.Queue) {
		q.refuse("queue", "oneof", "is no queue; the queues are: "+strings.Join(jobs.Queues(), ", "))
	}
	query.From, query.To = q.time("from"), q.time("to")
	return answerList(q, func(request page.Request) (page.Page[jobs.Job], error) {
		query.Request = request
		return h.service.List(c.Context(), c.Scope, query)
	}, viewOfJob)
}

func answerJob(c *Call, job jobs.Job) error {
	detail := jobDetail{jobView: viewOfJob(job), Args: job.Args, Failures: make([]jobFailureView, len(job.Failures))}
	for i, f := range job.Failures {
		detail.Failures[i] = jobFailureView{Attempt: f.Attempt, StartedAt: f.StartedAt, EndedAt: f.EndedAt, Error: f.Error}
	}
	return c.Answer(http.StatusOK, detail)
}

func viewOfJob(j jobs.Job) jobView {
	return jobView{
		ID: j.ID, Kind: j.Kind, Queue: j.Queue, State: j.State.Public(), Attempt: j.Attempt, MaxAttempts: j.MaxAttempts,
		Progress: j.Progress, Result: j.Result, Error: j.Error,
		CancelRequested: j.CancelRequested && !j.State.IsFinal(), RequestID: j.RequestID,
		CreatedAt: j.CreatedAt, RunAt: j.RunAt, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt,
	}
}

// maxKindLength is how long the name of a kind is at most.
const maxKindLength = 100

func isKind(name string) bool {
	isOdd := func(r rune) bool { return r <= ' ' || r > '~' }
	return name != "" && len(name) <= maxKindLength && !strings.ContainsFunc(name, isOdd)
}
