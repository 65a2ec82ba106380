package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Jobs keeps a tenant's jobs. It implements jobs.Queue, jobs.Store and jobs.Effects, each statement held to the scope's
// tenant; what the engine does with the jobs of all tenants is JobEngine's.
type Jobs struct {
	router Router
	wake   func(queue string)
}

var (
	_ jobs.Queue   = (*Jobs)(nil)
	_ jobs.Store   = (*Jobs)(nil)
	_ jobs.Effects = (*Jobs)(nil)
	_ jobs.Amender = (*Jobs)(nil)
)

// NewJobs returns the jobs of the tenants' databases. wake is told of a queue that got jobs, after they were committed
// and once for a transaction; it must return at once, and nothing depends on it. It may be nil.
func NewJobs(router Router, wake func(queue string)) *Jobs {
	if wake == nil {
		wake = func(string) {}
	}
	return &Jobs{router: router, wake: wake}
}

// liveColumns and endedColumns are a job as readJob reads it, from jobs j and from jobs_finished j.
const (
	jobColumns = "j.tenant_id, j.id, j.kind, j.queue, j.state, j.attempt, j.max_attempts, j.run_at, j.created_at, " +
		"j.started_at, j.finished_at, j.worker, j.cancel_requested, j.request_id, coalesce(j.trace, '') as trace, j.args, j.progress, j.error, j.failures"
	liveColumns  = jobColumns + ", null::json as result"
	endedColumns = jobColumns + ", j.result"
)

func readJob(row scanner) (j jobs.Job, err error) {
	var progress, failures []byte
	err = row.Scan(
		&j.Tenant, &j.ID, &j.Kind, &j.Queue, &j.State, &j.Attempt, &j.MaxAttempts, &j.RunAt, &j.CreatedAt,
		&j.StartedAt, &j.FinishedAt, &j.Worker, &j.CancelRequested, &j.RequestID, &j.Trace, (*[]byte)(&j.Args), &progress, &j.Error,
		&failures, (*[]byte)(&j.Result))
	if err != nil {
		return j, err
	}
	if err := json.Unmarshal(failures, &j.Failures); err != nil {
		return j, fmt.Errorf("read a job's failures: %w", err)
	}
	if progress != nil {
		if err := json.Unmarshal(progress, &j.Progress); err != nil {
			return j, fmt.Errorf("read a job's progress: %w", err)
		}
	}
	return j, nil
}

// shown is the job as its tenant may see it: without what tells of the machines that it ran on.
func shown(j jobs.Job) jobs.Job {
	j.Worker = ""
	for i := range j.Failures {
		j.Failures[i].Stack, j.Failures[i].Worker = "", ""
	}
	return j
}

// FindJob returns one job.
func (s *Jobs) FindJob(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (jobs.Job, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return jobs.Job{}, err
	}
	job, err := findJob(db.Scoped(ctx, scope), scope.Tenant, id)
	return shown(job), translate(err)
}

func findJob(tx *gorm.DB, tenant, id tenancy.ID) (jobs.Job, error) {
	// One statement sees a job that is just ending in one of the tables, and in one only.
	job, found, err := one(tx, readJob,
		"select "+liveColumns+" from jobs j where j.tenant_id = $1 and j.id = $2 union all "+
			"select "+endedColumns+" from jobs_finished j where j.tenant_id = $1 and j.id = $2", tenant, id)
	if err == nil && !found {
		err = jobs.ErrNotFound()
	}
	return job, err
}

// ListJobs returns up to one job more than the limit, newest first.
func (s *Jobs) ListJobs(ctx context.Context, scope tenancy.Scope, query jobs.Query) ([]jobs.Job, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	list := jobList{tenant: scope.Tenant, query: query}
	text, args, err := list.sql()
	if err != nil || text == "" {
		return nil, err
	}
	found, err := all(db.Scoped(ctx, scope), readJob, text, args...)
	for i := range found {
		found[i] = shown(found[i])
	}
	return found, translate(err)
}

// jobList is a page of jobs, which stand in two tables.
type jobList struct {
	// tenant is zero for those of all tenants, which operators see.
	tenant tenancy.ID
	query  jobs.Query

	conditions []string
	args       []any
}

// sql is the statement; "" where no job can be in any of the states.
func (l *jobList) sql() (string, []any, error) {
	k, err := newestFirst(l.query.Request)
	if err != nil {
		return "", nil, err
	}
	if !l.tenant.IsZero() {
		l.hold("j.tenant_id = $%d", l.tenant)
	}
	if l.query.Kind != "" {
		l.hold("j.kind = $%d", storable(l.query.Kind, maxName))
	}
	if l.query.Queue != "" {
		l.hold("j.queue = $%d", storable(l.query.Queue, maxName))
	}
	if k.after != nil {
		l.hold("j.id "+k.compare+" $%d", *k.after)
	}
	// Ids tell the time at which they were made, by their maker's clock: by them the index and the partitions are
	// narrowed down, with a day for clocks and transactions.
	if !l.query.From.IsZero() {
		l.hold("j.created_at >= $%d", l.query.From)
		l.hold("j.id >= $%d", firstID(l.query.From.Add(-24*time.Hour)))
	}
	if !l.query.To.IsZero() {
		l.hold("j.created_at < $%d", l.query.To)
		l.hold("j.id < $%d", firstID(l.query.To.Add(24*time.Hour)))
	}
	live, ended := statesOf(l.query.States)
	var parts []string
	order := fmt.Sprintf(" order by id %s limit %d", k.order, k.limit)
	if live != nil {
		parts = append(parts, "(select "+liveColumns+" from jobs j"+l.where(live)+order+")")
	}
	if ended != nil {
		parts = append(parts, "(select "+endedColumns+" from jobs_finished j"+l.where(ended)+order+")")
	}
	switch len(parts) {
	case 0:
		return "", nil, nil
	case 1:
		return parts[0], l.args, nil
	default:
		return strings.Join(parts, " union all ") + order, l.args, nil
	}
}

func (l *jobList) hold(condition string, value any) {
	l.args = append(l.args, value)
	l.conditions = append(l.conditions, fmt.Sprintf(condition, len(l.args)))
}

// where is the conditions, with the states as they stand in partial indexes.
func (l *jobList) where(states []jobs.State) string {
	conditions := l.conditions
	if len(states) > 0 {
		quoted := make([]string, len(states))
		for i, state := range states {
			quoted[i] = "'" + string(state) + "'"
		}
		conditions = append(slices.Clip(conditions), "j.state in ("+strings.Join(quoted, ", ")+")")
	}
	if len(conditions) == 0 {
		return ""
	}
	return " where " + strings.Join(conditions, " and ")
}

// statesOf divides public states among the tables: nil for a table that has none of them, empty for all of its states.
// What is no state is passed over.
func statesOf(public []jobs.State) (live, ended []jobs.State) {
	if len(public) == 0 {
		return []jobs.State{}, []jobs.State{}
	}
	for _, state := range public {
		switch state {
		case jobs.Succeeded, jobs.Cancelled:
			ended = append(ended, state)
		case jobs.Pending:
			live = append(live, jobs.Pending, jobs.Dispatched)
		case jobs.Scheduled, jobs.Dispatched, jobs.Running, jobs.Retrying, jobs.Dead:
			live = append(live, state)
		}
	}
	return live, ended
}

// firstID is the smallest UUIDv7 of a moment.
func firstID(t time.Time) (id tenancy.ID) {
	ms := max(t.UnixMilli(), 0)
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

const (
	// maxName bounds names: of a kind, a worker, a request, a step.
	maxName = 200
	// maxError and maxStack bound what is kept of a failure, in bytes.
	maxError = 4 << 10
	maxStack = 8 << 10
)

// storable is a text as PostgreSQL can keep it: UTF-8 without NUL, of at most so many bytes.
func storable(text string, most int) string {
	if len(text) > most {
		text = text[:most]
		for len(text) > 0 && !utf8.RuneStart(text[len(text)-1]) {
			text = text[:len(text)-1]
		}
		// The last rune may be cut; where it is, it goes.
		if r, size := utf8.DecodeLastRuneInString(text); r == utf8.RuneError && size <= 1 {
			text = text[:len(text)-size]
		}
	}
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// storableJSON is JSON as PostgreSQL can keep it; what is none is kept as a string.
func storableJSON(data json.RawMessage) string {
	if !json.Valid(data) {
		quoted, err := json.Marshal(string(data))
		if err != nil {
			return "null"
		}
		return string(quoted)
	}
	return strings.ToValidUTF8(string(data), "\uFFFD")
}
