package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIdempotency(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	key := o.key(t, "*")

	t.Run("a_repeat_gets_the_first_answer", func(t *testing.T) {
		t.Parallel()
		c := key.with("Idempotency-Key", "repeat")
		first := c.must(t, 201, http.MethodPost, "/customers", `{"name":"Once"}`)
		second := c.must(t, 201, http.MethodPost, "/customers", `{"name":"Once"}`)
		assert.Equal(t, first.raw, second.raw)
		assert.Equal(t, first.header.Get("Location"), second.header.Get("Location"))
		assert.Equal(t, first.header.Get("Etag"), second.header.Get("Etag"))
		assert.Empty(t, first.header.Get("Idempotency-Replayed"))
		assert.Equal(t, "true", second.header.Get("Idempotency-Replayed"))
		assert.Len(t, key.must(t, 200, http.MethodGet, "/customers?name=Once", nil).at("data"), 1)
	})
	t.Run("another_body_under_the_same_key_is_refused", func(t *testing.T) {
		t.Parallel()
		c := key.with("Idempotency-Key", "reused")
		c.must(t, 201, http.MethodPost, "/customers", `{"name":"First"}`)
		c.refused(t, 422, "idempotency_key_reused", http.MethodPost, "/customers", `{"name":"Second"}`)
	})
	t.Run("eight_at_once_have_one_effect", func(t *testing.T) {
		t.Parallel()
		c := key.with("Idempotency-Key", "at once")
		var running sync.WaitGroup
		answers := make([]answer, 8)
		for i := range answers {
			running.Go(func() { answers[i] = c.do(t, http.MethodPost, "/customers", `{"name":"Eight"}`) })
		}
		running.Wait()
		made := 0
		for _, a := range answers {
			switch a.status {
			case http.StatusCreated:
				made++
			case http.StatusConflict:
				assert.Equal(t, "idempotency_key_in_flight", a.text("code"))
				assert.NotEmpty(t, a.header.Get("Retry-After"))
			default:
				assert.Fail(t, "an answer that is neither", a.raw)
			}
		}
		assert.GreaterOrEqual(t, made, 1)
		assert.Len(t, key.must(t, 200, http.MethodGet, "/customers?name=Eight", nil).at("data"), 1)
	})
	t.Run("what_failed_is_not_kept", func(t *testing.T) {
		t.Parallel()
		c := key.with("Idempotency-Key", "failed")
		c.refused(t, 422, "validation_failed", http.MethodPost, "/customers", `{"name":""}`)
		c.must(t, 201, http.MethodPost, "/customers", `{"name":"Mended"}`)
	})
	t.Run("keys_belong_to_who_sent_them_and_to_the_route", func(t *testing.T) {
		t.Parallel()
		a := key.with("Idempotency-Key", "mine").must(t, 201, http.MethodPost, "/customers", `{"name":"Mine"}`)
		b := o.with("Idempotency-Key", "mine").must(t, 201, http.MethodPost, "/customers", `{"name":"Mine"}`)
		assert.NotEqual(t, a.text("id"), b.text("id"), "the owner's session is somebody else than their key")
		stranger := s.signUp(t)
		stranger.with("Idempotency-Key", "mine").must(t, 201, http.MethodPost, "/customers", `{"name":"Other"}`)
		key.must(t, 204, http.MethodDelete, "/customers/"+a.text("id"), nil)
		key.with("Idempotency-Key", "mine").must(t, 200, http.MethodPost, "/customers/"+a.text("id")+"/restore", nil)
	})
	t.Run("a_secret_is_told_once", func(t *testing.T) {
		t.Parallel()
		c := o.with("Idempotency-Key", "secret")
		body := `{"name":"k","scopes":["customers:read"]}`
		first := c.must(t, 201, http.MethodPost, "/api-keys", body)
		again := c.refused(t, 409, "idempotency_secret_not_kept", http.MethodPost, "/api-keys", body)
		assert.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
		assert.NotContains(t, again.raw, first.text("key"))
		var kept string
		row := databaseRow(t, s, "select string_agg(distinct body::text, ' ') from idempotency_keys where is_secret")
		require.NoError(t, row.Scan(&kept))
		assert.Equal(t, `\x`, kept, "no secret is in the database")
	})
	t.Run("signing_up_twice_with_one_key_makes_one_user", func(t *testing.T) {
		t.Parallel()
		c := s.anonymous().with("Idempotency-Key", "sign up")
		body := map[string]string{"name": "A", "email": "idem@example.com", "password": password, "organization": "Idem"}
		first := c.must(t, 201, http.MethodPost, "/auth/signup", body)
		again := c.refused(t, 409, "idempotency_secret_not_kept", http.MethodPost, "/auth/signup", body)
		assert.Equal(t, "/api/v1/me", again.header.Get("Location"))
		signedIn := s.as(first.text("access_token"))
		signedIn.must(t, 201, http.MethodPost, "/customers", `{"name":"in the new tenant"}`)
		body["organization"] = "Other"
		c.refused(t, 422, "idempotency_key_reused", http.MethodPost, "/auth/signup", body)
	})
	t.Run("a_key_must_be_short_and_printable", func(t *testing.T) {
		t.Parallel()
		key.with("Idempotency-Key", strings.Repeat("k", 255)).must(t, 201, http.MethodPost, "/customers", `{"name":"Long key"}`)
		for _, bad := range []string{strings.Repeat("k", 256), "caf\u00e9"} {
			key.with("Idempotency-Key", bad).refused(t, 400, "invalid_idempotency_key", http.MethodPost, "/customers", `{"name":"a"}`)
		}
	})
}

func TestConditionalRequests(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	key := s.signUp(t).key(t, "*")
	made := key.must(t, 201, http.MethodPost, "/customers", `{"name":"a"}`)
	path := "/customers/" + made.text("id")
	etag := made.header.Get("Etag")
	assert.Equal(t, `"1"`, etag)

	for _, tag := range []string{etag, "W/" + etag, `"0", ` + etag, "*"} {
		a := key.with("If-None-Match", tag).do(t, http.MethodGet, path, nil)
		assert.Equal(t, http.StatusNotModified, a.status, tag)
		assert.Empty(t, a.raw)
		assert.Equal(t, etag, a.header.Get("Etag"))
	}
	key.with("If-None-Match", `"7"`).must(t, 200, http.MethodGet, path, nil)
	assert.Empty(t, key.must(t, 200, http.MethodGet, path+"?fields=name", nil).header.Get("Etag"), "a shaped body has no ETag")

	changed := key.with("If-Match", etag).must(t, 200, http.MethodPatch, path, `{"name":"b"}`)
	assert.Equal(t, `"2"`, changed.header.Get("Etag"))
	for _, stale := range []string{etag, `"99"`, "2", `W/"2"`, "garbage", `"1", "2`} {
		key.with("If-Match", stale).refused(t, 412, "version_mismatch", http.MethodPatch, path, `{"name":"c"}`)
		key.with("If-Match", stale).refused(t, 412, "version_mismatch", http.MethodDelete, path, nil)
	}
	same := key.must(t, 200, http.MethodPatch, path, `{"name":"b"}`)
	assert.Equal(t, `"2"`, same.header.Get("Etag"), "a change that changes nothing makes no version")
	key.with("If-Match", `"2"`).must(t, 204, http.MethodDelete, path, nil)
	key.refused(t, 404, "customer.not_found", http.MethodGet, path, nil)
	key.must(t, 200, http.MethodGet, path+"?trashed=with", nil)
	key.with("If-Match", `"2"`).refused(t, 412, "version_mismatch", http.MethodPost, path+"/restore", nil)
	key.with("If-Match", "*").must(t, 200, http.MethodPost, path+"/restore", nil)
}
