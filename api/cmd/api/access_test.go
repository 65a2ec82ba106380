package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/tokens"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	parts := strings.Split(o.token, ".")
	encode := func(v any) string {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(data)
	}
	kid := s.anonymous().must(t, 200, http.MethodGet, "//.well-known/jwks.json", nil).text("keys", 0, "kid")
	forger, err := tokens.NewKey()
	require.NoError(t, err)
	forged := func(header map[string]any) string {
		signed := encode(header) + "." + parts[1]
		return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(forger.Private, []byte(signed)))
	}
	for name, token := range map[string]string{
		"signed_with_none":          encode(map[string]any{"alg": "none", "typ": "at+jwt", "kid": kid}) + "." + parts[1] + ".",
		"signed_with_none_in_caps":  encode(map[string]any{"alg": "NONE", "typ": "at+jwt", "kid": kid}) + "." + parts[1] + "." + parts[2],
		"said_to_be_signed_by_hmac": forged(map[string]any{"alg": "HS256", "typ": "at+jwt", "kid": kid}),
		"signed_with_another_key":   forged(map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": kid}),
		"with_a_key_of_its_own":     forged(map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": "mine", "jwk": map[string]string{"kty": "OKP"}}),
		"of_another_type":           encode(map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": kid}) + "." + parts[1] + "." + parts[2],
		"with_other_claims":         parts[0] + "." + encode(map[string]any{"sub": o.user, "role": "owner"}) + "." + parts[2],
		"cut_off":                   parts[0] + "." + parts[1],
		"with_a_tail":               o.token + "A",
	} {
		t.Run("refuses_one_"+name, func(t *testing.T) {
			t.Parallel()
			s.as(token).refused(t, 401, "auth.invalid_token", http.MethodGet, "/customers", nil)
		})
	}
	t.Run("refuses_one_of_another_issuer_and_audience", func(t *testing.T) {
		t.Parallel()
		elsewhere := newStack(t, func(c *settings) { c.PublicURL = "https://elsewhere.example" }).signUp(t)
		s.as(elsewhere.token).refused(t, 401, "auth.invalid_token", http.MethodGet, "/customers", nil)
	})
	t.Run("refuses_one_that_has_expired", func(t *testing.T) {
		t.Parallel()
		late := newStack(t)
		o := late.signUp(t)
		o.must(t, 200, http.MethodGet, "/customers", nil)
		late.advance(11 * time.Minute)
		o.refused(t, 401, "auth.token_expired", http.MethodGet, "/customers", nil)
		a := late.anonymous().must(t, 200, http.MethodPost, "/auth/refresh", map[string]string{"refresh_token": o.refresh})
		late.as(a.text("access_token")).must(t, 200, http.MethodGet, "/customers", nil)
	})
}

// TestRevocation takes access away in each way there is and expects the very next request to feel it, a write not to
// happen, and what was cached of a credential to be of no use.
func TestRevocation(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.signUp(t)
	admin := databasetest.Connect(t, s.AdminURL)
	customers := func(t *testing.T) int {
		t.Helper()
		list, _ := owner.must(t, 200, http.MethodGet, "/customers?limit=100", nil).at("data").([]any)
		return len(list)
	}

	member := owner.join(t, "member")
	member.must(t, 201, http.MethodPost, "/customers", `{"name":"by a member"}`)
	count := customers(t)

	owner.must(t, 200, http.MethodPatch, "/members/"+member.user, `{"role":"viewer"}`)
	member.refused(t, 401, "auth.outdated", http.MethodPost, "/customers", `{"name":"too late"}`)
	member.refused(t, 401, "auth.outdated", http.MethodGet, "/customers", nil)
	assert.Equal(t, count, customers(t), "nothing was written with what the role no longer allows")

	removed := owner.join(t, "admin")
	removed.must(t, 200, http.MethodGet, "/members", nil)
	owner.must(t, 204, http.MethodDelete, "/members/"+removed.user, nil)
	removed.refused(t, 401, "auth.revoked", http.MethodPost, "/customers", `{"name":"too late"}`)
	removed.refused(t, 401, "auth.revoked", http.MethodGet, "/members", nil)

	out := owner.join(t, "member")
	out.must(t, 204, http.MethodPost, "/auth/logout", nil)
	out.refused(t, 401, "auth.revoked", http.MethodGet, "/customers", nil)

	made := owner.must(t, 201, http.MethodPost, "/api-keys", `{"name":"k","scopes":["customers:read","customers:write"]}`)
	key := s.as(made.text("key"))
	key.must(t, 200, http.MethodGet, "/customers", nil)
	owner.must(t, 204, http.MethodDelete, "/api-keys/"+made.text("id"), nil)
	assert.Equal(t, 401, key.do(t, http.MethodPost, "/customers", `{"name":"too late"}`).status)
	assert.Equal(t, count, customers(t))

	renamed := owner.must(t, 201, http.MethodPost, "/api-keys", `{"name":"k","scopes":["customers:read"]}`)
	key = s.as(renamed.text("key"))
	key.must(t, 200, http.MethodGet, "/customers", nil)
	owner.must(t, 200, http.MethodPatch, "/api-keys/"+renamed.text("id"), `{"name":"k2"}`)
	key.must(t, 200, http.MethodGet, "/customers", nil) // what is remembered of a key is looked up anew, not refused

	_, err := admin.Exec(t.Context(), "update tenants set state = 'suspended' where id = $1", owner.tenant)
	require.NoError(t, err)
	for _, c := range []*client{owner.client, key} {
		c.refused(t, 403, "tenant.suspended", http.MethodGet, "/customers", nil)
	}
	s.anonymous().refused(t, 403, "tenant.suspended", http.MethodPost, "/auth/login", map[string]string{"email": owner.email, "password": password})
	_, err = admin.Exec(t.Context(), "update tenants set state = 'active' where id = $1", owner.tenant)
	require.NoError(t, err)
	owner.must(t, 200, http.MethodGet, "/customers", nil)
}
