package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestSignUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)

	t.Run("makes_a_user_an_organization_its_owner_and_a_session", func(t *testing.T) {
		t.Parallel()
		grant, err := w.sessions.SignUp(t.Context(), client(), sessions.SignUp{
			Name: " Ada ", Email: " Ada@Example.TEST ", Password: goodPassword, Organization: " Engines ",
		})
		require.NoError(t, err)
		assert.Equal(t, "ada@example.test", grant.User.Email)
		assert.Equal(t, "Ada", grant.User.Name)
		assert.False(t, grant.User.IsEmailVerified())
		assert.Equal(t, "Engines", grant.Tenant.Name)
		assert.Equal(t, "UTC", grant.Tenant.TimeZone)
		assert.Equal(t, members.Owner, grant.Role)
		assert.Equal(t, 10*time.Minute, grant.ExpiresIn)

		scope := w.scope(t, grant)
		require.NoError(t, w.credentials.Verify(t.Context(), scope))
		assert.Equal(t, grant.Tenant.ID, scope.Tenant)
		assert.True(t, scope.Actor.May("customers:delete"))
		assert.Equal(t, []string{"tenant.created", "member.joined"}, w.actions(t, scope.Tenant))
		assert.Equal(t, "Tests/1.0 192.0.2.1", w.text(t, "select user_agent || ' ' || address from sessions where id = $1", scope.Actor.Session.String()))

		stored := w.text(t, "select password_hash from users where id = $1", scope.Actor.ID.String())
		assert.True(t, strings.HasPrefix(stored, "$argon2id$"), stored)
		tokens := w.text(t, "select count(*)::text from refresh_tokens where token_hash = sha256($1::bytea)", []byte(grant.RefreshToken))
		assert.Equal(t, "1", tokens, "only a hash of the refresh token is kept")
	})
	t.Run("refuses_a_taken_address_and_leaves_nothing_behind", func(t *testing.T) {
		t.Parallel()
		first := w.signUp(t)
		_, err := w.sessions.SignUp(t.Context(), client(), sessions.SignUp{
			Name: "Another", Email: strings.ToUpper(first.User.Email), Password: goodPassword, Organization: "Leftover",
		})
		f := requireFault(t, err, fault.Conflict, "auth.email_taken")
		assert.NotContains(t, f.Error(), first.User.Email)
		assert.Equal(t, "0", w.text(t, "select count(*)::text from tenants where name = 'Leftover'"))
	})
	t.Run("lets_one_of_many_have_an_address", func(t *testing.T) {
		t.Parallel()
		grants, failures := atOnce(4, func(int) (sessions.Grant, error) {
			return w.sessions.SignUp(t.Context(), client(), sessions.SignUp{
				Name: "Race", Email: "race@example.test", Password: goodPassword, Organization: "Race",
			})
		})
		assert.Len(t, grants, 1)
		for _, err := range failures {
			requireFault(t, err, fault.Conflict, "auth.email_taken")
		}
		assert.Equal(t, "1", w.text(t, "select count(*)::text from tenants where name = 'Race'"))
	})
	t.Run("names_every_value_that_is_wrong", func(t *testing.T) {
		t.Parallel()
		_, err := w.sessions.SignUp(t.Context(), client(), sessions.SignUp{Name: " ", Email: "nobody", Organization: "a\x00b"})
		f := requireFault(t, err, fault.Invalid, "validation_failed")
		assert.ElementsMatch(t, []string{"/name", "/email", "/password", "/organization"}, pointers(f))
	})
	t.Run("refuses_a_bad_password_without_repeating_it", func(t *testing.T) {
		t.Parallel()
		for _, bad := range []string{"short1!", "password", "grace@example.test"} {
			_, err := w.sessions.SignUp(t.Context(), client(), sessions.SignUp{
				Name: "Grace", Email: "grace@example.test", Password: bad, Organization: "Navy",
			})
			f := requireFault(t, err, fault.Invalid, "validation_failed")
			assert.Equal(t, []string{"/password"}, pointers(f))
			assert.NotContains(t, f.Error()+f.Violations[0].Detail, bad)
		}
	})
}

func TestLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	login := func(ctx context.Context, in sessions.Login) (sessions.Grant, error) {
		return w.sessions.Login(ctx, client(), in)
	}

	t.Run("lets_in_whoever_knows_the_password", func(t *testing.T) {
		t.Parallel()
		first := w.signUp(t)
		grant, err := login(t.Context(), sessions.Login{Email: " " + strings.ToUpper(first.User.Email), Password: goodPassword})
		require.NoError(t, err)
		assert.Equal(t, first.User.ID, grant.User.ID)
		assert.NotEqual(t, first.SessionID, grant.SessionID)
		require.NoError(t, w.credentials.Verify(t.Context(), w.scope(t, grant)))
		assert.Contains(t, w.actions(t, grant.Tenant.ID), "session.created")
	})
	t.Run("answers_the_same_to_a_wrong_password_an_unknown_address_and_a_disabled_user", func(t *testing.T) {
		t.Parallel()
		known, disabled := w.signUp(t), w.signUp(t)
		require.NoError(t, w.users.Disable(t.Context(), disabled.User.ID, "op-1"))
		var answers []fault.Error
		for _, in := range []sessions.Login{
			{Email: known.User.Email, Password: "not the password"},
			{Email: known.User.Email, Password: "not the password", TenantID: &known.Tenant.ID, OTP: "123456"},
			{Email: "unknown@example.test", Password: goodPassword},
			{Email: disabled.User.Email, Password: goodPassword},
		} {
			_, err := login(t.Context(), in)
			f := requireFault(t, err, fault.Unauthorized, "auth.invalid_credentials")
			answers = append(answers, f)
		}
		for _, answer := range answers[1:] {
			assert.Equal(t, answers[0], answer)
		}
	})
	t.Run("chooses_the_organization_that_was_used_last", func(t *testing.T) {
		t.Parallel()
		host, guest := w.signUp(t), w.signUp(t)
		assert.Equal(t, guest.Tenant.ID, w.login(t, guest).Tenant.ID, "the only one")
		joined := w.inviteExisting(t, w.scope(t, host), guest, members.Viewer)
		assert.Equal(t, host.Tenant.ID, joined.Tenant.ID)

		w.clock.advance(time.Second)
		assert.Equal(t, host.Tenant.ID, w.login(t, guest).Tenant.ID, "the one that was joined last was used last")
		_, err := w.sessions.Switch(t.Context(), client(), w.scope(t, joined), guest.Tenant.ID)
		require.NoError(t, err)
		w.clock.advance(time.Second)
		assert.Equal(t, guest.Tenant.ID, w.login(t, guest).Tenant.ID)

		_, err = w.tenants.Suspend(t.Context(), guest.Tenant.ID, "op-1")
		require.NoError(t, err)
		assert.Equal(t, host.Tenant.ID, w.login(t, guest).Tenant.ID, "a suspended one is passed over")
		grant, err := login(t.Context(), sessions.Login{Email: guest.User.Email, Password: goodPassword, TenantID: &host.Tenant.ID})
		require.NoError(t, err)
		assert.Equal(t, members.Viewer, grant.Role)
	})
	t.Run("tells_what_stands_in_the_way_to_whoever_knows_the_password", func(t *testing.T) {
		t.Parallel()
		owner, other := w.signUp(t), w.signUp(t)
		unknown := tenancy.NewID()
		for _, tenant := range []*tenancy.ID{&other.Tenant.ID, &unknown, {}} {
			_, err := login(t.Context(), sessions.Login{Email: owner.User.Email, Password: goodPassword, TenantID: tenant})
			requireFault(t, err, fault.Forbidden, "auth.not_a_member")
			_, err = login(t.Context(), sessions.Login{Email: owner.User.Email, Password: "wrong", TenantID: tenant})
			requireFault(t, err, fault.Unauthorized, "auth.invalid_credentials")
		}
		_, err := login(t.Context(), sessions.Login{Email: owner.User.Email, Password: goodPassword, OTP: "123456"})
		f := requireFault(t, err, fault.Invalid, "auth.mfa_not_enabled")
		assert.Equal(t, []string{"/otp"}, pointers(f))

		_, err = w.tenants.Suspend(t.Context(), owner.Tenant.ID, "op-1")
		require.NoError(t, err)
		for _, tenant := range []*tenancy.ID{nil, &owner.Tenant.ID} {
			_, err = login(t.Context(), sessions.Login{Email: owner.User.Email, Password: goodPassword, TenantID: tenant})
			requireFault(t, err, fault.Forbidden, "tenant.suspended")
		}
	})
	t.Run("says_the_way_out_to_whoever_has_no_organization_left", func(t *testing.T) {
		t.Parallel()
		owner := w.signUp(t)
		member := w.join(t, w.scope(t, owner), members.Member)
		require.NoError(t, w.members.Remove(t.Context(), w.scope(t, member), member.User.ID))
		_, err := login(t.Context(), sessions.Login{Email: member.User.Email, Password: goodPassword})
		requireFault(t, err, fault.Forbidden, "auth.no_tenant")
	})
	t.Run("makes_an_old_hash_anew_even_where_many_sign_in_at_once", func(t *testing.T) {
		t.Parallel()
		person := w.signUp(t)
		old := oldHash(t, goodPassword)
		w.Exec(t, "update users set password_hash = $2 where id = $1", person.User.ID.String(), old)
		grants, failures := atOnce(3, func(int) (sessions.Grant, error) {
			return login(t.Context(), sessions.Login{Email: person.User.Email, Password: goodPassword})
		})
		require.Empty(t, failures)
		assert.Len(t, grants, 3)
		renewed := w.text(t, "select password_hash from users where id = $1", person.User.ID.String())
		assert.NotEqual(t, old, renewed)
		w.login(t, person)
		assert.Equal(t, renewed, w.text(t, "select password_hash from users where id = $1", person.User.ID.String()), "once is enough")
	})
	t.Run("clears_away_sessions_that_ended_long_ago", func(t *testing.T) {
		t.Parallel()
		person := w.signUp(t)
		w.Exec(t, "update sessions set expires_at = now() - interval '31 days' where id = $1", person.SessionID.String())
		w.login(t, person)
		assert.Equal(t, "1", w.text(t, "select count(*)::text from sessions where user_id = $1", person.User.ID.String()))
	})
	t.Run("keeps_what_clients_say_about_themselves_short_and_storable", func(t *testing.T) {
		t.Parallel()
		person := w.signUp(t)
		_, err := w.sessions.Login(t.Context(), sessions.Client{UserAgent: "\x00\xff" + strings.Repeat("é", 600)},
			sessions.Login{Email: person.User.Email, Password: goodPassword})
		require.NoError(t, err)
	})
}

// TestNoSessionSlipsThrough proves that who loses the right to sign in while signing in does not keep a session.
func TestNoSessionSlipsThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, take := range map[string]func(t *testing.T, owner, member sessions.Grant) error{
		"past_a_removal": func(t *testing.T, owner, member sessions.Grant) error {
			t.Helper()
			return w.members.Remove(t.Context(), w.scope(t, owner), member.User.ID)
		},
		"past_a_disabling": func(t *testing.T, _, member sessions.Grant) error {
			t.Helper()
			return w.users.Disable(t.Context(), member.User.ID, "op-1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			owner := w.signUp(t)
			member := w.join(t, w.scope(t, owner), members.Member)
			grants, failures := atOnce(5, func(n int) (sessions.Grant, error) {
				if n == 0 {
					return sessions.Grant{}, take(t, owner, member)
				}
				return w.sessions.Login(t.Context(), client(), sessions.Login{
					Email: member.User.Email, Password: goodPassword, TenantID: &owner.Tenant.ID,
				})
			})
			for _, err := range failures {
				assert.Contains(t, []fault.Kind{fault.Unauthorized, fault.Forbidden}, fault.KindOf(err), err)
			}
			for _, grant := range grants {
				if !grant.SessionID.IsZero() {
					require.Error(t, w.credentials.Verify(t.Context(), w.scope(t, grant)))
				}
			}
			assert.Equal(t, "0", w.text(t, "select count(*)::text from sessions where user_id = $1 and revoked_at is null", member.User.ID.String()))
		})
	}
}

// inviteExisting makes somebody who has an account a member of the scope's tenant, and signs them in there.
func (w *world) inviteExisting(tb testing.TB, by tenancy.Scope, guest sessions.Grant, role string) sessions.Grant {
	tb.Helper()
	_, token, err := w.invitations.Create(tb.Context(), by, members.InvitationInput{Email: guest.User.Email, Role: role})
	require.NoError(tb, err)
	grant, err := w.sessions.Accept(tb.Context(), client(), nil, sessions.Acceptance{Token: token, Password: goodPassword})
	require.NoError(tb, err)
	return grant
}

func pointers(f fault.Error) []string {
	list := make([]string, len(f.Violations))
	for i, v := range f.Violations {
		list[i] = v.Pointer
	}
	return list
}
