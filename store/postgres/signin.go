package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/users"
)

// What opens a session. Each of these holds the rows of the user and the membership, shared, until the session is
// committed: whoever disables the user, replaces the password or removes the member at that moment waits, and then
// ends this session too.

// SignUp saves a user, their tenant, their ownership and their session.
func (i *Identity) SignUp(ctx context.Context, user users.User, tenant tenants.Tenant, fresh sessions.Fresh) error {
	scope := actsIn(tenant.ID, user.ID, fresh.RequestID)
	now := user.CreatedAt
	err := i.db.controlTx(ctx, &tenant.ID, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		if err := insertUser(tx, user); err != nil {
			return err
		}
		if err := Defer(tx, `insert into tenants (id, name, state, time_zone, version, created_at, updated_at)
			values ($1, $2, $3, $4, $5, $6, $7)`,
			tenant.ID, tenant.Name, string(tenant.State), tenant.TimeZone, tenant.Version, now, now); err != nil {
			return err
		}
		if err := Defer(tx, insertMember, tenant.ID, user.ID, members.Owner, now); err != nil {
			return err
		}
		if err := insertSession(tx, fresh); err != nil {
			return err
		}
		if err := tellAct(tx, scope, now, "tenant.created", "tenant", tenant.ID, tenant.Version,
			audit.Change{Field: "name", To: tenant.Name}); err != nil {
			return err
		}
		if err := tellJoined(tx, scope, now, user.ID, members.Owner); err != nil {
			return err
		}
		return i.mail(ctx, tenancy.AsSystem(tenancy.SystemTenant, fresh.RequestID), notices.Welcome{UserID: user.ID})
	})
	return translate(emailTaken(err))
}

const insertMember = "insert into memberships (tenant_id, user_id, role, version, created_at, updated_at) values ($1, $2, $3, 1, $4, $4)"

// insertUser is sent at once: in a transaction that was joined, the commit that would take it along is somebody else's.
func insertUser(tx *gorm.DB, u users.User) error {
	_, err := affect(tx, `insert into users (id, email, name, password_hash, state, version, created_at, updated_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		u.ID, u.Email, u.Name, u.PasswordHash, string(u.State), u.Version, u.CreatedAt, u.UpdatedAt)
	return err
}

func tellJoined(tx *gorm.DB, scope tenancy.Scope, now time.Time, user tenancy.ID, role string) error {
	return tellAct(tx, scope, now, "member.joined", "member", user, 1, audit.Change{Field: "role", To: role})
}

// OpenSession saves a session of a user who proved who they are.
func (i *Identity) OpenSession(ctx context.Context, user users.User, rehash string, fresh sessions.Fresh,
) (access sessions.Access, err error) {
	if fresh.Session.TenantID, err = i.chooseTenant(ctx, user.ID, fresh.Session.TenantID); err != nil {
		return sessions.Access{}, translate(err)
	}
	tenant, now := fresh.Session.TenantID, fresh.Session.CreatedAt
	err = i.db.controlTx(ctx, &tenant, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		lock := " for share of u, m"
		if rehash != "" {
			lock = " for no key update of u for share of m"
		}
		if access, err = openFor(tx, user, tenant, lock); err != nil {
			return err
		}
		if rehash != "" {
			if err := Defer(tx, "update users set password_hash = $2 where id = $1", user.ID, rehash); err != nil {
				return err
			}
		}
		if err := insertSession(tx, fresh); err != nil {
			return err
		}
		return tellAct(tx, actsIn(tenant, user.ID, fresh.RequestID), now, "session.created", "session", fresh.Session.ID, 0)
	})
	return access, translate(err)
}

// openFor reads what a user may do in a tenant, and holds the rows that say so. The user must be as they were when
// they were proven.
func openFor(tx *gorm.DB, user users.User, tenant tenancy.ID, lock string) (sessions.Access, error) {
	access, found, err := one(tx, readAccess,
		"select "+userColumns+", "+tenantColumns+`, m.role, m.version
		   from users u join memberships m on m.user_id = u.id join tenants t on t.id = m.tenant_id
		  where u.id = $1 and m.tenant_id = $2`+lock, user.ID, tenant)
	switch {
	case err != nil:
		return sessions.Access{}, err
	case !found:
		return sessions.Access{}, sessions.ErrNotAMember()
	case !access.User.IsActive():
		return sessions.Access{}, users.ErrInvalidCredentials()
	case access.User.PasswordHash != user.PasswordHash:
		return sessions.Access{}, sessions.ErrHashMoved
	case !access.Tenant.IsActive():
		return sessions.Access{}, tenants.ErrSuspended()
	}
	return access, nil
}

// chooseTenant returns the wanted tenant, or where none is wanted the active one that was used last, or else joined
// first.
func (i *Identity) chooseTenant(ctx context.Context, user, wanted tenancy.ID) (tenancy.ID, error) {
	if !wanted.IsZero() {
		return wanted, nil
	}
	var state tenants.State
	chosen, found, err := one(i.db.control(ctx),
		func(row scanner) (id tenancy.ID, err error) { return id, row.Scan(&id, &state) }, `
		select m.tenant_id, t.state
		  from memberships m
		  join tenants t on t.id = m.tenant_id
		  left join lateral (select max(s.last_used_at) as at from sessions s
		                      where s.user_id = m.user_id and s.tenant_id = m.tenant_id) used on true
		 where m.user_id = $1
		 order by t.state = 'active' desc, used.at desc nulls last, m.created_at, m.tenant_id
		 limit 1`, user)
	switch {
	case err != nil:
		return tenancy.ID{}, err
	case !found:
		return tenancy.ID{}, fault.New(fault.Forbidden, "auth.no_tenant",
			"You belong to no organization any more. Ask for an invitation to one.")
	case state != tenants.Active:
		return tenancy.ID{}, tenants.ErrSuspended()
	}
	return chosen, nil
}

// SwitchSession saves a session in another tenant of the user's, which ends when the scope's own does.
func (i *Identity) SwitchSession(ctx context.Context, scope tenancy.Scope, fresh sessions.Fresh,
) (access sessions.Access, err error) {
	tenant, now := fresh.Session.TenantID, fresh.Session.CreatedAt
	err = i.db.controlTx(ctx, &tenant, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		user, err := actingUser(tx, scope, " for share of u")
		if err != nil {
			return err
		}
		ends, found, err := one(tx, func(row scanner) (t time.Time, err error) { return t, row.Scan(&t) },
			"select expires_at from sessions where id = $1 and revoked_at is null for share", scope.Actor.Session)
		if err != nil {
			return err
		}
		if !found {
			return sessions.ErrRevoked()
		}
		if access, err = openFor(tx, user, tenant, " for share of m"); err != nil {
			return err
		}
		fresh.Session.ExpiresAt = earlier(fresh.Session.ExpiresAt, ends)
		fresh.RefreshExpiresAt = earlier(fresh.RefreshExpiresAt, ends)
		if err := insertSession(tx, fresh); err != nil {
			return err
		}
		return tellAct(tx, actsIn(tenant, user.ID, fresh.RequestID), now, "session.created", "session", fresh.Session.ID, 0)
	})
	return access, translate(err)
}

// FindInvitation returns the invitation of a token's hash, with its tenant.
func (i *Identity) FindInvitation(ctx context.Context, tokenHash []byte) (inv members.Invitation, tenant tenants.Tenant, err error) {
	_, found, err := one(i.db.control(ctx), func(row scanner) (struct{}, error) {
		return struct{}{}, row.Scan(append(append(invitationFields(&inv), tenantFields(&tenant)...), &inv.IsMailed)...)
	}, `with named as (
		  select i.tenant_id, i.id, false as is_mailed from invitations i where i.token_hash = $1 union all
		  select m.tenant_id, m.invitation_id, true from invitation_tokens m where m.token_hash = $1)
		select `+invitationColumns+", "+tenantColumns+`, n.is_mailed from named n
		  join invitations i on i.tenant_id = n.tenant_id and i.id = n.id join tenants t on t.id = i.tenant_id`, tokenHash)
	if err == nil && !found {
		err = fault.New(fault.NotFound, "invitation.not_found", "There is no such invitation. Ask for another one.")
	}
	return inv, tenant, translate(err)
}

// AcceptInvitation makes the user a member and opens their session.
func (i *Identity) AcceptInvitation(ctx context.Context, inv members.Invitation, invitee sessions.Invitee,
	fresh sessions.Fresh,
) (access sessions.Access, err error) {
	user := invitee.User
	tenant, now := inv.TenantID, fresh.Session.CreatedAt
	scope := actsIn(tenant, user.ID, fresh.RequestID)
	err = i.db.controlTx(ctx, &tenant, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		current, err := invitationRows().find(tx, tenant, inv.ID, " for update")
		if err != nil {
			return err
		}
		if err := current.CheckOpen(now); err != nil {
			return err
		}
		if invitee.IsNew {
			if err := insertUser(tx, user); err != nil {
				return err
			}
			if err := i.mail(ctx, tenancy.AsSystem(tenancy.SystemTenant, fresh.RequestID), notices.Welcome{UserID: user.ID}); err != nil {
				return err
			}
		}
		joined, err := affect(tx, insertMember+" on conflict do nothing", tenant, user.ID, current.Role, now)
		if err != nil {
			return err
		}
		if joined == 0 {
			return errMemberExists()
		}
		lock := " for share of u"
		if inv.IsMailed {
			lock = " for no key update of u"
		}
		if access, err = openFor(tx, user, tenant, lock); err != nil {
			return err
		}
		if inv.IsMailed && !access.User.IsEmailVerified() { // who holds it reads the mails of the address
			access.User.EmailVerifiedAt = &now
			access.User.Version, access.User.UpdatedAt = access.User.Version+1, now
			if err := markVerified(tx, scope, access.User, now); err != nil {
				return err
			}
		}
		if err := Defer(tx, "update invitations set accepted_at = $3 where tenant_id = $1 and id = $2", tenant, inv.ID, now); err != nil {
			return err
		}
		if err := insertSession(tx, fresh); err != nil {
			return err
		}
		if err := tellAct(tx, scope, now, "invitation.accepted", "invitation", inv.ID, 0); err != nil {
			return err
		}
		return tellJoined(tx, scope, now, user.ID, current.Role)
	})
	return access, translate(emailTaken(err))
}

// emailTaken turns the broken uniqueness of addresses into the fault that sign-up promises.
func emailTaken(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" && pg.ConstraintName == "users_email_key" {
		f := fault.New(fault.Conflict, "auth.email_taken",
			"This e-mail address has an account already. Sign in, or use another address.")
		f.Violations = []fault.Violation{{Pointer: "/email", Code: "taken", Detail: "has an account already"}}
		return f.Because(errors.New("unique constraint users_email_key"))
	}
	return err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// why tells the reason in an audit entry, in words.
func why(reason string) audit.Change {
	return audit.Change{Field: "reason", To: strings.ReplaceAll(reason, "_", " ")}
}
