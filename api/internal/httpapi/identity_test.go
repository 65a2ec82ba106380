package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

const base = "/api/v1"

func TestSignUpAndIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteConfig{})
	post := func(t *testing.T, path string, body any, headers ...string) reply {
		t.Helper()
		return s.call(t, http.MethodPost, base+path, "", body, headers...)
	}

	t.Run("answers_who_came_in_and_with_what", func(t *testing.T) {
		t.Parallel()
		r := post(t, "/auth/signup", map[string]any{
			"name": "Ada", "email": "Ada@Example.test", "password": goodPassword, "organization": "Engines",
		}).want(http.StatusCreated)
		assert.Equal(t, "ada@example.test", r.text("user", "email"))
		assert.Equal(t, false, r.value("user", "email_verified"))
		assert.Equal(t, "Engines", r.text("tenant", "name"))
		assert.Equal(t, "owner", r.text("tenant", "role"))
		assert.Equal(t, "UTC", r.text("tenant", "time_zone"))
		assert.Equal(t, "Bearer", r.text("token_type"))
		assert.InDelta(t, 600, r.value("expires_in"), 0)
		assert.Equal(t, "no-store", r.Header.Get("Cache-Control"))
		assert.NotContains(t, string(r.Body), "password")

		in := post(t, "/auth/login", map[string]any{"email": "ada@example.test", "password": goodPassword}).want(http.StatusOK)
		assert.Equal(t, r.value("user"), in.value("user"))
		next := post(t, "/auth/refresh", map[string]any{"refresh_token": in.text("refresh_token")}).want(http.StatusOK)
		assert.NotEqual(t, in.text("refresh_token"), next.text("refresh_token"))
		me := s.call(t, http.MethodGet, base+"/me", next.text("access_token"), nil).want(http.StatusOK)
		assert.Equal(t, r.text("user", "id"), me.text("id"))
		assert.Equal(t, "Engines", me.text("tenant", "name"))
		assert.Contains(t, me.value("permissions"), "customers:write")
	})
	t.Run("refuses_each_mistake_with_its_code", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		signUp := map[string]any{"name": "B", "email": a.Email, "password": goodPassword, "organization": "B"}
		post(t, "/auth/signup", signUp).problem(http.StatusConflict, "auth.email_taken")
		post(t, "/auth/signup", map[string]any{}).problem(http.StatusUnprocessableEntity, "validation_failed")
		post(t, "/auth/login", map[string]any{"email": a.Email, "password": "wrong"}).problem(http.StatusUnauthorized, "auth.invalid_credentials")
		post(t, "/auth/login", map[string]any{"email": "no@example.test", "password": "wrong"}).problem(http.StatusUnauthorized, "auth.invalid_credentials")
		post(t, "/auth/login", map[string]any{"email": a.Email, "password": goodPassword, "tenant_id": tenancy.NewID()}).problem(http.StatusForbidden, "auth.not_a_member")
		post(t, "/auth/login", map[string]any{"email": a.Email, "password": goodPassword, "otp": "1"}).problem(http.StatusUnprocessableEntity, "auth.mfa_not_enabled")
		post(t, "/auth/login", map[string]any{"email": a.Email, "password": goodPassword, "admin": true}).problem(http.StatusUnprocessableEntity, "validation_failed")
		post(t, "/auth/login", `{"email": "`+a.Email+`", "password": "\u0000"}`).problem(http.StatusUnprocessableEntity, "validation_failed")
		post(t, "/auth/refresh", map[string]any{"refresh_token": "nonsense"}).problem(http.StatusUnauthorized, "auth.refresh_invalid")
		post(t, "/auth/refresh", map[string]any{"refresh_token": a.Access}).problem(http.StatusUnauthorized, "auth.refresh_invalid")
		post(t, "/invitations/accept", map[string]any{"token": "nonsense", "name": "N", "password": goodPassword}).problem(http.StatusNotFound, "invitation.not_found")
		s.suspend(t, a.Tenant)
		post(t, "/auth/login", map[string]any{"email": a.Email, "password": goodPassword}).problem(http.StatusForbidden, "tenant.suspended")
	})
	t.Run("takes_an_idempotency_key", func(t *testing.T) {
		t.Parallel()
		in := map[string]any{"name": "K", "email": "keyed@example.test", "password": goodPassword, "organization": "K"}
		r := post(t, "/auth/signup", in, "Idempotency-Key", "k1").want(http.StatusCreated)
		post(t, "/auth/signup", in, "Idempotency-Key", "k1").problem(http.StatusConflict, "idempotency_secret_not_kept")
		post(t, "/auth/signup", in, "Idempotency-Key", "k2").problem(http.StatusConflict, "auth.email_taken")
		in = map[string]any{"email": "keyed@example.test", "password": goodPassword}
		post(t, "/auth/login", in, "Idempotency-Key", "k3").want(http.StatusOK)
		post(t, "/auth/login", in, "Idempotency-Key", "k3").problem(http.StatusConflict, "idempotency_secret_not_kept")

		access, host := r.text("access_token"), s.signUp(t)
		invitation := s.call(t, http.MethodPost, base+"/invitations", host.Access, map[string]any{"email": "keyed@example.test", "role": "viewer"}).want(http.StatusCreated)
		accept := map[string]any{"token": invitation.text("token"), "password": goodPassword}
		post(t, "/invitations/accept", accept, "Idempotency-Key", "k4").want(http.StatusOK)
		s.call(t, http.MethodPost, base+"/auth/switch", access, map[string]any{"tenant_id": host.Tenant}, "Idempotency-Key", "k5").want(http.StatusOK)
		password := map[string]any{"current_password": goodPassword, "new_password": "another horse battery staple"}
		for range 2 {
			s.call(t, http.MethodPost, base+"/me/password", access, password, "Idempotency-Key", "k6").want(http.StatusNoContent)
		}
		for _, path := range []string{"/auth/logout/all", "/auth/logout"} {
			s.call(t, http.MethodPost, base+path, access, nil, "Idempotency-Key", "k7")
		}
		post(t, "/auth/refresh", map[string]any{"refresh_token": r.text("refresh_token")}, "Idempotency-Key", "k8").problem(http.StatusUnauthorized, "auth.revoked")
	})
	t.Run("ends_a_session_whose_token_is_used_again_even_under_an_idempotency_key", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		next := post(t, "/auth/refresh", map[string]any{"refresh_token": a.Refresh}).want(http.StatusOK)
		s.Exec(t, "update refresh_tokens set used_at = used_at - interval '1 minute' where used_at is not null and session_id in (select id from sessions where user_id = $1)", a.User)
		post(t, "/auth/refresh", map[string]any{"refresh_token": a.Refresh}, "Idempotency-Key", "r").problem(http.StatusUnauthorized, "auth.refresh_reused")
		s.call(t, http.MethodGet, base+"/tenant", next.text("access_token"), nil).problem(http.StatusUnauthorized, "auth.revoked")
	})
	t.Run("publishes_the_keys_that_tokens_are_verified_with", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		set := s.call(t, http.MethodGet, "/.well-known/jwks.json", "", nil).want(http.StatusOK)
		keys, _ := set.value("keys").([]any)
		assert.GreaterOrEqual(t, len(keys), 2)
		assert.NotContains(t, string(set.Body), `"d"`)
		var header struct{ Alg, Typ, Kid string }
		part, err := base64.RawURLEncoding.DecodeString(strings.Split(a.Access, ".")[0])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(part, &header))
		assert.Equal(t, "EdDSA at+jwt", header.Alg+" "+header.Typ)
		assert.Contains(t, string(set.Body), header.Kid)
	})
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteConfig{Account: limits.Rate{Limit: 5, Per: 15 * time.Minute}})
	a := s.signUp(t) // the first of five
	wrong := map[string]any{"email": " " + strings.ToUpper(a.Email), "password": "wrong"}
	for range 4 {
		s.call(t, http.MethodPost, base+"/auth/login", "", wrong).problem(http.StatusUnauthorized, "auth.invalid_credentials")
	}
	r := s.call(t, http.MethodPost, base+"/auth/login", "", map[string]any{"email": a.Email, "password": goodPassword}).
		problem(http.StatusTooManyRequests, "rate_limited")
	assert.NotEmpty(t, r.Header.Get("Retry-After"))
	s.signUp(t) // others go on
	for range 5 {
		s.call(t, http.MethodPost, base+"/me/password", a.Access, map[string]any{"current_password": "wrong", "new_password": "x"}).
			problem(http.StatusUnprocessableEntity, "validation_failed")
	}
	s.call(t, http.MethodPost, base+"/me/password", a.Access, map[string]any{"current_password": "wrong", "new_password": "x"}).
		problem(http.StatusTooManyRequests, "rate_limited")
}

func TestMe(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteConfig{})

	t.Run("is_read_and_renamed", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		r := s.call(t, http.MethodPatch, base+"/me", a.Access, map[string]any{"name": "Grace"}, "If-Match", `"1"`).want(http.StatusOK)
		assert.Equal(t, "Grace", r.text("name"))
		assert.InDelta(t, 2, r.value("version"), 0)
		s.call(t, http.MethodPatch, base+"/me", a.Access, map[string]any{"name": "Late"}, "If-Match", `"1"`).problem(http.StatusPreconditionFailed, "version_mismatch")
		for _, bad := range []any{map[string]any{"name": nil}, map[string]any{"email": "x@example.test"}, map[string]any{"name": ""}} {
			s.call(t, http.MethodPatch, base+"/me", a.Access, bad).problem(http.StatusUnprocessableEntity, "validation_failed")
		}
		_, key := s.key(t, a, "*")
		s.call(t, http.MethodGet, base+"/me", key, nil).problem(http.StatusForbidden, "session_required")
		s.call(t, http.MethodGet, base+"/me", "", nil).problem(http.StatusUnauthorized, "auth.required")
	})
	t.Run("lists_and_ends_sessions", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		login := map[string]any{"email": a.Email, "password": goodPassword}
		other := accountOf(s.call(t, http.MethodPost, base+"/auth/login", "", login, "User-Agent", "Phone\xff").want(http.StatusOK), a.Email)
		third := accountOf(s.call(t, http.MethodPost, base+"/auth/login", "", login).want(http.StatusOK), a.Email)
		r := s.call(t, http.MethodGet, base+"/me/sessions", a.Access, nil).want(http.StatusOK)
		require.Equal(t, 3, r.count())
		assert.Nil(t, r.value("next_cursor"))
		ids := map[bool][]string{}
		for n := range 3 {
			current, _ := r.value("data", n, "current").(bool)
			ids[current] = append(ids[current], r.text("data", n, "id"))
		}
		require.Len(t, ids[true], 1)
		s.call(t, http.MethodDelete, base+"/me/sessions/"+ids[false][0], a.Access, nil).want(http.StatusNoContent)
		s.call(t, http.MethodDelete, base+"/me/sessions/"+ids[false][0], a.Access, nil).problem(http.StatusNotFound, "session.not_found")
		s.call(t, http.MethodDelete, base+"/me/sessions", a.Access, nil).want(http.StatusNoContent)
		for _, ended := range []account{other, third} {
			s.call(t, http.MethodGet, base+"/me", ended.Access, nil).problem(http.StatusUnauthorized, "auth.revoked")
			s.call(t, http.MethodGet, base+"/customers", ended.Access, nil).problem(http.StatusUnauthorized, "auth.revoked")
		}
		s.call(t, http.MethodPost, base+"/auth/logout", a.Access, nil).want(http.StatusNoContent)
		s.call(t, http.MethodGet, base+"/customers", a.Access, nil).problem(http.StatusUnauthorized, "auth.revoked")
	})
	t.Run("changes_the_password", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		const next = "another horse battery staple"
		s.call(t, http.MethodPost, base+"/me/password", a.Access, map[string]any{"current_password": goodPassword, "new_password": next}).want(http.StatusNoContent)
		s.call(t, http.MethodPost, base+"/auth/login", "", map[string]any{"email": a.Email, "password": next}).want(http.StatusOK)
		s.call(t, http.MethodGet, base+"/me", a.Access, nil).want(http.StatusOK)
	})
	t.Run("switches_between_organizations_that_are_its_own", func(t *testing.T) {
		t.Parallel()
		host, guest := s.signUp(t), s.signUp(t)
		token := s.call(t, http.MethodPost, base+"/invitations", host.Access, map[string]any{"email": guest.Email, "role": "viewer"}).want(http.StatusCreated).text("token")
		s.call(t, http.MethodPost, base+"/invitations/accept", "", map[string]any{"token": token}).problem(http.StatusUnauthorized, "invitation.sign_in_required")
		joined := s.call(t, http.MethodPost, base+"/invitations/accept", guest.Access, map[string]any{"token": token}).want(http.StatusOK)
		assert.Equal(t, host.Tenant, joined.text("tenant", "id"))
		r := s.call(t, http.MethodGet, base+"/me/tenants", guest.Access, nil).want(http.StatusOK)
		assert.Equal(t, 2, r.count())
		back := s.call(t, http.MethodPost, base+"/auth/switch", joined.text("access_token"), map[string]any{"tenant_id": guest.Tenant}).want(http.StatusOK)
		assert.Equal(t, "owner", back.text("tenant", "role"))
		stranger := s.signUp(t)
		for _, tenant := range []string{guest.Tenant, tenancy.NewID().String()} {
			s.call(t, http.MethodPost, base+"/auth/switch", stranger.Access, map[string]any{"tenant_id": tenant}).problem(http.StatusForbidden, "auth.not_a_member")
		}
		s.suspend(t, guest.Tenant)
		s.call(t, http.MethodGet, base+"/tenant", guest.Access, nil).problem(http.StatusForbidden, "tenant.suspended")
		s.call(t, http.MethodPost, base+"/auth/switch", guest.Access, map[string]any{"tenant_id": host.Tenant}).want(http.StatusOK)
	})
}

func TestTenantAdministration(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteConfig{})

	t.Run("reads_and_changes_the_organization", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		r := s.call(t, http.MethodGet, base+"/tenant", a.Access, nil).want(http.StatusOK)
		etag := r.Header.Get("ETag")
		s.call(t, http.MethodGet, base+"/tenant", a.Access, nil, "If-None-Match", etag).want(http.StatusNotModified)
		r = s.call(t, http.MethodPatch, base+"/tenant", a.Access, map[string]any{"time_zone": "Europe/Berlin"}, "If-Match", etag).want(http.StatusOK)
		assert.Equal(t, "Europe/Berlin", r.text("time_zone"))
		assert.NotEqual(t, etag, r.Header.Get("ETag"))
		s.call(t, http.MethodPatch, base+"/tenant", a.Access, map[string]any{"name": "X"}, "If-Match", etag).problem(http.StatusPreconditionFailed, "version_mismatch")
		for _, bad := range []any{
			map[string]any{"time_zone": "Mars/Olympus"}, map[string]any{"time_zone": nil}, map[string]any{"state": "active"},
		} {
			s.call(t, http.MethodPatch, base+"/tenant", a.Access, bad).problem(http.StatusUnprocessableEntity, "validation_failed")
		}
		viewer := s.join(t, a, "viewer")
		s.call(t, http.MethodPatch, base+"/tenant", viewer.Access, map[string]any{"name": "X"}).problem(http.StatusForbidden, "permission_denied")
	})
	t.Run("lists_the_roles", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		r := s.call(t, http.MethodGet, base+"/roles", a.Access, nil).want(http.StatusOK)
		assert.Equal(t, 4, r.count())
		assert.Equal(t, "owner", r.text("data", 0, "name"))
		s.call(t, http.MethodPost, base+"/auth/logout", a.Access, nil).want(http.StatusNoContent)
		s.call(t, http.MethodGet, base+"/roles", a.Access, nil).problem(http.StatusUnauthorized, "auth.revoked")
	})
	t.Run("changes_and_removes_members_at_once", func(t *testing.T) {
		t.Parallel()
		owner := s.signUp(t)
		member := s.join(t, owner, "member")
		r := s.call(t, http.MethodGet, base+"/members?limit=1", owner.Access, nil).want(http.StatusOK)
		assert.Equal(t, 1, r.count())
		r = s.call(t, http.MethodGet, base+"/members?limit=1&cursor="+r.text("next_cursor"), owner.Access, nil).want(http.StatusOK)
		assert.Equal(t, member.User, r.text("data", 0, "id"))
		assert.Equal(t, member.Email, r.text("data", 0, "email"))

		one := base + "/members/" + member.User
		s.call(t, http.MethodPatch, one, member.Access, map[string]any{"role": "owner"}).problem(http.StatusForbidden, "permission_denied")
		s.call(t, http.MethodPatch, one, owner.Access, map[string]any{"role": "viewer"}).want(http.StatusOK)
		s.call(t, http.MethodGet, base+"/customers", member.Access, nil).problem(http.StatusUnauthorized, "auth.outdated")
		next := s.call(t, http.MethodPost, base+"/auth/refresh", "", map[string]any{"refresh_token": member.Refresh}).want(http.StatusOK)
		s.call(t, http.MethodPost, base+"/customers", next.text("access_token"), map[string]any{"name": "C"}).problem(http.StatusForbidden, "permission_denied")
		s.call(t, http.MethodDelete, base+"/members/"+owner.User, next.text("access_token"), nil).problem(http.StatusForbidden, "permission_denied")
		s.call(t, http.MethodDelete, base+"/members/"+owner.User, owner.Access, nil).problem(http.StatusConflict, "member.last_owner")
		s.call(t, http.MethodDelete, one, owner.Access, nil).want(http.StatusNoContent)
		s.call(t, http.MethodGet, base+"/customers", next.text("access_token"), nil).problem(http.StatusUnauthorized, "auth.revoked")
		s.call(t, http.MethodGet, one, owner.Access, nil).problem(http.StatusNotFound, "member.not_found")
		leaver := s.join(t, owner, "viewer")
		s.call(t, http.MethodDelete, base+"/members/"+leaver.User, leaver.Access, nil).want(http.StatusNoContent)
	})
	t.Run("invites_lists_and_takes_back", func(t *testing.T) {
		t.Parallel()
		owner := s.signUp(t)
		in := map[string]any{"email": "guest@example.test", "role": "member"}
		r := s.call(t, http.MethodPost, base+"/invitations", owner.Access, in, "Idempotency-Key", "i1").want(http.StatusCreated)
		assert.Equal(t, "pending", r.text("state"))
		location := r.Header.Get("Location")
		again := s.call(t, http.MethodPost, base+"/invitations", owner.Access, in, "Idempotency-Key", "i1").problem(http.StatusConflict, "idempotency_secret_not_kept")
		assert.NotContains(t, string(again.Body), r.text("token"))
		s.call(t, http.MethodPost, base+"/invitations", owner.Access, in).problem(http.StatusConflict, "invitation.exists")
		found := s.call(t, http.MethodGet, location, owner.Access, nil).want(http.StatusOK)
		assert.NotContains(t, string(found.Body), "token")
		assert.Equal(t, 1, s.call(t, http.MethodGet, base+"/invitations", owner.Access, nil).want(http.StatusOK).count())
		s.call(t, http.MethodDelete, location, owner.Access, nil).want(http.StatusNoContent)
		assert.Equal(t, "revoked", s.call(t, http.MethodGet, location, owner.Access, nil).want(http.StatusOK).text("state"))
	})
}

func TestAPIKeysOverHTTP(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteConfig{})
	owner := s.signUp(t)

	t.Run("work_within_their_scopes_until_they_are_revoked", func(t *testing.T) {
		t.Parallel()
		id, key := s.key(t, owner, "customers:read")
		one := base + "/api-keys/" + id
		s.call(t, http.MethodGet, base+"/customers", key, nil).want(http.StatusOK)
		s.call(t, http.MethodPost, base+"/customers", key, map[string]any{"name": "C"}).problem(http.StatusForbidden, "permission_denied")
		s.call(t, http.MethodPatch, one, owner.Access, map[string]any{"name": "Renamed"}).want(http.StatusOK)
		s.call(t, http.MethodGet, base+"/customers", key, nil).want(http.StatusOK) // looked up anew within the request
		assert.NotContains(t, string(s.call(t, http.MethodGet, one, owner.Access, nil).want(http.StatusOK).Body), key)
		s.call(t, http.MethodDelete, one, owner.Access, nil).want(http.StatusNoContent)
		s.call(t, http.MethodGet, base+"/customers", key, nil).problem(http.StatusUnauthorized, "auth.api_key_revoked")
		s.call(t, http.MethodGet, base+"/customers", key+"x", nil).problem(http.StatusUnauthorized, "auth.api_key_invalid")
	})
	t.Run("are_made_once_under_an_idempotency_key_and_shown_once", func(t *testing.T) {
		t.Parallel()
		in := map[string]any{"name": "Once", "scopes": []string{"*"}}
		r := s.call(t, http.MethodPost, base+"/api-keys", owner.Access, in, "Idempotency-Key", "a1").want(http.StatusCreated)
		again := s.call(t, http.MethodPost, base+"/api-keys", owner.Access, in, "Idempotency-Key", "a1").problem(http.StatusConflict, "idempotency_secret_not_kept")
		assert.Equal(t, r.Header.Get("Location"), again.Header.Get("Location"))
		assert.NotContains(t, string(again.Body), r.text("key"))
		rotated := s.call(t, http.MethodPost, r.Header.Get("Location")+"/rotate", owner.Access, map[string]any{"overlap": 60}).want(http.StatusCreated)
		for _, key := range []string{r.text("key"), rotated.text("key")} {
			s.call(t, http.MethodGet, base+"/tenant", key, nil).want(http.StatusOK)
		}
	})
}

// TestNoSecretIsLogged looks for what was handed out in what was logged.
func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteConfig{})
	a := s.signUp(t)
	_, key := s.key(t, a, "*")
	s.call(t, http.MethodGet, base+"/tenant?token="+key, key, nil)
	s.call(t, http.MethodPost, base+"/auth/refresh", "", map[string]any{"refresh_token": a.Refresh}).want(http.StatusOK)
	s.server.Close() // waits until all is logged
	require.NotEmpty(t, s.log.String())
	for _, secret := range []string{goodPassword, a.Access, a.Refresh, key} {
		assert.NotContains(t, s.log.String(), secret)
	}
}
