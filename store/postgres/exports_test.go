package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// exportStand is a database with customers, as the worker sees it.
type exportStand struct {
	*storetest.Stack

	exports *postgres.Exports
	jobs    *postgres.Jobs
	scope   tenancy.Scope
	d       *resource.Definition
}

func newExportStand(t *testing.T) exportStand {
	t.Helper()
	s := exportStand{Stack: storetest.New(t), d: customers.Definition()}
	worker := s.Open(t, postgres.Config{URL: s.WorkerURL})
	for _, d := range catalog.All() {
		require.NoError(t, worker.Register(d.New()))
		require.NoError(t, s.DB.Register(d.New()))
	}
	s.jobs = postgres.NewJobs(postgres.Shared{DB: worker}, nil)
	s.exports = postgres.NewExports(postgres.Shared{DB: worker})
	s.scope = tenancy.AsSystem(s.TenantID(t), "")
	return s
}

// fill makes customers: every third has the tag vip, every fifth is deleted, every seventh has no code.
func (s exportStand) fill(t *testing.T, tenant tenancy.ID, n int) {
	t.Helper()
	s.Exec(t, `insert into customers (tenant_id, id, version, created_at, updated_at, deleted_at, code, name, tags, custom)
		select $1, uuid7_floor(now() - make_interval(secs => $2 - n)), 1, now(), now(), case when n % 5 = 0 then now() end,
			case when n % 7 > 0 then 'C-' || n end, 'Customer ' || n % 10, case when n % 3 = 0 then '{vip}'::text[] else '{}' end, '{}'
		from generate_series(1, $2::int) n`, tenant.String(), n)
}

func (s exportStand) query(t *testing.T, params map[string][]string) resource.Query {
	t.Helper()
	q, err := s.d.ParseQuery(params)
	require.NoError(t, err)
	q.Ranked = false
	return q
}

// read reads all that a query selects, and counts it.
func (s exportStand) read(t *testing.T, q resource.Query) (records []*customers.Customer, count int64) {
	t.Helper()
	require.NoError(t, s.exports.Snapshot(t.Context(), s.scope, func(ctx context.Context, snapshot transfers.Snapshot) (err error) {
		if count, err = snapshot.Count(ctx, s.d, q); err != nil {
			return err
		}
		return snapshot.Each(ctx, s.d, q, func(e resource.Entity) error {
			c, _ := e.(*customers.Customer)
			records = append(records, c)
			return nil
		})
	}))
	return records, count
}

func TestExports(t *testing.T) {
	t.Parallel()
	s := newExportStand(t)
	const n = 10_007 // three statements' worth
	s.fill(t, s.scope.Tenant, n)
	s.fill(t, s.TenantID(t), 50)
	for name, c := range map[string]struct {
		params map[string][]string
		keep   func(i int) bool
	}{
		"all that live":       {nil, func(i int) bool { return i%5 > 0 }},
		"all there were":      {map[string][]string{"trashed": {"with"}, "sort": {"id"}}, func(int) bool { return true }},
		"the trash by name":   {map[string][]string{"trashed": {"only"}, "sort": {"name,-created_at"}}, func(i int) bool { return i%5 == 0 }},
		"many by a tag":       {map[string][]string{"tags[any]": {"vip"}}, func(i int) bool { return i%5 > 0 && i%3 == 0 }},
		"those without code":  {map[string][]string{"code[null]": {"true"}, "sort": {"-name"}}, func(i int) bool { return i%5 > 0 && i%7 == 0 }},
		"many by a search":    {map[string][]string{"q": {"customer"}}, func(i int) bool { return i%5 > 0 }},
		"few by a search":     {map[string][]string{"q": {"C-1234"}}, func(i int) bool { return i == 1234 }},
		"none":                {map[string][]string{"name": {"nobody"}}, func(int) bool { return false }},
		"none by a search":    {map[string][]string{"q": {"nobody"}}, func(int) bool { return false }},
		"exactly one of them": {map[string][]string{"code": {"C-1,C-2"}, "name": {"Customer 2"}}, func(i int) bool { return i == 2 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := s.query(t, c.params)
			records, count := s.read(t, q)
			want := 0
			for i := 1; i <= n; i++ {
				if c.keep(i) {
					want++
				}
			}
			assert.Len(t, records, want)
			assert.EqualValues(t, want, count)
			seen := map[tenancy.ID]bool{}
			for _, r := range records {
				assert.Equal(t, s.scope.Tenant, r.TenantID)
				seen[r.ID] = true
			}
			assert.Len(t, seen, want, "none comes twice")
			// The order is the list's.
			q.Limit = 100
			page, err := postgres.NewResources(postgres.Shared{DB: s.DB}).ListRecords(t.Context(), s.scope, s.d, q)
			require.NoError(t, err)
			for i, e := range page {
				require.Equal(t, e.Head().ID, records[i].ID, i)
			}
		})
	}
}

func TestExports_are_of_one_moment(t *testing.T) {
	t.Parallel()
	s := newExportStand(t)
	const n = 6000
	s.fill(t, s.scope.Tenant, n)
	seen := 0
	err := s.exports.Snapshot(t.Context(), s.scope, func(ctx context.Context, snapshot transfers.Snapshot) error {
		q := s.query(t, map[string][]string{"trashed": {"with"}, "sort": {"id"}})
		for pass := range 2 {
			if err := snapshot.Each(ctx, s.d, q, func(e resource.Entity) error { //nolint:contextcheck // Exec has the test's
				if c, _ := e.(*customers.Customer); c.Name == "changed" {
					return errors.New("a change is seen that came later")
				}
				if seen++; seen == 10 { // others go on meanwhile
					s.Exec(t, "update customers set name = 'changed' where tenant_id = $1", s.scope.Tenant.String())
					s.Exec(t, "delete from customers where tenant_id = $1 and code is null", s.scope.Tenant.String())
					s.Exec(t, `insert into customers (tenant_id, id, version, created_at, updated_at, name, tags, custom)
						values ($1, gen_random_uuid(), 1, now(), now(), 'new', '{}', '{}')`, s.scope.Tenant.String())
				}
				return nil
			}); err != nil {
				return fmt.Errorf("pass %d: %w", pass, err)
			}
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, 2*n, seen)
}

func TestExports_end_with_what_they_are_told(t *testing.T) {
	t.Parallel()
	s := newExportStand(t)
	s.fill(t, s.scope.Tenant, 6000)
	stop := errors.New("the file is full")
	each := func(ctx context.Context, visit func(resource.Entity) error) error {
		return s.exports.Snapshot(ctx, s.scope, func(ctx context.Context, snapshot transfers.Snapshot) error {
			return snapshot.Each(ctx, s.d, s.query(t, nil), visit)
		})
	}
	n := 0
	err := each(t.Context(), func(resource.Entity) error {
		if n++; n == 17 {
			return stop
		}
		return nil
	})
	require.ErrorIs(t, err, stop)
	assert.Equal(t, 17, n)

	ctx, cancel := context.WithCancel(t.Context())
	n = 0
	err = each(ctx, func(resource.Entity) error {
		if n++; n == 10 {
			cancel()
		}
		return ctx.Err()
	})
	require.ErrorIs(t, err, context.Canceled)

	err = s.exports.Snapshot(t.Context(), s.scope, func(ctx context.Context, _ transfers.Snapshot) error {
		return s.jobs.RecordEffect(ctx, jobs.Ref{Tenant: s.scope.Tenant, ID: tenancy.NewID()}, "step", []byte("{}"))
	})
	require.ErrorContains(t, err, "read-only")
	records, _ := s.read(t, s.query(t, nil))
	assert.True(t, slices.IsSortedFunc(records, func(a, b *customers.Customer) int { return -compareIDs(a.ID, b.ID) }), "the connections are whole")
}

func compareIDs(a, b tenancy.ID) int { return slices.Compare(a[:], b[:]) }
