package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

func TestRefresh(t *testing.T) {
	t.Parallel()

	t.Run("gives_the_next_tokens_with_the_role_as_it_is_now", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		owner := w.signUp(t)
		member := w.join(t, w.scope(t, owner), members.Member)
		_, err := w.members.ChangeRole(t.Context(), w.scope(t, owner), member.User.ID, 0, members.RoleChange{Role: members.Viewer})
		require.NoError(t, err)
		requireFault(t, w.credentials.Verify(t.Context(), w.scope(t, member)), fault.Unauthorized, "auth.outdated")

		next, err := w.sessions.Refresh(t.Context(), client(), member.RefreshToken)
		require.NoError(t, err)
		assert.Equal(t, member.SessionID, next.SessionID)
		assert.NotEqual(t, member.RefreshToken, next.RefreshToken)
		assert.Equal(t, members.Viewer, next.Role)
		require.NoError(t, w.credentials.Verify(t.Context(), w.scope(t, next)))
	})
	t.Run("lets_eight_tabs_refresh_at_once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		grant := w.signUp(t)
		next, failures := atOnce(8, func(int) (sessions.Grant, error) {
			return w.sessions.Refresh(t.Context(), client(), grant.RefreshToken)
		})
		require.Empty(t, failures)
		seen := map[string]bool{}
		for _, n := range next {
			seen[n.RefreshToken] = true
			require.NoError(t, w.credentials.Verify(t.Context(), w.scope(t, n)))
			_, err := w.sessions.Refresh(t.Context(), client(), n.RefreshToken)
			require.NoError(t, err)
		}
		assert.Len(t, seen, 8)
	})
	t.Run("takes_a_used_token_once_more_within_the_grace_and_then_ends_the_session", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		grant := w.signUp(t)
		next, err := w.sessions.Refresh(t.Context(), client(), grant.RefreshToken)
		require.NoError(t, err)
		w.clock.advance(time.Second) // of ten: the machine may take the others
		_, err = w.sessions.Refresh(t.Context(), client(), grant.RefreshToken)
		require.NoError(t, err)
		w.clock.advance(10 * time.Second)
		_, err = w.sessions.Refresh(t.Context(), client(), grant.RefreshToken)
		f := requireFault(t, err, fault.Unauthorized, "auth.refresh_reused")
		assert.NotContains(t, f.Error(), grant.RefreshToken)

		_, err = w.sessions.Refresh(t.Context(), client(), next.RefreshToken)
		requireFault(t, err, fault.Unauthorized, "auth.revoked")
		requireFault(t, w.credentials.Verify(t.Context(), w.scope(t, next)), fault.Unauthorized, "auth.revoked")
		assert.Equal(t, "refresh_token_reused", w.text(t, "select revoked_reason from sessions where id = $1", grant.SessionID.String()))
		assert.Equal(t, "session.revoked", last(w.actions(t, grant.Tenant.ID)))
	})
	t.Run("ends_the_session_whoever_comes_at_the_same_time", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		grant := w.signUp(t)
		next, err := w.sessions.Refresh(t.Context(), client(), grant.RefreshToken)
		require.NoError(t, err)
		w.clock.advance(time.Minute)
		_, failures := atOnce(8, func(n int) (sessions.Grant, error) {
			if n%2 == 0 {
				return w.sessions.Refresh(t.Context(), client(), grant.RefreshToken)
			}
			return w.sessions.Refresh(t.Context(), client(), next.RefreshToken)
		})
		assert.GreaterOrEqual(t, len(failures), 4)
		for _, err := range failures {
			assert.Equal(t, fault.Unauthorized, fault.KindOf(err), err)
		}
		assert.Equal(t, "refresh_token_reused", w.text(t, "select revoked_reason from sessions where id = $1", grant.SessionID.String()))
	})
	t.Run("tells_unknown_expired_and_worn_out_apart", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		for _, bad := range []string{"", "gw_refresh_nonsense", "\x00"} {
			_, err := w.sessions.Refresh(t.Context(), client(), bad)
			requireFault(t, err, fault.Unauthorized, "auth.refresh_invalid")
		}
		idle, busy := w.signUp(t), w.signUp(t)
		w.clock.advance(29 * 24 * time.Hour)
		kept, err := w.sessions.Refresh(t.Context(), client(), busy.RefreshToken)
		require.NoError(t, err)
		w.clock.advance(2 * 24 * time.Hour)
		_, err = w.sessions.Refresh(t.Context(), client(), idle.RefreshToken)
		requireFault(t, err, fault.Unauthorized, "auth.refresh_expired")
		for range 3 { // 31, 60, 89 days
			kept, err = w.sessions.Refresh(t.Context(), client(), kept.RefreshToken)
			require.NoError(t, err)
			w.clock.advance(29 * 24 * time.Hour)
		}
		_, err = w.sessions.Refresh(t.Context(), client(), kept.RefreshToken)
		requireFault(t, err, fault.Unauthorized, "auth.refresh_expired")
	})
	t.Run("forgets_tokens_that_have_expired", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		grant := w.signUp(t)
		w.clock.advance(20 * 24 * time.Hour)
		next, err := w.sessions.Refresh(t.Context(), client(), grant.RefreshToken)
		require.NoError(t, err)
		w.clock.advance(20 * 24 * time.Hour)
		_, err = w.sessions.Refresh(t.Context(), client(), next.RefreshToken)
		require.NoError(t, err)
		assert.Equal(t, "2", w.text(t, "select count(*)::text from refresh_tokens where session_id = $1", grant.SessionID.String()))
	})
	t.Run("costs_nobody_their_session_while_the_tenant_is_suspended", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		grant := w.signUp(t)
		_, err := w.tenants.Suspend(t.Context(), grant.Tenant.ID, "op-1")
		require.NoError(t, err)
		_, err = w.sessions.Refresh(t.Context(), client(), grant.RefreshToken)
		requireFault(t, err, fault.Forbidden, "tenant.suspended")
		_, err = w.tenants.Resume(t.Context(), grant.Tenant.ID, "op-1")
		require.NoError(t, err)
		w.clock.advance(time.Hour)
		_, err = w.sessions.Refresh(t.Context(), client(), grant.RefreshToken)
		require.NoError(t, err)
	})
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)

	t.Run("opens_a_session_in_the_other_tenant_beside_the_present_one", func(t *testing.T) {
		t.Parallel()
		host, guest := w.signUp(t), w.signUp(t)
		joined := w.inviteExisting(t, w.scope(t, host), guest, members.Admin)
		w.Exec(t, "update sessions set expires_at = expires_at - interval '80 days' where id = $1", joined.SessionID.String())

		back, err := w.sessions.Switch(t.Context(), client(), w.scope(t, joined), guest.Tenant.ID)
		require.NoError(t, err)
		assert.Equal(t, guest.Tenant.ID, back.Tenant.ID)
		assert.Equal(t, members.Owner, back.Role)
		require.NoError(t, w.credentials.Verify(t.Context(), w.scope(t, back)))
		require.NoError(t, w.credentials.Verify(t.Context(), w.scope(t, joined)))
		assert.Equal(t, "true", w.text(t, `select (a.expires_at = b.expires_at and r.expires_at = b.expires_at)::text
			from sessions a, sessions b, refresh_tokens r where a.id = $1 and b.id = $2 and r.session_id = a.id`,
			back.SessionID.String(), joined.SessionID.String()), "switching does not make a sign-in last longer")
	})
	t.Run("works_out_of_a_suspended_tenant_and_not_into_one", func(t *testing.T) {
		t.Parallel()
		host, guest := w.signUp(t), w.signUp(t)
		joined := w.inviteExisting(t, w.scope(t, host), guest, members.Admin)
		_, err := w.tenants.Suspend(t.Context(), host.Tenant.ID, "op-1")
		require.NoError(t, err)
		back, err := w.sessions.Switch(t.Context(), client(), w.scope(t, joined), guest.Tenant.ID)
		require.NoError(t, err)
		_, err = w.sessions.Switch(t.Context(), client(), w.scope(t, back), host.Tenant.ID)
		requireFault(t, err, fault.Forbidden, "tenant.suspended")
	})
	t.Run("refuses_others_tenants_ended_sessions_and_keys", func(t *testing.T) {
		t.Parallel()
		one, other := w.signUp(t), w.signUp(t)
		scope := w.scope(t, one)
		for _, tenant := range []tenancy.ID{other.Tenant.ID, tenancy.NewID(), {}} {
			_, err := w.sessions.Switch(t.Context(), client(), scope, tenant)
			requireFault(t, err, fault.Forbidden, "auth.not_a_member")
		}
		require.NoError(t, w.sessions.Logout(t.Context(), scope))
		_, err := w.sessions.Switch(t.Context(), client(), scope, one.Tenant.ID)
		requireFault(t, err, fault.Unauthorized, "auth.revoked")
		key := tenancy.Scope{Tenant: one.Tenant.ID, Actor: tenancy.Actor{Kind: tenancy.APIKey, ID: tenancy.NewID()}}
		_, err = w.sessions.Switch(t.Context(), client(), key, one.Tenant.ID)
		requireFault(t, err, fault.Forbidden, "auth.user_required")
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)

	t.Run("end_at_logout_in_a_suspended_tenant_too", func(t *testing.T) {
		t.Parallel()
		grant := w.signUp(t)
		scope := w.scope(t, grant)
		_, err := w.tenants.Suspend(t.Context(), grant.Tenant.ID, "op-1")
		require.NoError(t, err)
		require.NoError(t, w.sessions.Logout(t.Context(), scope))
		require.NoError(t, w.sessions.Logout(t.Context(), scope), "a second time is no error")
		requireFault(t, w.credentials.Verify(t.Context(), scope), fault.Unauthorized, "auth.revoked")
		_, err = w.sessions.Refresh(t.Context(), client(), grant.RefreshToken)
		requireFault(t, err, fault.Unauthorized, "auth.revoked")
	})
	t.Run("are_listed_and_ended_by_their_user_alone", func(t *testing.T) {
		t.Parallel()
		phone := w.signUp(t)
		laptop, stranger := w.login(t, phone), w.signUp(t)
		w.clock.advance(time.Second)
		tablet := w.login(t, phone)
		scope := w.scope(t, laptop)

		list, err := w.sessions.List(t.Context(), scope)
		require.NoError(t, err)
		require.Len(t, list, 3)
		assert.Equal(t, tablet.SessionID, list[0].ID)
		assert.Equal(t, phone.Tenant.Name, list[0].TenantName)

		requireFault(t, w.sessions.Revoke(t.Context(), scope, stranger.SessionID), fault.NotFound, "session.not_found")
		requireFault(t, w.sessions.Revoke(t.Context(), scope, tenancy.NewID()), fault.NotFound, "session.not_found")
		require.NoError(t, w.sessions.Revoke(t.Context(), scope, phone.SessionID))
		requireFault(t, w.sessions.Revoke(t.Context(), scope, phone.SessionID), fault.NotFound, "session.not_found")
		requireFault(t, w.credentials.Verify(t.Context(), w.scope(t, phone)), fault.Unauthorized, "auth.revoked")
		require.NoError(t, w.credentials.Verify(t.Context(), w.scope(t, stranger)))

		ended, err := w.sessions.RevokeOthers(t.Context(), scope)
		require.NoError(t, err)
		assert.EqualValues(t, 1, ended)
		require.NoError(t, w.credentials.Verify(t.Context(), scope))
		require.NoError(t, w.sessions.LogoutEverywhere(t.Context(), scope))
		requireFault(t, w.credentials.Verify(t.Context(), scope), fault.Unauthorized, "auth.revoked")
		_, err = w.sessions.List(t.Context(), scope)
		requireFault(t, err, fault.Unauthorized, "auth.revoked")
		_, err = w.sessions.Tenants(t.Context(), scope)
		requireFault(t, err, fault.Unauthorized, "auth.revoked")
		_, err = w.sessions.Current(t.Context(), scope)
		requireFault(t, err, fault.Unauthorized, "auth.revoked")
	})
	t.Run("tell_which_organizations_their_user_has", func(t *testing.T) {
		t.Parallel()
		host, guest := w.signUp(t), w.signUp(t)
		joined := w.inviteExisting(t, w.scope(t, host), guest, members.Viewer)
		list, err := w.sessions.Tenants(t.Context(), w.scope(t, joined))
		require.NoError(t, err)
		roles := map[tenancy.ID]string{}
		for _, b := range list {
			roles[b.Tenant.ID] = b.Role
		}
		assert.Equal(t, map[tenancy.ID]string{host.Tenant.ID: members.Viewer, guest.Tenant.ID: members.Owner}, roles)
		current, err := w.sessions.Current(t.Context(), w.scope(t, joined))
		require.NoError(t, err)
		assert.Equal(t, host.Tenant.ID, current.Tenant.ID)
		assert.Equal(t, members.Viewer, current.Role)
	})
	t.Run("do_not_count_in_another_tenant", func(t *testing.T) {
		t.Parallel()
		host, guest := w.signUp(t), w.signUp(t)
		joined := w.inviteExisting(t, w.scope(t, host), guest, members.Viewer)
		scope := w.scope(t, joined)
		scope.Tenant = guest.Tenant.ID // as a forged token would say
		requireFault(t, w.credentials.Verify(t.Context(), scope), fault.Unauthorized, "auth.revoked")
	})
	t.Run("cost_one_round_trip_to_verify", func(t *testing.T) {
		t.Parallel()
		scope := w.scope(t, w.signUp(t))
		alone := postgres.NewIdentity(w.Open(t, postgres.Config{MaxConnections: 1}))
		require.NoError(t, alone.VerifyAccess(t.Context(), scope), "prepares the statement")
		ctx, stats := postgres.WithStats(t.Context())
		require.NoError(t, alone.VerifyAccess(ctx, scope))
		assert.EqualValues(t, 1, stats.RoundTrips())
	})
}

func TestUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const next = "another horse battery staple"

	t.Run("rename_themselves", func(t *testing.T) {
		t.Parallel()
		scope := w.scope(t, w.signUp(t))
		user, err := w.users.Change(t.Context(), scope, 1, func(p *users.Profile) error { p.Name = "  Grace  "; return nil })
		require.NoError(t, err)
		assert.Equal(t, "Grace", user.Name)
		assert.EqualValues(t, 2, user.Version)
		found, err := w.users.Find(t.Context(), scope)
		require.NoError(t, err)
		assert.Equal(t, user, found)
		_, err = w.users.Change(t.Context(), scope, 1, func(p *users.Profile) error { p.Name = "Late"; return nil })
		requireFault(t, err, fault.Stale, "version_mismatch")
		_, err = w.users.Change(t.Context(), scope, 0, func(p *users.Profile) error { p.Name = ""; return nil })
		requireFault(t, err, fault.Invalid, "validation_failed")
		assert.Equal(t, "user.updated", last(w.actions(t, scope.Tenant)))
	})
	t.Run("change_their_password_and_end_their_other_sessions", func(t *testing.T) {
		t.Parallel()
		here := w.signUp(t)
		there := w.login(t, here)
		scope := w.scope(t, here)
		err := w.users.ChangePassword(t.Context(), scope, users.PasswordChange{Current: "wrong", New: next})
		assert.Equal(t, []string{"/current_password"}, pointers(requireFault(t, err, fault.Invalid, "validation_failed")))
		for _, bad := range []string{"sh0rt", here.User.Email, goodPassword} {
			err = w.users.ChangePassword(t.Context(), scope, users.PasswordChange{Current: goodPassword, New: bad})
			f := requireFault(t, err, fault.Invalid, "validation_failed")
			assert.Equal(t, []string{"/new_password"}, pointers(f))
			assert.NotContains(t, f.Error()+f.Violations[0].Detail, bad)
		}
		require.NoError(t, w.users.ChangePassword(t.Context(), scope, users.PasswordChange{Current: goodPassword, New: next}))
		require.NoError(t, w.credentials.Verify(t.Context(), scope))
		requireFault(t, w.credentials.Verify(t.Context(), w.scope(t, there)), fault.Unauthorized, "auth.revoked")
		_, err = w.sessions.Login(t.Context(), client(), sessions.Login{Email: here.User.Email, Password: goodPassword})
		requireFault(t, err, fault.Unauthorized, "auth.invalid_credentials")
		_, err = w.sessions.Login(t.Context(), client(), sessions.Login{Email: here.User.Email, Password: next})
		require.NoError(t, err)
		assert.Contains(t, w.actions(t, scope.Tenant), "user.password_changed")
	})
	t.Run("lose_every_session_when_they_are_disabled", func(t *testing.T) {
		t.Parallel()
		grant := w.signUp(t)
		require.NoError(t, w.users.Disable(t.Context(), grant.User.ID, "op-1"))
		requireFault(t, w.credentials.Verify(t.Context(), w.scope(t, grant)), fault.Unauthorized, "auth.revoked")
		_, err := w.sessions.Refresh(t.Context(), client(), grant.RefreshToken)
		requireFault(t, err, fault.Unauthorized, "auth.revoked")
		require.NoError(t, w.users.Enable(t.Context(), grant.User.ID, "op-1"))
		requireFault(t, w.credentials.Verify(t.Context(), w.scope(t, grant)), fault.Unauthorized, "auth.revoked")
		w.login(t, grant)
		requireFault(t, w.users.Disable(t.Context(), tenancy.NewID(), "op-1"), fault.NotFound, "user.not_found")
	})
}

func last[T any](list []T) T { return list[len(list)-1] }
