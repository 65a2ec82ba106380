package postgres_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// aCustomer makes a customer.
func aCustomer(t *testing.T, s *storetest.Stack, tenant tenancy.ID, name string) tenancy.ID {
	t.Helper()
	id := tenancy.NewID()
	s.Exec(t, "insert into customers (tenant_id, id, version, created_at, updated_at, name) values ($1, $2, 1, now(), now(), $3)", tenant, id, name)
	return id
}

// anOrder is an order for a report to count.
type anOrder struct {
	customer                         tenancy.ID
	currency, status                 string
	placed, paid, shipped, cancelled string
	cents                            int64
}

func (o anOrder) insert(t *testing.T, s *storetest.Stack, tenant tenancy.ID) {
	t.Helper()
	at := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	s.Exec(t, `insert into orders (tenant_id, id, version, created_at, updated_at, customer_id, number, currency, status, placed_at, paid_at,
		shipped_at, cancelled_at, total_cents, lines)
		values ($1, $2::uuid, 1, now(), now(), $3, $2::uuid::text, $4, $5, $6::timestamptz, $7::timestamptz, $8::timestamptz, $9::timestamptz, $10, '[]')`,
		tenant, tenancy.NewID().String(), o.customer, o.currency, o.status, at(o.placed), at(o.paid), at(o.shipped), at(o.cancelled), o.cents)
}

func day(t *testing.T, text string) reports.Day {
	t.Helper()
	d, err := reports.ParseDay(text)
	require.NoError(t, err)
	return d
}

func TestReadSales(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	tenant, other := s.TenantID(t), s.TenantID(t)
	ada, bob := aCustomer(t, s, tenant, "Ada"), aCustomer(t, s, tenant, "Bob")
	for _, o := range []anOrder{
		// The clocks of Berlin were set back on the 25th: its day had 25 hours, from 22:00 to 23:00 UTC.
		{customer: ada, currency: "EUR", status: "placed", placed: "2026-10-24T21:59:59Z", cents: 1},
		{customer: ada, currency: "EUR", status: "shipped", placed: "2026-10-24T22:00:00Z", paid: "2026-10-24T23:00:00Z", shipped: "2026-10-24T23:30:00Z", cents: 100},
		{customer: bob, currency: "EUR", status: "paid", placed: "2026-10-25T22:59:59Z", paid: "2026-10-26T09:00:00Z", cents: 30},
		{customer: bob, currency: "EUR", status: "placed", placed: "2026-10-25T23:00:00Z", cents: 7},
		{customer: bob, currency: "JPY", status: "placed", placed: "2026-10-25T12:00:00Z", cents: 5000},
		{customer: bob, currency: "EUR", status: "draft", cents: 9999},
		{customer: bob, currency: "EUR", status: "cancelled", placed: "2026-10-25T12:00:00Z", cancelled: "2026-10-27T12:00:00Z", cents: 400},
		{customer: bob, currency: "EUR", status: "cancelled", placed: "2026-10-25T12:00:00Z", cancelled: "2026-10-25T13:00:00Z", cents: 800},
		{customer: ada, currency: "EUR", status: "placed", placed: "2026-09-20T12:00:00Z", cents: 50},
		{customer: ada, currency: "EUR", status: "shipped", placed: "2026-09-21T12:00:00Z", paid: "2026-10-26T12:00:00Z", shipped: "2026-10-26T13:00:00Z", cents: 60},
	} {
		o.insert(t, s, tenant)
	}
	anOrder{customer: aCustomer(t, s, other, "Eve"), currency: "EUR", status: "placed", placed: "2026-10-25T12:00:00Z", cents: 1_000_000}.insert(t, s, other)

	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	period := reports.NewPeriod(day(t, "2026-10-25"), 30, berlin)
	require.Equal(t, 25*time.Hour, period.End().Sub(period.Start()))
	overdue := day(t, "2026-09-26").Begin(berlin)
	read := func(t *testing.T, role string) reports.SalesRows {
		t.Helper()
		db := s.Open(t, postgres.Config{URL: role})
		rows, err := postgres.NewSales(postgres.Shared{DB: db}).ReadSales(t.Context(), tenancy.AsSystem(tenant, ""), period, overdue, 10)
		require.NoError(t, err)
		return rows
	}
	for name, role := range map[string]string{"as_the_worker": s.WorkerURL, "as_who_only_reads": s.ReportingURL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := read(t, role)
			assert.WithinDuration(t, time.Now(), rows.AsOf, time.Minute)
			assert.Equal(t, []reports.SalesRow{
				{Currency: "EUR", Day: 28, Amount: reports.Amount{Orders: 1, TotalCents: 1}},
				{Currency: "EUR", Day: 29, Amount: reports.Amount{Orders: 2, TotalCents: 130}},
				{Currency: "JPY", Day: 29, Amount: reports.Amount{Orders: 1, TotalCents: 5000}},
			}, rows.Days)
			assert.Equal(t, []reports.CustomerRow{
				{Currency: "EUR", BestCustomer: reports.BestCustomer{CustomerID: ada, Name: "Ada", Orders: 2, RevenueCents: 101}},
				{Currency: "EUR", BestCustomer: reports.BestCustomer{CustomerID: bob, Name: "Bob", Orders: 1, RevenueCents: 30}},
				{Currency: "JPY", BestCustomer: reports.BestCustomer{CustomerID: bob, Name: "Bob", Orders: 1, RevenueCents: 5000}},
			}, rows.Customers)
			// Open when the day ended: that of 21:59, Bob's two of the day, the one that was cancelled later, and both of
			// September, which are overdue; what was placed after the day is not.
			assert.Equal(t, []reports.OpenRow{
				{Currency: "EUR", Open: reports.Amount{Orders: 5, TotalCents: 541}, Overdue: reports.Amount{Orders: 2, TotalCents: 110}},
				{Currency: "JPY", Open: reports.Amount{Orders: 1, TotalCents: 5000}},
			}, rows.Open)
			assert.Equal(t, map[int]int64{29: 1}, rows.NewCustomers, "Bob is new, Ada ordered in September")
		})
	}
}

func TestReadSalesOfSumsThatAreTooLarge(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	tenant := s.TenantID(t)
	ada := aCustomer(t, s, tenant, "Ada")
	for range 3 {
		anOrder{customer: ada, currency: "EUR", status: "placed", placed: "2026-10-25T12:00:00Z", cents: 1<<63 - 1}.insert(t, s, tenant)
	}
	rows, err := postgres.NewSales(postgres.Shared{DB: s.DB}).ReadSales(t.Context(), tenancy.AsSystem(tenant, ""),
		reports.NewPeriod(day(t, "2026-10-25"), 30, time.UTC), day(t, "2026-09-26").Begin(time.UTC), 10)
	require.NoError(t, err)
	require.Len(t, rows.Days, 1)
	assert.True(t, rows.Days[0].IsCapped && rows.Open[0].IsCapped && rows.Customers[0].IsCapped)
	assert.EqualValues(t, 1<<63-1, rows.Days[0].TotalCents)
}

func TestKeepReport(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	scope := tenancy.AsSystem(s.TenantID(t), "")
	store := postgres.NewReports(postgres.Shared{DB: s.Open(t, postgres.Config{URL: s.WorkerURL})})
	began := time.Now().UTC().Truncate(time.Microsecond)
	keep := func(t *testing.T, data string, asOf time.Time) (reports.Report, bool) {
		t.Helper()
		var followed reports.Report
		kept, isNew, err := store.KeepReport(t.Context(), scope, reports.Kept{
			Report: reports.Report{Data: json.RawMessage(data), Head: reports.Head{
				TenantID: scope.Tenant, ID: tenancy.NewID(), Kind: "k", Day: day(t, "2026-10-25"), TimeZone: "UTC", StartsAt: began, EndsAt: began,
				AsOf: asOf, CreatedAt: began, Changes: []reports.Change{},
			}},
			Differences: func(before json.RawMessage) ([]reports.Change, error) {
				if string(before) == data {
					return []reports.Change{}, nil
				}
				return []reports.Change{{Figure: "all", From: string(before), To: data}}, nil
			},
		}, func(_ context.Context, r reports.Report) error {
			followed = r
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, kept.ID, followed.ID)
		return kept, isNew
	}
	first, isNew := keep(t, `{"n":1}`, began)
	assert.True(t, isNew)
	same, isNew := keep(t, `{"n":1}`, began.Add(time.Second))
	assert.False(t, isNew, "nothing has changed")
	assert.Equal(t, first.ID, same.ID)
	second, isNew := keep(t, `{"n":2}`, began.Add(2*time.Second))
	assert.True(t, isNew)
	assert.EqualValues(t, 2, second.Version)
	late, isNew := keep(t, `{"n":1}`, began.Add(time.Second))
	assert.False(t, isNew, "what was read earlier does not take the place of what was read later")
	assert.Equal(t, second.ID, late.ID)

	old, err := store.FindReport(t.Context(), scope, first.ID)
	require.NoError(t, err)
	assert.NotNil(t, old.SupersededAt)
	latest, found, err := store.FindLatestReport(t.Context(), scope, "k", day(t, "2026-10-25"))
	require.NoError(t, err)
	require.True(t, found)
	assert.Equal(t, []reports.Change{{Figure: "all", From: `{"n":1}`, To: `{"n":2}`}}, latest.Changes)
	assert.JSONEq(t, `{"n":2}`, string(latest.Data))
	assert.Equal(t, "2026-10-25", latest.Day.String())
	list, err := store.ListReports(t.Context(), scope, reports.Query{Kind: "k", From: day(t, "2026-10-25"), To: day(t, "2026-10-25")})
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, second.ID, list[0].ID)
	expired := postgres.NewExpired(s.Open(t, postgres.Config{URL: s.SystemURL}))
	removed, err := expired.Reports(t.Context(), time.Hour, 10)
	require.NoError(t, err)
	assert.Zero(t, removed)
	all, err := store.ListReports(t.Context(), scope, reports.Query{AllVersions: true, Request: (reports.Query{}).Normalized()})
	require.NoError(t, err)
	assert.Len(t, all, 2)
	s.Exec(t, "update reports set created_at = created_at - interval '2 hours' where id = $1", first.ID.String())
	removed, err = expired.Reports(t.Context(), time.Hour, 10)
	require.NoError(t, err)
	assert.EqualValues(t, 1, removed)
	_, err = store.FindReport(t.Context(), scope, first.ID)
	assert.True(t, fault.Is(err, "report.not_found"))
}
