package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/users"
)

var _ sessions.Store = (*Identity)(nil)

// forgetSessionsAfter is how long the row of a session that ended is kept, in days.
const forgetSessionsAfter = 30

const sessionColumns = "s.id, s.user_id, s.tenant_id, s.user_agent, s.address, s.created_at, s.last_used_at, s.expires_at, " +
	"s.revoked_at, s.revoked_reason"

func sessionFields(s *sessions.Session) []any {
	return []any{
		&s.ID, &s.UserID, &s.TenantID, &s.UserAgent, &s.Address, &s.CreatedAt, &s.LastUsedAt, &s.ExpiresAt,
		&s.RevokedAt, &s.RevokedReason,
	}
}

// insertSession writes a session and its first refresh token, and clears away what the user's ended sessions left.
func insertSession(tx *gorm.DB, fresh sessions.Fresh) error {
	s := fresh.Session
	err := Defer(tx, `
		insert into sessions (id, user_id, tenant_id, user_agent, address, created_at, last_used_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		s.ID, s.UserID, s.TenantID, s.UserAgent, s.Address, s.CreatedAt, s.LastUsedAt, s.ExpiresAt)
	if err != nil {
		return err
	}
	if err := insertRefreshToken(tx, fresh.TokenHash, s.ID, s.CreatedAt, fresh.RefreshExpiresAt); err != nil {
		return err
	}
	return Defer(tx, "delete from sessions where user_id = $1 and expires_at < $2::timestamptz - make_interval(days => $3)",
		s.UserID, s.CreatedAt, forgetSessionsAfter)
}

func insertRefreshToken(tx *gorm.DB, hash []byte, session tenancy.ID, now, expires time.Time) error {
	return Defer(tx, "insert into refresh_tokens (token_hash, session_id, created_at, expires_at) values ($1, $2, $3, $4)",
		hash, session, now, expires)
}

// FindAccess returns what the scope's user may do in the tenant of their session now.
func (i *Identity) FindAccess(ctx context.Context, scope tenancy.Scope) (sessions.Access, error) {
	a, found, err := one(i.db.control(ctx), readAccess,
		"select "+userColumns+", "+tenantColumns+", m.role, m.version from sessions s join users u on "+ownSession+`
		   join memberships m on m.tenant_id = s.tenant_id and m.user_id = u.id
		   join tenants t on t.id = m.tenant_id
		  where s.id = $1 and s.user_id = $2 and s.tenant_id = $3`,
		scope.Actor.Session, scope.Actor.ID, scope.Tenant)
	if err == nil && !found {
		err = sessions.ErrRevoked()
	}
	return a, translate(err)
}

// ListSessions returns the live sessions of the scope's user, the most recently used first.
func (i *Identity) ListSessions(ctx context.Context, scope tenancy.Scope, now time.Time) ([]sessions.Session, error) {
	list, err := all(i.db.control(ctx),
		func(row scanner) (s sessions.Session, err error) {
			return s, row.Scan(append(sessionFields(&s), &s.TenantName)...)
		},
		"select "+sessionColumns+`, t.name from sessions s join tenants t on t.id = s.tenant_id
		  where s.user_id = $1 and s.revoked_at is null and s.expires_at > $2
		    and exists (select from sessions s join users u on `+ownSession+` where s.id = $3 and u.id = $1)
		  order by s.last_used_at desc, s.id`,
		scope.Actor.ID, now, scope.Actor.Session)
	if err == nil && len(list) == 0 { // the own one at least would be there
		err = sessions.ErrRevoked()
	}
	return list, translate(err)
}

// ListTenants returns the tenants of the scope's user by name.
func (i *Identity) ListTenants(ctx context.Context, scope tenancy.Scope) ([]sessions.Belonging, error) {
	list, err := all(i.db.control(ctx),
		func(row scanner) (b sessions.Belonging, err error) {
			return b, row.Scan(append(tenantFields(&b.Tenant), &b.Role, &b.JoinedAt)...)
		},
		"select "+tenantColumns+`, m.role, m.created_at from memberships m join tenants t on t.id = m.tenant_id
		  where m.user_id = $1
		    and exists (select from sessions s join users u on `+ownSession+` where s.id = $2 and u.id = $1)
		  order by t.name, t.id`,
		scope.Actor.ID, scope.Actor.Session)
	if err == nil && len(list) == 0 { // the session's own tenant at least would be there
		err = sessions.ErrRevoked()
	}
	return list, translate(err)
}

// RevokeSession ends one live session of the scope's user.
func (i *Identity) RevokeSession(ctx context.Context, scope tenancy.Scope, id tenancy.ID, reason string, now time.Time,
) error {
	err := i.db.controlTx(ctx, &scope.Tenant, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		if _, err := actingUser(tx, scope, ""); err != nil {
			return err
		}
		ended, err := affect(tx, endSessions+" and id = $4 and expires_at > $2", scope.Actor.ID, now, reason, id)
		if err != nil {
			return err
		}
		if ended == 0 {
			return notFound("session.not_found", "session")
		}
		return tellAct(tx, scope, now, "session.revoked", "session", id, 0, why(reason))
	})
	return translate(err)
}

// RevokeSessions ends the live sessions of the scope's user.
func (i *Identity) RevokeSessions(ctx context.Context, scope tenancy.Scope, keepOwn bool, reason string, now time.Time,
) (ended int64, err error) {
	err = i.db.controlTx(ctx, &scope.Tenant, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		if _, err := actingUser(tx, scope, ""); err != nil {
			return err
		}
		ended, err = affect(tx, endSessions+" and expires_at > $2 and not ($4 and id = $5)",
			scope.Actor.ID, now, reason, keepOwn, scope.Actor.Session)
		if err != nil || ended == 0 {
			return err
		}
		return tellAct(tx, scope, now, "session.revoked_many", "user", scope.Actor.ID, 0, why(reason))
	})
	return ended, translate(err)
}

// VerifyAccess proves the scope's access in one round trip: the check precedes the statement.
func (i *Identity) VerifyAccess(ctx context.Context, scope tenancy.Scope) error {
	_, _, err := one(i.db.Scoped(ctx, scope), func(row scanner) (n int, err error) { return n, row.Scan(&n) }, "select 1")
	return translate(err)
}

// Refresh judges a refresh token under its session's lock and does what the verdict says. Refreshes with one token come
// one after another, so that the second sees that the first used it.
func (i *Identity) Refresh(ctx context.Context, tokenHash, nextHash []byte, now time.Time, requestID string,
	judge func(sessions.Presented) sessions.Verdict,
) (presented sessions.Presented, err error) {
	invalid := fault.New(fault.Unauthorized, "auth.refresh_invalid", "This is not a valid refresh token. Sign in again.")
	tenant, found, err := one(i.db.control(ctx), readID,
		"select s.tenant_id from refresh_tokens r join sessions s on s.id = r.session_id where r.token_hash = $1", tokenHash)
	if err != nil {
		return sessions.Presented{}, translate(err)
	}
	if !found {
		return sessions.Presented{}, invalid
	}
	var refused error
	err = i.db.controlTx(ctx, &tenant, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		refused = nil
		// Locked first and read then, in a statement that sees what was done while it waited.
		_, err := affect(tx, `select from sessions
			where id = (select session_id from refresh_tokens where token_hash = $1) for no key update`, tokenHash)
		if err != nil {
			return err
		}
		presented, found, err = one(tx, readPresented, selectPresented, tokenHash)
		if err != nil {
			return err
		}
		if !found {
			return invalid
		}
		verdict := judge(presented)
		session := presented.Session
		switch {
		case verdict.Revoke != "":
			refused = verdict.Err // after the commit: the session must end
			scope := actsIn(tenant, session.UserID, requestID)
			if err := endReused(tx, scope, session, verdict.Revoke, now); err != nil {
				return err
			}
			return i.mail(ctx, tenancy.AsSystem(tenancy.SystemTenant, requestID),
				notices.SessionEnded{UserID: session.UserID, SessionID: session.ID})
		case verdict.Err != nil:
			return verdict.Err
		}
		if err := Defer(tx, "update refresh_tokens set used_at = coalesce(used_at, $2) where token_hash = $1", tokenHash, now); err != nil {
			return err
		}
		if err := insertRefreshToken(tx, nextHash, session.ID, now, verdict.ExpiresAt); err != nil {
			return err
		}
		if err := Defer(tx, "delete from refresh_tokens where session_id = $1 and expires_at < $2", session.ID, now); err != nil {
			return err
		}
		return Defer(tx, "update sessions set last_used_at = $2 where id = $1", session.ID, now)
	})
	if err == nil {
		err = refused
	}
	return presented, translate(err)
}

const selectPresented = "select " + userColumns + ", " + tenantColumns + `, coalesce(m.role, ''), coalesce(m.version, 0), ` +
	sessionColumns + `, m.user_id is not null, r.used_at, r.expires_at
	from refresh_tokens r
	join sessions s on s.id = r.session_id
	join users u on u.id = s.user_id
	join tenants t on t.id = s.tenant_id
	left join memberships m on m.tenant_id = s.tenant_id and m.user_id = s.user_id
	where r.token_hash = $1`

func readPresented(row scanner) (p sessions.Presented, err error) {
	fields := append(userFields(&p.Access.User), tenantFields(&p.Access.Tenant)...)
	fields = append(fields, &p.Access.Role, &p.Access.Version)
	fields = append(fields, sessionFields(&p.Session)...)
	return p, row.Scan(append(fields, &p.IsMember, &p.UsedAt, &p.ExpiresAt)...)
}

func endReused(tx *gorm.DB, scope tenancy.Scope, session sessions.Session, reason string, now time.Time) error {
	if err := Defer(tx, endSessions+" and id = $4", session.UserID, now, reason, session.ID); err != nil {
		return err
	}
	return tellAct(tx, scope, now, "session.revoked", "session", session.ID, 0, why(reason))
}

func readID(row scanner) (id tenancy.ID, err error) { return id, row.Scan(&id) }

// FindUserByEmail returns the user of an address, or one without an id.
func (i *Identity) FindUserByEmail(ctx context.Context, email string) (users.User, error) {
	u, _, err := one(i.db.control(ctx), readUser, "select "+userColumns+" from users u where u.email = $1", email)
	return u, translate(err)
}
