package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/users"
)

var _ users.Store = (*Identity)(nil)

// FindUser returns the user who acts.
func (i *Identity) FindUser(ctx context.Context, scope tenancy.Scope) (users.User, error) {
	u, err := actingUser(i.db.control(ctx), scope, "")
	return u, translate(err)
}

// ChangeUser changes the user who acts.
func (i *Identity) ChangeUser(ctx context.Context, scope tenancy.Scope, now time.Time, change func(*users.User) error,
) (after users.User, err error) {
	err = i.db.controlTx(ctx, &scope.Tenant, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		before, err := actingUser(tx, scope, " for no key update of u")
		if err != nil {
			return err
		}
		after = before
		if err := change(&after); err != nil {
			return err
		}
		if after.Name == before.Name {
			return nil
		}
		after.Version, after.UpdatedAt = before.Version+1, now
		if err := Defer(tx, "update users set name = $2, version = $3, updated_at = $4 where id = $1",
			after.ID, after.Name, after.Version, now); err != nil {
			return err
		}
		return tellAct(tx, scope, now, "user.updated", "user", after.ID, after.Version,
			audit.Change{Field: "name", From: audit.Mask(before.Name), To: audit.Mask(after.Name)})
	})
	return after, translate(err)
}

// ChangePassword replaces the hash of the user who acts, and ends their other sessions.
func (i *Identity) ChangePassword(ctx context.Context, scope tenancy.Scope, now time.Time, old, replacement string) error {
	err := i.db.controlTx(ctx, &scope.Tenant, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		user, err := actingUser(tx, scope, " for no key update of u")
		if err != nil {
			return err
		}
		if user.PasswordHash != old {
			return users.ErrWrongCurrentPassword()
		}
		if err := Defer(tx, endSessions+" and id <> $4", user.ID, now, sessions.ReasonPassword, scope.Actor.Session); err != nil {
			return err
		}
		return i.replacePassword(ctx, scope, user, replacement, now)
	})
	return translate(err)
}

// SetUserState disables or enables a user. Disabling ends their sessions in the same transaction, and whoever signs in
// at that moment holds the user's row, so that no session slips through.
func (i *Identity) SetUserState(ctx context.Context, id tenancy.ID, state users.State, now time.Time, requestID string,
) error {
	tenant := tenancy.SystemTenant
	err := i.db.controlTx(ctx, &tenant, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		before, found, err := one(tx, readUser,
			"select "+userColumns+" from users u where u.id = $1 for no key update", id)
		if err != nil {
			return err
		}
		if !found {
			return notFound("user.not_found", "user")
		}
		if before.State == state {
			return nil
		}
		if err := Defer(tx, "update users set state = $2, version = version + 1, updated_at = $3 where id = $1",
			id, string(state), now); err != nil {
			return err
		}
		if state == users.Disabled {
			if err := Defer(tx, endSessions, id, now, sessions.ReasonUserDisabled); err != nil {
				return err
			}
		}
		return tellAct(tx, tenancy.AsSystem(tenant, requestID), now, "user."+string(state), "user", id, before.Version+1,
			audit.Change{Field: "state", From: before.State, To: state})
	})
	return translate(err)
}

// endSessions ends the sessions of the user $1, at $2, for the reason $3.
const endSessions = "update sessions set revoked_at = $2, revoked_reason = $3 where user_id = $1 and revoked_at is null"

// actingUser returns the user who acts, whose session must stand; lock is what follows the query.
func actingUser(tx *gorm.DB, scope tenancy.Scope, lock string) (users.User, error) {
	u, found, err := one(tx, readUser,
		"select "+userColumns+" from users u join sessions s on "+ownSession+" where s.id = $1 and u.id = $2"+lock,
		scope.Actor.Session, scope.Actor.ID)
	if err == nil && !found {
		err = sessions.ErrRevoked()
	}
	return u, err
}
