package postgres

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// JobEngine is the jobs of all tenants of one database, as the dispatcher, the workers and operators see them. It
// implements jobs.Backlog and jobs.Desk. Its statements go across tenants as groundwork_system, whose policies on the
// tables of jobs, and on few others, let it; what belongs to one tenant (a handler's transaction, an operator's act on a
// job) goes through the tenant's own connection.
//
// Its sums of time are the database's own: leases and due times hold whatever the clocks of the machines say.
type JobEngine struct {
	db   *DB
	jobs *Jobs
}

var (
	_ jobs.Backlog = (*JobEngine)(nil)
	_ jobs.Desk    = (*JobEngine)(nil)
)

// NewJobEngine returns the engine's store over a database that was opened as groundwork_system. tenants are the jobs as
// the process's own role sees them, worker's for a process that runs handlers.
func NewJobEngine(system *DB, tenants *Jobs) *JobEngine { return &JobEngine{db: system, jobs: tenants} }

// engine is the database across tenants, for the engine's own statements.
func (e *JobEngine) engine(ctx context.Context) *gorm.DB { return e.db.with(ctx, engineSession()) }

// operator is the database across tenants, for what operators ask.
func (e *JobEngine) operator(ctx context.Context) *gorm.DB { return e.db.with(ctx, operatorSession()) }

// hasty is engine for steps that may be lost with PostgreSQL's process; see hastySession.
func (e *JobEngine) hasty(ctx context.Context) *gorm.DB { return e.db.with(ctx, hastySession()) }

// Now is the database's time.
func (e *JobEngine) Now(ctx context.Context) (time.Time, error) {
	now, _, err := one(e.operator(ctx), func(row scanner) (t time.Time, err error) { return t, row.Scan(&t) },
		"select clock_timestamp()")
	return now, translate(err)
}

// again runs a statement of the engine's once more where it lost against another one: it took no effect then.
func again[T any](ctx context.Context, act func() (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		value, err := act()
		if err == nil || attempt == maxAttempts || !mayRunAgain(err) {
			return value, translate(err)
		}
		if waited := pause(ctx, attempt); waited != nil {
			return value, translate(err)
		}
	}
}

// columnsOfRefs are refs as two arrays, sorted and each once: whoever locks several jobs locks them in one order.
func columnsOfRefs(refs []jobs.Ref) (tenants, ids []tenancy.ID) {
	refs = slices.Clone(refs)
	slices.SortFunc(refs, compareRefs)
	refs = slices.Compact(refs)
	tenants, ids = make([]tenancy.ID, len(refs)), make([]tenancy.ID, len(refs))
	for i, ref := range refs {
		tenants[i], ids[i] = ref.Tenant, ref.ID
	}
	return tenants, ids
}

func compareRefs(a, b jobs.Ref) int {
	if c := slices.Compare(a.Tenant[:], b.Tenant[:]); c != 0 {
		return c
	}
	return slices.Compare(a.ID[:], b.ID[:])
}

func readRef(row scanner) (r jobs.Ref, err error) { return r, row.Scan(&r.Tenant, &r.ID) }
