package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/orders"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// shop is a database with the services of customers and orders over it.
type shop struct {
	*storetest.Stack

	db                *postgres.DB
	scope             tenancy.Scope
	customers, orders *resource.Service
}

func newShop(t *testing.T) *shop {
	t.Helper()
	stack := storetest.New(t)
	return (&shop{Stack: stack, scope: stack.Tenant(t)}).over(t, stack.DB)
}

// over gives the shop's services another pool.
func (s *shop) over(t *testing.T, db *postgres.DB) *shop {
	t.Helper()
	require.NoError(t, db.Register(&customers.Customer{}, &orders.Order{}))
	router := postgres.Shared{DB: db}
	deps := resource.Dependencies{
		Store: postgres.NewResources(router), History: postgres.NewAudit(router), Validator: validate.New(), Now: time.Now,
	}
	return &shop{
		Stack: s.Stack, db: db, scope: s.scope,
		customers: resource.NewService(customers.Definition(), deps), orders: resource.NewService(orders.Definition(), deps),
	}
}

func (s *shop) customer(t *testing.T, code string) tenancy.ID {
	t.Helper()
	c := &customers.Customer{Name: "Somebody", Code: &code}
	require.NoError(t, s.customers.Create(t.Context(), s.scope, c))
	return c.ID
}

func order(customer tenancy.ID) *orders.Order {
	return &orders.Order{CustomerID: customer, Currency: "EUR", Lines: []orders.Line{{SKU: "A", Quantity: 1, UnitPriceCents: 100}}}
}

// named is an item that gives a customer a code and a name.
func named(code, name string) resource.BulkItem {
	return resource.BulkItem{Apply: func(e resource.Entity) error {
		c, _ := e.(*customers.Customer)
		c.Code, c.Name = &code, name
		return nil
	}}
}

// ordering is an item that makes an order of the customer's.
func ordering(customer tenancy.ID) resource.BulkItem {
	return resource.BulkItem{Apply: func(e resource.Entity) error {
		o, _ := e.(*orders.Order)
		o.CustomerID, o.Currency, o.Lines = customer, "EUR", order(customer).Lines
		return nil
	}}
}

func TestManyRecords_cost_as_many_round_trips_as_few(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var ids []tenancy.ID
	for n := range 40 {
		ids = append(ids, s.customer(t, fmt.Sprint("C", n)))
	}
	count := func(do func(ctx context.Context) error) int64 {
		t.Helper()
		var trips int64
		for range 2 { // the second time the connection knows the statements
			ctx, stats := postgres.WithStats(t.Context())
			require.NoError(t, do(ctx))
			trips = stats.RoundTrips()
		}
		return trips
	}
	create := func(n int) func(ctx context.Context) error {
		var items []resource.BulkItem
		for i := range n {
			items = append(items, ordering(ids[i%len(ids)]))
		}
		return func(ctx context.Context) error {
			results, err := s.orders.Bulk(ctx, s.scope, resource.Bulk{Mode: resource.BulkCreate, Atomic: true, Items: items})
			for _, r := range results {
				err = errors.Join(err, r.Err)
			}
			return err
		}
	}
	few := count(create(1))
	assert.Equal(t, few, count(create(30)))
	assert.LessOrEqual(t, few, int64(5))

	page, err := s.orders.List(t.Context(), s.scope, resource.Query{Sort: orders.Definition().DefaultSort})
	require.NoError(t, err)
	require.Greater(t, len(page.Items), 20)
	expand := func(n int) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.orders.Expand(ctx, s.scope, []string{"customer"}, page.Items[:n])
			return err
		}
	}
	assert.Equal(t, int64(1), count(expand(1)))
	assert.Equal(t, int64(1), count(expand(20)))
	ctx, stats := postgres.WithStats(t.Context())
	require.NoError(t, expand(13)(ctx))
	assert.Equal(t, int64(1), stats.RoundTrips(), "however many, it is the same statement")
}

// Bulks over the same records, in all orders and of all kinds, wait for one another and never both: PostgreSQL, which
// would end a deadlock by failing one of them, has none to count.
func TestBulk_never_deadlocks(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: s.AppURL, MaxConnections: 8})
	require.NoError(t, err)
	s = s.over(t, db)
	const many, writers, rounds = 25, 6, 4
	var ids []tenancy.ID
	for n := range many {
		ids = append(ids, s.customer(t, fmt.Sprint("old ", n)))
	}
	errs := make(chan error, writers*rounds)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for round := range rounds {
				service, b := s.customers, resource.Bulk{Mode: resource.BulkUpdate, Atomic: true}
				for n, id := range ids {
					switch (w + round) % 3 {
					case 0:
						item := named(fmt.Sprint("old ", n), fmt.Sprint(w, round))
						item.ID = id
						b.Items = append(b.Items, item)
					case 1:
						b.Mode, b.By = resource.BulkUpsert, s.customers.Definition.Field("code")
						b.Items = append(b.Items, named(fmt.Sprint("new ", round, n), fmt.Sprint(w)))
					case 2:
						service, b.Mode = s.orders, resource.BulkCreate
						b.Items = append(b.Items, ordering(id))
					}
				}
				if w%2 == 1 {
					slices.Reverse(b.Items)
				}
				results, err := service.Bulk(t.Context(), s.scope, b)
				for _, r := range results {
					err = errors.Join(err, r.Err)
				}
				errs <- err
			}
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.NoError(t, db.Close()) // a backend tells its statistics at the latest when it ends
	admin := s.Admin(t)
	require.Eventually(t, func() bool {
		var others int
		err := admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND usename = 'groundwork_app' AND query <> ''`).Scan(&others)
		return err == nil && others <= 1 // the stack's own, which has done nothing
	}, time.Minute, 10*time.Millisecond)
	var deadlocks, commits int
	require.NoError(t, admin.QueryRow(t.Context(),
		`SELECT deadlocks, xact_commit FROM pg_stat_database WHERE datname = current_database()`).Scan(&deadlocks, &commits))
	assert.Zero(t, deadlocks)
	assert.Greater(t, commits, writers*rounds)
}

// overtaken is a store on which somebody else writes, once, between what is looked at and what is written.
type overtaken struct {
	resource.Store

	by func() error
}

// WriteRecords writes after the other.
func (o *overtaken) WriteRecords(
	ctx context.Context, scope tenancy.Scope, d *resource.Definition, inserted, updated []resource.Entity, records []resource.Record,
) error {
	if by := o.by; by != nil {
		o.by = nil
		if err := by(); err != nil {
			return err
		}
	}
	return o.Store.WriteRecords(ctx, scope, d, inserted, updated, records)
}

// A bulk that looked before another wrote looks again, also inside of a longer transaction, which is then run again.
func TestBulk_looks_again_where_another_was_quicker(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for name, tt := range map[string]struct {
		service *resource.Service
		bulk    resource.Bulk
		quicker func() error
		check   func(t *testing.T, r resource.BulkResult)
	}{
		"upsert": {
			s.customers,
			resource.Bulk{Mode: resource.BulkUpsert, By: s.customers.Definition.Field("code"), Items: []resource.BulkItem{named("A", "second")}},
			func() error {
				return s.customers.Create(t.Context(), s.scope, &customers.Customer{Name: "first", Code: new("A")})
			},
			func(t *testing.T, r resource.BulkResult) {
				t.Helper()
				require.NoError(t, r.Err)
				assert.Equal(t, resource.Updated, r.Act)
				assert.Equal(t, int64(2), r.Entity.Head().Version)
			},
		},
		"create": {
			s.customers,
			resource.Bulk{Mode: resource.BulkCreate, Items: []resource.BulkItem{named("B", "second")}},
			func() error {
				return s.customers.Create(t.Context(), s.scope, &customers.Customer{Name: "first", Code: new("B")})
			},
			func(t *testing.T, r resource.BulkResult) {
				t.Helper()
				assert.True(t, fault.Is(r.Err, "customer.code_taken"), r.Err)
			},
		},
		"number": {
			s.orders,
			resource.Bulk{Mode: resource.BulkCreate, Items: []resource.BulkItem{ordering(s.customer(t, "c"))}},
			func() error {
				o := order(s.customer(t, "d"))
				o.Number = "1"
				return s.orders.Create(t.Context(), s.scope, o)
			},
			func(t *testing.T, r resource.BulkResult) {
				t.Helper()
				require.NoError(t, r.Err)
				o, _ := r.Entity.(*orders.Order)
				assert.Equal(t, "2", o.Number)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attempts := 0
			var results []resource.BulkResult
			router := postgres.Shared{DB: s.db}
			service := resource.NewService(tt.service.Definition, resource.Dependencies{
				Store:   &overtaken{Store: postgres.NewResources(router), by: tt.quicker},
				History: postgres.NewAudit(router), Validator: validate.New(), Now: time.Now,
			})
			err := s.db.InTx(t.Context(), s.scope, func(ctx context.Context) (err error) {
				attempts++
				results, err = service.Bulk(ctx, s.scope, tt.bulk)
				return err
			})
			require.NoError(t, err)
			assert.Equal(t, 2, attempts)
			require.Len(t, results, 1)
			tt.check(t, results[0])
		})
	}
}

// Who creates an order waits for who is deleting its customer, and is then refused.
func TestReference_to_what_is_being_deleted(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	admin := s.Admin(t)
	waits := func() bool {
		var waiting bool
		err := admin.QueryRow(t.Context(), `SELECT exists (SELECT FROM pg_locks WHERE NOT granted AND
			pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database()))`).Scan(&waiting)
		return err == nil && waiting
	}
	for name, create := range map[string]func(id tenancy.ID) error{
		"create": func(id tenancy.ID) error { return s.orders.Create(t.Context(), s.scope, order(id)) },
		"bulk": func(id tenancy.ID) error {
			results, err := s.orders.Bulk(t.Context(), s.scope, resource.Bulk{Mode: resource.BulkCreate, Items: []resource.BulkItem{ordering(id)}})
			if err == nil {
				err = results[0].Err
			}
			return err
		},
	} {
		id := s.customer(t, "to be deleted by "+name)
		created := make(chan error, 1)
		err := s.db.InTx(t.Context(), s.scope, func(ctx context.Context) error {
			if err := s.customers.Delete(ctx, s.scope, id, 0); err != nil {
				return err
			}
			go func() { created <- create(id) }()
			require.Eventually(t, waits, time.Minute, 5*time.Millisecond, "the order waits")
			return nil
		})
		require.NoError(t, err)
		f, ok := fault.As(<-created)
		require.True(t, ok, name)
		assert.Equal(t, fault.Invalid, f.Kind)
		require.Len(t, f.Violations, 1)
		assert.Equal(t, "/customer_id", f.Violations[0].Pointer)
	}
}
