package main

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// aReceiver is an address that the tests' API may be given, where nobody listens.
const aReceiver = "http://127.0.0.1:9"

// endpoint makes an endpoint and returns the answer.
func (o owner) endpoint(t *testing.T, body map[string]any) answer {
	t.Helper()
	full := map[string]any{"url": aReceiver + "/in", "events": []string{"*"}}
	maps.Copy(full, body)
	return o.must(t, http.StatusCreated, http.MethodPost, "/webhook-endpoints", full)
}

func TestWebhookEndpoints(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	t.Run("the_secret_is_shown_once", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		a := o.endpoint(t, map[string]any{"headers": map[string]any{"x-team": "sesame-street"}})
		secret := a.text("secret")
		require.True(t, strings.HasPrefix(secret, "whsec_"), secret)
		assert.Equal(t, "no-store", a.header.Get("Cache-Control"))
		path := "/webhook-endpoints/" + a.text("id")
		assert.Equal(t, "/api/v1"+path, a.header.Get("Location"))
		for _, p := range []string{path, "/webhook-endpoints", "/audit-events"} {
			got := o.must(t, http.StatusOK, http.MethodGet, p, nil)
			assert.NotContains(t, got.raw, secret)
			assert.NotContains(t, got.raw, "sesame-street")
			assert.NotContains(t, got.raw, "whsec_")
		}
		got := o.must(t, http.StatusOK, http.MethodGet, path, nil)
		assert.Equal(t, []any{"X-Team"}, got.at("header_names"))
		assert.Equal(t, "full", got.text("payload"))
		assert.Equal(t, "v1", got.text("api_version"))
		assert.Equal(t, "enabled", got.text("state"))
		assert.NotContains(t, s.logs.String(), secret)
		var kept string
		require.NoError(t, s.Admin(t).QueryRow(t.Context(), `select encode(secret_sealed, 'escape') || encode(headers_sealed, 'escape')
			from webhook_endpoints where id = $1`, got.text("id")).Scan(&kept))
		assert.NotContains(t, kept, strings.TrimPrefix(secret, "whsec_")[:10])
		assert.NotContains(t, kept, "sesame")
	})
	t.Run("a_secret_may_be_brought_along", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		const own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		assert.Equal(t, own, o.endpoint(t, map[string]any{"secret": own}).text("secret"))
	})
	t.Run("settings_change_by_merge_patch", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		a := o.endpoint(t, map[string]any{
			"headers": map[string]any{"X-A": "1", "X-B": "2"}, "filter": map[string]any{"data.status": []string{"paid"}},
			"rate_limit": map[string]any{"limit": 10, "per": "second"},
		})
		path := "/webhook-endpoints/" + a.text("id")
		b := o.with("If-Match", a.header.Get("ETag")).must(t, http.StatusOK, http.MethodPatch, path,
			`{"events":["order.paid"],"headers":{"X-A":null,"X-C":"3"},"rate_limit":null,"payload":"thin","description":"  Billing "}`)
		assert.Equal(t, []any{"order.paid"}, b.at("events"))
		assert.Equal(t, []any{"X-B", "X-C"}, b.at("header_names"))
		assert.Nil(t, b.at("rate_limit"))
		assert.Equal(t, "thin", b.text("payload"))
		assert.Equal(t, "Billing", b.text("description"))
		assert.Equal(t, map[string]any{"data.status": []any{"paid"}}, b.at("filter"))
		o.with("If-Match", a.header.Get("ETag")).refused(t, http.StatusPreconditionFailed, "version_mismatch", http.MethodPatch, path, `{}`)
		same := o.must(t, http.StatusOK, http.MethodPatch, path, `{"payload":"thin"}`)
		assert.InDelta(t, 2, same.at("version"), 0, "what changes nothing makes no version")
		o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPatch, path, `{"url":"https://127.0.0.1/"}`)
		o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPatch, path, `{"secret":"whsec_x"}`)
	})
	t.Run("pause_resume_delete", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		path := "/webhook-endpoints/" + o.endpoint(t, nil).text("id")
		assert.Equal(t, "paused", o.must(t, http.StatusOK, http.MethodPost, path+"/pause", nil).text("state"))
		assert.Equal(t, "paused", o.must(t, http.StatusOK, http.MethodPost, path+"/pause", nil).text("state"))
		assert.Equal(t, "enabled", o.must(t, http.StatusOK, http.MethodPost, path+"/resume", nil).text("state"))
		o.must(t, http.StatusNoContent, http.MethodDelete, path, nil)
		o.refused(t, http.StatusNotFound, "webhook_endpoint.not_found", http.MethodGet, path, nil)
		o.refused(t, http.StatusNotFound, "webhook_endpoint.not_found", http.MethodDelete, path, nil)
		o.refused(t, http.StatusNotFound, "webhook_endpoint.not_found", http.MethodPost, path+"/test", nil)
	})
	t.Run("secrets_rotate_with_an_overlap", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		a := o.endpoint(t, nil)
		path := "/webhook-endpoints/" + a.text("id") + "/rotate-secret"
		b := o.must(t, http.StatusOK, http.MethodPost, path, `{}`)
		assert.NotEqual(t, a.text("secret"), b.text("secret"))
		until, err := time.Parse(time.RFC3339, b.text("previous_secret_until"))
		require.NoError(t, err)
		assert.WithinDuration(t, s.now().Add(24*time.Hour), until, time.Minute)
		b = o.must(t, http.StatusOK, http.MethodPost, path, `{"overlap_hours":0}`)
		assert.Nil(t, b.at("previous_secret_until"))
		o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, path, `{"overlap_hours":169}`)
		a = o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, path, `{"secret":"hunter2"}`)
		assert.Equal(t, []string{"/secret"}, a.pointers())
		assert.NotContains(t, a.raw, "hunter2")
	})
	t.Run("there_are_at_most_fifty", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		for range 50 {
			o.endpoint(t, nil)
		}
		o.refused(t, http.StatusConflict, "webhook_endpoint.too_many", http.MethodPost, "/webhook-endpoints", `{"url":"`+aReceiver+`","events":["*"]}`)
		page := o.must(t, http.StatusOK, http.MethodGet, "/webhook-endpoints?limit=20", nil)
		next := o.must(t, http.StatusOK, http.MethodGet, "/webhook-endpoints?limit=20&cursor="+page.text("next_cursor"), nil)
		assert.Len(t, next.at("data"), 20)
	})
	t.Run("a_repeat_with_an_idempotency_key_names_the_endpoint", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		c := o.with("Idempotency-Key", "once")
		body := `{"url":"` + aReceiver + `","events":["*"]}`
		c.must(t, http.StatusCreated, http.MethodPost, "/webhook-endpoints", body)
		again := c.do(t, http.MethodPost, "/webhook-endpoints", body)
		assert.Equal(t, http.StatusConflict, again.status)
		assert.NotContains(t, again.raw, "whsec_")
	})
}

func TestBadWebhookEndpoints(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf(`"order.%d"`, i)
	}
	deep := `"data` + strings.Repeat(".a", 8) + `"`
	for name, tt := range map[string]struct {
		body     string
		pointers []string
	}{
		"nothing":             {`{}`, []string{"/url", "/events"}},
		"no_events":           {`{"url":"U","events":[]}`, []string{"/events"}},
		"an_unknown_type":     {`{"url":"U","events":["order.paid","order.payed","orders.*","customer.*.x","","order.**"]}`, []string{"/events/1", "/events/2", "/events/3", "/events/4", "/events/5"}},
		"a_type_twice":        {`{"url":"U","events":["*","*"]}`, []string{"/events"}},
		"too_many_types":      {`{"url":"U","events":[` + strings.Join(many, ",") + `]}`, nil},
		"the_test_type":       {`{"url":"U","events":["webhook.test"]}`, []string{"/events/0"}},
		"a_private_host":      {`{"url":"https://127.0.0.1:9999/","events":["*"]}`, []string{"/url"}},
		"metadata":            {`{"url":"http://169.254.169.254/latest","events":["*"]}`, []string{"/url"}},
		"decimal":             {`{"url":"https://2130706433/","events":["*"]}`, []string{"/url"}},
		"not_https":           {`{"url":"http://1.1.1.1/","events":["*"]}`, []string{"/url"}},
		"credentials":         {`{"url":"https://me:secretword@1.1.1.1/","events":["*"]}`, []string{"/url"}},
		"a_url_too_long":      {`{"url":"https://1.1.1.1/` + strings.Repeat("a", 2048) + `","events":["*"]}`, []string{"/url"}},
		"no_url":              {`{"url":"nothing","events":["*"]}`, []string{"/url"}},
		"reserved_headers":    {`{"url":"U","events":["*"],"headers":{"Host":"a","webhook-id":"b","Svix-Id":"c","Connection":"d","Content-Length":"1","Proxy-Authorization":"x"}}`, []string{"/headers/Connection", "/headers/Content-Length", "/headers/Host", "/headers/Proxy-Authorization", "/headers/Svix-Id", "/headers/webhook-id"}},
		"broken_headers":      {`{"url":"U","events":["*"],"headers":{"a b":"x","":"y","X-N":1,"X-L":"a\r\nb: c","X-E":"","X-U":"ü","x-e":"2"}}`, []string{"/headers/", "/headers/X-E", "/headers/X-L", "/headers/X-N", "/headers/X-U", "/headers/a b", "/headers/x-e"}},
		"headers_are_no_list": {`{"url":"U","events":["*"],"headers":[]}`, []string{"/headers"}},
		"filters":             {`{"url":"U","events":["*"],"filter":{"status":"paid","data":1,"data..x":1,` + deep + `:1,"data.a":[],"data.b":{"c":1},"data.c":[[1]]}}`, nil},
		"a_rate":              {`{"url":"U","events":["*"],"rate_limit":{"limit":0,"per":"fortnight"}}`, []string{"/rate_limit/limit", "/rate_limit/per"}},
		"a_secret":            {`{"url":"U","events":["*"],"secret":"whsec_c2hvcnQ="}`, []string{"/secret"}},
		"another_secret":      {`{"url":"U","events":["*"],"secret":"` + strings.Repeat("x", 500) + `"}`, nil},
		"a_payload":           {`{"url":"U","events":["*"],"payload":"fat"}`, []string{"/payload"}},
		"a_read_only_field":   {`{"url":"U","events":["*"],"state":"paused"}`, []string{"/state"}},
		"nul":                 {`{"url":"U","events":["*"],"description":"a\u0000"}`, []string{"/description"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/webhook-endpoints",
				strings.ReplaceAll(tt.body, `"U"`, `"`+aReceiver+`"`))
			if tt.pointers != nil {
				assert.ElementsMatch(t, tt.pointers, a.pointers(), a.raw)
			}
			assert.NotContains(t, a.raw, "secretword")
		})
	}
	t.Run("unknown_types_are_told_the_known_ones", func(t *testing.T) {
		t.Parallel()
		a := o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/webhook-endpoints",
			`{"url":"`+aReceiver+`","events":["order.payed"]}`)
		assert.Contains(t, a.text("errors", 0, "detail"), "order.paid")
		assert.Contains(t, a.text("errors", 0, "detail"), "customer.created")
	})
}

func TestWebhookDeliveries(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	first := o.endpoint(t, nil).text("id")
	second := o.endpoint(t, nil).text("id")
	test := func(endpoint string) answer {
		return o.must(t, http.StatusAccepted, http.MethodPost, "/webhook-endpoints/"+endpoint+"/test", nil)
	}
	a, b := test(first), test(second)
	assert.Equal(t, "/api/v1/webhook-deliveries/"+a.text("id"), a.header.Get("Location"))

	got := o.must(t, http.StatusOK, http.MethodGet, "/webhook-deliveries/"+a.text("id"), nil)
	assert.Equal(t, "pending", got.text("state"))
	assert.Equal(t, "webhook.test", got.text("event_type"))
	assert.Equal(t, []any{}, got.at("history"))

	ids := func(query string) []string {
		list := o.must(t, http.StatusOK, http.MethodGet, "/webhook-deliveries?"+query, nil)
		data, _ := list.at("data").([]any)
		found := make([]string, len(data))
		for i := range data {
			found[i] = list.text("data", i, "id")
		}
		return found
	}
	assert.Equal(t, []string{b.text("id"), a.text("id")}, ids(""))
	assert.Equal(t, []string{a.text("id")}, ids("endpoint_id="+first))
	assert.Equal(t, []string{b.text("id")}, ids("event_id="+b.text("event_id")))
	assert.Len(t, ids("state=pending,held&type=webhook.test"), 2)
	assert.Empty(t, ids("state=held"))
	assert.Empty(t, ids("state=failed,cancelled"))
	assert.Empty(t, ids("type=order.*"))
	assert.Empty(t, ids("to="+s.now().Add(-time.Hour).UTC().Format(time.RFC3339)))
	assert.Len(t, ids("from="+s.now().Add(-time.Hour).UTC().Format(time.RFC3339)), 2)
	assert.Len(t, ids("limit=1"), 1)

	for query, pointer := range map[string]string{
		"state=lost": "state", "state=": "state", "type=order.payed": "type", "endpoint_id=1": "endpoint_id", "event_id=x": "event_id",
		"from=yesterday": "from", "to=1": "to", "limit=0": "limit", "colour=red": "colour",
	} {
		r := o.refused(t, http.StatusBadRequest, "invalid_query", http.MethodGet, "/webhook-deliveries?"+query, nil)
		assert.Equal(t, []string{pointer}, r.pointers(), query)
	}
	again := o.must(t, http.StatusAccepted, http.MethodPost, "/webhook-deliveries/"+a.text("id")+"/redeliver", nil)
	assert.Equal(t, a.text("id"), again.text("id"))
	o.must(t, http.StatusNoContent, http.MethodDelete, "/webhook-endpoints/"+first, nil)
	o.refused(t, http.StatusConflict, "webhook_delivery.endpoint_deleted", http.MethodPost, "/webhook-deliveries/"+a.text("id")+"/redeliver", nil)
	o.must(t, http.StatusOK, http.MethodGet, "/webhook-deliveries/"+a.text("id"), nil)
	o.refused(t, http.StatusNotFound, "webhook_delivery.not_found", http.MethodGet, "/webhook-deliveries/"+tenancy.NewID().String(), nil)
}

func TestWebhookReplay(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	path := "/webhook-endpoints/" + o.endpoint(t, nil).text("id") + "/replay"
	at := func(ago time.Duration) string { return s.now().Add(-ago).UTC().Format(time.RFC3339) }
	for body, pointer := range map[string]string{
		`{}`: "/from", `{"from":"` + at(-time.Hour) + `"}`: "/from", `{"from":"` + at(31*24*time.Hour) + `"}`: "/from",
		`{"from":"` + at(time.Hour) + `","to":"` + at(2*time.Hour) + `"}`: "/from", `{"from":"` + at(time.Hour) + `","types":["x"]}`: "/types/0",
	} {
		a := o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, path, body)
		assert.Equal(t, []string{pointer}, a.pointers(), body)
	}
	a := o.must(t, http.StatusAccepted, http.MethodPost, path, `{"from":"`+at(time.Hour)+`","types":["order.*"],"only_failed":true}`)
	assert.Equal(t, "/api/v1/jobs/"+a.text("job_id"), a.header.Get("Location"))
	job := o.must(t, http.StatusOK, http.MethodGet, "/jobs/"+a.text("job_id"), nil)
	assert.Equal(t, "webhooks.replay", job.text("kind"))
	b := o.refused(t, http.StatusConflict, "webhook_endpoint.replaying", http.MethodPost, path, `{"from":"`+at(time.Hour)+`"}`)
	assert.Contains(t, b.raw+b.header.Get("Location"), a.text("job_id"))
	s.Exec(t, "update webhook_endpoints set state = 'disabled', disabled_reason = 'gone', disabled_at = now()")
	o.refused(t, http.StatusConflict, "webhook_endpoint.disabled", http.MethodPost, path, `{"from":"`+at(time.Hour)+`"}`)
	o.refused(t, http.StatusConflict, "webhook_endpoint.disabled", http.MethodPost, strings.TrimSuffix(path, "/replay")+"/pause", nil)
	resumed := o.must(t, http.StatusOK, http.MethodPost, strings.TrimSuffix(path, "/replay")+"/resume", nil)
	assert.Equal(t, "enabled", resumed.text("state"))
	assert.Nil(t, resumed.at("disabled_reason"))
}

// TestEventsForWebhooks shows that an event waits to be told of only where somebody may want it.
func TestEventsForWebhooks(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	quiet, told := s.signUp(t), s.signUp(t)
	endpoint := told.endpoint(t, nil).text("id")
	for _, o := range []owner{quiet, told} {
		o.must(t, http.StatusCreated, http.MethodPost, "/customers", `{"name":"a"}`)
	}
	pending := func() (count int, tenant string) {
		require.NoError(t, s.Admin(t).QueryRow(t.Context(),
			"select count(*), coalesce(max(tenant_id::text), '') from events where state = 'pending'").Scan(&count, &tenant))
		return count, tenant
	}
	count, tenant := pending()
	assert.Equal(t, 1, count)
	assert.Equal(t, told.tenant, tenant)
	told.must(t, http.StatusNoContent, http.MethodDelete, "/webhook-endpoints/"+endpoint, nil)
	told.must(t, http.StatusCreated, http.MethodPost, "/customers", `{"name":"b"}`)
	count, _ = pending()
	assert.Equal(t, 1, count)
}
