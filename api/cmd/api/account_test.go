package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/accounts"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/secrets"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// mailed is a token as the worker makes it when it writes a mail.
func (s *stack) mailed(tb testing.TB, a owner, purpose accounts.Purpose) string {
	tb.Helper()
	token, now := secrets.Token(purpose.Prefix(), 24), time.Now().UTC().Truncate(time.Microsecond)
	require.NoError(tb, postgres.NewIdentity(s.base.DB).SaveToken(tb.Context(), notices.NewToken{
		Purpose: purpose, User: tenancy.MustParseID(a.user), Email: a.email, Hash: secrets.Hash(token), Request: tenancy.NewID(),
		CreatedAt: now, ExpiresAt: now.Add(purpose.Life()),
	}))
	return token
}

// mails are the kinds of the mails that wait, oldest first.
func (s *stack) mails(tb testing.TB, where string, args ...any) (kinds []string) {
	tb.Helper()
	rows, err := s.Admin(tb).Query(tb.Context(), "select kind from jobs where queue = 'critical' and "+where+" order by id", args...)
	require.NoError(tb, err)
	defer rows.Close()
	for rows.Next() {
		var kind string
		require.NoError(tb, rows.Scan(&kind))
		kinds = append(kinds, kind)
	}
	require.NoError(tb, rows.Err())
	return kinds
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	s := newStack(t)

	t.Run("verify_their_address", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		assert.Equal(t, []string{"mail.welcome"}, s.mails(t, "args->>'user_id' = $1", a.user))
		assert.Equal(t, false, a.must(t, http.StatusOK, http.MethodGet, "/me", nil).at("email_verified"))
		r := a.must(t, http.StatusAccepted, http.MethodPost, "/auth/email/resend", nil)
		assert.NotEmpty(t, r.text("detail"))
		a.must(t, http.StatusAccepted, http.MethodPost, "/auth/email/resend", nil)
		assert.Equal(t, []string{"mail.welcome", "mail.email_verification"}, s.mails(t, "args->>'user_id' = $1", a.user))

		token := s.mailed(t, a, accounts.VerifyEmail)
		r = s.anonymous().must(t, http.StatusOK, http.MethodPost, "/auth/email/verify", map[string]any{"token": token})
		assert.Equal(t, a.email, r.text("email"))
		assert.Equal(t, true, r.at("email_verified"))
		assert.Equal(t, "no-store", r.header.Get("Cache-Control"))
		s.anonymous().must(t, http.StatusOK, http.MethodPost, "/auth/email/verify", map[string]any{"token": token})
		assert.Equal(t, true, a.must(t, http.StatusOK, http.MethodGet, "/me", nil).at("email_verified"))
		a.refused(t, http.StatusConflict, "auth.email_verified", http.MethodPost, "/auth/email/resend", nil)
		key := a.key(t, "*")
		key.refused(t, http.StatusForbidden, "session_required", http.MethodPost, "/auth/email/resend", nil)
		s.anonymous().refused(t, http.StatusUnauthorized, "auth.required", http.MethodPost, "/auth/email/resend", nil)
	})
	t.Run("reset_their_password_and_are_signed_out", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		token := s.mailed(t, a, accounts.ResetPassword)
		weak := s.anonymous().refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/auth/password/reset", map[string]any{"token": token, "password": a.email})
		assert.Equal(t, "/password", weak.text("errors", 0, "pointer"))
		const next = "another horse battery staple"
		for range 2 { // the same request again gets the same answer
			s.anonymous().with("Idempotency-Key", "reset "+a.user).must(t, http.StatusNoContent, http.MethodPost, "/auth/password/reset", map[string]any{"token": token, "password": next})
		}
		s.anonymous().refused(t, http.StatusConflict, "auth.link_used", http.MethodPost, "/auth/password/reset", map[string]any{"token": token, "password": next})
		a.refused(t, http.StatusUnauthorized, "auth.revoked", http.MethodGet, "/me", nil)
		s.anonymous().refused(t, http.StatusUnauthorized, "auth.revoked", http.MethodPost, "/auth/refresh", map[string]any{"refresh_token": a.refresh})
		s.anonymous().refused(t, http.StatusUnauthorized, "auth.invalid_credentials", http.MethodPost, "/auth/login", map[string]any{"email": a.email, "password": password})
		s.anonymous().must(t, http.StatusOK, http.MethodPost, "/auth/login", map[string]any{"email": a.email, "password": next})
		assert.Equal(t, []string{"mail.welcome", "mail.password_changed"}, s.mails(t, "args->>'user_id' = $1", a.user))
	})
	t.Run("are_not_found_out_by_asking_for_a_reset", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		since := tenancy.NewID().String()
		known := s.anonymous().must(t, http.StatusAccepted, http.MethodPost, "/auth/password/forgot", map[string]any{"email": strings.ToUpper(a.email)})
		unknown := s.anonymous().must(t, http.StatusAccepted, http.MethodPost, "/auth/password/forgot", map[string]any{"email": "nobody-" + a.user + "@example.test"})
		assert.Equal(t, known.raw, unknown.raw)
		for _, h := range []http.Header{known.header, unknown.header} {
			for _, differs := range []string{"Date", "X-Request-Id", "Ratelimit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} {
				h.Del(differs)
			}
		}
		assert.Equal(t, known.header, unknown.header)
		assert.Len(t, s.mails(t, "kind = 'mail.password_reset' and id > $1", since), 2, "the same work is done for both")
	})
	t.Run("give_clear_answers_to_what_is_wrong", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		for _, path := range []string{"/auth/email/verify", "/auth/password/reset"} {
			for _, token := range []string{"x", "gw_reset_", secrets.Token("gw_verify_", 24), secrets.Token("gw_reset_", 24), "\u0000", strings.Repeat("é", 200)} {
				s.anonymous().do(t, http.MethodPost, path, map[string]any{"token": token, "password": password})
			}
			s.anonymous().refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, path, `{"token":null}`)
		}
		body := map[string]any{"token": secrets.Token("gw_verify_", 24)}
		s.anonymous().refused(t, http.StatusNotFound, "auth.link_invalid", http.MethodPost, "/auth/email/verify", body)
		body["token"] = s.mailed(t, a, accounts.VerifyEmail)
		body["password"] = password
		s.anonymous().refused(t, http.StatusNotFound, "auth.link_invalid", http.MethodPost, "/auth/password/reset", body)
		for _, email := range []any{"", "nobody", nil, 7, "a@b\r\nBcc: x@y.example", strings.Repeat("a", 300) + "@example.com"} {
			s.anonymous().refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/auth/password/forgot", map[string]any{"email": email})
		}
	})
}

// Each counts by itself: whoever tries passwords keeps nobody from a new one, and mails are not sent without end.
func TestAccounts_are_limited(t *testing.T) {
	t.Parallel()
	s := newStack(t, func(c *settings) { c.RateLimitAccount = config.Rate{Limit: 3, Per: 15 * time.Minute} })
	a := s.signUp(t)
	for _, email := range []string{a.email, "nobody@example.test"} {
		for range 3 {
			s.anonymous().must(t, http.StatusAccepted, http.MethodPost, "/auth/password/forgot", map[string]any{"email": email})
		}
		r := s.anonymous().refused(t, http.StatusTooManyRequests, "rate_limited", http.MethodPost, "/auth/password/forgot", map[string]any{"email": email})
		assert.NotEmpty(t, r.header.Get("Retry-After"))
	}
	s.anonymous().must(t, http.StatusOK, http.MethodPost, "/auth/login", map[string]any{"email": a.email, "password": password})
	for range 3 {
		a.must(t, http.StatusAccepted, http.MethodPost, "/auth/email/resend", nil)
	}
	a.refused(t, http.StatusTooManyRequests, "rate_limited", http.MethodPost, "/auth/email/resend", nil)
}
