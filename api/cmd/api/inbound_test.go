package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/api/internal/identity"
	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/inbound/providers"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

const hubSecret = "a secret of the hub's"

// source makes a source that GitHub may post to.
func (o owner) source(tb testing.TB) answer {
	tb.Helper()
	return o.must(tb, http.StatusCreated, http.MethodPost, "/webhook-sources",
		map[string]any{"name": "Hub", "provider": "github", "secrets": []string{hubSecret}})
}

func TestSources_are_at_most_fifty(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	var last answer
	for range inbound.MaxSources - 1 {
		last = o.source(t)
	}
	// Of several who make the last one at a time, one does.
	var made, refused atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			a := o.do(t, http.MethodPost, "/webhook-sources", map[string]any{"name": "Hub", "provider": "github", "secrets": []string{hubSecret}})
			switch {
			case a.status == http.StatusCreated:
				made.Add(1)
			case a.status == http.StatusConflict && a.text("code") == "webhook_source.too_many":
				refused.Add(1)
			}
		})
	}
	all.Wait()
	assert.Equal(t, []int64{1, 3}, []int64{made.Load(), refused.Load()})
	o.must(t, http.StatusNoContent, http.MethodDelete, "/webhook-sources/"+last.text("id"), nil)
	o.source(t)
}

// receive has the intake's receiver take a message in that is posted to a source's address.
func (o owner) receive(tb testing.TB, address, id, body, secret string) error {
	tb.Helper()
	local, err := limits.NewLocal(limits.LocalConfig{Clock: o.stack.now})
	require.NoError(tb, err)
	base := o.stack.base
	receiver := inbound.NewReceiver(inbound.ReceiverNeeds{
		Store: postgres.NewInbound(base.DB, base.Router), Queue: postgres.NewJobs(base.Router, nil), Sealer: base.Sealer,
		Secrets: identity.Secrets(), Limiter: local, Now: o.stack.now,
	})
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(body))
	_, token, _ := strings.Cut(address, "/hooks/")
	_, err = receiver.Receive(tb.Context(), inbound.Delivery{
		Token: token, Body: []byte(body), RequestID: "r-1", Headers: providers.NewHeaders(map[string][]string{
			"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))}, "X-GitHub-Delivery": {id}, "X-GitHub-Event": {"ping"},
			"Authorization": {"Bearer of somebody"}, "Content-Type": {"application/json"},
		}),
	})
	return err
}

// inboundEvent is the id of an event that a source of the owner's received.
func (o owner) inboundEvent(tb testing.TB) string {
	tb.Helper()
	source := o.source(tb)
	require.NoError(tb, o.receive(tb, source.text("url"), "d-1", `{"zen":"secret"}`, hubSecret))
	return o.must(tb, http.StatusOK, http.MethodGet, "/inbound-events?source_id="+source.text("id"), nil).text("data", 0, "id")
}

func TestWebhookSources(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)

	t.Run("have_an_address_and_keep_their_secrets", func(t *testing.T) {
		t.Parallel()
		a := o.must(t, http.StatusCreated, http.MethodPost, "/webhook-sources", map[string]any{
			"name": " Payments ", "provider": "stripe", "secrets": []string{"whsec_very_secret_indeed_1234"}, "filter": []string{"invoice.*, charge.refunded"},
		})
		assert.Equal(t, "Payments", a.text("name"))
		assert.True(t, strings.HasPrefix(a.text("url"), "http://localhost:8081/hooks/gw_in_"), a.text("url"))
		assert.Equal(t, []any{"invoice.*", "charge.refunded"}, a.at("filter"))
		assert.EqualValues(t, 300, a.at("settings", "tolerance_seconds"))
		assert.Equal(t, "…1234", a.text("secrets", 0, "hint"))
		assert.Equal(t, "no-store", a.header.Get("Cache-Control"))
		assert.Equal(t, `"1"`, a.header.Get("ETag"))
		path := "/webhook-sources/" + a.text("id")
		assert.Equal(t, "/api/v1"+path, a.header.Get("Location"))

		again := o.must(t, http.StatusOK, http.MethodGet, path, nil)
		assert.Equal(t, a.body, again.body)
		listed := o.must(t, http.StatusOK, http.MethodGet, "/webhook-sources", nil)
		assert.NotContains(t, a.raw+again.raw+listed.raw, "very_secret")
		reader := o.key(t, "webhooks:read")
		assert.Nil(t, reader.must(t, http.StatusOK, http.MethodGet, path, nil).at("url"), "who only reads sees no address")

		token := a.text("url")[strings.LastIndex(a.text("url"), "/")+1:]
		conn := s.Admin(t)
		for _, table := range []string{"webhook_sources", "intake_tokens", "audit_events"} {
			for _, secret := range []string{token, "very_secret"} {
				var n int
				require.NoError(t, conn.QueryRow(t.Context(), "select count(*) from "+table+" x where x::text like '%' || $1 || '%'", secret).Scan(&n))
				assert.Zero(t, n, "%s holds a secret in the clear", table)
			}
		}
	})
	t.Run("say_what_is_wrong", func(t *testing.T) {
		t.Parallel()
		for name, each := range map[string]struct {
			body     map[string]any
			pointers []string
		}{
			"nothing":          {map[string]any{}, []string{"/name", "/provider", "/secrets"}},
			"provider":         {map[string]any{"name": "x", "provider": "nobody", "secrets": []string{"12345678"}}, []string{"/provider"}},
			"standard secret":  {map[string]any{"name": "x", "provider": "standard", "secrets": []string{"whsec_AAAA"}}, []string{"/secrets/0"}},
			"short secret":     {map[string]any{"name": "x", "provider": "github", "secrets": []string{"12345678", "1234567"}}, []string{"/secrets/1"}},
			"twice":            {map[string]any{"name": "x", "provider": "github", "secrets": []string{"12345678", "12345678"}}, []string{"/secrets"}},
			"unknown setting":  {map[string]any{"name": "x", "provider": "github", "secrets": []string{"12345678"}, "settings": map[string]any{"a/b": 1}}, []string{"/settings/a~1b"}},
			"setting":          {map[string]any{"name": "x", "provider": "stripe", "secrets": []string{"whsec_12345678"}, "settings": map[string]any{"tolerance_seconds": "300"}}, []string{"/settings/tolerance_seconds"}},
			"unsigned time":    {map[string]any{"name": "x", "provider": "hmac", "secrets": []string{"12345678"}, "settings": map[string]any{"timestamp_header": "X-At", "template": "{body}"}}, []string{"/settings/template"}},
			"filter":           {map[string]any{"name": "x", "provider": "github", "secrets": []string{"12345678"}, "filter": []string{"a b", "ok.*"}}, []string{"/filter/0"}},
			"NUL in a setting": {map[string]any{"name": "x", "provider": "hmac", "secrets": []string{"12345678"}, "settings": map[string]any{"prefix": "a\x00"}}, []string{"/settings/prefix"}},
		} {
			a := o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/webhook-sources", each.body)
			assert.ElementsMatch(t, each.pointers, a.pointers(), name)
		}
	})
	t.Run("exchange_secrets", func(t *testing.T) {
		t.Parallel()
		a := o.source(t)
		path, first := "/webhook-sources/"+a.text("id"), a.text("secrets", 0, "id")
		o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPatch, path, map[string]any{"remove_secrets": []string{first}})
		both := o.must(t, http.StatusOK, http.MethodPatch, path, map[string]any{"add_secrets": []string{"another secret"}})
		assert.Len(t, both.at("secrets"), 2)
		require.NoError(t, o.receive(t, a.text("url"), "d-1", "{}", "another secret"))
		require.NoError(t, o.receive(t, a.text("url"), "d-2", "{}", hubSecret))
		one := o.must(t, http.StatusOK, http.MethodPatch, path, map[string]any{"remove_secrets": []string{first}})
		assert.Len(t, one.at("secrets"), 1)
		require.Error(t, o.receive(t, a.text("url"), "d-3", "{}", hubSecret))
		require.NoError(t, o.receive(t, a.text("url"), "d-4", "{}", "another secret"))
		o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPatch, path, map[string]any{"remove_secrets": []string{first}})
		o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPatch, path, map[string]any{"provider": "stripe"})
	})
	t.Run("get_another_address", func(t *testing.T) {
		t.Parallel()
		a := o.source(t)
		path := "/webhook-sources/" + a.text("id")
		overlapping := o.must(t, http.StatusOK, http.MethodPost, path+"/rotate-url", map[string]any{"overlap": 3600})
		require.NotEqual(t, a.text("url"), overlapping.text("url"))
		require.NoError(t, o.receive(t, a.text("url"), "d-1", "{}", hubSecret))
		at := o.must(t, http.StatusOK, http.MethodPost, path+"/rotate-url", map[string]any{})
		require.Error(t, o.receive(t, a.text("url"), "d-2", "{}", hubSecret), "a rotation without overlap ends the ones before, too")
		require.Error(t, o.receive(t, overlapping.text("url"), "d-2", "{}", hubSecret))
		require.NoError(t, o.receive(t, at.text("url"), "d-2", "{}", hubSecret))
		o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, path+"/rotate-url", map[string]any{"overlap": 1e7})
		o.must(t, http.StatusNoContent, http.MethodDelete, path, nil)
		require.Error(t, o.receive(t, at.text("url"), "d-3", "{}", hubSecret))
		o.refused(t, http.StatusNotFound, "webhook_source.not_found", http.MethodGet, path, nil)
		o.refused(t, http.StatusNotFound, "webhook_source.not_found", http.MethodDelete, path, nil)
	})
	t.Run("change_by_version", func(t *testing.T) {
		t.Parallel()
		path := "/webhook-sources/" + o.source(t).text("id")
		changed := o.with("If-Match", `"1"`).must(t, http.StatusOK, http.MethodPatch, path, map[string]any{"name": "New", "paused": true})
		assert.Equal(t, `"2"`, changed.header.Get("ETag"))
		assert.NotNil(t, changed.at("paused_at"))
		o.with("If-Match", `"1"`).refused(t, http.StatusPreconditionFailed, "version_mismatch", http.MethodPatch, path, map[string]any{"name": "Late"})
		same := o.must(t, http.StatusOK, http.MethodPatch, path, map[string]any{"name": "New"})
		assert.Equal(t, `"2"`, same.header.Get("ETag"), "what changes nothing makes no version")
	})
}

func (o owner) with(name, value string) *client { return o.client.with(name, value) }

func TestInboundEvents(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)

	t.Run("are_listed_and_read", func(t *testing.T) {
		t.Parallel()
		source := o.source(t)
		id := source.text("id")
		for n := range 3 {
			require.NoError(t, o.receive(t, source.text("url"), fmt.Sprint("d-", n), fmt.Sprint(`{"n":`, n, `}`), hubSecret))
		}
		require.NoError(t, o.receive(t, source.text("url"), "d-2", "{}", hubSecret), "a duplicate is taken")
		first := o.must(t, http.StatusOK, http.MethodGet, "/inbound-events?limit=2&source_id="+id, nil)
		require.Len(t, first.at("data"), 2)
		assert.Equal(t, "d-2", first.text("data", 0, "provider_event_id"))
		assert.Equal(t, "ping", first.text("data", 0, "type"))
		assert.Equal(t, "pending", first.text("data", 0, "state"))
		second := o.must(t, http.StatusOK, http.MethodGet, "/inbound-events?limit=2&source_id="+id+"&cursor="+first.text("next_cursor"), nil)
		assert.Len(t, second.at("data"), 1)
		whole := o.must(t, http.StatusOK, http.MethodGet, "/inbound-events/"+first.text("data", 0, "id"), nil)
		assert.Equal(t, `{"n":2}`, whole.text("body"))
		assert.Equal(t, "text", whole.text("body_encoding"))
		assert.Equal(t, "d-2", whole.text("headers", "x-github-delivery", 0))
		assert.NotContains(t, whole.raw, "Bearer of somebody")
		job := o.must(t, http.StatusOK, http.MethodGet, "/jobs/"+whole.text("job_id"), nil)
		assert.Equal(t, "inbound.process", job.text("kind"))
		for query, n := range map[string]int{
			"&type=ping": 3, "&type=pi*": 3, "&type=pull_request": 0, "&type=%25": 0, "&state=pending": 3, "&state=failed,held": 0, "&state=pending,held": 3,
			"&from=2020-01-01T00:00:00Z": 3, "&to=2020-01-01T00:00:00Z": 0, "&from=2020-01-01T00:00:00Z&to=2999-01-01T00:00:00Z": 3,
		} {
			assert.Len(t, o.must(t, http.StatusOK, http.MethodGet, "/inbound-events?source_id="+id+query, nil).at("data"), n, query)
		}
		for _, query := range []string{"state=x", "source_id=x", "from=yesterday", "type=", "colour=red", "cursor=x"} {
			assert.Equal(t, http.StatusBadRequest, o.do(t, http.MethodGet, "/inbound-events?"+query, nil).status, query)
		}
	})
	t.Run("that_are_no_text_are_answered_as_base64", func(t *testing.T) {
		t.Parallel()
		source := o.source(t)
		require.NoError(t, o.receive(t, source.text("url"), "d", "\xff\x00\xfe", hubSecret))
		id := o.must(t, http.StatusOK, http.MethodGet, "/inbound-events?source_id="+source.text("id"), nil).text("data", 0, "id")
		whole := o.must(t, http.StatusOK, http.MethodGet, "/inbound-events/"+id, nil)
		assert.Equal(t, "base64", whole.text("body_encoding"))
		assert.Equal(t, "/wD+", whole.text("body"))
	})
	t.Run("are_replayed_one_by_one_and_by_time", func(t *testing.T) {
		t.Parallel()
		source := o.source(t)
		require.NoError(t, o.receive(t, source.text("url"), "d", "{}", hubSecret))
		e := o.must(t, http.StatusOK, http.MethodGet, "/inbound-events?source_id="+source.text("id"), nil)
		id, job := e.text("data", 0, "id"), e.text("data", 0, "job_id")
		again := o.must(t, http.StatusAccepted, http.MethodPost, "/inbound-events/"+id+"/replay", nil)
		assert.NotEqual(t, job, again.text("job_id"))
		window := map[string]any{"source_id": source.text("id"), "from": "2020-01-01T00:00:00Z", "to": time.Now().Add(time.Hour).Format(time.RFC3339)}
		none := o.must(t, http.StatusAccepted, http.MethodPost, "/inbound-events/replay", window)
		assert.EqualValues(t, 0, none.at("count"), "what waits is not replayed unless it is asked for")
		window["state"] = "pending"
		some := o.must(t, http.StatusAccepted, http.MethodPost, "/inbound-events/replay", window)
		assert.EqualValues(t, 1, some.at("count"))
		assert.Nil(t, some.at("job_id"))
		for _, bad := range []map[string]any{
			{},
			{"from": "2020-01-01T00:00:00Z"},
			{"from": "2021-01-01T00:00:00Z", "to": "2020-01-01T00:00:00Z"},
			{"from": "2020-01-01T00:00:00Z", "to": "2021-01-01T00:00:00Z", "state": "quarantined"},
		} {
			o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/inbound-events/replay", bad)
		}
	})
	t.Run("that_are_many_are_replayed_by_a_job", func(t *testing.T) {
		t.Parallel()
		source := o.source(t)
		s.Exec(t, `insert into inbound_events (tenant_id, id, source_id, provider, type, state, received_at, size, headers, body)
			select $1::uuid, overlay(uuid7_floor(now())::text placing lpad(to_hex(n), 12, '0') from 25 for 12)::uuid, $2::uuid, 'github', 'ping', 'failed', now(), 0, '{}', ''
			from generate_series(1, 1234) n`, o.tenant, source.text("id"))
		window := map[string]any{"source_id": source.text("id"), "from": "2020-01-01T00:00:00Z", "to": time.Now().Add(time.Hour).Format(time.RFC3339)}
		many := o.must(t, http.StatusAccepted, http.MethodPost, "/inbound-events/replay", window)
		assert.EqualValues(t, 1234, many.at("count"))
		assert.Equal(t, "/api/v1/jobs/"+many.text("job_id"), many.header.Get("Location"))
		assert.Equal(t, "inbound.replay", o.must(t, http.StatusOK, http.MethodGet, "/jobs/"+many.text("job_id"), nil).text("kind"))
	})
}
