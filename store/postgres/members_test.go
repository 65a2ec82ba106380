package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
)

func TestMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := func(role string) members.RoleChange { return members.RoleChange{Role: role} }

	t.Run("are_listed_with_names_by_pages", func(t *testing.T) {
		t.Parallel()
		owner := w.signUp(t)
		scope := w.scope(t, owner)
		for range 4 {
			w.join(t, scope, members.Viewer)
		}
		var seen []tenancy.ID
		request := page.Request{Limit: 2}
		for {
			p, err := w.members.List(t.Context(), scope, request)
			require.NoError(t, err)
			for _, m := range p.Items {
				seen = append(seen, m.UserID)
				assert.NotEmpty(t, m.Name)
				assert.Contains(t, m.Email, "@example.test")
			}
			if len(p.Next) == 0 {
				assert.NotEmpty(t, p.Prev)
				back, err := w.members.List(t.Context(), scope, page.Request{Limit: 2, After: p.Prev, Backward: true})
				require.NoError(t, err)
				assert.Equal(t, []tenancy.ID{back.Items[0].UserID, back.Items[1].UserID}, seen[2:4])
				break
			}
			request.After = p.Next
		}
		assert.Len(t, seen, 5)
		_, err := w.members.List(t.Context(), scope, page.Request{After: page.Position{"nonsense"}})
		requireFault(t, err, fault.Malformed, "invalid_cursor")
	})
	t.Run("of_another_tenant_do_not_exist", func(t *testing.T) {
		t.Parallel()
		one, other := w.signUp(t), w.signUp(t)
		member := w.join(t, w.scope(t, other), members.Member)
		scope := w.scope(t, one)
		for _, id := range []tenancy.ID{member.User.ID, tenancy.NewID()} {
			_, err := w.members.Find(t.Context(), scope, id)
			requireFault(t, err, fault.NotFound, "member.not_found")
			_, err = w.members.ChangeRole(t.Context(), scope, id, 0, to(members.Viewer))
			requireFault(t, err, fault.NotFound, "member.not_found")
			requireFault(t, w.members.Remove(t.Context(), scope, id), fault.NotFound, "member.not_found")
		}
		require.NoError(t, w.credentials.Verify(t.Context(), w.scope(t, member)))
	})
	t.Run("get_another_role_that_bites_at_the_next_statement", func(t *testing.T) {
		t.Parallel()
		owner := w.signUp(t)
		member := w.join(t, w.scope(t, owner), members.Member)
		before := w.scope(t, member)
		after, err := w.members.ChangeRole(t.Context(), w.scope(t, owner), member.User.ID, 1, to(members.Admin))
		require.NoError(t, err)
		assert.Equal(t, members.Admin, after.Role)
		assert.EqualValues(t, 2, after.Version)
		_, err = w.members.List(t.Context(), before, page.Request{})
		requireFault(t, err, fault.Unauthorized, "auth.outdated")
		_, err = w.members.ChangeRole(t.Context(), w.scope(t, owner), member.User.ID, 1, to(members.Viewer))
		requireFault(t, err, fault.Stale, "version_mismatch")
		same, err := w.members.ChangeRole(t.Context(), w.scope(t, owner), member.User.ID, 0, to(members.Admin))
		require.NoError(t, err)
		assert.EqualValues(t, 2, same.Version, "the same role is no change")
		assert.Equal(t, "member.role_changed", last(w.actions(t, before.Tenant)))
		_, err = w.members.ChangeRole(t.Context(), w.scope(t, owner), member.User.ID, 0, to("king"))
		requireFault(t, err, fault.Invalid, "validation_failed")
	})
	t.Run("are_removed_at_once_with_their_sessions_in_this_tenant_only", func(t *testing.T) {
		t.Parallel()
		owner, guest := w.signUp(t), w.signUp(t)
		joined := w.inviteExisting(t, w.scope(t, owner), guest, members.Admin)
		scope := w.scope(t, joined)
		require.NoError(t, w.members.Remove(t.Context(), w.scope(t, owner), guest.User.ID))
		_, err := w.members.List(t.Context(), scope, page.Request{})
		requireFault(t, err, fault.Unauthorized, "auth.revoked")
		_, err = w.sessions.Refresh(t.Context(), client(), joined.RefreshToken)
		requireFault(t, err, fault.Unauthorized, "auth.revoked")
		require.NoError(t, w.credentials.Verify(t.Context(), w.scope(t, guest)))
		assert.Equal(t, "member.removed", last(w.actions(t, scope.Tenant)))

		// Coming back does not bring old tokens back.
		w.inviteExisting(t, w.scope(t, owner), guest, members.Admin)
		requireFault(t, w.credentials.Verify(t.Context(), scope), fault.Unauthorized, "auth.revoked")
	})
	t.Run("may_leave_whatever_their_role", func(t *testing.T) {
		t.Parallel()
		owner := w.signUp(t)
		viewer, colleague := w.join(t, w.scope(t, owner), members.Viewer), w.join(t, w.scope(t, owner), members.Viewer)
		err := w.members.Remove(t.Context(), w.scope(t, viewer), colleague.User.ID)
		requireFault(t, err, fault.Forbidden, "permission_denied")
		require.NoError(t, w.members.Remove(t.Context(), w.scope(t, viewer), viewer.User.ID))
		assert.Equal(t, "member.left", last(w.actions(t, owner.Tenant.ID)))
	})
	t.Run("touch_owners_only_as_owners", func(t *testing.T) {
		t.Parallel()
		owner := w.signUp(t)
		scope := w.scope(t, owner)
		admin, second := w.join(t, scope, members.Admin), w.join(t, scope, members.Owner)
		key := w.keyScope(t, scope, "*")
		for _, by := range []tenancy.Scope{w.scope(t, admin), key} {
			_, err := w.members.ChangeRole(t.Context(), by, admin.User.ID, 0, to(members.Owner))
			requireFault(t, err, fault.Forbidden, "member.owner_required")
			_, err = w.members.ChangeRole(t.Context(), by, second.User.ID, 0, to(members.Viewer))
			requireFault(t, err, fault.Forbidden, "member.owner_required")
			requireFault(t, w.members.Remove(t.Context(), by, second.User.ID), fault.Forbidden, "member.owner_required")
			_, _, err = w.invitations.Create(t.Context(), by, members.InvitationInput{Email: "o@example.test", Role: members.Owner})
			requireFault(t, err, fault.Forbidden, "member.owner_required")
		}
		_, err := w.members.ChangeRole(t.Context(), scope, second.User.ID, 0, to(members.Viewer))
		require.NoError(t, err)
	})
	t.Run("keep_an_owner", func(t *testing.T) {
		t.Parallel()
		owner := w.signUp(t)
		scope := w.scope(t, owner)
		_, err := w.members.ChangeRole(t.Context(), scope, owner.User.ID, 0, to(members.Admin))
		requireFault(t, err, fault.Conflict, "member.last_owner")
		requireFault(t, w.members.Remove(t.Context(), scope, owner.User.ID), fault.Conflict, "member.last_owner")
	})
}

// TestLastOwnerRace lets all owners of a tenant go at once, in every way: one stays.
func TestLastOwnerRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, act := range map[string]func(t *testing.T, by tenancy.Scope, self, other tenancy.ID) error{
		"by_leaving": func(t *testing.T, by tenancy.Scope, self, _ tenancy.ID) error {
			t.Helper()
			return w.members.Remove(t.Context(), by, self)
		},
		"by_stepping_down": func(t *testing.T, by tenancy.Scope, self, _ tenancy.ID) error {
			t.Helper()
			_, err := w.members.ChangeRole(t.Context(), by, self, 0, members.RoleChange{Role: members.Viewer})
			return err
		},
		"by_demoting_each_other": func(t *testing.T, by tenancy.Scope, _, other tenancy.ID) error {
			t.Helper()
			_, err := w.members.ChangeRole(t.Context(), by, other, 0, members.RoleChange{Role: members.Viewer})
			return err
		},
		"by_removing_each_other": func(t *testing.T, by tenancy.Scope, _, other tenancy.ID) error {
			t.Helper()
			return w.members.Remove(t.Context(), by, other)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := w.signUp(t)
			grants := []sessions.Grant{first}
			for range 3 {
				grants = append(grants, w.join(t, w.scope(t, first), members.Owner))
			}
			scopes := make([]tenancy.Scope, len(grants))
			for i, grant := range grants {
				scopes[i] = w.scope(t, grant)
			}
			_, failures := atOnce(len(grants), func(n int) (struct{}, error) {
				return struct{}{}, act(t, scopes[n], grants[n].User.ID, grants[(n+1)%len(grants)].User.ID)
			})
			assert.NotEmpty(t, failures)
			for _, err := range failures {
				f, ok := fault.As(err)
				require.True(t, ok, err)
				assert.Contains(t, []string{"member.last_owner", "auth.outdated", "auth.revoked", "member.not_found"}, f.Code)
			}
			owners := w.text(t, "select count(*)::text from memberships where tenant_id = $1 and role = 'owner'", first.Tenant.ID.String())
			assert.NotEqual(t, "0", owners)
		})
	}
}

func TestInvitations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	accept := func(t *testing.T, in sessions.Acceptance) (sessions.Grant, error) {
		t.Helper()
		return w.sessions.Accept(t.Context(), client(), nil, in)
	}

	t.Run("bring_somebody_new_in", func(t *testing.T) {
		t.Parallel()
		owner := w.signUp(t)
		scope := w.scope(t, owner)
		inv, token, err := w.invitations.Create(t.Context(), scope, members.InvitationInput{Email: " New@Example.test", Role: members.Member})
		require.NoError(t, err)
		assert.Equal(t, "new@example.test", inv.Email)
		assert.Equal(t, &owner.User.ID, inv.InvitedBy)
		assert.Equal(t, "pending", inv.State(w.clock.Now()))
		assert.Equal(t, 7*24*time.Hour, inv.ExpiresAt.Sub(inv.CreatedAt))

		_, err = accept(t, sessions.Acceptance{Token: token})
		assert.ElementsMatch(t, []string{"/name", "/password"}, pointers(requireFault(t, err, fault.Invalid, "validation_failed")))
		_, err = accept(t, sessions.Acceptance{Token: token, Name: "New", Password: "short"})
		requireFault(t, err, fault.Invalid, "validation_failed")
		grant, err := accept(t, sessions.Acceptance{Token: token, Name: "New", Password: goodPassword})
		require.NoError(t, err)
		assert.Equal(t, scope.Tenant, grant.Tenant.ID)
		assert.Equal(t, members.Member, grant.Role)
		assert.False(t, grant.User.IsEmailVerified(), "who invites sees the token too")
		require.NoError(t, w.credentials.Verify(t.Context(), w.scope(t, grant)))
		_, err = accept(t, sessions.Acceptance{Token: token, Password: goodPassword})
		requireFault(t, err, fault.Conflict, "invitation.accepted")
		assert.Subset(t, w.actions(t, scope.Tenant), []string{"invitation.created", "invitation.accepted", "member.joined"})
	})
	t.Run("let_somebody_with_an_account_prove_themselves", func(t *testing.T) {
		t.Parallel()
		owner, guest, other := w.signUp(t), w.signUp(t), w.signUp(t)
		_, token, err := w.invitations.Create(t.Context(), w.scope(t, owner), members.InvitationInput{Email: guest.User.Email, Role: members.Admin})
		require.NoError(t, err)
		_, err = accept(t, sessions.Acceptance{Token: token})
		requireFault(t, err, fault.Unauthorized, "invitation.sign_in_required")
		_, err = accept(t, sessions.Acceptance{Token: token, Password: "wrong", Name: "Evil"})
		requireFault(t, err, fault.Unauthorized, "auth.invalid_credentials")
		scope := w.scope(t, other)
		_, err = w.sessions.Accept(t.Context(), client(), &scope, sessions.Acceptance{Token: token})
		requireFault(t, err, fault.Forbidden, "invitation.other_email")
		scope = w.scope(t, guest)
		grant, err := w.sessions.Accept(t.Context(), client(), &scope, sessions.Acceptance{Token: token})
		require.NoError(t, err)
		assert.Equal(t, owner.Tenant.ID, grant.Tenant.ID)
		assert.Equal(t, guest.User.ID, grant.User.ID)
		assert.Equal(t, guest.User.Name, grant.User.Name)
	})
	t.Run("are_one_for_each_address_until_they_end", func(t *testing.T) {
		t.Parallel()
		owner := w.signUp(t)
		scope := w.scope(t, owner)
		in := members.InvitationInput{Email: "once@example.test", Role: members.Viewer}
		made, failures := atOnce(4, func(int) (string, error) {
			_, token, err := w.invitations.Create(t.Context(), scope, in)
			return token, err
		})
		require.Len(t, made, 1)
		for _, err := range failures {
			requireFault(t, err, fault.Conflict, "invitation.exists")
		}
		list, err := w.invitations.List(t.Context(), scope, page.Request{})
		require.NoError(t, err)
		require.Len(t, list.Items, 1)
		id := list.Items[0].ID

		require.NoError(t, w.invitations.Revoke(t.Context(), scope, id))
		requireFault(t, w.invitations.Revoke(t.Context(), scope, id), fault.Conflict, "invitation.revoked")
		_, err = accept(t, sessions.Acceptance{Token: made[0], Name: "N", Password: goodPassword})
		requireFault(t, err, fault.Conflict, "invitation.revoked")
		_, token, err := w.invitations.Create(t.Context(), scope, in)
		require.NoError(t, err)
		_, err = accept(t, sessions.Acceptance{Token: token, Name: "N", Password: goodPassword})
		require.NoError(t, err)
		_, _, err = w.invitations.Create(t.Context(), scope, in)
		requireFault(t, err, fault.Conflict, "member.exists")
	})
	t.Run("of_another_tenant_do_not_exist", func(t *testing.T) {
		t.Parallel()
		owner, other := w.signUp(t), w.signUp(t)
		inv, _, err := w.invitations.Create(t.Context(), w.scope(t, other), members.InvitationInput{Email: "far@example.test", Role: members.Viewer})
		require.NoError(t, err)
		for _, id := range []tenancy.ID{inv.ID, tenancy.NewID()} {
			requireFault(t, w.invitations.Revoke(t.Context(), w.scope(t, owner), id), fault.NotFound, "invitation.not_found")
		}
		list, err := w.invitations.List(t.Context(), w.scope(t, owner), page.Request{})
		require.NoError(t, err)
		assert.Empty(t, list.Items)
		_, err = accept(t, sessions.Acceptance{Token: "gw_inv_nonsense", Name: "N", Password: goodPassword})
		requireFault(t, err, fault.NotFound, "invitation.not_found")
	})
	t.Run("are_accepted_once_even_where_many_try_at_once", func(t *testing.T) {
		t.Parallel()
		owner := w.signUp(t)
		_, token, err := w.invitations.Create(t.Context(), w.scope(t, owner), members.InvitationInput{Email: "twice@example.test", Role: members.Viewer})
		require.NoError(t, err)
		grants, failures := atOnce(3, func(int) (sessions.Grant, error) {
			return w.sessions.Accept(t.Context(), client(), nil, sessions.Acceptance{Token: token, Name: "Twice", Password: goodPassword})
		})
		assert.Len(t, grants, 1)
		for _, err := range failures {
			assert.Contains(t, []fault.Kind{fault.Conflict, fault.Unauthorized}, fault.KindOf(err), err)
		}
	})
	t.Run("do_not_open_a_suspended_tenant", func(t *testing.T) {
		t.Parallel()
		owner := w.signUp(t)
		_, token, err := w.invitations.Create(t.Context(), w.scope(t, owner), members.InvitationInput{Email: "sus@example.test", Role: members.Viewer})
		require.NoError(t, err)
		_, err = w.tenants.Suspend(t.Context(), owner.Tenant.ID, "op-1")
		require.NoError(t, err)
		_, err = accept(t, sessions.Acceptance{Token: token, Name: "N", Password: goodPassword})
		requireFault(t, err, fault.Forbidden, "tenant.suspended")
		assert.Equal(t, "0", w.text(t, "select count(*)::text from users where email = 'sus@example.test'"))
	})
}

func TestInvitationsExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	scope := w.scope(t, w.signUp(t))
	in := members.InvitationInput{Email: "late@example.test", Role: members.Viewer}
	_, token, err := w.invitations.Create(t.Context(), scope, in)
	require.NoError(t, err)
	w.clock.advance(7*24*time.Hour + time.Second)
	_, err = w.sessions.Accept(t.Context(), client(), nil, sessions.Acceptance{Token: token, Name: "Late", Password: goodPassword})
	requireFault(t, err, fault.Conflict, "invitation.expired")
	_, _, err = w.invitations.Create(t.Context(), scope, in)
	require.NoError(t, err, "an expired one makes room")
}

func TestTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	set := func(name, zone string) func(*tenants.Settings) error {
		return func(s *tenants.Settings) error {
			s.Name, s.TimeZone = name, zone
			return nil
		}
	}

	t.Run("read_and_change_themselves", func(t *testing.T) {
		t.Parallel()
		scope := w.scope(t, w.signUp(t))
		after, err := w.tenants.Change(t.Context(), scope, 1, set(" Engines ", "Europe/Berlin"))
		require.NoError(t, err)
		assert.Equal(t, "Engines", after.Name)
		found, err := w.tenants.Find(t.Context(), scope)
		require.NoError(t, err)
		assert.Equal(t, after, found)
		assert.EqualValues(t, 2, found.Version)
		same, err := w.tenants.Change(t.Context(), scope, 0, set("Engines", "Europe/Berlin"))
		require.NoError(t, err)
		assert.EqualValues(t, 2, same.Version)
		_, err = w.tenants.Change(t.Context(), scope, resource.Match(1), set("Late", "UTC"))
		requireFault(t, err, fault.Stale, "version_mismatch")
		assert.Equal(t, "tenant.updated", last(w.actions(t, scope.Tenant)))
	})
	t.Run("refuse_what_is_no_time_zone", func(t *testing.T) {
		t.Parallel()
		scope := w.scope(t, w.signUp(t))
		for _, zone := range []string{"", "Local", "Mars/Olympus", "../etc/passwd", "europe berlin"} {
			_, err := w.tenants.Change(t.Context(), scope, 0, set("Engines", zone))
			assert.Equal(t, []string{"/time_zone"}, pointers(requireFault(t, err, fault.Invalid, "validation_failed")), zone)
		}
	})
	t.Run("stop_at_the_next_statement_when_suspended_and_go_on_when_resumed", func(t *testing.T) {
		t.Parallel()
		grant := w.signUp(t)
		scope := w.scope(t, grant)
		key := w.keyScope(t, scope, "*")
		suspended, err := w.tenants.Suspend(t.Context(), scope.Tenant, "op-1")
		require.NoError(t, err)
		assert.Equal(t, tenants.Suspended, suspended.State)
		for _, by := range []tenancy.Scope{scope, key} {
			_, err = w.tenants.Find(t.Context(), by)
			requireFault(t, err, fault.Forbidden, "tenant.suspended")
			_, err = w.tenants.Change(t.Context(), by, 0, set("X", "UTC"))
			requireFault(t, err, fault.Forbidden, "tenant.suspended")
		}
		_, err = w.tenants.Resume(t.Context(), scope.Tenant, "op-1")
		require.NoError(t, err)
		_, err = w.tenants.Find(t.Context(), scope)
		require.NoError(t, err)
		assert.Subset(t, w.actions(t, scope.Tenant), []string{"tenant.suspended", "tenant.resumed"})
	})
	t.Run("of_the_system_cannot_be_suspended", func(t *testing.T) {
		t.Parallel()
		_, err := w.tenants.Suspend(t.Context(), tenancy.SystemTenant, "op-1")
		requireFault(t, err, fault.Conflict, "tenant.reserved")
		_, err = w.tenants.Suspend(t.Context(), tenancy.NewID(), "op-1")
		requireFault(t, err, fault.NotFound, "tenant.not_found")
	})
}
