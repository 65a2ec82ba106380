package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/accounts"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/secrets"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// mailed is a token as the worker makes it when it writes a mail.
func (s *site) mailed(tb testing.TB, a account, purpose accounts.Purpose) string {
	tb.Helper()
	token, now := secrets.Token(purpose.Prefix(), 24), time.Now().UTC().Truncate(time.Microsecond)
	require.NoError(tb, postgres.NewIdentity(s.DB).SaveToken(tb.Context(), notices.NewToken{
		Purpose: purpose, User: tenancy.MustParseID(a.User), Email: a.Email, Hash: secrets.Hash(token), Request: tenancy.NewID(),
		CreatedAt: now, ExpiresAt: now.Add(purpose.Life()),
	}))
	return token
}

// mails are the kinds of the mails that wait, oldest first.
func (s *site) mails(tb testing.TB, where string, args ...any) (kinds []string) {
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
	s := newSite(t, siteConfig{})
	post := func(t *testing.T, path, token string, body any, headers ...string) reply {
		t.Helper()
		return s.call(t, http.MethodPost, base+path, token, body, headers...)
	}

	t.Run("verify_their_address", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		assert.Equal(t, []string{"mail.welcome"}, s.mails(t, "args->>'user_id' = $1", a.User))
		assert.Equal(t, false, s.call(t, http.MethodGet, base+"/me", a.Access, nil).want(http.StatusOK).value("email_verified"))
		r := post(t, "/auth/email/resend", a.Access, nil).want(http.StatusAccepted)
		assert.NotEmpty(t, r.text("detail"))
		post(t, "/auth/email/resend", a.Access, nil).want(http.StatusAccepted)
		assert.Equal(t, []string{"mail.welcome", "mail.email_verification"}, s.mails(t, "args->>'user_id' = $1", a.User))

		token := s.mailed(t, a, accounts.VerifyEmail)
		r = post(t, "/auth/email/verify", "", map[string]any{"token": token}).want(http.StatusOK)
		assert.Equal(t, a.Email, r.text("email"))
		assert.Equal(t, true, r.value("email_verified"))
		assert.Equal(t, "no-store", r.Header.Get("Cache-Control"))
		post(t, "/auth/email/verify", "", map[string]any{"token": token}).want(http.StatusOK)
		assert.Equal(t, true, s.call(t, http.MethodGet, base+"/me", a.Access, nil).want(http.StatusOK).value("email_verified"))
		post(t, "/auth/email/resend", a.Access, nil).problem(http.StatusConflict, "auth.email_verified")
		_, key := s.key(t, a, "*")
		post(t, "/auth/email/resend", key, nil).problem(http.StatusForbidden, "session_required")
		post(t, "/auth/email/resend", "", nil).problem(http.StatusUnauthorized, "auth.required")
	})
	t.Run("reset_their_password_and_are_signed_out", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		token := s.mailed(t, a, accounts.ResetPassword)
		weak := post(t, "/auth/password/reset", "", map[string]any{"token": token, "password": a.Email}).problem(http.StatusUnprocessableEntity, "validation_failed")
		assert.Equal(t, "/password", weak.text("errors", 0, "pointer"))
		const next = "another horse battery staple"
		for range 2 { // the same request again gets the same answer
			post(t, "/auth/password/reset", "", map[string]any{"token": token, "password": next}, "Idempotency-Key", "reset "+a.User).want(http.StatusNoContent)
		}
		post(t, "/auth/password/reset", "", map[string]any{"token": token, "password": next}).problem(http.StatusConflict, "auth.link_used")
		s.call(t, http.MethodGet, base+"/me", a.Access, nil).problem(http.StatusUnauthorized, "auth.revoked")
		post(t, "/auth/refresh", "", map[string]any{"refresh_token": a.Refresh}).problem(http.StatusUnauthorized, "auth.revoked")
		post(t, "/auth/login", "", map[string]any{"email": a.Email, "password": goodPassword}).problem(http.StatusUnauthorized, "auth.invalid_credentials")
		post(t, "/auth/login", "", map[string]any{"email": a.Email, "password": next}).want(http.StatusOK)
		assert.Equal(t, []string{"mail.welcome", "mail.password_changed"}, s.mails(t, "args->>'user_id' = $1", a.User))
	})
	t.Run("are_not_found_out_by_asking_for_a_reset", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		since := tenancy.NewID().String()
		known := post(t, "/auth/password/forgot", "", map[string]any{"email": strings.ToUpper(a.Email)}).want(http.StatusAccepted)
		unknown := post(t, "/auth/password/forgot", "", map[string]any{"email": "nobody-" + a.User + "@example.test"}).want(http.StatusAccepted)
		assert.Equal(t, string(known.Body), string(unknown.Body))
		for _, h := range []http.Header{known.Header, unknown.Header} {
			for _, differs := range []string{"Date", "X-Request-Id", "Ratelimit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} {
				h.Del(differs)
			}
		}
		assert.Equal(t, known.Header, unknown.Header)
		assert.Len(t, s.mails(t, "kind = 'mail.password_reset' and id > $1", since), 2, "the same work is done for both")
	})
	t.Run("give_clear_answers_to_what_is_wrong", func(t *testing.T) {
		t.Parallel()
		a := s.signUp(t)
		for _, path := range []string{"/auth/email/verify", "/auth/password/reset"} {
			for _, token := range []string{"x", "gw_reset_", secrets.Token("gw_verify_", 24), secrets.Token("gw_reset_", 24), "\u0000", strings.Repeat("é", 200)} {
				post(t, path, "", map[string]any{"token": token, "password": goodPassword})
			}
			post(t, path, "", `{"token":null}`).problem(http.StatusUnprocessableEntity, "validation_failed")
		}
		body := map[string]any{"token": secrets.Token("gw_verify_", 24)}
		post(t, "/auth/email/verify", "", body).problem(http.StatusNotFound, "auth.link_invalid")
		body["token"] = s.mailed(t, a, accounts.VerifyEmail)
		body["password"] = goodPassword
		post(t, "/auth/password/reset", "", body).problem(http.StatusNotFound, "auth.link_invalid")
		for _, email := range []any{"", "nobody", nil, 7, "a@b\r\nBcc: x@y.example", strings.Repeat("a", 300) + "@example.com"} {
			post(t, "/auth/password/forgot", "", map[string]any{"email": email}).problem(http.StatusUnprocessableEntity, "validation_failed")
		}
	})
}

// Each counts by itself: whoever tries passwords keeps nobody from a new one, and mails are not sent without end.
func TestAccounts_are_limited(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteConfig{Account: limits.Rate{Limit: 3, Per: 15 * time.Minute}})
	a := s.signUp(t)
	for _, email := range []string{a.Email, "nobody@example.test"} {
		for range 3 {
			s.call(t, http.MethodPost, base+"/auth/password/forgot", "", map[string]any{"email": email}).want(http.StatusAccepted)
		}
		r := s.call(t, http.MethodPost, base+"/auth/password/forgot", "", map[string]any{"email": email}).problem(http.StatusTooManyRequests, "rate_limited")
		assert.NotEmpty(t, r.Header.Get("Retry-After"))
	}
	s.call(t, http.MethodPost, base+"/auth/login", "", map[string]any{"email": a.Email, "password": goodPassword}).want(http.StatusOK)
	for range 3 {
		s.call(t, http.MethodPost, base+"/auth/email/resend", a.Access, nil).want(http.StatusAccepted)
	}
	s.call(t, http.MethodPost, base+"/auth/email/resend", a.Access, nil).problem(http.StatusTooManyRequests, "rate_limited")
}
