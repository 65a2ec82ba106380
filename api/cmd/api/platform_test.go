package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

// databaseRow reads a row as the database's administrator.
func databaseRow(t *testing.T, s *stack, query string, args ...any) pgx.Row {
	t.Helper()
	return databasetest.Connect(t, s.AdminURL).QueryRow(t.Context(), query, args...)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	s := newStack(t, func(c *settings) { c.CORSOrigins = []string{"https://app.example.com"} })
	key := s.signUp(t).key(t, "*")
	a := key.must(t, 200, http.MethodGet, "/customers", nil)
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		"Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
		"Cache-Control": "private, no-cache", "Content-Type": "application/json",
	} {
		assert.Equal(t, want, a.header.Get(name), name)
	}
	assert.Equal(t, "no-store", s.anonymous().do(t, http.MethodPost, "/auth/login", `{}`).header.Get("Cache-Control"))

	assert.Equal(t, "my-id.1", key.with("X-Request-Id", "my-id.1").must(t, 200, http.MethodGet, "/customers", nil).header.Get("X-Request-Id"))
	for _, hostile := range []string{"a b", "<script>", strings.Repeat("x", 129), `{"a":1}`} {
		got := key.with("X-Request-Id", hostile).must(t, 200, http.MethodGet, "/customers", nil).header.Get("X-Request-Id")
		assert.Len(t, got, 36, "a request id that could do harm is replaced")
	}

	for origin, allowed := range map[string]bool{
		"https://app.example.com": true, "https://app.example.com.evil.org": false, "http://app.example.com": false, "null": false,
		"https://APP.example.com": false,
	} {
		a := key.with("Origin", origin).must(t, 200, http.MethodGet, "/customers", nil)
		assert.Equal(t, allowed, a.header.Get("Access-Control-Allow-Origin") == origin, origin)
		assert.Contains(t, a.header.Values("Vary"), "Origin")
		preflight := s.anonymous().with("Origin", origin).with("Access-Control-Request-Method", "PATCH").do(t, http.MethodOptions, "/customers/x", nil)
		assert.Equal(t, http.StatusNoContent, preflight.status)
		assert.Equal(t, allowed, strings.Contains(preflight.header.Get("Access-Control-Allow-Methods"), "PATCH"), origin)
	}

	up := s.anonymous().must(t, 200, http.MethodGet, "//healthz", nil)
	assert.JSONEq(t, `{"status":"up"}`, up.raw)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := newStack(t, func(c *settings) {
		c.RateLimitTenant = config.Rate{Limit: 20, Per: time.Hour}
		c.RateLimitKey = config.Rate{Limit: 5, Per: time.Hour}
		c.RateLimitAddress = config.Rate{Limit: 12, Per: time.Hour}
		c.RateLimitAccount = config.Rate{Limit: 3, Per: time.Hour}
	})
	o, other := s.signUp(t), s.signUp(t)
	key, second := o.key(t, "*"), o.key(t, "*")
	for i := range 5 {
		a := key.must(t, 200, http.MethodGet, "/customers", nil)
		assert.Equal(t, `"key";q=5;w=3600`, a.header.Get("Ratelimit-Policy"))
		assert.Regexp(t, `^"key";r=\d+;t=\d+$`, a.header.Get("Ratelimit"))
		assert.Equal(t, "5", a.header.Get("X-Ratelimit-Limit"))
		assert.Equal(t, string(rune('0'+4-i)), a.header.Get("X-Ratelimit-Remaining"))
		assert.NotEmpty(t, a.header.Get("X-Ratelimit-Reset"))
	}
	refused := key.refused(t, 429, "rate_limited", http.MethodGet, "/customers", nil)
	assert.NotEmpty(t, refused.header.Get("Retry-After"))
	assert.Equal(t, "0", refused.header.Get("X-Ratelimit-Remaining"))
	second.must(t, 200, http.MethodGet, "/customers", nil)

	reached := 0
	for range 40 {
		if o.do(t, http.MethodGet, "/customers", nil).status == http.StatusTooManyRequests {
			reached++
		}
	}
	assert.Positive(t, reached, "the tenant's limit holds for all of its credentials together")
	other.must(t, 200, http.MethodGet, "/customers", nil)

	login := map[string]string{"email": o.email, "password": "wrong password"}
	s.anonymous().refused(t, 401, "auth.invalid_credentials", http.MethodPost, "/auth/login", login)
	s.anonymous().refused(t, 401, "auth.invalid_credentials", http.MethodPost, "/auth/login", login)
	login["password"] = password
	a := s.anonymous().refused(t, 429, "rate_limited", http.MethodPost, "/auth/login", login)
	assert.NotEmpty(t, a.header.Get("Retry-After"), "an account is closed for a while after too many attempts, for the right password too")

	reached = 0
	for range 12 {
		bad := s.as("gw_live_guess")
		if bad.do(t, http.MethodGet, "/customers", nil).status == http.StatusTooManyRequests {
			reached++
		}
	}
	assert.Positive(t, reached, "who guesses credentials is limited by address")
	other.must(t, 200, http.MethodGet, "/customers", nil)
}

func TestLogs(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	key := o.key(t, "*")
	id := key.with("X-Request-Id", "trace-me").must(t, 201, http.MethodPost, "/customers", `{"name":"Nobody's Business"}`).text("id")
	key.must(t, 200, http.MethodGet, "/customers/"+id, nil)
	s.anonymous().do(t, http.MethodPost, "/auth/login", map[string]string{"email": o.email, "password": "wrong " + password})
	s.as(key.token+"x").do(t, http.MethodGet, "/customers", nil)
	key.do(t, http.MethodGet, "/tenant?token="+key.token, nil)
	next := s.anonymous().must(t, 200, http.MethodPost, "/auth/refresh", map[string]string{"refresh_token": o.refresh})

	logs := s.logs.String()
	for _, secret := range []string{password, key.token, o.token, o.refresh, next.text("refresh_token"), "Nobody's Business", o.email} {
		assert.NotContains(t, logs, secret)
	}
	var found bool
	for line := range strings.Lines(logs) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		if entry["request_id"] == "trace-me" {
			found = true
			assert.Equal(t, "/api/v1/customers", entry["route"])
			assert.Equal(t, o.tenant, entry["tenant"])
			assert.InDelta(t, 201, entry["status"], 0)
			assert.Positive(t, entry["duration_ms"])
			assert.Positive(t, entry["statements"])
		}
		assert.NotContains(t, entry["route"], id, "a route is a template")
	}
	assert.True(t, found)
	count, err := testutil.GatherAndCount(s.registry, "http_requests_total")
	require.NoError(t, err)
	assert.Positive(t, count)
	families, err := s.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				assert.NotContains(t, label.GetValue(), id)
			}
		}
	}
}

// TestStatements holds a list to a constant number of statements, whatever its size.
func TestStatements(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	key := s.signUp(t).key(t, "*")
	statements := func(path string) (n float64) {
		key.with("X-Request-Id", "count"+strings.NewReplacer("/", "-", "?", "-").Replace(path)).must(t, 200, http.MethodGet, path, nil)
		for line := range strings.Lines(s.logs.String()) {
			var entry map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &entry))
			if entry["request_id"] == "count"+strings.NewReplacer("/", "-", "?", "-").Replace(path) {
				n, _ = entry["statements"].(float64)
			}
		}
		return n
	}
	key.must(t, 200, http.MethodGet, "/customers", nil) // the key is known from now on
	empty := statements("/customers?limit=1")
	for range 30 {
		key.must(t, 201, http.MethodPost, "/customers", `{"name":"a"}`)
	}
	assert.Positive(t, empty)
	assert.InDelta(t, empty, statements("/customers?limit=100"), 0)
}
