package postgres

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// enqueueBatch is how many jobs one statement inserts.
const enqueueBatch = 1000

// maxKeyRounds bounds how often a key is asked for whose holder comes and goes meanwhile.
const maxKeyRounds = 20

var errKeyContended = errors.New("postgres: a job's key was taken and given up again and again; try again")

// Enqueue saves jobs in the transaction of the context, or in one of its own. Jobs without a key cost no round trip of
// their own; what they break is the error of the statement, or the commit, that takes them along.
func (s *Jobs) Enqueue(ctx context.Context, scope tenancy.Scope, list ...jobs.New) ([]jobs.Enqueued, error) {
	if len(list) == 0 {
		return nil, nil
	}
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	rows := make([]newJob, len(list))
	for i, job := range list {
		if rows[i], err = newRow(scope, job); err != nil {
			return nil, err
		}
	}
	done := make([]jobs.Enqueued, len(list))
	err = db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := db.Scoped(ctx, scope)
		var keyless []newJob
		var keyed []int
		for i, row := range rows {
			done[i] = jobs.Enqueued{ID: row.id}
			if row.kind.Unique == jobs.NotUnique {
				keyless = append(keyless, row)
			} else {
				keyed = append(keyed, i)
			}
		}
		if err := insertJobs(tx, scope, keyless); err != nil {
			return err
		}
		// Always in the same order, so that two that want the same keys do not wait for each other.
		slices.SortStableFunc(keyed, func(a, b int) int {
			return cmp.Or(strings.Compare(rows[a].kind.Name, rows[b].kind.Name), strings.Compare(rows[a].key, rows[b].key))
		})
		for _, i := range keyed {
			if done[i], err = insertUnique(tx, scope, rows[i]); err != nil {
				return fmt.Errorf("enqueue %s: %w", rows[i].kind.Name, err)
			}
		}
		for i, row := range rows {
			if !done[i].Existed {
				s.wakeAfter(ctx, db, row.kind.Queue)
			}
		}
		return nil
	})
	if err != nil {
		return nil, translate(err)
	}
	return done, nil
}

// wakeAfter wakes a queue once the transaction of the context is committed.
func (s *Jobs) wakeAfter(ctx context.Context, db *DB, queue string) {
	db.AfterCommit(ctx, "jobs.wake "+queue, func() { s.wake(queue) })
}

// newJob is a job as it is inserted.
type newJob struct {
	id, lane tenancy.ID
	kind     jobs.Kind
	args     string
	key      string
	runAt    *time.Time
}

func newRow(scope tenancy.Scope, n jobs.New) (newJob, error) {
	row := newJob{id: n.ID, lane: n.Lane, kind: n.Kind.Complete(), args: "{}"}
	if err := row.kind.Check(); err != nil {
		return newJob{}, err
	}
	if row.id.IsZero() {
		row.id = tenancy.NewID()
	}
	if row.lane.IsZero() {
		row.lane = scope.Tenant
	}
	if !n.RunAt.IsZero() {
		row.runAt = &n.RunAt
	}
	if len(n.Args) > 0 {
		if len(n.Args) > jobs.MaxArgs || !json.Valid(n.Args) {
			return newJob{}, fmt.Errorf("enqueue %s: the arguments are no JSON of at most %d bytes", row.kind.Name, jobs.MaxArgs)
		}
		row.args = strings.ToValidUTF8(string(n.Args), "\uFFFD")
	}
	if row.kind.Unique != jobs.NotUnique {
		if n.Key == "" {
			return newJob{}, fmt.Errorf("enqueue %s: the kind is unique, and the job has no key", row.kind.Name)
		}
		row.key = storableKey(n.Key)
	}
	return row, nil
}

// storableKey is a key as PostgreSQL can keep it: one that is no text, or too long for an index, goes by its digest.
func storableKey(key string) string {
	const most = 1000
	if len(key) <= most && utf8.ValidString(key) && strings.IndexByte(key, 0) < 0 {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

const (
	insertJobColumns = `insert into jobs (tenant_id, id, kind, queue, state, lane, max_running, max_attempts, tries,
		run_at, created_at, request_id, args, trace, unique_key, key_until_start) `

	insertJobValues = `$1::uuid, $2::uuid, $3::text, $4::text,
		case when $8::timestamptz > now() then 'scheduled' else 'pending' end, $5::uuid, $6::smallint, $7::int, $7::int,
		coalesce($8::timestamptz, now()), now(), $9::text, $10::json, nullif($11::text, '')`

	insertJob = insertJobColumns + "values (" + insertJobValues + ", null, false)"

	insertManyJobs = insertJobColumns + `
		select $1::uuid, g.id, g.kind, g.queue, case when g.run_at > now() then 'scheduled' else 'pending' end, g.lane,
		  g.max_running, g.max_attempts, g.max_attempts, coalesce(g.run_at, now()), now(), $9::text, g.args::json, nullif($11::text, ''), null, false
		from unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::int[], $7::int[], $8::timestamptz[], $10::text[])
		  as g (id, kind, queue, lane, max_running, max_attempts, run_at, args)`

	// Who has the key is looked up in the same statement. It sees what was committed when it began: where the key was
	// taken since, it answers nothing, and is sent again.
	insertKeyedJob = "with made as (" + insertJobColumns + "values (" + insertJobValues + `, $12::text, $13::boolean)
		on conflict (tenant_id, kind, unique_key) where unique_key is not null do nothing returning id)
		select id, false from made union all
		select j.id, true from jobs j where j.tenant_id = $1 and j.kind = $3 and j.unique_key = $12 limit 1`

	// A key that stands is looked at only: the row would be locked until the transaction ends otherwise.
	takeKey = `with taken as (
		  insert into job_keys (tenant_id, kind, key, job_id, expires_at)
		  select $1::uuid, $2::text, $3::text, $4::uuid, now() + $5::bigint * interval '1 microsecond'
		  where not exists (select from job_keys k where k.tenant_id = $1 and k.kind = $2 and k.key = $3 and k.expires_at > now())
		  on conflict (tenant_id, kind, key) do update set job_id = excluded.job_id, expires_at = excluded.expires_at
		    where job_keys.tenant_id = $1 and job_keys.expires_at <= now()
		  returning job_id)
		select job_id, false from taken union all
		select k.job_id, true from job_keys k
		where k.tenant_id = $1 and k.kind = $2 and k.key = $3 and k.expires_at > now() limit 1`
)

// values are the arguments of insertJobValues.
func (n newJob) values(scope tenancy.Scope) []any {
	var runAt any
	if n.runAt != nil {
		runAt = *n.runAt
	}
	return []any{
		scope.Tenant, n.id, n.kind.Name, n.kind.Queue, n.lane, n.kind.MaxRunning, n.kind.MaxAttempts, runAt,
		storable(scope.RequestID, maxName), n.args, string(scope.Trace),
	}
}

// insertJobs inserts jobs without keys: with the transaction's next statement where one will do.
func insertJobs(tx *gorm.DB, scope tenancy.Scope, rows []newJob) error {
	switch {
	case len(rows) == 0:
		return nil
	case len(rows) == 1:
		return Defer(tx, insertJob, rows[0].values(scope)...)
	case len(rows) <= enqueueBatch:
		return Defer(tx, insertManyJobs, columnsOf(scope, rows)...)
	}
	for batch := range slices.Chunk(rows, enqueueBatch) {
		if err := exec(tx, insertManyJobs, columnsOf(scope, batch)...); err != nil {
			return err
		}
	}
	return nil
}

// columnsOf are the arguments of insertManyJobs.
func columnsOf(scope tenancy.Scope, rows []newJob) []any {
	var (
		ids, lanes          = make([]tenancy.ID, len(rows)), make([]tenancy.ID, len(rows))
		kinds, queues, args = make([]string, len(rows)), make([]string, len(rows)), make([]string, len(rows))
		running, attempts   = make([]int, len(rows)), make([]int, len(rows))
		runAt               = make([]*time.Time, len(rows))
	)
	for i, r := range rows {
		ids[i], lanes[i], kinds[i], queues[i], args[i] = r.id, r.lane, r.kind.Name, r.kind.Queue, r.args
		running[i], attempts[i], runAt[i] = r.kind.MaxRunning, r.kind.MaxAttempts, r.runAt
	}
	return []any{
		scope.Tenant, ids, kinds, queues, lanes, running, attempts, runAt, storable(scope.RequestID, maxName), args, string(scope.Trace),
	}
}

// insertUnique inserts a job with a key, or answers the one that has it.
func insertUnique(tx *gorm.DB, scope tenancy.Scope, row newJob) (jobs.Enqueued, error) {
	if row.kind.Unique != jobs.UniqueForPeriod {
		untilStart := row.kind.Unique == jobs.UniqueWhilePending
		return takes(tx, insertKeyedJob, append(row.values(scope), row.key, untilStart)...)
	}
	done, err := takes(tx, takeKey, scope.Tenant, row.kind.Name, row.key, row.id, row.kind.UniqueFor.Microseconds())
	if err != nil || done.Existed {
		return done, err
	}
	return done, Defer(tx, insertJob, row.values(scope)...)
}

// takes runs a statement that takes a key or answers who has it, until it does either: whoever had it when it was asked
// for may have given it up since.
func takes(tx *gorm.DB, query string, args ...any) (jobs.Enqueued, error) {
	for range maxKeyRounds {
		done, found, err := one(tx, func(row scanner) (d jobs.Enqueued, err error) {
			return d, row.Scan(&d.ID, &d.Existed)
		}, query, args...)
		if err != nil || found {
			return done, err
		}
	}
	return jobs.Enqueued{}, errKeyContended
}
