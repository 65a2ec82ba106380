package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/config"
)

func TestSignUpAndIn(t *testing.T) {
	t.Parallel()
	s := newStack(t)

	t.Run("answers_who_came_in_and_with_what", func(t *testing.T) {
		t.Parallel()
		r := s.anonymous().must(t, http.StatusCreated, http.MethodPost, "/auth/signup", map[string]any{
			"name": "Ada", "email": "Ada@Example.test", "password": password, "organization": "Engines",
		})
		assert.Equal(t, "ada@example.test", r.text("user", "email"))
		assert.Equal(t, false, r.at("user", "email_verified"))
		assert.Equal(t, "Engines", r.text("tenant", "name"))
		assert.Equal(t, "owner", r.text("tenant", "role"))
		assert.Equal(t, "UTC", r.text("tenant", "time_zone"))
		assert.Equal(t, "Bearer", r.text("token_type"))
		assert.InDelta(t, 600, r.at("expires_in"), 0)
		assert.Equal(t, "no-store", r.header.Get("Cache-Control"))
		assert.NotContains(t, r.raw, "password")

		in := s.anonymous().must(t, http.StatusOK, http.MethodPost, "/auth/login", map[string]any{"email": "ada@example.test", "password": password})
		assert.Equal(t, r.at("user"), in.at("user"))
		next := s.anonymous().must(t, http.StatusOK, http.MethodPost, "/auth/refresh", map[string]any{"refresh_token": in.text("refresh_token")})
		assert.NotEqual(t, in.text("refresh_token"), next.text("refresh_token"))
		me := s.as(next.text("access_token")).must(t, http.StatusOK, http.MethodGet, "/me", nil)
		assert.Equal(t, r.text("user", "id"), me.text("id"))
		assert.Equal(t, "Engines", me.text("tenant", "name"))
		assert.Contains(t, me.at("permissions"), "customers:write")
	})
	t.Run("refuses_each_mistake_with_its_code", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		signUp := map[string]any{"name": "B", "email": a.email, "password": password, "organization": "B"}
		s.anonymous().refused(t, http.StatusConflict, "auth.email_taken", http.MethodPost, "/auth/signup", signUp)
		s.anonymous().refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/auth/signup", map[string]any{})
		s.anonymous().refused(t, http.StatusUnauthorized, "auth.invalid_credentials", http.MethodPost, "/auth/login", map[string]any{"email": a.email, "password": "wrong"})
		s.anonymous().refused(t, http.StatusUnauthorized, "auth.invalid_credentials", http.MethodPost, "/auth/login", map[string]any{"email": "no@example.test", "password": "wrong"})
		s.anonymous().refused(t, http.StatusForbidden, "auth.not_a_member", http.MethodPost, "/auth/login", map[string]any{"email": a.email, "password": password, "tenant_id": tenancy.NewID()})
		s.anonymous().refused(t, http.StatusUnprocessableEntity, "auth.mfa_not_enabled", http.MethodPost, "/auth/login", map[string]any{"email": a.email, "password": password, "otp": "1"})
		s.anonymous().refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/auth/login", map[string]any{"email": a.email, "password": password, "admin": true})
		s.anonymous().refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/auth/login", `{"email": "`+a.email+`", "password": "\u0000"}`)
		s.anonymous().refused(t, http.StatusUnauthorized, "auth.refresh_invalid", http.MethodPost, "/auth/refresh", map[string]any{"refresh_token": "nonsense"})
		s.anonymous().refused(t, http.StatusUnauthorized, "auth.refresh_invalid", http.MethodPost, "/auth/refresh", map[string]any{"refresh_token": a.token})
		s.anonymous().refused(t, http.StatusNotFound, "invitation.not_found", http.MethodPost, "/invitations/accept", map[string]any{"token": "nonsense", "name": "N", "password": password})
		s.suspend(t, a.tenant)
		s.anonymous().refused(t, http.StatusForbidden, "tenant.suspended", http.MethodPost, "/auth/login", map[string]any{"email": a.email, "password": password})
	})
	t.Run("takes_an_idempotency_key", func(t *testing.T) {
		t.Parallel()
		in := map[string]any{"name": "K", "email": "keyed@example.test", "password": password, "organization": "K"}
		r := s.anonymous().with("Idempotency-Key", "k1").must(t, http.StatusCreated, http.MethodPost, "/auth/signup", in)
		s.anonymous().with("Idempotency-Key", "k1").refused(t, http.StatusConflict, "idempotency_secret_not_kept", http.MethodPost, "/auth/signup", in)
		s.anonymous().with("Idempotency-Key", "k2").refused(t, http.StatusConflict, "auth.email_taken", http.MethodPost, "/auth/signup", in)
		in = map[string]any{"email": "keyed@example.test", "password": password}
		s.anonymous().with("Idempotency-Key", "k3").must(t, http.StatusOK, http.MethodPost, "/auth/login", in)
		s.anonymous().with("Idempotency-Key", "k3").refused(t, http.StatusConflict, "idempotency_secret_not_kept", http.MethodPost, "/auth/login", in)

		access, host := r.text("access_token"), s.signUp(t)
		invitation := host.must(t, http.StatusCreated, http.MethodPost, "/invitations", map[string]any{"email": "keyed@example.test", "role": "viewer"})
		accept := map[string]any{"token": invitation.text("token"), "password": password}
		s.anonymous().with("Idempotency-Key", "k4").must(t, http.StatusOK, http.MethodPost, "/invitations/accept", accept)
		s.as(access).with("Idempotency-Key", "k5").must(t, http.StatusOK, http.MethodPost, "/auth/switch", map[string]any{"tenant_id": host.tenant})
		another := map[string]any{"current_password": password, "new_password": "another horse battery staple"}
		for range 2 {
			s.as(access).with("Idempotency-Key", "k6").must(t, http.StatusNoContent, http.MethodPost, "/me/password", another)
		}
		for _, path := range []string{"/auth/logout/all", "/auth/logout"} {
			s.as(access).with("Idempotency-Key", "k7").do(t, http.MethodPost, path, nil)
		}
		s.anonymous().with("Idempotency-Key", "k8").refused(t, http.StatusUnauthorized, "auth.revoked", http.MethodPost, "/auth/refresh", map[string]any{"refresh_token": r.text("refresh_token")})
	})
	t.Run("ends_a_session_whose_token_is_used_again_even_under_an_idempotency_key", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		next := s.anonymous().must(t, http.StatusOK, http.MethodPost, "/auth/refresh", map[string]any{"refresh_token": a.refresh})
		s.Exec(t, "update refresh_tokens set used_at = used_at - interval '1 minute' where used_at is not null and session_id in (select id from sessions where user_id = $1)", a.user)
		s.anonymous().with("Idempotency-Key", "r").refused(t, http.StatusUnauthorized, "auth.refresh_reused", http.MethodPost, "/auth/refresh", map[string]any{"refresh_token": a.refresh})
		s.as(next.text("access_token")).refused(t, http.StatusUnauthorized, "auth.revoked", http.MethodGet, "/tenant", nil)
	})
	t.Run("publishes_the_keys_that_tokens_are_verified_with", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		set := s.anonymous().must(t, http.StatusOK, http.MethodGet, "//.well-known/jwks.json", nil)
		keys, _ := set.at("keys").([]any)
		assert.GreaterOrEqual(t, len(keys), 2)
		assert.NotContains(t, set.raw, `"d"`)
		var header struct{ Alg, Typ, Kid string }
		part, err := base64.RawURLEncoding.DecodeString(strings.Split(a.token, ".")[0])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(part, &header))
		assert.Equal(t, "EdDSA at+jwt", header.Alg+" "+header.Typ)
		assert.Contains(t, set.raw, header.Kid)
	})
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	s := newStack(t, func(c *settings) { c.RateLimitAccount = config.Rate{Limit: 5, Per: 15 * time.Minute} })
	a := s.signUp(t) // the first of five
	wrong := map[string]any{"email": " " + strings.ToUpper(a.email), "password": "wrong"}
	for range 4 {
		s.anonymous().refused(t, http.StatusUnauthorized, "auth.invalid_credentials", http.MethodPost, "/auth/login", wrong)
	}
	r := s.anonymous().refused(t, http.StatusTooManyRequests, "rate_limited", http.MethodPost, "/auth/login", map[string]any{"email": a.email, "password": password})
	assert.NotEmpty(t, r.header.Get("Retry-After"))
	s.signUp(t) // others go on
	for range 5 {
		a.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/me/password", map[string]any{"current_password": "wrong", "new_password": "x"})
	}
	a.refused(t, http.StatusTooManyRequests, "rate_limited", http.MethodPost, "/me/password", map[string]any{"current_password": "wrong", "new_password": "x"})
}

func TestMe(t *testing.T) {
	t.Parallel()
	s := newStack(t)

	t.Run("is_read_and_renamed", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		r := a.with("If-Match", `"1"`).with("Content-Type", "application/json").must(t, http.StatusOK, http.MethodPatch, "/me", map[string]any{"name": "Grace"})
		assert.Equal(t, "Grace", r.text("name"))
		assert.InDelta(t, 2, r.at("version"), 0)
		a.with("If-Match", `"1"`).refused(t, http.StatusPreconditionFailed, "version_mismatch", http.MethodPatch, "/me", map[string]any{"name": "Late"})
		for _, bad := range []any{map[string]any{"name": nil}, map[string]any{"email": "x@example.test"}, map[string]any{"name": ""}} {
			a.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPatch, "/me", bad)
		}
		key := a.key(t, "*")
		key.refused(t, http.StatusForbidden, "session_required", http.MethodGet, "/me", nil)
		s.anonymous().refused(t, http.StatusUnauthorized, "auth.required", http.MethodGet, "/me", nil)
	})
	t.Run("lists_and_ends_sessions", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		login := map[string]any{"email": a.email, "password": password}
		other := s.ownerOf(s.anonymous().with("User-Agent", "Phone\xff").must(t, http.StatusOK, http.MethodPost, "/auth/login", login), a.email)
		third := s.ownerOf(s.anonymous().must(t, http.StatusOK, http.MethodPost, "/auth/login", login), a.email)
		r := a.must(t, http.StatusOK, http.MethodGet, "/me/sessions", nil)
		require.Equal(t, 3, r.count())
		assert.Nil(t, r.at("next_cursor"))
		ids := map[bool][]string{}
		for n := range 3 {
			current, _ := r.at("data", n, "current").(bool)
			ids[current] = append(ids[current], r.text("data", n, "id"))
		}
		require.Len(t, ids[true], 1)
		a.must(t, http.StatusNoContent, http.MethodDelete, "/me/sessions/"+ids[false][0], nil)
		a.refused(t, http.StatusNotFound, "session.not_found", http.MethodDelete, "/me/sessions/"+ids[false][0], nil)
		a.must(t, http.StatusNoContent, http.MethodDelete, "/me/sessions", nil)
		for _, ended := range []owner{other, third} {
			ended.refused(t, http.StatusUnauthorized, "auth.revoked", http.MethodGet, "/me", nil)
			ended.refused(t, http.StatusUnauthorized, "auth.revoked", http.MethodGet, "/customers", nil)
		}
		a.must(t, http.StatusNoContent, http.MethodPost, "/auth/logout", nil)
		a.refused(t, http.StatusUnauthorized, "auth.revoked", http.MethodGet, "/customers", nil)
	})
	t.Run("changes_the_password", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		const next = "another horse battery staple"
		a.must(t, http.StatusNoContent, http.MethodPost, "/me/password", map[string]any{"current_password": password, "new_password": next})
		s.anonymous().must(t, http.StatusOK, http.MethodPost, "/auth/login", map[string]any{"email": a.email, "password": next})
		a.must(t, http.StatusOK, http.MethodGet, "/me", nil)
	})
	t.Run("switches_between_organizations_that_are_its_own", func(t *testing.T) {
		t.Parallel()
		host, guest := s.signUp(t), s.signUp(t)
		token := host.must(t, http.StatusCreated, http.MethodPost, "/invitations", map[string]any{"email": guest.email, "role": "viewer"}).text("token")
		s.anonymous().refused(t, http.StatusUnauthorized, "invitation.sign_in_required", http.MethodPost, "/invitations/accept", map[string]any{"token": token})
		joined := guest.must(t, http.StatusOK, http.MethodPost, "/invitations/accept", map[string]any{"token": token})
		assert.Equal(t, host.tenant, joined.text("tenant", "id"))
		r := guest.must(t, http.StatusOK, http.MethodGet, "/me/tenants", nil)
		assert.Equal(t, 2, r.count())
		back := s.as(joined.text("access_token")).must(t, http.StatusOK, http.MethodPost, "/auth/switch", map[string]any{"tenant_id": guest.tenant})
		assert.Equal(t, "owner", back.text("tenant", "role"))
		stranger := s.signUp(t)
		for _, tenant := range []string{guest.tenant, tenancy.NewID().String()} {
			stranger.refused(t, http.StatusForbidden, "auth.not_a_member", http.MethodPost, "/auth/switch", map[string]any{"tenant_id": tenant})
		}
		s.suspend(t, guest.tenant)
		guest.refused(t, http.StatusForbidden, "tenant.suspended", http.MethodGet, "/tenant", nil)
		guest.must(t, http.StatusOK, http.MethodPost, "/auth/switch", map[string]any{"tenant_id": host.tenant})
	})
}

func TestTenantAdministration(t *testing.T) {
	t.Parallel()
	s := newStack(t)

	t.Run("reads_and_changes_the_organization", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		r := a.must(t, http.StatusOK, http.MethodGet, "/tenant", nil)
		etag := r.header.Get("ETag")
		a.with("If-None-Match", etag).must(t, http.StatusNotModified, http.MethodGet, "/tenant", nil)
		r = a.with("If-Match", etag).must(t, http.StatusOK, http.MethodPatch, "/tenant", map[string]any{"time_zone": "Europe/Berlin"})
		assert.Equal(t, "Europe/Berlin", r.text("time_zone"))
		assert.NotEqual(t, etag, r.header.Get("ETag"))
		a.with("If-Match", etag).refused(t, http.StatusPreconditionFailed, "version_mismatch", http.MethodPatch, "/tenant", map[string]any{"name": "X"})
		for _, bad := range []any{
			map[string]any{"time_zone": "Mars/Olympus"}, map[string]any{"time_zone": nil}, map[string]any{"state": "active"},
		} {
			a.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPatch, "/tenant", bad)
		}
		viewer := a.join(t, "viewer")
		viewer.refused(t, http.StatusForbidden, "permission_denied", http.MethodPatch, "/tenant", map[string]any{"name": "X"})
	})
	t.Run("lists_the_roles", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		r := a.must(t, http.StatusOK, http.MethodGet, "/roles", nil)
		assert.Equal(t, 4, r.count())
		assert.Equal(t, "owner", r.text("data", 0, "name"))
		a.must(t, http.StatusNoContent, http.MethodPost, "/auth/logout", nil)
		a.refused(t, http.StatusUnauthorized, "auth.revoked", http.MethodGet, "/roles", nil)
	})
	t.Run("changes_and_removes_members_at_once", func(t *testing.T) {
		t.Parallel()
		owner := s.signUp(t)
		member := owner.join(t, "member")
		r := owner.must(t, http.StatusOK, http.MethodGet, "/members?limit=1", nil)
		assert.Equal(t, 1, r.count())
		r = owner.must(t, http.StatusOK, http.MethodGet, "/members?limit=1&cursor="+r.text("next_cursor"), nil)
		assert.Equal(t, member.user, r.text("data", 0, "id"))
		assert.Equal(t, member.email, r.text("data", 0, "email"))

		one := "/members/" + member.user
		member.refused(t, http.StatusForbidden, "permission_denied", http.MethodPatch, one, map[string]any{"role": "owner"})
		owner.must(t, http.StatusOK, http.MethodPatch, one, map[string]any{"role": "viewer"})
		member.refused(t, http.StatusUnauthorized, "auth.outdated", http.MethodGet, "/customers", nil)
		next := s.anonymous().must(t, http.StatusOK, http.MethodPost, "/auth/refresh", map[string]any{"refresh_token": member.refresh})
		s.as(next.text("access_token")).refused(t, http.StatusForbidden, "permission_denied", http.MethodPost, "/customers", map[string]any{"name": "C"})
		s.as(next.text("access_token")).refused(t, http.StatusForbidden, "permission_denied", http.MethodDelete, "/members/"+owner.user, nil)
		owner.refused(t, http.StatusConflict, "member.last_owner", http.MethodDelete, "/members/"+owner.user, nil)
		owner.must(t, http.StatusNoContent, http.MethodDelete, one, nil)
		s.as(next.text("access_token")).refused(t, http.StatusUnauthorized, "auth.revoked", http.MethodGet, "/customers", nil)
		owner.refused(t, http.StatusNotFound, "member.not_found", http.MethodGet, one, nil)
		leaver := owner.join(t, "viewer")
		leaver.must(t, http.StatusNoContent, http.MethodDelete, "/members/"+leaver.user, nil)
	})
	t.Run("invites_lists_and_takes_back", func(t *testing.T) {
		t.Parallel()
		owner := s.signUp(t)
		in := map[string]any{"email": "guest@example.test", "role": "member"}
		r := owner.with("Idempotency-Key", "i1").must(t, http.StatusCreated, http.MethodPost, "/invitations", in)
		assert.Equal(t, "pending", r.text("state"))
		location := r.header.Get("Location")
		again := owner.with("Idempotency-Key", "i1").refused(t, http.StatusConflict, "idempotency_secret_not_kept", http.MethodPost, "/invitations", in)
		assert.NotContains(t, again.raw, r.text("token"))
		owner.refused(t, http.StatusConflict, "invitation.exists", http.MethodPost, "/invitations", in)
		found := owner.must(t, http.StatusOK, http.MethodGet, "/"+location, nil)
		assert.NotContains(t, found.raw, "token")
		assert.Equal(t, 1, owner.must(t, http.StatusOK, http.MethodGet, "/invitations", nil).count())
		owner.must(t, http.StatusNoContent, http.MethodDelete, "/"+location, nil)
		assert.Equal(t, "revoked", owner.must(t, http.StatusOK, http.MethodGet, "/"+location, nil).text("state"))
	})
}

func TestAPIKeysOverHTTP(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.signUp(t)

	t.Run("work_within_their_scopes_until_they_are_revoked", func(t *testing.T) {
		t.Parallel()
		made := owner.must(t, http.StatusCreated, http.MethodPost, "/api-keys", map[string]any{"name": "Key", "scopes": []string{"customers:read"}})
		key := s.as(made.text("key"))
		one := "/api-keys/" + made.text("id")
		key.must(t, http.StatusOK, http.MethodGet, "/customers", nil)
		key.refused(t, http.StatusForbidden, "permission_denied", http.MethodPost, "/customers", map[string]any{"name": "C"})
		owner.must(t, http.StatusOK, http.MethodPatch, one, map[string]any{"name": "Renamed"})
		key.must(t, http.StatusOK, http.MethodGet, "/customers", nil) // looked up anew within the request
		assert.NotContains(t, owner.must(t, http.StatusOK, http.MethodGet, one, nil).raw, key.token)
		owner.must(t, http.StatusNoContent, http.MethodDelete, one, nil)
		key.refused(t, http.StatusUnauthorized, "auth.api_key_revoked", http.MethodGet, "/customers", nil)
		s.as(key.token+"x").refused(t, http.StatusUnauthorized, "auth.api_key_invalid", http.MethodGet, "/customers", nil)
	})
	t.Run("are_made_once_under_an_idempotency_key_and_shown_once", func(t *testing.T) {
		t.Parallel()
		in := map[string]any{"name": "Once", "scopes": []string{"*"}}
		r := owner.with("Idempotency-Key", "a1").must(t, http.StatusCreated, http.MethodPost, "/api-keys", in)
		again := owner.with("Idempotency-Key", "a1").refused(t, http.StatusConflict, "idempotency_secret_not_kept", http.MethodPost, "/api-keys", in)
		assert.Equal(t, r.header.Get("Location"), again.header.Get("Location"))
		assert.NotContains(t, again.raw, r.text("key"))
		rotated := owner.must(t, http.StatusCreated, http.MethodPost, "/"+r.header.Get("Location")+"/rotate", map[string]any{"overlap": 60})
		for _, key := range []string{r.text("key"), rotated.text("key")} {
			s.as(key).must(t, http.StatusOK, http.MethodGet, "/tenant", nil)
		}
	})
}
