package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
)

// chore is a job that is made by the tests. Its second failure is its last.
type chore struct {
	Name string `json:"name"`
}

// JobKind declares it.
func (chore) JobKind() jobs.Kind {
	return jobs.Kind{Name: "tests.chore", Queue: jobs.Transfers, MaxAttempts: 2}
}

// errand is a job of another kind, in another queue.
type errand struct{}

// JobKind declares it.
func (errand) JobKind() jobs.Kind { return jobs.Kind{Name: "tests.errand", Queue: jobs.Reports} }

// enqueue makes a job of the owner's organization.
func (o owner) enqueue(tb testing.TB, args jobs.Args) tenancy.ID {
	tb.Helper()
	return o.enqueueAt(tb, args, time.Time{})
}

func (o owner) enqueueAt(tb testing.TB, args jobs.Args, at time.Time) tenancy.ID {
	tb.Helper()
	job, err := jobs.Of(args)
	require.NoError(tb, err)
	scope := tenancy.AsSystem(tenancy.MustParseID(o.tenant), "the-cause")
	done, err := postgres.NewJobs(o.stack.base.Router, nil).Enqueue(tb.Context(), scope, job.At(at))
	require.NoError(tb, err)
	return done[0].ID
}

// hand is a worker that does as it is told.
type hand struct {
	engine *postgres.JobEngine
	owner  owner
}

func (o owner) hand(tb testing.TB) hand {
	tb.Helper()
	system, err := postgres.Open(tb.Context(), postgres.Config{URL: o.stack.SystemURL, MaxConnections: 2})
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, system.Close()) })
	return hand{engine: postgres.NewJobEngine(system, postgres.NewJobs(o.stack.base.Router, nil)), owner: o}
}

// begin has a job running.
func (h hand) begin(tb testing.TB, id tenancy.ID) jobs.Attempt {
	tb.Helper()
	ref := jobs.Ref{Tenant: tenancy.MustParseID(h.owner.tenant), ID: id}
	claimed, _, err := h.engine.Claim(tb.Context(), "worker-of-the-operators", []jobs.Ref{ref}, time.Minute)
	require.NoError(tb, err)
	require.Len(tb, claimed, 1)
	return jobs.Attempt{Ref: ref, Number: claimed[0].Attempt}
}

// end ends an attempt.
func (h hand) end(tb testing.TB, o jobs.Outcome) {
	tb.Helper()
	held, err := h.engine.Settle(tb.Context(), []jobs.Outcome{o})
	require.NoError(tb, err)
	require.Equal(tb, []bool{true}, held)
}

// bring has a new job in a state.
func (h hand) bring(tb testing.TB, state jobs.State) tenancy.ID {
	tb.Helper()
	if state == jobs.Scheduled {
		return h.owner.enqueueAt(tb, chore{Name: "later"}, time.Now().Add(time.Hour))
	}
	id := h.owner.enqueue(tb, chore{Name: string(state)})
	if state == jobs.Pending {
		return id
	}
	outcome := jobs.Outcome{Attempt: h.begin(tb, id), State: state}
	switch state {
	case jobs.Running:
		return id
	case jobs.Retrying, jobs.Dead:
		outcome.RunAt, outcome.Error, outcome.Stack = time.Now().Add(time.Hour), "the door is locked", "goroutine 1 of the operators"
	case jobs.Succeeded:
		outcome.Result = json.RawMessage(`{"rows":3}`)
	case jobs.Cancelled, jobs.Scheduled, jobs.Pending, jobs.Dispatched:
	}
	h.end(tb, outcome)
	return id
}

func TestJobs(t *testing.T) {
	t.Parallel()
	s := newStack(t)

	t.Run("are_read_in_every_state_without_what_is_the_operators", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		h, key := o.hand(t), o.key(t, "jobs:read")
		for _, state := range jobs.PublicStates() {
			id := h.bring(t, state)
			a := key.must(t, 200, http.MethodGet, "/jobs/"+id.String(), nil)
			assert.Equal(t, string(state), a.text("state"), a.raw)
			assert.Equal(t, "tests.chore", a.text("kind"))
			assert.Equal(t, "transfers", a.text("queue"))
			assert.Equal(t, "the-cause", a.text("request_id"))
			assert.InDelta(t, 2, a.at("max_attempts"), 0)
			assert.NotEmpty(t, a.text("args", "name"))
			assert.NotContains(t, a.raw, "of the operators", "a stack")
			assert.NotContains(t, a.raw, "of-the-operators", "a worker")
			failed := state == jobs.Retrying || state == jobs.Dead
			assert.Equal(t, failed, a.text("error") == "the door is locked", a.raw)
			assert.Equal(t, failed, a.text("failures", 0, "error") == "the door is locked", a.raw)
			assert.Equal(t, state == jobs.Succeeded, a.at("result", "rows") != nil, a.raw)
			assert.Equal(t, state.IsFinal(), a.text("finished_at") != "", a.raw)
		}
	})
	t.Run("show_their_progress", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		h := o.hand(t)
		id := o.enqueue(t, chore{})
		attempt := h.begin(t, id)
		require.NoError(t, h.engine.SaveProgress(t.Context(), []jobs.AttemptProgress{
			{Attempt: attempt, Progress: jobs.Progress{Done: 20, Total: 100, Message: "reading"}},
		}))
		a := o.must(t, 200, http.MethodGet, "/jobs/"+id.String(), nil)
		assert.Equal(t, map[string]any{"done": 20.0, "total": 100.0, "message": "reading"}, a.at("progress"))
	})
	t.Run("are_retried_when_they_are_dead", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		h := o.hand(t)
		for _, state := range jobs.PublicStates() {
			path := "/jobs/" + h.bring(t, state).String()
			if state != jobs.Dead {
				a := o.refused(t, 409, "job.not_dead", http.MethodPost, path+"/retry", nil)
				assert.Contains(t, a.text("detail"), string(state))
				continue
			}
			a := o.must(t, 200, http.MethodPost, path+"/retry", nil)
			assert.Equal(t, "pending", a.text("state"))
			assert.Empty(t, a.text("finished_at"))
			assert.Equal(t, "the door is locked", a.text("failures", 0, "error"), "what failed before is kept")
			o.refused(t, 409, "job.not_dead", http.MethodPost, path+"/retry", nil)
			audited := o.must(t, 200, http.MethodGet, "/audit-events?action=job.retried", nil)
			assert.Equal(t, strings.TrimPrefix(path, "/jobs/"), audited.text("data", 0, "resource_id"))
			assert.Equal(t, o.user, audited.text("data", 0, "actor_id"))
		}
	})
	t.Run("need_their_permissions", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		path := "/jobs/" + o.enqueue(t, chore{}).String()
		reader := o.key(t, "jobs:read")
		for _, act := range []string{"/cancel", "/retry"} {
			reader.refused(t, 403, "permission_denied", http.MethodPost, path+act, nil)
		}
		assert.Equal(t, "pending", reader.must(t, 200, http.MethodGet, path, nil).text("state"))
	})
	t.Run("refuse_an_id_that_is_none", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		o.refused(t, 400, "invalid_id", http.MethodGet, "/jobs/1", nil)
		o.refused(t, 400, "invalid_id", http.MethodPost, "/jobs/1/cancel", nil)
		o.refused(t, 404, "job.not_found", http.MethodPost, "/jobs/"+tenancy.NewID().String()+"/retry", nil)
	})
}

func TestJobs_cancel(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	h := o.hand(t)
	for _, state := range []jobs.State{jobs.Scheduled, jobs.Pending, jobs.Retrying} {
		t.Run("ends_one_that_is_"+string(state), func(t *testing.T) {
			t.Parallel()
			path := "/jobs/" + h.bring(t, state).String()
			for range 2 { // it may be said twice
				a := o.must(t, 200, http.MethodPost, path+"/cancel", nil)
				assert.Equal(t, "cancelled", a.text("state"))
				assert.NotEmpty(t, a.text("finished_at"))
			}
			assert.Equal(t, "cancelled", o.must(t, 200, http.MethodGet, path, nil).text("state"))
			id := strings.TrimPrefix(path, "/jobs/")
			audited := o.must(t, 200, http.MethodGet, "/audit-events?action=job.cancelled&resource_id="+id, nil)
			assert.Len(t, audited.at("data"), 1, "the second time nothing happened")
		})
	}
	for _, state := range []jobs.State{jobs.Succeeded, jobs.Dead} {
		t.Run("refuses_one_that_is_"+string(state), func(t *testing.T) {
			t.Parallel()
			path := "/jobs/" + h.bring(t, state).String()
			a := o.refused(t, 409, "job.finished", http.MethodPost, path+"/cancel", nil)
			assert.Contains(t, a.text("detail"), string(state))
			assert.Equal(t, string(state), o.must(t, 200, http.MethodGet, path, nil).text("state"))
		})
	}
	t.Run("asks_a_running_one_to_end", func(t *testing.T) {
		t.Parallel()
		id := o.enqueue(t, chore{Name: "long"})
		attempt := h.begin(t, id)
		for range 2 {
			a := o.must(t, 200, http.MethodPost, "/jobs/"+id.String()+"/cancel", nil)
			assert.Equal(t, "running", a.text("state"))
			assert.Equal(t, true, a.at("cancel_requested"))
		}
		pulses, err := h.engine.Beat(t.Context(), []jobs.Attempt{attempt}, time.Minute)
		require.NoError(t, err)
		assert.Equal(t, []jobs.Pulse{{Held: true, Cancel: true}}, pulses, "its worker is told")
		h.end(t, jobs.Outcome{Attempt: attempt, State: jobs.Cancelled})
		a := o.must(t, 200, http.MethodPost, "/jobs/"+id.String()+"/cancel", nil)
		assert.Equal(t, "cancelled", a.text("state"))
		assert.Equal(t, false, a.at("cancel_requested"))
	})
	t.Run("happens_once_when_many_ask_at_a_time", func(t *testing.T) {
		t.Parallel()
		path := "/jobs/" + h.bring(t, jobs.Pending).String()
		var together sync.WaitGroup
		for range 8 {
			together.Go(func() {
				a := o.do(t, http.MethodPost, path+"/cancel", nil)
				assert.Equal(t, 200, a.status, a.raw)
				assert.Equal(t, "cancelled", a.text("state"))
			})
		}
		together.Wait()
		audited := o.must(t, 200, http.MethodGet, "/audit-events?action=job.cancelled&resource_id="+strings.TrimPrefix(path, "/jobs/"), nil)
		assert.Len(t, audited.at("data"), 1)
	})
}

// The teller is called for running jobs only, once the request has changed something.
func TestJobs_cancel_tells_the_workers(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	h := o.hand(t)
	var told []jobs.Ref
	service := jobs.NewService(postgres.NewJobs(s.base.Router, nil),
		func(_ context.Context, ref jobs.Ref) { told = append(told, ref) }, s.now)
	scope := tenancy.AsSystem(tenancy.MustParseID(o.tenant), "test")
	for _, state := range []jobs.State{jobs.Pending, jobs.Succeeded, jobs.Dead} {
		_, err := service.Cancel(t.Context(), scope, h.bring(t, state))
		require.Equal(t, state != jobs.Pending, err != nil, "%s: %v", state, err)
	}
	assert.Empty(t, told)
	running := h.bring(t, jobs.Running)
	_, err := service.Cancel(t.Context(), scope, running)
	require.NoError(t, err)
	assert.Equal(t, []jobs.Ref{{Tenant: scope.Tenant, ID: running}}, told)
}

// A running job's worker hears of its cancellation at once, through Redis.
func TestJobs_cancel_rings_the_bell(t *testing.T) {
	t.Parallel()
	server, err := devstack.StartRedis(t.Context(), devstack.Redis{})
	if errors.Is(err, devstack.ErrNoRedis) {
		t.Skipf("this test needs a real redis-server: %s", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop(context.WithoutCancel(t.Context()))) })
	s := newStack(t, func(c *settings) { c.RedisURL = config.Secret(server.URL) })
	o := s.signUp(t)
	id := o.hand(t).bring(t, jobs.Running)

	client, err := redis.Open(redis.Config{URL: server.URL, ClientName: "test", DialTimeout: time.Minute, ReadTimeout: time.Minute})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	bells := redis.NewBells(client)
	t.Cleanup(bells.Close)
	rung := make(chan string, 10)
	bells.OnCancel(func(ref string) { rung <- ref })
	require.Empty(t, <-rung, "it listens now")

	o.with("Idempotency-Key", "once").must(t, 200, http.MethodPost, "/jobs/"+id.String()+"/cancel", nil)
	select {
	case ref := <-rung:
		assert.Equal(t, o.tenant+"/"+id.String(), ref)
	case <-t.Context().Done():
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was told")
	}
}

func TestJobs_list(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	h := o.hand(t)
	byState := map[string]string{}
	var newest []string
	for _, state := range jobs.PublicStates() {
		id := h.bring(t, state).String()
		byState[string(state)] = id
		newest = append(newest, id)
	}
	other := o.enqueue(t, errand{}).String()
	newest = append(newest, other)
	slices.Reverse(newest)
	ids := func(a answer) []string {
		list, _ := a.at("data").([]any)
		all := make([]string, len(list))
		for i := range list {
			all[i] = a.text("data", i, "id")
		}
		return all
	}
	get := func(tb testing.TB, query string) []string {
		tb.Helper()
		return ids(o.must(tb, 200, http.MethodGet, "/jobs"+query, nil))
	}

	t.Run("is_newest_first_and_slim", func(t *testing.T) {
		t.Parallel()
		a := o.must(t, 200, http.MethodGet, "/jobs", nil)
		assert.Equal(t, newest, ids(a))
		assert.NotContains(t, a.raw, `"args"`)
		assert.NotContains(t, a.raw, `"failures"`)
		assert.NotContains(t, a.raw, "operators")
	})
	t.Run("filters", func(t *testing.T) {
		t.Parallel()
		for state, id := range byState {
			want := []string{id}
			if state == string(jobs.Pending) {
				want = []string{other, id}
			}
			assert.Equal(t, want, get(t, "?state="+state), state)
		}
		assert.ElementsMatch(t, []string{byState["dead"], byState["cancelled"], byState["running"]}, get(t, "?state=dead,cancelled,running"))
		assert.ElementsMatch(t, []string{byState["dead"], byState["cancelled"]}, get(t, "?state=dead&state=cancelled"))
		assert.Equal(t, []string{other}, get(t, "?kind=tests.errand"))
		assert.Equal(t, []string{other}, get(t, "?queue=reports"))
		assert.Empty(t, get(t, "?queue=critical"))
		assert.Empty(t, get(t, "?kind=nothing.of.the.kind"))
		moment := func(d time.Duration) string { return url.QueryEscape(time.Now().Add(d).Format(time.RFC3339)) }
		assert.Equal(t, newest, get(t, "?from="+moment(-time.Hour)+"&to="+moment(time.Hour)))
		assert.Empty(t, get(t, "?from="+moment(time.Hour)))
		assert.Empty(t, get(t, "?to="+moment(-time.Hour)))
	})
	t.Run("goes_on_and_back", func(t *testing.T) {
		t.Parallel()
		for _, filter := range []string{"", "state=scheduled,pending,running,retrying,succeeded,dead,cancelled&"} {
			var pages [][]string
			var back string
			path := "/jobs?" + filter + "limit=3"
			for next := ""; ; {
				a := o.must(t, 200, http.MethodGet, path+next, nil)
				pages, back = append(pages, ids(a)), a.text("prev_cursor")
				if a.text("next_cursor") == "" {
					break
				}
				next = "&cursor=" + a.text("next_cursor")
			}
			assert.Equal(t, newest, slices.Concat(pages...))
			require.Len(t, pages, 3)
			for i := 1; i >= 0; i-- {
				a := o.must(t, 200, http.MethodGet, path+"&cursor="+back, nil)
				assert.Equal(t, pages[i], ids(a))
				back = a.text("prev_cursor")
			}
			assert.Empty(t, back)
		}
	})
	t.Run("knows_its_cursors", func(t *testing.T) {
		t.Parallel()
		cursor := o.must(t, 200, http.MethodGet, "/jobs?limit=1", nil).text("next_cursor")
		o.refused(t, 400, "invalid_cursor", http.MethodGet, "/jobs?limit=1&state=dead&cursor="+cursor, nil)
		o.refused(t, 400, "invalid_cursor", http.MethodGet, "/jobs?limit=1&cursor=AAAA", nil)
		s.signUp(t).refused(t, 400, "invalid_cursor", http.MethodGet, "/jobs?limit=1&cursor="+cursor, nil)
	})
	t.Run("is_the_tenants_own", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t).must(t, 200, http.MethodGet, "/jobs", nil)
		assert.JSONEq(t, `{"data":[],"next_cursor":null,"prev_cursor":null}`, a.raw)
	})
	for name, tt := range map[string]struct{ query, pointer, says string }{
		"an_unknown_state":      {"state=asleep", "state", "scheduled, pending, running, retrying, succeeded, dead, cancelled"},
		"an_unknown_one_of_two": {"state=dead,asleep", "state", "succeeded"},
		"the_engines_own_state": {"state=dispatched", "state", "pending"},
		"no_state":              {"state=", "state", "running"},
		"a_state_with_a_comma":  {"state=dead,", "state", "running"},
		"an_unknown_queue":      {"queue=fast", "queue", "critical, default, webhooks, transfers, reports"},
		"no_kind":               {"kind=", "kind", "1 to 100"},
		"a_kind_too_long":       {"kind=" + strings.Repeat("k", 101), "kind", "1 to 100"},
		"a_kind_with_nul":       {"kind=a%00", "kind", "printable"},
		"a_kind_in_no_encoding": {"kind=%ff", "kind", "printable"},
		"a_time_that_is_none":   {"from=yesterday", "from", "RFC 3339"},
		"another_such_time":     {"to=2026-13-01T00:00:00Z", "to", "RFC 3339"},
		"a_limit_too_large":     {"limit=101", "limit", "100"},
		"an_unknown_parameter":  {"status=dead", "status", "limit, cursor, state, kind, queue, from, to"},
	} {
		t.Run("refuses_"+name, func(t *testing.T) {
			t.Parallel()
			a := o.refused(t, 400, "invalid_query", http.MethodGet, "/jobs?"+tt.query, nil)
			assert.Equal(t, []string{tt.pointer}, a.pointers())
			assert.Contains(t, a.text("errors", 0, "detail"), tt.says)
		})
	}
	t.Run("bears_times_at_the_ends_of_the_calendar", func(t *testing.T) {
		t.Parallel()
		for _, year := range []string{"0000", "0001", "1969", "9999"} {
			for _, name := range []string{"from", "to"} {
				a := o.do(t, http.MethodGet, fmt.Sprintf("/jobs?%s=%s-01-01T00:00:00Z", name, year), nil)
				assert.Equal(t, 200, a.status, "%s=%s: %s", name, year, a.raw)
			}
		}
	})
}
