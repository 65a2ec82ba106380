package postgres

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

var _ members.InvitationStore = (*Identity)(nil)

const invitationColumns = "i.tenant_id, i.id, i.email, i.role, i.invited_by, i.created_at, i.expires_at, i.accepted_at, i.revoked_at"

func invitationFields(i *members.Invitation) []any {
	return []any{
		&i.TenantID, &i.ID, &i.Email, &i.Role, &i.InvitedBy, &i.CreatedAt, &i.ExpiresAt, &i.AcceptedAt, &i.RevokedAt,
	}
}

func invitationRows() rowsOf[members.Invitation] {
	return rowsOf[members.Invitation]{
		query: "select " + invitationColumns + " from invitations i where i.tenant_id = $1", id: "i.id", read: readInvitation,
		missing: func() error { return notFound("invitation.not_found", "invitation") },
	}
}

func readInvitation(row scanner) (i members.Invitation, err error) {
	return i, row.Scan(invitationFields(&i)...)
}

// CreateInvitation saves an invitation.
func (i *Identity) CreateInvitation(ctx context.Context, scope tenancy.Scope, inv members.Invitation, tokenHash []byte,
) error {
	err := i.db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := i.db.Scoped(ctx, scope)
		// One that has expired makes room for the next.
		if err := Defer(tx, `update invitations set revoked_at = expires_at
			where tenant_id = $1 and email = $2 and accepted_at is null and revoked_at is null and expires_at <= $3`,
			scope.Tenant, inv.Email, inv.CreatedAt); err != nil {
			return err
		}
		made, err := affect(tx, `
			insert into invitations (tenant_id, id, email, role, token_hash, invited_by, created_at, expires_at)
			select $1, $2, $3::text, $4, $5, $6::uuid, $7, $8
			where not exists (select from memberships m join users u on u.id = m.user_id
			                  where m.tenant_id = $1 and u.email = $3::text)
			on conflict (tenant_id, email) where accepted_at is null and revoked_at is null do nothing`,
			scope.Tenant, inv.ID, inv.Email, inv.Role, tokenHash, inv.InvitedBy, inv.CreatedAt, inv.ExpiresAt)
		if err != nil {
			return err
		}
		if made == 0 {
			_, isMember, err := one(tx, func(row scanner) (n int, err error) { return n, row.Scan(&n) },
				`select 1 from memberships m join users u on u.id = m.user_id where m.tenant_id = $1 and u.email = $2`,
				scope.Tenant, inv.Email)
			switch {
			case err != nil:
				return err
			case isMember:
				return errMemberExists()
			default:
				return fault.New(fault.Conflict, "invitation.exists",
					"This address has an open invitation. Revoke it to send another one.")
			}
		}
		if err := tellAct(tx, scope, inv.CreatedAt, "invitation.created", "invitation", inv.ID, 0,
			audit.Change{Field: "email", To: audit.Mask(inv.Email)}, audit.Change{Field: "role", To: inv.Role}); err != nil {
			return err
		}
		return i.mail(ctx, scope.AsSystem(scope.Tenant), notices.Invitation{InvitationID: inv.ID})
	})
	return translate(err)
}

// ListInvitations returns invitations, newest first.
func (i *Identity) ListInvitations(ctx context.Context, scope tenancy.Scope, request page.Request,
) ([]members.Invitation, error) {
	list, err := invitationRows().list(i.db.Scoped(ctx, scope), scope.Tenant, request)
	return list, translate(err)
}

// FindInvitationByID returns one invitation.
func (i *Identity) FindInvitationByID(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (members.Invitation, error) {
	inv, err := invitationRows().find(i.db.Scoped(ctx, scope), scope.Tenant, id, "")
	return inv, translate(err)
}

// RevokeInvitation takes an open invitation back.
func (i *Identity) RevokeInvitation(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time) error {
	err := i.db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := i.db.Scoped(ctx, scope)
		inv, err := invitationRows().find(tx, scope.Tenant, id, " for update")
		if err != nil {
			return err
		}
		if err := inv.CheckOpen(now); err != nil {
			return err
		}
		if err := Defer(tx, "update invitations set revoked_at = $3 where tenant_id = $1 and id = $2",
			scope.Tenant, id, now); err != nil {
			return err
		}
		return tellAct(tx, scope, now, "invitation.revoked", "invitation", id, 0)
	})
	return translate(err)
}

func errMemberExists() error {
	return fault.New(fault.Conflict, "member.exists", "This address is a member's already.")
}
