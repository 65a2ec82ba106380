package intake_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/inbound/providers"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/worker/internal/intake"
)

func TestIntake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)

	t.Run("keeps_what_verifies_and_answers_200", func(t *testing.T) {
		t.Parallel()
		source, path := w.hub(t)
		body := "{\"zen\": \"caf\xc3\xa9 \xff\x00 raw\"}\r\n"
		headers := sign("github", "d-1", "ping", body, w.now())
		headers["Authorization"], headers["Cookie"], headers["X-Hub-Token"] = "Bearer hidden", "hidden=1", "hidden"
		headers["X-Tenant-Id"] = tenancy.NewID().String()
		a := w.post(t, path, body, headers)
		require.Equal(t, http.StatusOK, a.status, a.body)
		assert.JSONEq(t, `{"received":true}`, a.body)
		events := w.received(t, source)
		require.Len(t, events, 1)
		e, err := w.events.Find(t.Context(), w.scope, events[0].ID)
		require.NoError(t, err)
		assert.Equal(t, body, string(e.Body), "byte for byte")
		assert.Equal(t, inbound.Pending, e.State)
		assert.Equal(t, "d-1", *e.ProviderEventID)
		assert.Equal(t, "ping", e.Type)
		assert.EqualValues(t, len(body), e.Size)
		assert.Equal(t, a.header.Get("X-Request-Id"), e.RequestID)
		assert.NotNil(t, e.JobID)
		assert.Contains(t, e.Headers, "x-hub-signature-256")
		assert.NotContains(t, fmt.Sprint(e.Headers), "hidden")
	})
	t.Run("keeps_a_repeated_message_once", func(t *testing.T) {
		t.Parallel()
		source, path := w.hub(t)
		var senders sync.WaitGroup
		for range 20 {
			senders.Go(func() { assert.Equal(t, http.StatusOK, w.github(t, path, "same", "{}").status) })
		}
		senders.Wait()
		assert.Len(t, w.received(t, source), 1)
		// The same id at another source is another event.
		other, otherPath := w.hub(t)
		assert.Equal(t, http.StatusOK, w.github(t, otherPath, "same", "{}").status)
		assert.Len(t, w.received(t, other), 1)
	})
	t.Run("goes_by_the_bodys_hash_where_there_is_no_id", func(t *testing.T) {
		t.Parallel()
		source, path := w.hub(t)
		for _, body := range []string{"{}", "{}", "", `{"n":1}`} {
			headers := sign("github", "", "push", body, w.now())
			delete(headers, "X-GitHub-Delivery")
			require.Equal(t, http.StatusOK, w.post(t, path, body, headers).status)
		}
		events := w.received(t, source)
		require.Len(t, events, 3)
		for _, e := range events {
			assert.True(t, strings.HasPrefix(*e.ProviderEventID, "sha256:"))
		}
	})
	t.Run("bears_ids_and_types_that_cannot_be_kept", func(t *testing.T) {
		t.Parallel()
		source, path := w.hub(t)
		for _, id := range []string{strings.Repeat("x", 5000), "caf\xc3\xa9", "a\xffb"} {
			headers := sign("github", id, strings.Repeat("t", 3000), "{}", w.now())
			require.Equal(t, http.StatusOK, w.post(t, path, "{}", headers).status)
		}
		events := w.received(t, source)
		require.Len(t, events, 3)
		for _, e := range events {
			assert.LessOrEqual(t, len(*e.ProviderEventID), 200)
			assert.LessOrEqual(t, len(e.Type), 200)
		}
	})
	t.Run("answers_an_unknown_address_as_a_bad_signature", func(t *testing.T) {
		t.Parallel()
		source, path := w.hub(t)
		unknown := "/hooks/" + tokens().New(inbound.TokenPrefix, 24)
		bad := sign("github", "d", "push", "other", w.now())
		var answers []answer
		for _, each := range []struct {
			path    string
			headers map[string]string
		}{
			{path, bad},
			{unknown, bad},
			{"/hooks/nonsense", bad},
			{unknown, sign("github", "d", "push", "{}", w.now())},
			{path, nil},
			{unknown, nil},
			{"/hooks/" + strings.Repeat("x", 2000), bad},
			{"/hooks/%00", bad},
			{"/hooks/gw_in_%FF", nil},
		} {
			answers = append(answers, w.post(t, each.path, "{}", each.headers))
		}
		for i, a := range answers {
			require.Equal(t, http.StatusUnauthorized, a.status)
			id := a.header.Get("X-Request-Id")
			require.NotEmpty(t, id)
			answers[i].body = strings.ReplaceAll(a.body, id, "")
			a.header.Del("X-Request-Id")
			a.header.Del("Date")
			assert.Equal(t, answers[0], answers[i])
		}
		assert.Empty(t, w.received(t, source, inbound.Pending))
		require.Eventually(t, func() bool { return len(w.received(t, source, inbound.Quarantined)) == 2 }, waitFor, tick)
	})
	t.Run("refuses_what_it_cannot_read", func(t *testing.T) {
		t.Parallel()
		source, path := w.hub(t)
		large := strings.Repeat("x", 1<<20+1)
		a := w.github(t, path, "d", large)
		assert.Equal(t, http.StatusRequestEntityTooLarge, a.status)
		assert.Contains(t, a.body, "1048576")
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+path, &unsized{strings.NewReader(large)})
		require.NoError(t, err)
		assert.Equal(t, http.StatusRequestEntityTooLarge, w.do(t, request).status, "of unknown length")
		assert.Equal(t, http.StatusOK, w.github(t, path, "largest", large[1:]).status)
		for _, encoding := range []string{"gzip", "br", "deflate, gzip"} {
			headers := sign("github", "d", "push", "{}", w.now())
			headers["Content-Encoding"] = encoding
			a := w.post(t, path, "{}", headers)
			assert.Equal(t, http.StatusUnsupportedMediaType, a.status)
			assert.Contains(t, a.body, "intake.encoding")
		}
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodHead} {
			request, err := http.NewRequestWithContext(t.Context(), method, w.url+path, nil)
			require.NoError(t, err)
			a := w.do(t, request)
			assert.Equal(t, http.StatusMethodNotAllowed, a.status, method)
			assert.Equal(t, "POST", a.header.Get("Allow"))
		}
		assert.Equal(t, http.StatusNotFound, w.post(t, "/", "{}", nil).status)
		assert.Equal(t, http.StatusNotFound, w.post(t, path+"/more", "{}", nil).status)
		assert.Len(t, w.received(t, source), 1)
	})
	t.Run("takes_a_signature_header_once_only", func(t *testing.T) {
		t.Parallel()
		_, path := w.hub(t)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+path, strings.NewReader("{}"))
		require.NoError(t, err)
		for name, value := range sign("github", "d", "push", "{}", w.now()) {
			request.Header.Set(name, value)
		}
		request.Header.Add("X-Hub-Signature-256", request.Header.Get("X-Hub-Signature-256"))
		assert.Equal(t, http.StatusUnauthorized, w.do(t, request).status)
	})
	t.Run("cuts_off_what_comes_slowly_or_not_at_all", func(t *testing.T) {
		t.Parallel()
		source, path := w.hub(t)
		url := w.serve(t, 500*time.Millisecond)
		for _, sent := range []string{"{", ""} {
			var said string
			for try := 0; said == "" && try < 10; try++ { // where the machine stands still, not even the head comes in time
				conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
				require.NoError(t, err)
				_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n%s", path, sent)
				require.NoError(t, err)
				require.NoError(t, conn.SetReadDeadline(time.Now().Add(waitFor)))
				answer, err := io.ReadAll(conn)
				require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection is closed")
				require.NoError(t, conn.Close())
				said = string(answer)
			}
			assert.Contains(t, said, "HTTP/1.1 408", "and answered before")
		}
		assert.Empty(t, w.received(t, source))
	})
	t.Run("refuses_messages_of_another_time", func(t *testing.T) {
		t.Parallel()
		_, path := w.source(t, inbound.SourceInput{Provider: "stripe", Secrets: []string{stripeSecret}})
		for off, status := range map[time.Duration]int{
			0: 200, 290 * time.Second: 200, -290 * time.Second: 200, 310 * time.Second: 401, -310 * time.Second: 401, 24 * time.Hour: 401,
		} {
			body := fmt.Sprintf(`{"id":"evt_%d","type":"x"}`, off)
			assert.Equal(t, status, w.post(t, path, body, sign("stripe", "", "", body, w.now().Add(off))).status, "%s", off)
		}
	})
	t.Run("answers_a_challenge_and_keeps_nothing", func(t *testing.T) {
		t.Parallel()
		source, path := w.source(t, inbound.SourceInput{Provider: "slack", Secrets: []string{anySecret}})
		body := `{"type":"url_verification","challenge":"xyz"}`
		a := w.post(t, path, body, sign("slack", "", "", body, w.now()))
		assert.Equal(t, http.StatusOK, a.status)
		assert.Equal(t, "xyz", a.body)
		assert.Equal(t, "text/plain; charset=utf-8", a.header.Get("Content-Type"))
		assert.Equal(t, http.StatusUnauthorized, w.post(t, path, body, sign("slack", "", "", body+" ", w.now())).status)
		assert.Empty(t, w.received(t, source, inbound.Pending, inbound.Ignored, inbound.Unhandled))
	})
	t.Run("keeps_and_ignores_what_the_filter_leaves_out", func(t *testing.T) {
		t.Parallel()
		source, path := w.source(t, inbound.SourceInput{
			Provider: "github", Secrets: []string{anySecret}, Filter: []string{"issues.*, push"},
		})
		for id, each := range map[string]struct{ event, body string }{
			"1": {"push", "{}"}, "2": {"issues", `{"action":"opened"}`}, "3": {"ping", "{}"}, "4": {"issues", "{}"},
		} {
			require.Equal(t, http.StatusOK, w.post(t, path, each.body, sign("github", id, each.event, each.body, w.now())).status)
		}
		assert.Len(t, w.received(t, source, inbound.Pending), 2)
		ignored := w.received(t, source, inbound.Ignored)
		assert.Len(t, ignored, 2)
		assert.Nil(t, ignored[0].JobID)
	})
	t.Run("holds_what_arrives_at_a_paused_source", func(t *testing.T) {
		t.Parallel()
		source, path := w.hub(t)
		require.Equal(t, http.StatusOK, w.github(t, path, "before", "{}").status)
		w.pause(t, source, true)
		for n := range 5 {
			require.Equal(t, http.StatusOK, w.github(t, path, fmt.Sprint("held-", n), fmt.Sprint(n)).status)
		}
		assert.Len(t, w.received(t, source, inbound.Held), 5, "the pause bites at once, though the source was remembered")
		w.pause(t, source, false)
		require.Equal(t, http.StatusOK, w.github(t, path, "after", "{}").status)
	})
	t.Run("notices_changes_of_the_source", func(t *testing.T) {
		t.Parallel()
		source, path := w.hub(t)
		require.Equal(t, http.StatusOK, w.github(t, path, "1", "{}").status)
		changed, err := w.sources.Change(t.Context(), w.scope, source.ID, 0, func(c *inbound.SourceChange) error {
			c.AddSecrets, c.RemoveSecrets = []string{"a newer secret"}, []tenancy.ID{source.Secrets[0].ID}
			return nil
		})
		require.NoError(t, err)
		require.Len(t, changed.Secrets, 1)
		assert.Equal(t, http.StatusUnauthorized, w.github(t, path, "2", "{}").status, "a secret that was removed is good no more, at once")
		signed := map[string]string{"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac("a newer secret", "{}")), "X-GitHub-Delivery": "3"}
		require.Equal(t, http.StatusOK, w.post(t, path, "{}", signed).status)
		require.NoError(t, w.sources.Delete(t.Context(), w.scope, source.ID, 0))
		signed["X-GitHub-Delivery"] = "4"
		assert.Equal(t, http.StatusUnauthorized, w.post(t, path, "{}", signed).status, "a source that was deleted is gone at once")
		assert.Len(t, w.received(t, source, inbound.Pending), 2)
	})
	t.Run("says_nothing_secret_in_the_log", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, path := w.hub(t)
		w.github(t, path, "1", "{}")
		w.post(t, path, "{}", nil)
		w.post(t, "/hooks/gw_in_guessed", "{}", nil)
		require.Contains(t, w.logs.String(), "/hooks/:token")
		assert.NotContains(t, w.logs.String(), strings.TrimPrefix(path, "/hooks/"))
		assert.NotContains(t, w.logs.String(), "gw_in_")
	})
}

// unsized is a body whose length nobody knows beforehand.
type unsized struct{ *strings.Reader }

func (w *world) pause(tb testing.TB, source inbound.Source, paused bool) {
	tb.Helper()
	_, err := w.sources.Change(tb.Context(), w.scope, source.ID, 0, func(c *inbound.SourceChange) error {
		c.Paused = paused
		return nil
	})
	require.NoError(tb, err)
}

// An event costs two round trips, and one that is repeated one more.
func TestIntake_round_trips(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, path := w.hub(t)
	// All of them count together: the commit of one may be asked for by whoever is just done with the commit before.
	ctx, stats := postgres.WithStats(t.Context())
	take := func(id string) int64 {
		before := stats.RoundTrips()
		_, err := w.receiver.Receive(ctx, inbound.Delivery{
			Token: strings.TrimPrefix(path, "/hooks/"), Body: []byte("{}"), Headers: headersOf(sign("github", id, "push", "{}", w.now())),
		})
		require.NoError(t, err)
		return stats.RoundTrips() - before
	}
	take("first") // looks the source up, and has statements prepared
	for i := range 10 {
		take(fmt.Sprint("warm-", i))
	}
	assert.EqualValues(t, 2, take("new"))
	assert.LessOrEqual(t, take("new"), int64(4))
}

// A secret that is added is good within a second, though the source is remembered for longer.
func TestIntake_takes_a_new_secret_within_a_second(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source, path := w.hub(t)
	require.Equal(t, http.StatusOK, w.github(t, path, "1", "{}").status)
	_, err := w.sources.Change(t.Context(), w.scope, source.ID, 0, func(c *inbound.SourceChange) error {
		c.AddSecrets = []string{"a newer secret"}
		return nil
	})
	require.NoError(t, err)
	w.ahead.Add(int64(time.Second + time.Millisecond))
	signed := map[string]string{"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac("a newer secret", "{}")), "X-GitHub-Delivery": "2"}
	assert.Equal(t, http.StatusOK, w.post(t, path, "{}", signed).status)
}

func TestIntake_suspended_tenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, path := w.hub(t)
	require.Equal(t, http.StatusOK, w.github(t, path, "1", "{}").status)
	w.Exec(t, "update tenants set state = 'suspended' where id = $1", w.scope.Tenant.String())
	w.ahead.Add(int64(11 * time.Second))
	assert.Equal(t, http.StatusUnauthorized, w.github(t, path, "2", "{}").status)
}

func TestIntake_limits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(needs *inbound.ReceiverNeeds, config *intake.Config) {
		needs.SourceRate, needs.AddressRate = limits.Rate{Limit: 3, Per: time.Minute}, limits.Rate{Limit: 2, Per: time.Minute}
		config.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	_, path := w.hub(t)
	_, other := w.hub(t)
	from := func(address, path, id, body string) answer {
		headers := sign("github", id, "push", "{}", w.now())
		headers["X-Forwarded-For"] = "203.0.113.9, " + address
		return w.post(t, path, body, headers)
	}
	for n := range 3 {
		require.Equal(t, http.StatusOK, from("192.0.2.1", path, fmt.Sprint(n), "{}").status)
	}
	limited := from("192.0.2.1", path, "more", "{}")
	assert.Equal(t, http.StatusTooManyRequests, limited.status)
	assert.NotEmpty(t, limited.header.Get("Retry-After"))
	assert.Contains(t, limited.body, "intake.rate_limited")
	assert.Equal(t, http.StatusOK, from("192.0.2.1", other, "1", "{}").status, "another source has a limit of its own")

	// Guessing is limited by address, known source or not, and takes nothing of the source's own limit.
	for _, status := range []int{401, 401, 429, 429} {
		assert.Equal(t, status, from("192.0.2.2", other, "x", "forged").status)
	}
	assert.Equal(t, http.StatusTooManyRequests, from("192.0.2.2", "/hooks/nothing", "x", "{}").status)
	assert.Equal(t, http.StatusUnauthorized, from("192.0.2.3", other, "x", "forged").status, "each address has its own")
	assert.Equal(t, http.StatusOK, from("192.0.2.2", other, "2", "{}").status, "what verifies is taken from an address that guessed, too")
}

func TestQuarantine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source, path := w.hub(t)

	forged := strings.Repeat("f", 10_000)
	require.Equal(t, http.StatusUnauthorized, w.post(t, path, forged, map[string]string{
		"X-Hub-Signature-256": "sha256=" + strings.Repeat("0", 64), "X-GitHub-Delivery": "real-id", "Authorization": "Bearer hidden",
	}).status)
	require.Eventually(t, func() bool { return len(w.received(t, source, inbound.Quarantined)) == 1 }, waitFor, tick)
	e, err := w.events.Find(t.Context(), w.scope, w.received(t, source, inbound.Quarantined)[0].ID)
	require.NoError(t, err)
	assert.Len(t, e.Body, inbound.QuarantineBody)
	assert.EqualValues(t, len(forged), e.Size)
	assert.Equal(t, "the signature fits none of the source's secrets", *e.Error)
	assert.Nil(t, e.ProviderEventID)
	assert.NotContains(t, fmt.Sprint(e.Headers), "hidden")

	// A forged message keeps no real one out, and is not processed ever.
	assert.Equal(t, http.StatusOK, w.github(t, path, "real-id", "{}").status)
	_, err = w.events.Replay(t.Context(), w.owner(), e.ID)
	require.ErrorContains(t, err, "inbound_event.quarantined")

	t.Run("keeps_the_newest_of_a_source", func(t *testing.T) {
		t.Parallel()
		kept, _ := w.hub(t)
		var last tenancy.ID
		for n := range 7 {
			last = tenancy.NewID()
			require.NoError(t, w.store.InsertQuarantined(t.Context(), tenancy.AsSystem(w.scope.Tenant, ""), inbound.Event{
				ID: last, SourceID: kept.ID, Provider: "github", ReceivedAt: w.now(), Body: fmt.Append(nil, n),
			}, 3))
		}
		events := w.received(t, kept, inbound.Quarantined)
		require.Len(t, events, 3)
		assert.Equal(t, last, events[0].ID)
	})
	t.Run("is_bounded_however_much_is_forged", func(t *testing.T) {
		t.Parallel()
		flooded, path := w.hub(t)
		for range 200 {
			require.Equal(t, http.StatusUnauthorized, w.post(t, path, "{}", nil).status)
		}
		assert.LessOrEqual(t, len(w.received(t, flooded, inbound.Quarantined)), 60, "sixty in a minute are written down")
	})
}

func TestSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source, _ := w.hub(t)
	for days, state := range map[int]inbound.State{1: inbound.Quarantined, 8: inbound.Quarantined, 9: inbound.Processed, 31: inbound.Processed, 32: inbound.Failed} {
		w.Exec(t, `insert into inbound_events (tenant_id, id, source_id, provider, type, state, received_at, size, headers, body)
			values ($1, $2, $3, 'github', '', $4, now() - make_interval(days => $5), 0, '{}', '')`,
			w.scope.Tenant.String(), tenancy.NewID().String(), source.ID.String(), string(state), days)
	}
	system := openSystem(t, w)
	require.NoError(t, system.SweepInbound(t.Context(), 30*24*time.Hour))
	left := map[inbound.State]int{}
	for _, e := range w.received(t, source) {
		left[e.State]++
	}
	assert.Equal(t, map[inbound.State]int{inbound.Quarantined: 1, inbound.Processed: 1}, left)
}

// A tenant's receiver and services see nothing of another tenant's.
func TestIsolation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source, path := w.hub(t)
	require.Equal(t, http.StatusOK, w.github(t, path, "1", "{}").status)
	stranger := w.Tenant(t)
	e := w.received(t, source)[0]
	_, err := w.events.Find(t.Context(), stranger, e.ID)
	require.ErrorContains(t, err, "inbound_event.not_found")
	_, err = w.events.Replay(t.Context(), stranger, e.ID)
	require.ErrorContains(t, err, "inbound_event.not_found")
	_, err = w.sources.Find(t.Context(), stranger, source.ID)
	require.ErrorContains(t, err, "webhook_source.not_found")
	p, err := w.events.List(t.Context(), stranger, inbound.Query{SourceID: source.ID})
	require.NoError(t, err)
	assert.Empty(t, p.Items)
	from, to := w.now().Add(-time.Hour), w.now().Add(time.Hour)
	replayed, err := w.events.ReplayRange(t.Context(), stranger, inbound.ReplayInput{From: &from, To: &to, State: "pending"})
	require.NoError(t, err)
	assert.Zero(t, replayed.Count)
	after, err := w.events.List(t.Context(), w.scope, inbound.Query{Request: page.Request{Limit: 10}})
	require.NoError(t, err)
	assert.Equal(t, e, after.Items[0])
}

// What is posted while the database is away is not acknowledged.
func TestIntake_without_a_database(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, path := w.hub(t)
	require.Equal(t, http.StatusOK, w.github(t, path, "1", "{}").status)
	w.Exec(t, "alter table inbound_events rename to inbound_events_away")
	a := w.github(t, path, "2", "{}")
	assert.GreaterOrEqual(t, a.status, 500)
	assert.NotContains(t, a.body, "inbound_events", "nothing of the database is told")
	w.Exec(t, "alter table inbound_events_away rename to inbound_events")
	assert.Equal(t, http.StatusOK, w.github(t, path, "2", "{}").status)
}

// A sender who goes away takes nobody else's events along.
func TestIntake_impatient_senders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source, path := w.hub(t)
	var senders sync.WaitGroup
	for n := range 30 {
		senders.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			body := fmt.Sprint(n)
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+path, strings.NewReader(body))
			if !assert.NoError(t, err) { //nolint:testifylint // not the test's own goroutine
				return
			}
			for name, value := range sign("github", body, "push", body, w.now()) {
				request.Header.Set(name, value)
			}
			if n%2 == 0 {
				time.AfterFunc(time.Duration(n)*100*time.Microsecond, cancel)
			}
			response, err := http.DefaultClient.Do(request)
			if n%2 == 1 && assert.NoError(t, err) {
				assert.Equal(t, http.StatusOK, response.StatusCode)
			}
			if err == nil {
				assert.NoError(t, response.Body.Close())
			}
		})
	}
	senders.Wait()
	assert.GreaterOrEqual(t, len(w.received(t, source)), 15)
}

func headersOf(headers map[string]string) providers.Headers {
	all := map[string][]string{}
	for name, value := range headers {
		all[name] = []string{value}
	}
	return providers.NewHeaders(all)
}
