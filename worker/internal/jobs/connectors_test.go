package jobs_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/jobs"
)

func TestConnector_pages_in_every_way(t *testing.T) {
	t.Parallel()
	for style, settings := range map[string]map[string]any{
		"none":   {"records": "data"},
		"page":   {"records": "data", "paging": "page", "size_param": "per_page", "size": 10},
		"offset": {"records": "data", "paging": "offset"},
		"cursor": {"records": "data", "paging": "cursor", "next": "meta.next"},
		"link":   {"records": "data", "paging": "link"},
		"next":   {"records": "data", "paging": "link", "next": "links.next"},
	} {
		t.Run(style, func(t *testing.T) {
			t.Parallel()
			s, source := newConnectorStand(t), newCRM(t, 25)
			c := s.connector(t, source.URL+"/"+style+"?team=7", func(in *connectors.Input) {
				in.Settings, in.DeleteMissing = settings, true
				in.AuthHeader, in.AuthValue = new("x-api-key"), new("sesame")
			})
			s.Exec(t, `insert into customers (tenant_id, id, version, created_at, updated_at, code, name, tags, custom)
				values ($1, uuid7_floor(now()), 1, now(), now(), 'OWN', 'Made by hand', '{}', '{}')`, s.scope.Tenant.String())
			r := s.sync(t, c.ID, connectors.SyncInput{})
			assert.Equal(t, connectors.Counts{Rows: 25, Created: 25}, r.Counts, "%v", r.Errors)
			assert.True(t, r.IsFull)
			for _, request := range source.got() {
				assert.Equal(t, "sesame", request.Header.Get("X-Api-Key"))
				assert.Equal(t, "Groundwork-Connectors/1", request.UserAgent())
				if style != "link" && style != "next" {
					assert.Equal(t, "7", request.URL.Query().Get("team"), "the URL's own query stays")
				}
			}
			assert.Equal(t, `24|Company 24|c24@example.com|{crm}|{"city": "Köln"}`, s.text(t,
				"select concat_ws('|', code, name, email, tags::text, custom::text) from customers where code = '24'"))

			r = s.sync(t, c.ID, connectors.SyncInput{Full: true})
			assert.Equal(t, connectors.Counts{Rows: 25, Unchanged: 25}, r.Counts)
			assert.Equal(t, "25", s.text(t, "select count(*)::text from customers where version = 1 and code <> 'OWN'"), "what is so already is not written")
			assert.Equal(t, "25", s.text(t, "select count(*)::text from audit_events where action like 'customer.%'"))

			source.will(func() {
				source.contacts[3]["company"] = map[string]any{"name": "Renamed"}
				source.contacts = append(append(source.contacts[:11:11], source.contacts[12:]...), contact(99))
			})
			r = s.sync(t, c.ID, connectors.SyncInput{Full: true})
			assert.Equal(t, connectors.Counts{Rows: 25, Created: 1, Updated: 1, Unchanged: 23, Deleted: 1}, r.Counts, "%v", r.Errors)
			assert.Equal(t, "Renamed|2", s.text(t, "select name || '|' || version from customers where code = '3'"))
			assert.Equal(t, "11", s.text(t, "select string_agg(code, ',') from customers where deleted_at is not null"))
			assert.Equal(t, "26", s.text(t, "select count(*)::text from customers where deleted_at is null"), "what was made by hand stays")
		})
	}
}

//nolint:paralleltest,tparallel // they share an organization, one after the other
func TestConnector_asks_for_no_more_than_has_changed(t *testing.T) {
	t.Parallel()
	s := newConnectorStand(t)

	t.Run("by_validators_where_one_page_is_everything", func(t *testing.T) {
		source := newCRM(t, 5)
		c := s.connector(t, source.URL+"/none", nil)
		tag := `"one"`
		source.will(func() {
			source.answer = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				w.Header().Set("ETag", tag)
				if r.Header.Get("If-None-Match") == tag {
					w.WriteHeader(http.StatusNotModified)
					return true
				}
				return false
			}
		})
		assert.Equal(t, int64(5), s.sync(t, c.ID, connectors.SyncInput{}).Created)
		r := s.sync(t, c.ID, connectors.SyncInput{})
		assert.True(t, r.IsUnchanged)
		assert.Equal(t, connectors.Counts{}, r.Counts)
		assert.Equal(t, int64(5), s.sync(t, c.ID, connectors.SyncInput{Full: true}).Unchanged)
		source.will(func() { tag = `"two"` })
		assert.Equal(t, int64(5), s.sync(t, c.ID, connectors.SyncInput{}).Rows)
		source.got()
		_, err := s.service.Change(t.Context(), s.scope, c.ID, 0, func(in *connectors.Settings) error {
			in.Mapping = map[string]any{"code": "id", "name": map[string]any{"column": "company.name", "case": "upper"}}
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, int64(5), s.sync(t, c.ID, connectors.SyncInput{}).Updated, "another mapping is another reading")
		assert.Empty(t, source.got()[0].Header.Get("If-None-Match"))
		s.ahead.Add(int64(25 * time.Hour))
		assert.False(t, s.sync(t, c.ID, connectors.SyncInput{}).IsUnchanged, "everything is read again once a day")
	})

	t.Run("by_time_on_the_sources_own_clock", func(t *testing.T) {
		source := newCRM(t, 5)
		c := s.connector(t, source.URL+"/page", func(in *connectors.Input) {
			in.Settings = map[string]any{"records": "data", "paging": "page", "since_param": "updated_since"}
			in.DeleteMissing, in.FullEveryHours = true, new(int64(0))
			in.Mapping = map[string]any{"code": map[string]any{"column": "id"}, "name": "company.name"}
		})
		theirs := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
		source.will(func() {
			source.answer = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				w.Header().Set("Date", theirs.Format(http.TimeFormat))
				return false
			}
		})
		assert.True(t, s.sync(t, c.ID, connectors.SyncInput{}).IsFull)
		source.got()
		source.will(func() { source.contacts = source.contacts[:1] })
		r := s.sync(t, c.ID, connectors.SyncInput{})
		assert.Equal(t, connectors.Counts{Rows: 1, Unchanged: 1}, r.Counts, "what was not asked for is not missing")
		assert.False(t, r.IsFull)
		for _, request := range source.got() {
			assert.Equal(t, "2031-01-02T03:03:05Z", request.URL.Query().Get("updated_since"), "a minute is read twice")
		}
		r = s.sync(t, c.ID, connectors.SyncInput{Full: true})
		assert.Equal(t, connectors.Counts{Rows: 1, Unchanged: 1, Deleted: 4}, r.Counts)
		assert.Empty(t, source.got()[0].URL.Query().Get("updated_since"))
	})
}

func TestConnector_goes_on_where_it_was_cut_off(t *testing.T) {
	t.Parallel()
	s, source := newConnectorStand(t), newCRM(t, 1700)
	source.size = 800
	c := s.connector(t, source.URL+"/cursor", func(in *connectors.Input) {
		in.Settings = map[string]any{"records": "data", "paging": "cursor", "next": "meta.next"}
	})
	run := s.ask(t, c.ID, connectors.SyncInput{})
	cuts := 0
	for {
		ctx, cancel := context.WithCancel(t.Context())
		run.Report = func(jobs.Progress) { cancel() } // behind each transaction
		err := s.handler.Run(ctx, run)
		cancel()
		if err == nil {
			break
		}
		require.ErrorIs(t, err, context.Canceled)
		cuts++
		require.Less(t, cuts, 20)
	}
	assert.Positive(t, cuts)
	assert.Equal(t, "1700|1700", s.text(t, "select count(*) || '|' || count(distinct code) from customers"))
	assert.Equal(t, "1700", s.text(t, "select count(*)::text from audit_events where action like 'customer.%'"))
	result := s.find(t, c.ID).Health.LastResult
	require.NotNil(t, result)
	assert.Equal(t, connectors.Counts{Rows: 1700, Created: 1700}, result.Counts)
	source.got()
	require.NoError(t, s.handler.Run(t.Context(), run), "a job whose end was lost runs again")
	assert.Empty(t, source.got(), "and asks nobody")
}

func TestConnector_is_as_polite_as_it_is_told(t *testing.T) {
	t.Parallel()
	s, source := newConnectorStand(t), newCRM(t, 30)
	c := s.connector(t, source.URL+"/page", func(in *connectors.Input) {
		in.Settings, in.RequestsPerMinute = map[string]any{"records": "data", "paging": "page"}, new(int64(600))
	})
	source.will(func() {
		source.answer = func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n != 2 {
				return false
			}
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
	})
	begun := time.Now()
	assert.Equal(t, int64(30), s.sync(t, c.ID, connectors.SyncInput{}).Created)
	source.will(func() {
		require.Len(t, source.at, 5)
		assert.GreaterOrEqual(t, source.at[2].Sub(source.at[1]), time.Second, "as long as it was asked to wait")
		// Requests may be on their way for long, and so come together: all of them take as long as their pace allows at least.
		assert.GreaterOrEqual(t, source.at[4].Sub(begun), time.Second+3*90*time.Millisecond)
	})
}

func TestConnector_deletes_only_what_is_surely_gone(t *testing.T) {
	t.Parallel()
	s, source := newConnectorStand(t), newCRM(t, 30)
	c := s.connector(t, source.URL+"/none", func(in *connectors.Input) { in.DeleteMissing = true })
	assert.Equal(t, int64(30), s.sync(t, c.ID, connectors.SyncInput{}).Created)
	live := func() string {
		return s.text(t, "select count(*)::text from customers where deleted_at is null")
	}

	all := source.contacts
	source.will(func() { source.contacts = nil })
	r := s.sync(t, c.ID, connectors.SyncInput{})
	assert.Equal(t, connectors.Counts{Withheld: 30}, r.Counts, "a source that has nothing is likelier broken")
	source.will(func() { source.contacts = all[:10] })
	assert.Equal(t, connectors.Counts{Rows: 10, Unchanged: 10, Withheld: 20}, s.sync(t, c.ID, connectors.SyncInput{}).Counts)
	assert.Equal(t, "30", live())

	source.will(func() {
		broken := contact(7)
		broken["mail"] = "nonsense"
		source.contacts = append(append([]map[string]any{}, all[:7]...), append([]map[string]any{broken, {"id": nil}}, all[8:29]...)...)
	})
	r = s.sync(t, c.ID, connectors.SyncInput{})
	assert.Equal(t, connectors.Counts{Rows: 30, Unchanged: 28, Failed: 2}, r.Counts)
	assert.Equal(t, "30", live(), "nobody knows which one is meant that has no key")
	require.Len(t, r.Errors, 2)
	assert.Equal(t, "8 mail n*** email", fmt.Sprint(r.Errors[0].Row, " ", r.Errors[0].Column, " ", r.Errors[0].Value, " ", r.Errors[0].Code))
	source.will(func() { source.contacts = append(source.contacts[:8:8], source.contacts[9:]...) })
	r = s.sync(t, c.ID, connectors.SyncInput{})
	assert.Equal(t, connectors.Counts{Rows: 29, Unchanged: 28, Failed: 1, Deleted: 1}, r.Counts, "one that is refused is there all the same")
	assert.Equal(t, "29", live())

	source.will(func() { source.contacts = all[:1] })
	r = s.sync(t, c.ID, connectors.SyncInput{AllowDeletions: true})
	assert.Equal(t, connectors.Counts{Rows: 1, Unchanged: 1, Deleted: 28}, r.Counts)
	assert.Equal(t, "1", live())
	assert.Equal(t, "29", s.text(t, "select count(*)::text from audit_events where action = 'customer.deleted'"))
}

// A sync that was asked for without allow_deletions, and fails on its way, goes on as it is asked for meanwhile.
func TestConnector_does_what_is_asked_for_while_it_waits(t *testing.T) {
	t.Parallel()
	s, source := newConnectorStand(t), newCRM(t, 30)
	c := s.connector(t, source.URL+"/none", func(in *connectors.Input) { in.DeleteMissing = true })
	s.sync(t, c.ID, connectors.SyncInput{})
	source.will(func() { source.contacts = source.contacts[:1] })

	run := s.ask(t, c.ID, connectors.SyncInput{})
	require.NoError(t, s.handler.Run(t.Context(), run), "and its end is lost")
	assert.Equal(t, "30", s.text(t, "select count(*)::text from customers where deleted_at is null"))
	again := s.ask(t, c.ID, connectors.SyncInput{AllowDeletions: true})
	require.Equal(t, run.Job.ID, again.Job.ID)
	require.NoError(t, s.handler.Run(t.Context(), again))
	assert.Equal(t, "1", s.text(t, "select count(*)::text from customers where deleted_at is null"))
	require.NoError(t, s.handler.Run(t.Context(), s.ask(t, c.ID, connectors.SyncInput{})), "it begins again no more")
	assert.Equal(t, connectors.Counts{Rows: 1, Unchanged: 1, Deleted: 29}, s.find(t, c.ID).Health.LastResult.Counts)
}

// TestConnector_tells_what_is_wrong_at_the_source has a server that does what servers do.
func TestConnector_tells_what_is_wrong_at_the_source(t *testing.T) {
	t.Parallel()
	s := newConnectorStand(t)
	const secret = "Bearer do-not-tell"
	text := func(status int, body string, headers ...string) func(http.ResponseWriter, *http.Request, int) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			for i := 0; i+1 < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	const oneContact = `{"data": [{"id": 1, "company": {"name": "A"}}], "meta": {"next": "again"}}`
	link := map[string]any{"records": "data", "paging": "link"}
	cursor := map[string]any{"records": "data", "paging": "cursor", "next": "meta.next"}
	for name, test := range map[string]struct {
		answer   func(http.ResponseWriter, *http.Request, int) bool
		settings map[string]any
		want     jobs.State
		reason   string
	}{
		"unauthorized":   {answer: text(401, secret), want: jobs.Dead, reason: "it refuses the credential"},
		"not found":      {answer: text(404, ""), want: jobs.Dead, reason: "nothing at the URL"},
		"teapot":         {answer: text(418, ""), want: jobs.Dead, reason: "answered 418"},
		"redirect":       {answer: text(302, "", "Location", "http://127.0.0.1:1/"), want: jobs.Dead, reason: "a redirect, which is not followed"},
		"unasked 304":    {answer: text(304, ""), want: jobs.Dead, reason: "answered 304"},
		"error":          {answer: text(500, "oops"), want: jobs.Retrying, reason: "answered 500"},
		"throttled":      {answer: text(429, "", "Retry-After", "3600"), want: jobs.Retrying, reason: "answered 429"},
		"throttled 403":  {answer: text(403, "", "Retry-After", "3600"), want: jobs.Retrying, reason: "answered 403"},
		"a page of HTML": {answer: text(200, "<html>log in</html>"), want: jobs.Retrying, reason: "not JSON"},
		"two values":     {answer: text(200, `{"data": []} {}`), want: jobs.Retrying, reason: "not JSON"},
		"half a value":   {answer: text(200, `{"data": [`), want: jobs.Retrying, reason: "not JSON"},
		"no list":        {answer: text(200, `{"data": {"id": 1}}`), want: jobs.Dead, reason: "no list of records at data"},
		"an object":      {answer: text(200, `{}`), settings: map[string]any{}, want: jobs.Dead, reason: "is an object, not a list"},
		"a number":       {answer: text(200, `7`), settings: map[string]any{}, want: jobs.Dead, reason: "is no list"},
		"a coding":       {answer: text(200, "\x1f\x8b", "Content-Encoding", "gzip"), want: jobs.Dead, reason: "the coding gzip"},
		"a huge page":    {answer: text(200, `{"data": ["`+strings.Repeat("x", 9<<20)+`"]}`), want: jobs.Dead, reason: "larger than 8 MiB"},
		"another host":   {answer: text(200, oneContact, "Link", `<https://evil.example.com/?page=2>; rel="next"`), settings: link, want: jobs.Dead, reason: "leads to another host"},
		"another port":   {answer: text(200, oneContact, "Link", `<//127.0.0.1:1/>; rel=next`), settings: link, want: jobs.Dead, reason: "leads to another host"},
		"a script":       {answer: text(200, oneContact, "Link", `<javascript:alert(1)>; rel=next`), settings: link, want: jobs.Dead, reason: "leads to another host"},
		"a circle":       {answer: text(200, oneContact), settings: cursor, want: jobs.Dead, reason: "go round in a circle"},
		"the same page":  {answer: text(200, oneContact), settings: map[string]any{"records": "data", "paging": "page"}, want: jobs.Dead, reason: "the same page again and again"},
		"an odd cursor":  {answer: text(200, `{"data": [], "meta": {"next": {"a": 1}}}`), settings: cursor, want: jobs.Dead, reason: "is no cursor"},
		"a larger circle": {
			answer: func(w http.ResponseWriter, r *http.Request, n int) bool {
				next := map[string]string{"": "a", "a": "b", "b": "c", "c": "a"}[r.URL.Query().Get("cursor")]
				_, _ = fmt.Fprintf(w, `{"data": [{"id": %d, "company": {"name": "A"}}], "meta": {"next": %q}}`, n, next)
				return true
			}, settings: cursor, want: jobs.Dead, reason: "go round in a circle",
		},
		"a broken connection": {
			answer: func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				w.Header().Set("Content-Length", "1000")
				_, _ = w.Write([]byte(oneContact))
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}, want: jobs.Retrying, reason: "broke off",
		},
		"no answer": {
			answer: func(http.ResponseWriter, *http.Request, int) bool { panic(http.ErrAbortHandler) }, want: jobs.Retrying, reason: "did not answer: the connection was closed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := newCRM(t, 0)
			source.will(func() { source.answer = test.answer })
			c := s.connector(t, source.URL+"/x", func(in *connectors.Input) {
				in.AuthHeader, in.AuthValue = new("Authorization"), new(secret)
				if test.settings != nil {
					in.Settings = test.settings
				}
			})
			run := s.ask(t, c.ID, connectors.SyncInput{})
			err := s.handler.Run(t.Context(), run)
			require.ErrorContains(t, err, test.reason)
			assert.NotContains(t, err.Error(), "do-not-tell")
			state, at := jobs.Decide(s.handler.Kind, err, 1, s.handler.Kind.MaxAttempts, s.now())
			assert.Equal(t, test.want, state)
			if strings.HasPrefix(name, "throttled") {
				assert.WithinDuration(t, s.now().Add(time.Hour), at, time.Minute)
			}
			h := s.find(t, c.ID).Health
			require.NotNil(t, h.LastError)
			assert.Contains(t, *h.LastError, test.reason)
			assert.Equal(t, run.Job.ID, *h.LastJobID)
			assert.Equal(t, test.want == jobs.Dead, h.Failures == 1, "only what is given up counts")
		})
	}
}

func TestConnector_takes_hostile_records_for_what_they_are(t *testing.T) {
	t.Parallel()
	s, source := newConnectorStand(t), newCRM(t, 0)
	source.will(func() {
		source.answer = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			_, _ = w.Write([]byte(`{"data": [
				{"id": "A", "company": {"name": "=1+1"}}, {"id": "'-B", "company": {"name": "'quoted"}, "labels": "x;y"},
				{"id": "C", "company": {"name": "a\u0000b"}}, {"id": "D", "company": {"name": {"first": "a"}}, "labels": {"a": 1}},
				"E", 7, null, [], {"id": ["F"], "company": {"name": "a list"}}, {"id": "G", "company.name": "by its very name"},
				{"id": 1.0, "company": {"name": "` + strings.Repeat("x", 300) + `"}}, {"id": 1e2, "company": {"name": "\ud800 lone"}},
				{"id": "` + strings.Repeat("k", 3000) + `", "company": {"name": "long"}},
				{"id": "A", "company": {"name": "Twice"}}, {"id": 12345678901234567890, "company": {"name": true}}]}`))
			return true
		}
	})
	c := s.connector(t, source.URL, nil)
	r := s.sync(t, c.ID, connectors.SyncInput{})
	assert.Equal(t, int64(15), r.Rows)
	assert.Equal(t, []string{"'-B|'quoted", "100|\uFFFD lone", "12345678901234567890|true", "A|Twice", "G|by its very name"}, strings.Split(s.text(t,
		`select string_agg(code || '|' || name, chr(10) order by code collate "C") from customers`), "\n"))
	assert.Equal(t, r.Rows, r.Created+r.Updated+r.Failed)
	again := s.sync(t, c.ID, connectors.SyncInput{Full: true})
	assert.Zero(t, again.Created)
	assert.Equal(t, r.Failed, again.Failed)
}
