package sessions_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/users"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	before := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	config := sessions.Config{RefreshTTL: time.Hour, SessionTTL: 24 * time.Hour, ReuseGrace: 10 * time.Second}
	for name, test := range map[string]struct {
		change  func(p *sessions.Presented)
		code    string
		revoke  string
		expires time.Time
	}{
		"gives_the_next_one": {expires: now.Add(time.Hour)},
		"ends_with_the_session": {
			change:  func(p *sessions.Presented) { p.Session.ExpiresAt = now.Add(time.Minute) },
			expires: now.Add(time.Minute),
		},
		"takes_a_used_one_at_the_end_of_the_grace": {
			change: func(p *sessions.Presented) { p.UsedAt = before(10 * time.Second) }, expires: now.Add(time.Hour),
		},
		"ends_the_session_after_the_grace": {
			change: func(p *sessions.Presented) { p.UsedAt = before(10*time.Second + 1) },
			code:   "auth.refresh_reused", revoke: sessions.ReasonReused,
		},
		"takes_reuse_for_theft_even_of_an_expired_one": {
			change: func(p *sessions.Presented) { p.UsedAt, p.ExpiresAt = before(time.Hour), *before(time.Minute) },
			code:   "auth.refresh_reused", revoke: sessions.ReasonReused,
		},
		"refuses_one_at_its_end": {
			change: func(p *sessions.Presented) { p.ExpiresAt = now }, code: "auth.refresh_expired",
		},
		"refuses_one_of_a_session_at_its_end": {
			change: func(p *sessions.Presented) { p.Session.ExpiresAt = now }, code: "auth.refresh_expired",
		},
		"refuses_a_session_that_was_ended_and_ends_it_no_second_time": {
			change: func(p *sessions.Presented) { p.Session.RevokedAt, p.UsedAt = before(time.Hour), before(time.Hour) },
			code:   "auth.revoked",
		},
		"refuses_whoever_is_no_member_any_more": {
			change: func(p *sessions.Presented) { p.IsMember = false }, code: "auth.revoked",
		},
		"refuses_a_disabled_user": {
			change: func(p *sessions.Presented) { p.Access.User.State = users.Disabled }, code: "auth.revoked",
		},
		"refuses_for_a_while_where_the_tenant_is_suspended": {
			change: func(p *sessions.Presented) { p.Access.Tenant.State = tenants.Suspended }, code: "tenant.suspended",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := sessions.Presented{IsMember: true, ExpiresAt: now.Add(time.Minute)}
			p.Session.ExpiresAt = now.Add(24 * time.Hour)
			p.Access.User.State, p.Access.Tenant.State = users.Active, tenants.Active
			if test.change != nil {
				test.change(&p)
			}
			verdict := p.Judge(now, config)
			if test.code == "" {
				require.NoError(t, verdict.Err)
			} else {
				assert.True(t, fault.Is(verdict.Err, test.code), verdict.Err)
			}
			assert.Equal(t, test.revoke, verdict.Revoke)
			assert.Equal(t, test.expires, verdict.ExpiresAt)
		})
	}
}
