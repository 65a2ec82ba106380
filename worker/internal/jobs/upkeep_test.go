package jobs_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/customers"
	domain "github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/orders"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/upkeep"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
	"github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

// runIt runs a handler once, and returns its result and what it last said of its progress.
func runIt(t *testing.T, handler domain.Handler, tenant tenancy.ID) (removed upkeep.Removed, progress domain.Progress) {
	t.Helper()
	run := &domain.Run{
		Job: domain.Job{Tenant: tenant, Args: json.RawMessage("{}")}, Scope: tenancy.AsSystem(tenant, "test"),
		Report: func(p domain.Progress) { progress = p },
	}
	require.NoError(t, handler.Run(t.Context(), run))
	require.NoError(t, json.Unmarshal(run.Result(), &removed))
	return removed, progress
}

func TestPurgeTrash(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	db := s.Open(t, postgres.Config{URL: s.WorkerURL})
	for _, d := range catalog.All() {
		require.NoError(t, db.Register(d.New()))
		require.NoError(t, s.DB.Register(d.New()))
	}
	tenant, other := s.TenantID(t), s.TenantID(t)
	router := postgres.Shared{DB: db}
	deps := resource.Dependencies{Store: postgres.NewResources(router), History: postgres.NewAudit(router), Validator: validate.New(), Now: time.Now}
	trash := upkeep.Trash{Retention: 24 * time.Hour, Now: func() time.Time { return time.Now().Add(23 * time.Hour) }}
	for _, d := range catalog.All() {
		trash.Resources = append(trash.Resources, resource.NewService(d, deps))
	}
	services := map[string]*resource.Service{}
	for _, service := range trash.Resources {
		services[service.Definition.Name] = service
	}
	for _, who := range []tenancy.ID{tenant, other} {
		scope := tenancy.AsSystem(who, "")
		for n := range 3 {
			customer := &customers.Customer{Name: fmt.Sprint("Customer ", n)}
			require.NoError(t, services["customer"].Create(t.Context(), scope, customer))
			order := &orders.Order{CustomerID: customer.ID, Currency: "EUR", Lines: []orders.Line{{SKU: "A", Description: "a", Quantity: 1, UnitPriceCents: 100}}}
			require.NoError(t, services["order"].Create(t.Context(), scope, order))
			if n < 2 { // both are deleted: an order keeps its customer until it is gone itself
				require.NoError(t, services["order"].Delete(t.Context(), scope, order.ID, 0))
				require.NoError(t, services["customer"].Delete(t.Context(), scope, customer.ID, 0))
			}
		}
	}
	count := func(table string, who tenancy.ID) (n int) {
		require.NoError(t, s.Admin(t).QueryRow(t.Context(), "select count(*) from "+table+" where tenant_id = $1", who).Scan(&n))
		return n
	}
	removed, _ := runIt(t, jobs.PurgeTrash(trash), tenant)
	assert.Empty(t, removed, "it can be restored for another hour")
	assert.Equal(t, 3, count("orders", tenant))
	trash.Now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	removed, progress := runIt(t, jobs.PurgeTrash(trash), tenant)
	assert.Equal(t, upkeep.Removed{"orders": 2, "customers": 2}, removed)
	assert.EqualValues(t, 4, progress.Done)
	for table, kept := range map[string]int{"orders": 1, "customers": 1} {
		assert.Equal(t, kept, count(table, tenant), table)
		assert.Equal(t, 3, count(table, other), "another tenant's %s", table)
	}
	removed, _ = runIt(t, jobs.PurgeTrash(trash), tenant)
	assert.Empty(t, removed)
}

func TestExpire(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	system := s.Open(t, postgres.Config{URL: s.SystemURL})
	expired := postgres.NewExpired(system)
	member := s.Tenant(t)
	count := func(table string) (n int) {
		require.NoError(t, s.Admin(t).QueryRow(t.Context(), "select count(*) from "+table).Scan(&n))
		return n
	}
	s.Exec(t, `insert into idempotency_keys (tenant_id, digest, request_digest, status, created_at, expires_at)
		select $1, int4send(n), '', 201, now(), now() + make_interval(secs => case when n <= 2500 then -1 else 3600 end)
		from generate_series(1, 2505) n`, member.Tenant)
	s.Exec(t, `insert into refresh_tokens (token_hash, session_id, created_at, expires_at)
		select int4send(n), $1, now(), now() + make_interval(hours => n) from generate_series(-2, 1) n`, member.Actor.Session)
	s.Member(t, member.Tenant, "admin")
	s.Exec(t, `update sessions set expires_at = now() - interval '8 days' where id <> $1`, member.Actor.Session)
	expiries := upkeep.Expiries{
		{Name: "idempotency_keys", Remove: expired.IdempotencyKeys},
		{Name: "sessions", Keep: 7 * 24 * time.Hour, Remove: expired.Sessions},
		{Name: "refresh_tokens", Keep: 90 * time.Minute, Remove: expired.RefreshTokens},
	}
	removed, progress := runIt(t, jobs.Expire(expiries), tenancy.SystemTenant)
	assert.Equal(t, upkeep.Removed{"idempotency_keys": 2500, "sessions": 1, "refresh_tokens": 1}, removed)
	assert.EqualValues(t, 2502, progress.Done)
	assert.Equal(t, 5, count("idempotency_keys"))
	assert.Equal(t, 1, count("sessions"))
	assert.Equal(t, 3, count("refresh_tokens"))
	removed, _ = runIt(t, jobs.Expire(expiries), tenancy.SystemTenant)
	assert.Empty(t, removed)
}
