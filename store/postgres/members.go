package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

var _ members.Store = (*Identity)(nil)

const selectMembers = "select m.tenant_id, m.user_id, u.name, u.email, m.role, m.version, m.created_at, m.updated_at" +
	" from memberships m join users u on u.id = m.user_id where m.tenant_id = $1"

func readMember(row scanner) (m members.Membership, err error) {
	return m, row.Scan(&m.TenantID, &m.UserID, &m.Name, &m.Email, &m.Role, &m.Version, &m.CreatedAt, &m.UpdatedAt)
}

// ListMembers returns members by the id of the user.
func (i *Identity) ListMembers(ctx context.Context, scope tenancy.Scope, request page.Request,
) ([]members.Membership, error) {
	k, err := oldestFirst(request)
	if err != nil {
		return nil, err
	}
	list, err := all(i.db.Scoped(ctx, scope), readMember, selectMembers+k.sql("m.user_id", "$2"), scope.Tenant, k.after)
	return list, translate(err)
}

// FindMember returns one member.
func (i *Identity) FindMember(ctx context.Context, scope tenancy.Scope, user tenancy.ID) (members.Membership, error) {
	m, err := findMember(i.db.Scoped(ctx, scope), scope.Tenant, user)
	return m, translate(err)
}

func findMember(tx *gorm.DB, tenant, user tenancy.ID) (members.Membership, error) {
	m, found, err := one(tx, readMember, selectMembers+" and m.user_id = $2", tenant, user)
	if err == nil && !found {
		err = notFound("member.not_found", "member")
	}
	return m, err
}

// ChangeRole gives a member another role.
func (i *Identity) ChangeRole(ctx context.Context, scope tenancy.Scope, user tenancy.ID, now time.Time,
	decide func(members.Situation) (string, error),
) (after members.Membership, err error) {
	err = i.db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := i.db.Scoped(ctx, scope)
		at, err := situation(tx, scope, user)
		if err != nil {
			return err
		}
		role, err := decide(at)
		if err != nil {
			return err
		}
		after = at.Target
		if role == at.Target.Role {
			return nil
		}
		after.Role, after.Version, after.UpdatedAt = role, at.Target.Version+1, now
		if err := Defer(tx, "update memberships set role = $3, version = $4, updated_at = $5 where tenant_id = $1 and user_id = $2",
			scope.Tenant, user, after.Role, after.Version, now); err != nil {
			return err
		}
		return tellAct(tx, scope, now, "member.role_changed", "member", user, after.Version,
			audit.Change{Field: "role", From: at.Target.Role, To: role})
	})
	return after, translate(err)
}

// RemoveMember takes a member out of the tenant and ends their sessions there.
func (i *Identity) RemoveMember(ctx context.Context, scope tenancy.Scope, user tenancy.ID, now time.Time,
	decide func(members.Situation) error,
) error {
	s := managed(scope)
	err := i.db.inTx(ctx, s, nil, func(ctx context.Context) error {
		tx := i.db.with(ctx, s)
		at, err := situation(tx, scope, user)
		if err != nil {
			return err
		}
		if err := decide(at); err != nil {
			return err
		}
		// The row is deleted before the sessions are looked at: whoever opens one meanwhile holds the row.
		if _, err := affect(tx, "delete from memberships where tenant_id = $1 and user_id = $2", scope.Tenant, user); err != nil {
			return err
		}
		if err := Defer(tx, endSessions+" and tenant_id = $4", user, now, sessions.ReasonMemberRemoved, scope.Tenant); err != nil {
			return err
		}
		action := "member.removed"
		if scope.Actor.Kind == tenancy.User && scope.Actor.ID == user {
			action = "member.left"
		}
		return tellAct(tx, scope, now, action, "member", user, at.Target.Version,
			audit.Change{Field: "role", From: at.Target.Role, To: nil})
	})
	return translate(err)
}

// situation takes the tenant's lock on memberships, proves the actor's access again, since it may have changed while
// waiting, and reads what a change is decided on.
func situation(tx *gorm.DB, scope tenancy.Scope, user tenancy.ID) (members.Situation, error) {
	if err := Lock(tx, LockKey("memberships", scope.Tenant[:]...)); err != nil {
		return members.Situation{}, err
	}
	actor := scope.Actor
	if actor.Kind != tenancy.System {
		if err := exec(tx, "select check_access($1, $2, $3, $4)", string(actor.Kind), actor.ID, nullable(actor.Session),
			actor.Version); err != nil {
			return members.Situation{}, err
		}
	}
	target, err := findMember(tx, scope.Tenant, user)
	if err != nil {
		return members.Situation{}, err
	}
	at := members.Situation{Target: target}
	_, _, err = one(tx, func(row scanner) (struct{}, error) { return struct{}{}, row.Scan(&at.Owners, &at.ActorRole) },
		`select count(*) filter (where role = 'owner'), coalesce(max(role) filter (where user_id = $2 and $3), '')
		   from memberships where tenant_id = $1`, scope.Tenant, actor.ID, actor.Kind == tenancy.User)
	return at, err
}
