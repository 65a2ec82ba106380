package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/databasetest"
	"github.com/groundwork-saas/groundwork/store/sqltest"
)

// jobsSample is a database with the stores of jobs as the processes have them.
type jobsSample struct {
	*databasetest.Database

	App, Worker, System *DB
	// Jobs are as the API sees them.
	Jobs   *Jobs
	Engine *JobEngine
	// Woken are the queues that were woken, in order.
	Woken chan string
}

func newJobsSample(tb testing.TB) *jobsSample {
	tb.Helper()
	s := &jobsSample{Database: databasetest.New(tb), Woken: make(chan string, 1000)}
	sqltest.Sent.Tables(s.TenantTables(tb)...)
	s.App, s.Worker, s.System = s.open(tb, s.AppURL), s.open(tb, s.WorkerURL), s.open(tb, s.SystemURL)
	s.Jobs = NewJobs(Shared{DB: s.App}, func(queue string) { s.Woken <- queue })
	s.Engine = NewJobEngine(s.System, NewJobs(Shared{DB: s.Worker}, nil))
	return s
}

func (s *jobsSample) open(tb testing.TB, url string) *DB {
	tb.Helper()
	db, err := Open(tb.Context(), Config{URL: url, MaxConnections: 6, Observe: record})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return db
}

func (s *jobsSample) scope(tb testing.TB) tenancy.Scope {
	tb.Helper()
	return tenancy.AsSystem(s.TenantID(tb), "req-1")
}

func newJob1(change ...func(*jobs.New)) jobs.New {
	n := jobs.New{ID: tenancy.NewID(), Kind: jobs.Kind{Name: "test.work"}, Args: json.RawMessage(`{"n":1}`)}
	for _, c := range change {
		c(&n)
	}
	return n
}

func inQueue(queue string) func(*jobs.New) { return func(n *jobs.New) { n.Kind.Queue = queue } }

func inLane(id tenancy.ID) func(*jobs.New) { return func(n *jobs.New) { n.Lane = id } }

func capped(most int) func(*jobs.New) { return func(n *jobs.New) { n.Kind.MaxRunning = most } }

func attempts(most int) func(*jobs.New) { return func(n *jobs.New) { n.Kind.MaxAttempts = most } }

func at(t time.Time) func(*jobs.New) { return func(n *jobs.New) { n.RunAt = t } }

// keyed gives a job a key that is its own for so long.
func keyed(key string, unique jobs.Uniqueness, period time.Duration) func(*jobs.New) {
	return func(n *jobs.New) { n.Key, n.Kind.Unique, n.Kind.UniqueFor = key, unique, period }
}

// enqueue saves jobs and returns what finds them.
func (s *jobsSample) enqueue(tb testing.TB, scope tenancy.Scope, list ...jobs.New) []jobs.Ref {
	tb.Helper()
	done, err := s.Jobs.Enqueue(tb.Context(), scope, list...)
	require.NoError(tb, err)
	refs := make([]jobs.Ref, len(done))
	for i, d := range done {
		refs[i] = jobs.Ref{Tenant: scope.Tenant, ID: d.ID}
	}
	return refs
}

// isOverdue says whether a pick was given up by the server since nobody spoke in it for two seconds.
func isOverdue(err error) bool { return sqlState(err) == "25P03" }

// undisturbed picks, and picks again where the machine stood still in the middle of it: what was picked is free again then.
func undisturbed(tb testing.TB, pick func() error) {
	tb.Helper()
	err := pick()
	for begun := time.Now(); isOverdue(err) && time.Since(begun) < waitFor; {
		err = pick()
	}
	require.NoError(tb, err)
}

// pick picks from the queue and returns what was handed over.
func (s *jobsSample) pick(tb testing.TB, queue string, limit int, cursor tenancy.ID) ([]jobs.Ref, jobs.Picked) {
	tb.Helper()
	var handed []jobs.Ref
	var picked jobs.Picked
	undisturbed(tb, func() (err error) {
		handed = nil
		picked, err = s.Engine.Pick(tb.Context(), queue, limit, cursor, func(refs []jobs.Ref) error {
			handed = append(handed, refs...)
			return nil
		})
		return err
	})
	require.Len(tb, handed, picked.Jobs)
	return handed, picked
}

const lease = time.Minute

// claim claims jobs, all of which must be there to be claimed.
func (s *jobsSample) claim(tb testing.TB, refs ...jobs.Ref) []jobs.Job {
	tb.Helper()
	claimed, locked, err := s.Engine.Claim(tb.Context(), "worker-1", refs, lease)
	require.NoError(tb, err)
	require.Empty(tb, locked)
	require.Len(tb, claimed, len(refs))
	return claimed
}

// start enqueues one job and claims it.
func (s *jobsSample) start(tb testing.TB, scope tenancy.Scope, change ...func(*jobs.New)) jobs.Job {
	tb.Helper()
	ref := s.enqueue(tb, scope, newJob1(change...))[0]
	s.Exec(tb, "update jobs set state = 'dispatched', lease_until = now() where id = $1", ref.ID.String())
	return s.claim(tb, ref)[0]
}

func attemptOf(job jobs.Job) jobs.Attempt {
	return jobs.Attempt{Ref: jobs.Ref{Tenant: job.Tenant, ID: job.ID}, Number: job.Attempt}
}

// settle ends one attempt and says whether it held its job.
func (s *jobsSample) settle(tb testing.TB, outcome jobs.Outcome) bool {
	tb.Helper()
	held, err := s.Engine.Settle(tb.Context(), []jobs.Outcome{outcome})
	require.NoError(tb, err)
	require.Len(tb, held, 1)
	return held[0]
}

func (s *jobsSample) find(tb testing.TB, ref jobs.Ref) jobs.Job {
	tb.Helper()
	job, err := s.Engine.FindAnyJob(tb.Context(), ref.ID)
	require.NoError(tb, err)
	require.Equal(tb, ref.Tenant, job.Tenant)
	return job
}

// value asks the superuser for one value. Some ask again and again: no connection stays open for it.
func value[T any](tb testing.TB, d *databasetest.Database, query string, args ...any) (v T) {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), d.AdminURL)
	require.NoError(tb, err)
	defer conn.Close(context.WithoutCancel(tb.Context()))
	require.NoError(tb, conn.QueryRow(tb.Context(), query, args...).Scan(&v))
	return v
}

// fill makes many jobs past the store: count of each of so many tenants, in a state.
func (s *jobsSample) fill(tb testing.TB, queue, state string, tenants, count int) {
	tb.Helper()
	s.Exec(tb, fmt.Sprintf(`insert into jobs (tenant_id, id, kind, queue, state, lane, max_attempts, tries, run_at, created_at)
		select t.id, gen_random_uuid(), 'test.work', '%s', '%s', t.id, 20, 20,
		  now() + case when '%[2]s' = 'scheduled' then interval '1 day' else interval '-1 minute' end, now()
		from (select gen_random_uuid() as id from generate_series(1, %d)) t, generate_series(1, %d)`, queue, state, tenants, count))
}

// held runs act while a transaction of the superuser's holds the row of a job.
func (s *jobsSample) held(tb testing.TB, ref jobs.Ref, act func()) {
	tb.Helper()
	tx, err := s.Admin(tb).Begin(tb.Context())
	require.NoError(tb, err)
	defer func() { require.NoError(tb, tx.Rollback(context.WithoutCancel(tb.Context()))) }()
	_, err = tx.Exec(tb.Context(), "select from jobs where id = $1 for update", ref.ID.String())
	require.NoError(tb, err)
	act()
}
