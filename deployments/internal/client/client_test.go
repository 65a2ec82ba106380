package client_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// serve answers as handle does, and returns a client of it.
func serve(t *testing.T, handle http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return &client.Client{Origin: server.URL, Token: "secret-token", HTTP: server.Client()}
}

func TestDo(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/echo":
			body, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(map[string]any{
				"query": r.URL.RawQuery, "type": r.Header.Get("Content-Type"), "credential": r.Header.Get("Authorization"), "body": string(body),
			})
		case "/api/v1/bad":
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"code":"validation_failed","detail":"See errors.","errors":[{"pointer":"/name","code":"required","detail":"is required"}],"request_id":"r-1"}`)
		default:
			http.Error(w, "no page", http.StatusBadGateway)
		}
	})
	type echo struct{ Query, Type, Credential, Body string }
	t.Run("sends_json_and_reads_json", func(t *testing.T) {
		t.Parallel()
		var got echo
		require.NoError(t, c.Do(t.Context(), client.Call{
			Method: http.MethodPost, Path: "/echo", Query: url.Values{"q": {"a b"}}, Body: map[string]int{"n": 1}, Into: &got, Want: http.StatusCreated,
		}))
		assert.Equal(t, echo{Query: "q=a+b", Type: "application/json", Credential: "Bearer secret-token", Body: `{"n":1}`}, got)
	})
	t.Run("sends_what_is_ready_as_it_is", func(t *testing.T) {
		t.Parallel()
		for _, body := range []any{[]byte("raw"), strings.NewReader("raw")} {
			var got echo
			header := map[string]string{"Content-Type": "text/plain"}
			require.NoError(t, c.Do(t.Context(), client.Call{Method: http.MethodPost, Path: "/echo", Header: header, Body: body, Into: &got}), "any success is good")
			assert.Equal(t, echo{Type: "text/plain", Credential: "Bearer secret-token", Body: "raw"}, got)
		}
	})
	t.Run("says_what_came_in_the_place_of_what_was_due", func(t *testing.T) {
		t.Parallel()
		err := c.Do(t.Context(), client.Call{Method: http.MethodPost, Path: "/bad", Want: http.StatusCreated})
		require.EqualError(t, err, "POST /bad answered 422 where 201 was due: validation_failed: See errors. /name is required. (request r-1)")
		assert.True(t, client.HasCode(err, "validation_failed"))
		assert.False(t, client.HasCode(err, "other"))
		var problem client.Problem
		require.NoError(t, c.Do(t.Context(), client.Call{Method: http.MethodPost, Path: "/bad", Want: http.StatusUnprocessableEntity, Into: &problem}))
		assert.Equal(t, "/name", problem.Errors[0].Pointer)
		require.EqualError(t, c.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/gone"}), "GET /gone answered 502: no page")
		require.ErrorContains(t, c.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/gone", Want: http.StatusBadGateway, Into: &problem}), "GET /gone: read the answer")
	})
	t.Run("keeps_addresses_and_credentials_to_itself", func(t *testing.T) {
		t.Parallel()
		var got echo
		at := client.Call{Method: http.MethodPost, Path: "/hooks/…", URL: c.Origin + "/api/v1/echo", Into: &got}
		require.NoError(t, c.Do(t.Context(), at))
		assert.Empty(t, got.Credential, "another address is not given the credential")
		for _, address := range []string{"http://127.0.0.1:1/hooks/gw_in_secret", "http://\x00gw_in_secret", "gw_in_secret"} {
			at.URL = address
			err := c.Do(t.Context(), at)
			require.ErrorContains(t, err, "POST /hooks/…: ")
			assert.NotContains(t, err.Error(), "gw_in_secret")
		}
	})
}

func TestDo_waits_for_limits_as_long_as_it_has_patience(t *testing.T) {
	t.Parallel()
	asked, after := 0, "1"
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 1 {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	get := client.Call{Method: http.MethodGet, Path: "/x", Want: http.StatusOK}
	require.EqualError(t, c.Do(t.Context(), get), "GET /x answered 429 where 200 was due")
	asked, c.Patience = 0, time.Second
	require.NoError(t, c.Do(t.Context(), get))
	assert.Equal(t, 2, asked)
	asked, after = 0, "2"
	require.Error(t, c.Do(t.Context(), get), "longer than its patience")
	asked, after, get.Body = 0, "1", strings.NewReader("read once")
	require.Error(t, c.Do(t.Context(), get), "what was read cannot be sent again")
}

func TestEnter(t *testing.T) {
	t.Parallel()
	accounts := map[string]string{}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var in client.Account
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, isKnown := accounts[in.Email]
		answer := func(status int, body string) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
		session := `{"access_token":"of ` + in.Email + `","tenant":{"id":"t-1","name":"Acme"}}`
		switch {
		case r.URL.Path == "/api/v1/auth/signup" && isKnown:
			answer(http.StatusConflict, `{"code":"auth.email_taken"}`)
		case r.URL.Path == "/api/v1/auth/signup":
			accounts[in.Email] = in.Password
			answer(http.StatusCreated, session)
		case isKnown && accounts[in.Email] == in.Password:
			answer(http.StatusOK, session)
		default:
			answer(http.StatusUnauthorized, `{"code":"auth.invalid_credentials"}`)
		}
	})
	a := client.Account{Name: "A", Email: "a@example.com", Password: "hunter2", Organization: "Acme"}
	for _, wantNew := range []bool{true, false} {
		c.Token = ""
		s, isNew, err := c.Enter(t.Context(), a)
		require.NoError(t, err)
		assert.Equal(t, wantNew, isNew)
		assert.Equal(t, "t-1", s.Tenant.ID)
		assert.Equal(t, "of a@example.com", c.Token)
	}
	a.Password = "hunter3"
	_, _, err := c.Enter(t.Context(), a)
	require.ErrorIs(t, err, client.ErrOtherPassword)
	assert.NotContains(t, err.Error(), "hunter")
}
