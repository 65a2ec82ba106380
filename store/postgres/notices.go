package postgres

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/users"
)

var _ notices.Store = (*Identity)(nil)

// forgetTokensAfter is how long the hash of a token is kept that has expired, in days: so long somebody who follows an
// old link is told why it does not work.
const forgetTokensAfter = 30

// maxTold bounds how many owners are told of one thing.
const maxTold = 20

// FindAccount returns a user.
func (i *Identity) FindAccount(ctx context.Context, id tenancy.ID) (users.User, error) {
	u, found, err := one(i.db.control(ctx), readUser, "select "+userColumns+" from users u where u.id = $1", id)
	if err == nil && !found {
		err = notFound("user.not_found", "user")
	}
	return u, translate(err)
}

// SaveToken keeps the hash of a token that is about to be mailed. Requests are in the order of their ids, which are those
// of their jobs: an older mail that was delayed does not end the link in a newer one.
func (i *Identity) SaveToken(ctx context.Context, t notices.NewToken) error {
	err := i.db.controlTx(ctx, nil, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		_, found, err := one(tx, readID,
			"select u.id from users u where u.id = $1 and u.email = $2 and u.state = 'active' for no key update", t.User, t.Email)
		if err != nil {
			return err
		}
		if !found {
			return notFound("user.not_found", "user")
		}
		_, newer, err := one(tx, func(row scanner) (n int, err error) { return n, row.Scan(&n) }, `
			select 1 from account_tokens where user_id = $1 and purpose = $2 and request > $3 limit 1`,
			t.User, string(t.Purpose), t.Request)
		if err != nil {
			return err
		}
		if newer {
			return notices.ErrSuperseded
		}
		if err := Defer(tx, `update account_tokens set retired_at = $4
			where user_id = $1 and purpose = $2 and request < $3 and used_at is null and retired_at is null`,
			t.User, string(t.Purpose), t.Request, t.CreatedAt); err != nil {
			return err
		}
		if err := Defer(tx, "delete from account_tokens where user_id = $1 and expires_at < $2::timestamptz - make_interval(days => $3)",
			t.User, t.CreatedAt, forgetTokensAfter); err != nil {
			return err
		}
		return Defer(tx, `insert into account_tokens (token_hash, user_id, purpose, email, request, created_at, expires_at)
			values ($1, $2, $3, $4, $5, $6, $7)`,
			t.Hash, t.User, string(t.Purpose), t.Email, t.Request, t.CreatedAt, t.ExpiresAt)
	})
	return translate(err)
}

// FindEndedSession returns a session of a user's.
func (i *Identity) FindEndedSession(ctx context.Context, user, id tenancy.ID) (sessions.Session, error) {
	s, found, err := one(i.db.control(ctx),
		func(row scanner) (s sessions.Session, err error) { return s, row.Scan(sessionFields(&s)...) },
		"select "+sessionColumns+" from sessions s where s.id = $1 and s.user_id = $2", id, user)
	if err == nil && !found {
		err = notFound("session.not_found", "session")
	}
	return s, translate(err)
}

// FindOpenInvitation returns an invitation with the names of who asked, and into what.
func (i *Identity) FindOpenInvitation(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (notices.OpenInvitation, error) {
	inv, found, err := one(i.db.control(ctx), func(row scanner) (o notices.OpenInvitation, err error) {
		return o, row.Scan(append(invitationFields(&o.Invitation), &o.TenantName, &o.Inviter)...)
	}, "select "+invitationColumns+`, t.name, coalesce(u.name, '') from invitations i
		  join tenants t on t.id = i.tenant_id left join users u on u.id = i.invited_by
		 where i.tenant_id = $1 and i.id = $2`, scope.Tenant, id)
	if err == nil && !found {
		err = notFound("invitation.not_found", "invitation")
	}
	return inv, translate(err)
}

// SaveInvitationToken keeps the hash of one more token that accepts an invitation, which must be open.
func (i *Identity) SaveInvitationToken(ctx context.Context, scope tenancy.Scope, id tenancy.ID, hash []byte, now time.Time) error {
	made, err := affect(i.db.Scoped(ctx, scope), `
		insert into invitation_tokens (tenant_id, token_hash, invitation_id, created_at)
		select i.tenant_id, $3, i.id, $4 from invitations i
		 where i.tenant_id = $1 and i.id = $2 and i.accepted_at is null and i.revoked_at is null`,
		scope.Tenant, id, hash, now)
	if err == nil && made == 0 {
		err = fault.New(fault.NotFound, "invitation.not_found", "There is no such open invitation.")
	}
	return translate(err)
}

// FindMadeKey returns a key with who made it and who is told. Where a key made it these are the owners.
func (i *Identity) FindMadeKey(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (notices.MadeKey, error) {
	key, err := keyRows().find(i.db.control(ctx), scope.Tenant, id, "")
	if err != nil {
		return notices.MadeKey{}, translate(err)
	}
	owners, err := i.FindOwners(ctx, scope)
	if err != nil {
		return notices.MadeKey{}, err
	}
	made := notices.MadeKey{Key: key, TenantName: owners.TenantName}
	made.Told, err = all(i.db.control(ctx), readUser, "select "+userColumns+` from users u join memberships m on m.user_id = u.id
		 where m.tenant_id = $1 and u.id = $2 and u.state = 'active'`, scope.Tenant, key.CreatedBy)
	if err != nil {
		return notices.MadeKey{}, translate(err)
	}
	if len(made.Told) > 0 {
		made.Maker = made.Told[0].Name
		return made, nil
	}
	made.Told = owners.Told
	return made, nil
}

// FindOwners returns a tenant's owners who may sign in.
func (i *Identity) FindOwners(ctx context.Context, scope tenancy.Scope) (owners notices.Owners, err error) {
	name, found, err := one(i.db.control(ctx), func(row scanner) (name string, err error) { return name, row.Scan(&name) },
		"select t.name from tenants t where t.id = $1", scope.Tenant)
	if err == nil && !found {
		err = notFound("tenant.not_found", "organization")
	}
	if err != nil {
		return notices.Owners{}, translate(err)
	}
	owners.TenantName = name
	owners.Told, err = all(i.db.control(ctx), readUser, "select "+userColumns+` from users u join memberships m on m.user_id = u.id
		 where m.tenant_id = $1 and m.role = 'owner' and u.state = 'active' order by u.id limit $2`, scope.Tenant, maxTold)
	return owners, translate(err)
}
