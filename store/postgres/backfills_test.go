package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/groundwork-saas/groundwork/domain/backfills"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// bump raises the version of live customers: a row that is changed twice shows it.
const bump = "update customers c set version = c.version + 1 from batch b where c.tenant_id = $1 and c.id = b.id and c.deleted_at is null"

func definition(name string) backfills.Definition {
	return backfills.Definition{Name: name, Summary: "for the test", Batch: 50, PerSecond: 1_000_000}
}

// backfillSite is a database with customers, and backfills as the worker and as an operator have them.
type backfillSite struct {
	*storetest.Stack

	worker, operator *backfills.Service
}

func newBackfillSite(t *testing.T, tenants, rows int, list ...postgres.Backfill) *backfillSite {
	t.Helper()
	s := &backfillSite{Stack: storetest.New(t)}
	for range tenants {
		s.Exec(t, `insert into customers (tenant_id, id, version, created_at, updated_at, deleted_at, name)
			select $1, gen_random_uuid(), 1, now(), now(), case when n % 10 = 0 then now() end, 'c' from generate_series(1, $2::int) n`,
			s.TenantID(t).String(), rows)
	}
	s.Exec(t, "analyze customers")
	service := func(db *postgres.DB) *backfills.Service {
		store, err := postgres.NewBackfills(db, list)
		require.NoError(t, err)
		return backfills.NewService(store, postgres.NewJobs(postgres.Shared{DB: db}, nil), time.Now)
	}
	s.operator, s.worker = service(s.DB), service(s.Open(t, postgres.Config{URL: s.WorkerURL}))
	return s
}

func (s *backfillSite) count(t *testing.T, query string) (n int64) {
	t.Helper()
	require.NoError(t, s.Admin(t).QueryRow(t.Context(), query).Scan(&n))
	return n
}

func quietly(backfills.Run) {}

func TestBackfills_change_each_row_once_however_often_they_are_interrupted(t *testing.T) {
	t.Parallel()
	s := newBackfillSite(t, 3, 1_230, postgres.Backfill{Definition: definition("bump"), Table: "customers", Change: bump})
	require.NoError(t, s.operator.Start(t.Context(), "bump"))
	for stopAfter := range 6 {
		ctx, stop := context.WithCancel(t.Context())
		steps := 0
		_, err := s.worker.Work(ctx, "bump", func(backfills.Run) {
			if steps++; steps > stopAfter {
				stop()
			}
		})
		stop()
		require.ErrorIs(t, err, context.Canceled)
	}
	// A worker that was given up runs on beside its successor.
	var group errgroup.Group
	for range 3 {
		group.Go(func() error {
			_, err := s.worker.Work(t.Context(), "bump", quietly)
			return err
		})
	}
	require.NoError(t, group.Wait())

	assert.Zero(t, s.count(t, "select count(*) from customers where version <> case when deleted_at is null then 2 else 1 end"))
	item, err := s.operator.Find(t.Context(), "bump")
	require.NoError(t, err)
	assert.Equal(t, backfills.Done, item.Run.State)
	assert.EqualValues(t, 3*1_230, item.Run.Looked)
	assert.EqualValues(t, 3*1_230*9/10, item.Run.Changed)
	assert.EqualValues(t, 3*1_230, item.Run.Expected)
	assert.Equal(t, s.count(t, "select count(*) from tenants"), item.Run.Tenants)
	assert.NotNil(t, item.Run.FinishedAt)
}

func TestBackfills_are_steered(t *testing.T) {
	t.Parallel()
	s := newBackfillSite(t, 1, 300, postgres.Backfill{Definition: definition("bump"), Table: "customers", Change: bump},
		postgres.Backfill{Definition: definition("other"), Table: "customers", Change: bump})
	const live = "select count(*) from jobs where kind = 'backfills.run' and state = 'pending' and queue = 'default' and tenant_id = '00000000-0000-7000-8000-000000000000'"
	for _, act := range []func(context.Context, string) error{s.operator.Pause, s.operator.Resume, s.operator.Restart} {
		require.ErrorContains(t, act(t.Context(), "bump"), "was not started")
		require.ErrorIs(t, act(t.Context(), "nonsense"), backfills.ErrUnknown)
	}
	require.ErrorIs(t, s.operator.Start(t.Context(), "nonsense"), backfills.ErrUnknown)
	require.NoError(t, s.operator.Start(t.Context(), "bump"))
	assert.EqualValues(t, 1, s.count(t, live))
	require.ErrorContains(t, s.operator.Start(t.Context(), "bump"), "was started already")
	require.ErrorContains(t, s.operator.Restart(t.Context(), "bump"), "is running")

	run, err := s.worker.Work(t.Context(), "bump", func(r backfills.Run) {
		if r.Looked > 0 && r.State == backfills.Running {
			require.NoError(t, s.operator.Pause(t.Context(), "bump"))
		}
	})
	require.NoError(t, err)
	assert.Equal(t, backfills.Paused, run.State)
	assert.LessOrEqual(t, run.Looked, int64(50), "it stops after its present batch")

	require.NoError(t, s.operator.Resume(t.Context(), "bump"))
	assert.EqualValues(t, 1, s.count(t, live), "the job that there is does for both")
	run, err = s.worker.Work(t.Context(), "bump", quietly)
	require.NoError(t, err)
	assert.Equal(t, backfills.Done, run.State)
	require.ErrorContains(t, s.operator.Pause(t.Context(), "bump"), "is done")
	require.ErrorContains(t, s.operator.Resume(t.Context(), "bump"), "is done")

	require.NoError(t, s.operator.Restart(t.Context(), "bump"))
	_, err = s.worker.Work(t.Context(), "bump", quietly)
	require.NoError(t, err)
	assert.Zero(t, s.count(t, "select count(*) from customers where version <> case when deleted_at is null then 3 else 1 end"))

	s.Exec(t, "insert into backfills (name, state, at_tenant) values ('of-another-version', 'paused', gen_random_uuid())")
	list, err := s.operator.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 3)
	assert.Nil(t, list[1].Run)
	assert.Equal(t, "of-another-version", list[2].Name)
}

func TestBackfills_keep_why_they_failed(t *testing.T) {
	t.Parallel()
	s := newBackfillSite(t, 1, 10, postgres.Backfill{
		Definition: definition("broken"), Table: "customers",
		Change: "update customers c set version = 1 / (c.version - 1) from batch b where c.tenant_id = $1 and c.id = b.id",
	})
	require.NoError(t, s.operator.Start(t.Context(), "broken"))
	_, err := s.worker.Work(t.Context(), "broken", quietly)
	require.ErrorContains(t, err, "division by zero")
	item, err := s.operator.Find(t.Context(), "broken")
	require.NoError(t, err)
	require.NotNil(t, item.Run.Error)
	assert.Contains(t, *item.Run.Error, "division by zero")

	s.Exec(t, "update customers set version = 2")
	_, err = s.worker.Work(t.Context(), "broken", quietly)
	require.NoError(t, err)
	item, err = s.operator.Find(t.Context(), "broken")
	require.NoError(t, err)
	assert.Nil(t, item.Run.Error)
}

// What runs as a tenant's own connection reaches no other tenant's rows, whatever a statement forgets.
func TestBackfills_stay_within_the_tenant(t *testing.T) {
	t.Parallel()
	s := newBackfillSite(t, 0, 0)
	first, second := s.TenantID(t), s.TenantID(t)
	for _, tenant := range []tenancy.ID{first, second} {
		s.Exec(t, "insert into customers (tenant_id, id, version, created_at, updated_at, name) values ($1, '01900000-0000-7000-8000-000000000001', 1, now(), now(), 'c')", tenant.String())
	}
	db, err := postgres.Open(t.Context(), postgres.Config{URL: s.WorkerURL, MaxConnections: 2}) // not recorded: the statement forgets the tenant
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	store, err := postgres.NewBackfills(db, []postgres.Backfill{{
		Definition: definition("careless"), Table: "customers",
		Change: "update customers c set version = c.version + 1 from batch b where c.id = b.id and $1::uuid is not null",
	}})
	require.NoError(t, err)
	_, err = store.BeginBackfill(t.Context(), "careless", func(context.Context) error { return nil })
	require.NoError(t, err)
	_, err = backfills.NewService(store, nil, time.Now).Work(t.Context(), "careless", quietly)
	require.NoError(t, err)
	assert.EqualValues(t, 2, s.count(t, "select count(*) from customers where version = 2"), "each was changed once, as its own tenant")
}

func TestNewBackfills_refuses_what_does_not_add_up(t *testing.T) {
	t.Parallel()
	good := postgres.Backfill{Definition: definition("good"), Table: "customers", Change: bump}
	for name, change := range map[string]func(*postgres.Backfill){
		"small letters":           func(b *postgres.Backfill) { b.Name = "Bad" },
		"needs a name":            func(b *postgres.Backfill) { b.Name = "" },
		"needs a summary":         func(b *postgres.Backfill) { b.Summary = "" },
		"batch of bad":            func(b *postgres.Backfill) { b.Batch = 10_001 },
		"rows a second":           func(b *postgres.Backfill) { b.PerSecond = -1 },
		"customers; drop table x": func(b *postgres.Backfill) { b.Table = "customers; drop table x" },
		"a b":                     func(b *postgres.Backfill) { b.Key = "a b" },
		"does not name":           func(b *postgres.Backfill) { b.Change = "update customers set version = 1" },
		"two called good":         func(b *postgres.Backfill) { b.Name = "good" },
	} {
		bad := good
		bad.Name = "bad"
		change(&bad)
		_, err := postgres.NewBackfills(nil, []postgres.Backfill{good, bad})
		require.Error(t, err, name)
		require.ErrorContains(t, err, name)
	}
	_, err := postgres.NewBackfills(nil, postgres.ProductBackfills())
	require.NoError(t, err)
}

// A batch and how far it has come are one transaction: where the latter fails nothing was changed.
func TestBackfills_keep_a_batch_with_its_progress_or_not_at_all(t *testing.T) {
	t.Parallel()
	s := newBackfillSite(t, 1, 10, postgres.Backfill{Definition: definition("bump"), Table: "customers", Change: bump})
	require.NoError(t, s.operator.Start(t.Context(), "bump"))
	s.Exec(t, "alter table backfills add constraint broken check (looked = 0)")
	_, err := s.worker.Work(t.Context(), "bump", quietly)
	require.Error(t, err)
	assert.Zero(t, s.count(t, "select count(*) from customers where version > 1"))
	s.Exec(t, "alter table backfills drop constraint broken")
	_, err = s.worker.Work(t.Context(), "bump", quietly)
	require.NoError(t, err)
	assert.EqualValues(t, 9, s.count(t, "select count(*) from customers where version = 2"))
}

var errStop = errors.New("stop")

func TestBackfills_are_not_begun_without_their_job(t *testing.T) {
	t.Parallel()
	s := newBackfillSite(t, 1, 1)
	store, err := postgres.NewBackfills(s.DB, []postgres.Backfill{{Definition: definition("bump"), Table: "customers", Change: bump}})
	require.NoError(t, err)
	_, err = store.BeginBackfill(t.Context(), "bump", func(context.Context) error { return errStop })
	require.ErrorIs(t, err, errStop)
	_, found, err := store.FindBackfill(t.Context(), "bump")
	require.NoError(t, err)
	assert.False(t, found)
	job, err := jobs.Of(backfills.Work{Name: "bump"})
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf(`{"name":%q}`, "bump"), job.Key)
}
