package jobs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/schedules"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// nights are a tenant of Berlin with a member who subscribes.
type nights struct {
	*office

	member   tenancy.Scope
	tenant   tenancy.ID
	email    string
	customer tenancy.ID
	schedule reports.Schedule
}

func newNights(t *testing.T) *nights {
	t.Helper()
	n := &nights{office: newOffice(t)}
	n.member = n.Tenant(t)
	n.tenant = n.member.Tenant
	n.email = n.member.Actor.ID.String() + "@example.test"
	n.Exec(t, "update tenants set time_zone = 'Europe/Berlin', name = 'Northwind Traders' where id = $1", n.tenant)
	n.customer = tenancy.NewID()
	n.Exec(t, "insert into customers (tenant_id, id, version, created_at, updated_at, name) values ($1, $2, 1, now(), now(), 'Win at www.evil.example')",
		n.tenant, n.customer)
	midnight := "00:00"
	var err error
	n.schedule, err = reports.NewSchedules(n.reporting).Create(t.Context(), tenancy.AsSystem(n.tenant, ""), reports.Input{
		Kind: reports.DailySales, LocalTime: &midnight, Subscribers: []tenancy.ID{n.member.Actor.ID}, Formats: []string{"pdf", "csv"},
	})
	require.NoError(t, err)
	return n
}

// order makes one of the past.
func (n *nights) order(t *testing.T, placed string, cents int64) {
	t.Helper()
	n.Exec(t, `insert into orders (tenant_id, id, version, created_at, updated_at, customer_id, number, currency, status, placed_at, total_cents, lines)
		values ($1, $2::uuid, 1, now(), now(), $3, $2::uuid::text, 'EUR', 'placed', $4::timestamptz, $5, '[]')`,
		n.tenant, tenancy.NewID().String(), n.customer, placed, cents)
}

// plan runs the planning of a night that the scheduler meets, and returns the runs that wait then.
func (n *nights) plan(t *testing.T, first, last string) []jobs.Job {
	t.Helper()
	at := func(day string) schedules.Wall {
		parsed, err := time.Parse(time.DateTime, day+" 00:05:00")
		require.NoError(t, err)
		return schedules.WallOf(parsed)
	}
	args, err := json.Marshal(reports.Nightly{First: at(first), Time: at(last)})
	require.NoError(t, err)
	require.NoError(t, n.run(t, jobs.Job{Tenant: n.tenant, ID: tenancy.NewID(), Kind: "reports.nightly", Args: args}))
	return n.pending(t, n.tenant)
}

// latest is the latest version of a day's report.
func (n *nights) latest(t *testing.T, day string) reports.Report {
	t.Helper()
	parsed, err := reports.ParseDay(day)
	require.NoError(t, err)
	r, found, err := n.reporting.Store.FindLatestReport(t.Context(), tenancy.AsSystem(n.tenant, ""), reports.DailySales, parsed)
	require.NoError(t, err)
	require.True(t, found, day)
	return r
}

func TestNightlyReport(t *testing.T) {
	t.Parallel()
	n := newNights(t)
	n.order(t, "2026-03-28T23:00:00Z", 123456) // the first moment of the 29th, which has 23 hours
	planned := n.plan(t, "2026-03-30", "2026-03-30")
	require.Len(t, planned, 2, "a run for the schedule, and one for the default")
	for _, job := range planned {
		require.NoError(t, n.run(t, job))
		require.NoError(t, n.run(t, job), "a run whose end was not noted is run again")
		n.Exec(t, "delete from jobs where id = $1", job.ID.String())
	}
	mails := n.pending(t, n.tenant)
	require.Len(t, mails, 2, "each run asks for its mail once")
	for _, err := range n.work(t, n.tenant) {
		require.NoError(t, err)
	}
	require.Equal(t, 1, n.countTo(n.email), "the default has no subscribers")
	m := n.mailTo(t, n.email)
	if dir := os.Getenv("REPORTS_LOOK"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "sent.html"), []byte(m.HTML), 0o600))
	}
	assert.Equal(t, "Daily sales of Northwind Traders, Sunday, 29 March 2026", m.Subject)
	for what, text := range map[string]string{"html": m.HTML, "text": m.Text} {
		assert.Contains(t, text, "1,234.56", what)
		assert.Contains(t, text, "Win at", what)
		assert.NotContains(t, text, "www.evil.example", "%s: what a customer is called is no link", what)
	}
	assert.NotContains(t, m.HTML, "<img")
	assert.Contains(t, string(m.Raw), `filename="daily-sales-2026-03-29.pdf"`)
	assert.Contains(t, string(m.Raw), `filename="daily-sales-2026-03-29.csv"`)

	// An order of the 29th comes in on the 30th: the next night knows, and has the day run again.
	n.order(t, "2026-03-29T10:00:00Z", 4444)
	for _, job := range n.plan(t, "2026-03-31", "2026-03-31") {
		require.NoError(t, n.run(t, job))
		n.Exec(t, "delete from jobs where id = $1", job.ID.String())
	}
	for _, err := range n.work(t, n.tenant) {
		require.NoError(t, err)
	}
	second := n.latest(t, "2026-03-29")
	assert.EqualValues(t, 2, second.Version)
	assert.Contains(t, second.Changes, reports.Change{Figure: "EUR: revenue", From: "1,234.56", To: "1,279.00"})
	assert.EqualValues(t, 1, n.latest(t, "2026-03-30").Version)
	assert.Equal(t, 2, n.countTo(n.email), "a day that is run again is not mailed again")
}

func TestNightsThatWereMissed(t *testing.T) {
	t.Parallel()
	n := newNights(t)
	for _, job := range n.plan(t, "2026-03-20", "2026-03-23") {
		require.NoError(t, n.run(t, job))
		n.Exec(t, "delete from jobs where id = $1", job.ID.String())
	}
	for _, day := range []string{"2026-03-19", "2026-03-20", "2026-03-21", "2026-03-22"} {
		n.latest(t, day)
	}
	for _, err := range n.work(t, n.tenant) {
		require.NoError(t, err)
	}
	assert.Equal(t, 1, n.countTo(n.email), "only the last night is mailed")
	assert.Contains(t, n.mailTo(t, n.email).Text, "No order was placed")
}

func TestReportIsNotMailed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, n *nights){
		"of_a_schedule_that_was_disabled": func(t *testing.T, n *nights) {
			t.Helper()
			n.Exec(t, "update report_schedules set enabled = false where id = $1", n.schedule.ID.String())
		},
		"of_a_schedule_that_was_deleted": func(t *testing.T, n *nights) {
			t.Helper()
			require.NoError(t, reports.NewSchedules(n.reporting).Delete(t.Context(), tenancy.AsSystem(n.tenant, ""), n.schedule.ID, 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNights(t)
			planned := n.plan(t, "2026-03-30", "2026-03-30")
			change(t, n)
			var ended int
			for _, job := range planned {
				err := n.run(t, job)
				if state, _ := jobs.Decide(jobs.Kind{}.Complete(), err, 1, 20, time.Time{}); state == jobs.Cancelled {
					ended++
				}
				n.Exec(t, "delete from jobs where id = $1", job.ID.String())
			}
			assert.Equal(t, 1, ended)
			for _, err := range n.work(t, n.tenant) {
				require.NoError(t, err)
			}
			assert.Zero(t, n.countTo(n.email))
		})
	}
	t.Run("to_somebody_who_left", func(t *testing.T) {
		t.Parallel()
		n := newNights(t)
		planned := n.plan(t, "2026-03-30", "2026-03-30")
		n.Exec(t, "delete from memberships where tenant_id = $1 and user_id = $2", n.tenant, n.member.Actor.ID.String())
		for _, job := range planned {
			require.NoError(t, n.run(t, job))
			n.Exec(t, "delete from jobs where id = $1", job.ID.String())
		}
		for _, err := range n.work(t, n.tenant) {
			require.NoError(t, err)
		}
		assert.Zero(t, n.countTo(n.email))
	})
}
