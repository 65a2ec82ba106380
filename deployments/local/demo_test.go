package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// accounts play the part of the API that the demo tenant needs.
type accounts struct {
	passwords map[string]string
	keys      map[string]bool
	requests  []string
	status    int // of every answer, where it is not 0
}

func (a *accounts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.requests = append(a.requests, r.Method+" "+r.URL.Path)
	var in struct {
		Email, Password string
		Scopes          []string
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	credential := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	session := map[string]any{"tenant": map[string]string{"id": "tenant of " + in.Email}, "access_token": "token"}
	status, answer := http.StatusNotFound, any(map[string]string{"detail": "the moon is wrong"})
	known, isKnown := a.passwords[in.Email]
	switch path := r.URL.Path; {
	case a.status != 0:
		status = a.status
	case path == "/api/v1/auth/signup" && isKnown:
		status, answer = http.StatusConflict, map[string]string{"code": "auth.email_taken"}
	case path == "/api/v1/auth/signup":
		a.passwords[in.Email] = in.Password
		status, answer = http.StatusCreated, session
	case path == "/api/v1/auth/login" && known == in.Password:
		status, answer = http.StatusOK, session
	case path == "/api/v1/auth/login":
		status, answer = http.StatusUnauthorized, map[string]string{"code": "auth.invalid_credentials"}
	case path == "/api/v1/api-keys" && credential == "token" && len(in.Scopes) == 1:
		key := "key" + strings.Repeat("!", len(a.keys)+1)
		a.keys[key] = true
		status, answer = http.StatusCreated, map[string]string{"key": key}
	case path == "/api/v1/customers" && a.keys[credential]:
		status = http.StatusOK
	case path == "/api/v1/customers":
		status = http.StatusUnauthorized
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func TestDemo(t *testing.T) {
	t.Parallel()
	setUp := func(t *testing.T) (*accounts, client.Client, *demo) {
		t.Helper()
		a := &accounts{passwords: map[string]string{}, keys: map[string]bool{}}
		server := httptest.NewServer(a)
		t.Cleanup(server.Close)
		return a, client.Client{Origin: server.URL, HTTP: server.Client()}, &demo{Email: "demo@example.com", Password: "secret"}
	}

	t.Run("is signed up once and found again", func(t *testing.T) {
		t.Parallel()
		a, api, d := setUp(t)
		require.NoError(t, d.prepare(t.Context(), api))
		want := demo{Email: "demo@example.com", Password: "secret", TenantID: "tenant of demo@example.com", APIKey: "key!"}
		assert.Equal(t, want, *d)
		a.requests = nil
		require.NoError(t, d.prepare(t.Context(), api))
		assert.Equal(t, want, *d)
		assert.Equal(t, []string{"GET /api/v1/customers"}, a.requests)
	})

	t.Run("gets another key when its key was revoked", func(t *testing.T) {
		t.Parallel()
		a, api, d := setUp(t)
		require.NoError(t, d.prepare(t.Context(), api))
		a.keys["key!"] = false
		require.NoError(t, d.prepare(t.Context(), api))
		assert.Equal(t, "key!!", d.APIKey)
		assert.Equal(t, "demo@example.com", d.Email)
	})

	t.Run("is another account where the database has one with another password", func(t *testing.T) {
		t.Parallel()
		a, api, d := setUp(t)
		a.passwords[d.Email] = "of another LOCAL_DIR"
		require.NoError(t, d.prepare(t.Context(), api))
		assert.Regexp(t, `^demo-[a-z0-9]{6}@example\.com$`, d.Email)
		assert.Equal(t, d.Password, a.passwords[d.Email])
		assert.Equal(t, "tenant of "+d.Email, d.TenantID)
	})

	t.Run("says what the API says when it refuses", func(t *testing.T) {
		t.Parallel()
		a, api, d := setUp(t)
		a.status = http.StatusServiceUnavailable
		err := d.prepare(t.Context(), api)
		require.ErrorContains(t, err, "POST /auth/login answered 503")
		assert.ErrorContains(t, err, "the moon is wrong")
	})
}
