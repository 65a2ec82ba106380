package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// aDay is one that has ended everywhere.
const aDay = "2026-03-29"

// reportOf makes the report of a day, as a worker does, and returns what came of it.
func (o owner) reportOf(tb testing.TB, day string) reports.Result {
	tb.Helper()
	router := o.stack.base.Router
	directory := postgres.NewIdentity(o.stack.base.DB)
	reported, err := newReports(o.stack.base, directory, postgres.NewJobs(router, nil),
		access.NewRights(directory, members.NewRoles(catalog.Permissions()), o.stack.now))
	require.NoError(tb, err)
	parsed, err := reports.ParseDay(day)
	require.NoError(tb, err)
	scope := tenancy.AsSystem(tenancy.MustParseID(o.tenant), "the-night")
	run := &jobs.Run{Scope: scope, Job: jobs.Job{Tenant: scope.Tenant, ID: tenancy.NewID()}}
	require.NoError(tb, reported.Service.Run(context.WithoutCancel(tb.Context()), run, reports.Run{Kind: reports.DailySales, Day: parsed}))
	var result reports.Result
	require.NoError(tb, json.Unmarshal(run.Result(), &result))
	return result
}

// placed makes an order of the past.
func (o owner) placed(tb testing.TB, at string, cents int) {
	tb.Helper()
	customer := o.must(tb, http.StatusCreated, http.MethodPost, "/customers", `{"name":"Ernst Handel"}`).text("id")
	o.must(tb, http.StatusOK, http.MethodPost, "/orders/bulk", map[string]any{"mode": "create", "items": []any{map[string]any{
		"customer_id": customer, "currency": "EUR", "status": "placed", "placed_at": at,
		"lines": []any{map[string]any{"sku": "CHAI", "quantity": 1, "unit_price_cents": cents}},
	}}})
}

func TestReports(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	o.must(t, http.StatusOK, http.MethodPatch, "/tenant", `{"time_zone":"Europe/Berlin"}`)
	o.placed(t, "2026-03-29T21:59:59Z", 1250) // the day has 23 hours, and ends at 22:00 UTC
	o.placed(t, "2026-03-29T22:00:00Z", 9999)

	first := o.reportOf(t, aDay)
	assert.True(t, first.IsNew)
	path := "/reports/" + first.ReportID.String()
	report := o.must(t, http.StatusOK, http.MethodGet, path, nil)
	assert.Equal(t, "2026-03-28T23:00:00Z", report.text("starts_at"))
	assert.Equal(t, "2026-03-29T22:00:00Z", report.text("ends_at"))
	assert.EqualValues(t, 1250, report.at("data", "currencies", 0, "revenue_cents", "value"))

	again := o.reportOf(t, aDay)
	assert.Equal(t, first.ReportID, again.ReportID, "a day that is run again has the version that it had")
	assert.False(t, again.IsNew)
	o.placed(t, "2026-03-29T10:00:00Z", 750)
	second := o.reportOf(t, aDay)
	assert.EqualValues(t, 2, second.Version)
	changed := o.must(t, http.StatusOK, http.MethodGet, "/reports/"+second.ReportID.String(), nil)
	assert.Equal(t, "EUR: revenue", changed.text("changes", 3, "figure"), changed.raw)
	assert.Equal(t, "12.50", changed.text("changes", 3, "from"))
	assert.Equal(t, "20.00", changed.text("changes", 3, "to"))

	third := o.reportOf(t, "2026-03-30")
	t.Run("lists_the_latest_days_first", func(t *testing.T) {
		t.Parallel()
		page := o.must(t, http.StatusOK, http.MethodGet, "/reports?limit=1", nil)
		assert.Equal(t, third.ReportID.String(), page.text("data", 0, "id"))
		page = o.must(t, http.StatusOK, http.MethodGet, "/reports?limit=1&cursor="+page.text("next_cursor"), nil)
		assert.Equal(t, second.ReportID.String(), page.text("data", 0, "id"))
		assert.Nil(t, page.at("next_cursor"))
		page = o.must(t, http.StatusOK, http.MethodGet, "/reports?limit=1&cursor="+page.text("prev_cursor"), nil)
		assert.Equal(t, third.ReportID.String(), page.text("data", 0, "id"))
		page = o.must(t, http.StatusOK, http.MethodGet, "/reports?kind=daily_sales&from=2026-03-29&to=2026-03-29&versions=all", nil)
		assert.Equal(t, []string{second.ReportID.String(), first.ReportID.String()}, []string{page.text("data", 0, "id"), page.text("data", 1, "id")})
		assert.NotEmpty(t, page.text("data", 1, "superseded_at"))
		for _, query := range []string{"from=yesterday", "to=2026-02-30", "versions=some", "kind=%00", "from=0001-01-01"} {
			o.refused(t, http.StatusBadRequest, "invalid_query", http.MethodGet, "/reports?"+query, nil)
		}
	})
	t.Run("renders_each_format", func(t *testing.T) {
		t.Parallel()
		content := "/reports/" + second.ReportID.String() + "/content"
		for format, is := range map[string]struct{ kind, begins, name string }{
			"":             {"text/html; charset=utf-8", "<!doctype html>", "inline"},
			"?format=html": {"text/html; charset=utf-8", "<!doctype html>", "daily-sales-2026-03-29-v2.html"},
			"?format=pdf":  {"application/pdf", "%PDF-", "daily-sales-2026-03-29-v2.pdf"},
			"?format=xlsx": {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "PK", "daily-sales-2026-03-29-v2.xlsx"},
			"?format=csv":  {"text/csv; charset=utf-8", "section,table,row,column,value\r\n", "daily-sales-2026-03-29-v2.csv"},
		} {
			a := o.fetch(t, http.MethodGet, content+format)
			require.Equal(t, http.StatusOK, a.status, a.raw)
			assert.Equal(t, is.kind, a.header.Get("Content-Type"))
			assert.True(t, strings.HasPrefix(a.raw, is.begins), format)
			assert.Contains(t, a.header.Get("Content-Disposition"), is.name)
			assert.Contains(t, a.header.Get("Content-Security-Policy"), "sandbox")
			head := o.fetch(t, http.MethodHead, content+format)
			assert.Equal(t, http.StatusOK, head.status)
			assert.Empty(t, head.raw)
		}
		whole := o.fetch(t, http.MethodGet, content+"?format=pdf")
		part := o.with("Range", "bytes=0-4").fetch(t, http.MethodGet, content+"?format=pdf")
		assert.Equal(t, http.StatusPartialContent, part.status)
		assert.Equal(t, "%PDF-", part.raw)
		assert.Equal(t, http.StatusNotModified, o.with("If-None-Match", whole.header.Get("ETag")).fetch(t, http.MethodGet, content+"?format=pdf").status)
		o.refused(t, http.StatusBadRequest, "invalid_query", http.MethodGet, content+"?format=doc", nil)
	})
	t.Run("orders_the_report_of_a_day", func(t *testing.T) {
		t.Parallel()
		a := o.must(t, http.StatusAccepted, http.MethodPost, "/reports", `{"kind":"daily_sales","day":"2026-03-01"}`)
		assert.True(t, strings.HasSuffix(a.header.Get("Location"), "/jobs/"+a.text("job_id")))
		twice := o.must(t, http.StatusAccepted, http.MethodPost, "/reports", `{"kind":"daily_sales","day":"2026-03-01"}`)
		assert.Equal(t, a.text("job_id"), twice.text("job_id"), "one waits already")
		assert.Equal(t, "reports.run", o.must(t, http.StatusOK, http.MethodGet, "/jobs/"+a.text("job_id"), nil).text("kind"))
		tomorrow := time.Now().Add(48 * time.Hour).UTC().Format(time.DateOnly)
		for body, pointer := range map[string]string{
			`{"kind":"weekly","day":"2026-03-01"}`:                           "/kind",
			`{"day":"2026-03-01"}`:                                           "/kind",
			`{"kind":"daily_sales"}`:                                         "/day",
			`{"kind":"daily_sales","day":"1.3.2026"}`:                        "/day",
			`{"kind":"daily_sales","day":"` + tomorrow + `"}`:                "/day",
			`{"kind":"daily_sales","day":"9999-12-31"}`:                      "/day",
			`{"kind":"daily_sales","day":"2026-03-01\u0000"}`:                "/day",
			`{"kind":"daily_sales\u0000","day":"2026-03-01"}`:                "/kind",
			`{"kind":"daily_sales","day":"-999999999-01-01"}`:                "/day",
			`{"kind":"daily_sales","day":"2026-03-01T00:00Z"}`:               "/day",
			`{"kind":"` + strings.Repeat("k", 500) + `","day":"2026-03-01"}`: "/kind",
		} {
			refused := o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/reports", body)
			assert.Contains(t, refused.pointers(), pointer, body)
		}
	})
}

func TestReportSchedules(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o, stranger := s.signUp(t), s.signUp(t)
	page := o.must(t, http.StatusOK, http.MethodGet, "/report-schedules", nil)
	again := o.must(t, http.StatusOK, http.MethodGet, "/report-schedules", nil)
	assert.Equal(t, page.raw, again.raw, "the default is made once")
	assert.Equal(t, true, page.at("data", 0, "is_default"))
	assert.Equal(t, []any{}, page.at("data", 0, "subscribers"), "nobody is sent mail who did not ask for it")
	standard := "/report-schedules/" + page.text("data", 0, "id")

	changed := o.must(t, http.StatusOK, http.MethodPatch, standard, map[string]any{"local_time": "22:45", "subscribers": []string{o.user}, "formats": []string{"pdf", "xlsx"}})
	assert.Equal(t, "22:45", changed.text("local_time"))
	assert.EqualValues(t, 2, changed.at("version"))
	for body, pointer := range map[string]string{
		`{"local_time":"24:00"}`:                    "/local_time",
		`{"local_time":"7:00"}`:                     "/local_time",
		`{"local_time":null}`:                       "/local_time",
		`{"subscribers":["` + stranger.user + `"]}`: "/subscribers/0",
		`{"formats":["doc"]}`:                       "/formats/0",
		`{"formats":["pdf","pdf"]}`:                 "/formats",
	} {
		refused := o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPatch, standard, body)
		assert.Contains(t, refused.pointers(), pointer, body)
	}
	made := o.must(t, http.StatusCreated, http.MethodPost, "/report-schedules", `{"kind":"daily_sales"}`)
	assert.Equal(t, "06:00", made.text("local_time"))
	assert.Equal(t, true, made.at("enabled"))
	path := "/report-schedules/" + made.text("id")
	o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/report-schedules", `{"kind":"weather"}`)
	sent := o.must(t, http.StatusAccepted, http.MethodPost, path+"/send", `{"day":"2026-03-29"}`)
	assert.Equal(t, "reports.run", o.must(t, http.StatusOK, http.MethodGet, "/jobs/"+sent.text("job_id"), nil).text("kind"))
	o.must(t, http.StatusAccepted, http.MethodPost, path+"/send", `{}`)
	o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, path+"/send", `{"day":""}`)
	o.must(t, http.StatusNoContent, http.MethodDelete, path, nil)
	o.refused(t, http.StatusNotFound, "report_schedule.not_found", http.MethodGet, path, nil)

	for range reports.MaxSchedules - 1 {
		o.must(t, http.StatusCreated, http.MethodPost, "/report-schedules", `{"kind":"daily_sales"}`)
	}
	o.refused(t, http.StatusConflict, "report_schedule.too_many", http.MethodPost, "/report-schedules", `{"kind":"daily_sales"}`)
	o.must(t, http.StatusNoContent, http.MethodDelete, standard, nil)
	list := o.must(t, http.StatusOK, http.MethodGet, "/report-schedules?limit=100", nil)
	assert.NotContains(t, list.raw, `"is_default":true`, "a default that was deleted stays deleted")
}
