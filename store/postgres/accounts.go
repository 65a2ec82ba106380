package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/accounts"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/users"
)

var _ accounts.Store = (*Identity)(nil)

const selectToken = "select " + userColumns + `, a.email, a.expires_at, a.used_at, a.retired_at
	from account_tokens a join users u on u.id = a.user_id where a.token_hash = $1 and a.purpose = $2`

// FindToken returns the token of a hash with its user.
func (i *Identity) FindToken(ctx context.Context, purpose accounts.Purpose, tokenHash []byte) (accounts.Token, error) {
	t, err := findToken(i.db.control(ctx), purpose, tokenHash, "")
	return t, translate(err)
}

func findToken(tx *gorm.DB, purpose accounts.Purpose, tokenHash []byte, lock string) (accounts.Token, error) {
	t, found, err := one(tx, func(row scanner) (accounts.Token, error) {
		t := accounts.Token{Purpose: purpose}
		return t, row.Scan(append(userFields(&t.User), &t.Email, &t.ExpiresAt, &t.UsedAt, &t.RetiredAt)...)
	}, selectToken+lock, tokenHash, string(purpose))
	if err == nil && !found {
		err = accounts.ErrNoSuchLink()
	}
	return t, err
}

// openToken locks the user of a token, and then reads it in a statement that sees what was done while it waited.
func openToken(tx *gorm.DB, purpose accounts.Purpose, tokenHash []byte, now time.Time) (accounts.Token, error) {
	_, err := affect(tx, `select from users where id = (select user_id from account_tokens where token_hash = $1)
		for no key update`, tokenHash)
	if err != nil {
		return accounts.Token{}, err
	}
	t, err := findToken(tx, purpose, tokenHash, "")
	if err != nil || t.HasProven() {
		return t, err
	}
	return t, t.CheckOpen(now)
}

// VerifyEmail marks the address of a token's user as proven.
func (i *Identity) VerifyEmail(ctx context.Context, tokenHash []byte, now time.Time, requestID string) (user users.User, err error) {
	system := tenancy.SystemTenant
	err = i.db.controlTx(ctx, &system, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		token, err := openToken(tx, accounts.VerifyEmail, tokenHash, now)
		if err != nil {
			return err
		}
		if user = token.User; token.HasProven() {
			return nil
		}
		if err := useToken(tx, tokenHash, now); err != nil {
			return err
		}
		if user.IsEmailVerified() {
			return nil
		}
		user.EmailVerifiedAt = &now
		user.Version, user.UpdatedAt = user.Version+1, now
		return markVerified(tx, actsIn(system, user.ID, requestID), user, now)
	})
	return user, translate(err)
}

// markVerified saves that the user's address is proven; user has the version that comes of it.
func markVerified(tx *gorm.DB, scope tenancy.Scope, user users.User, now time.Time) error {
	if err := Defer(tx, "update users set email_verified_at = $2, version = $3, updated_at = $2 where id = $1",
		user.ID, now, user.Version); err != nil {
		return err
	}
	if err := retireTokens(tx, user.ID, accounts.VerifyEmail, now); err != nil {
		return err
	}
	return tellAct(tx, scope, now, "user.email_verified", "user", user.ID, user.Version)
}

func useToken(tx *gorm.DB, tokenHash []byte, now time.Time) error {
	return Defer(tx, "update account_tokens set used_at = $2 where token_hash = $1", tokenHash, now)
}

// retireTokens ends what a user has open of a purpose.
func retireTokens(tx *gorm.DB, user tenancy.ID, purpose accounts.Purpose, now time.Time) error {
	return Defer(tx, `update account_tokens set retired_at = $3
		where user_id = $1 and purpose = $2 and used_at is null and retired_at is null`, user, string(purpose), now)
}

// RequestVerification has the mail sent that asks the scope's user to verify their address.
func (i *Identity) RequestVerification(ctx context.Context, scope tenancy.Scope) error {
	system := tenancy.SystemTenant
	err := i.db.controlTx(ctx, &system, func(ctx context.Context) error {
		user, err := actingUser(i.db.control(ctx), scope, "")
		if err != nil {
			return err
		}
		if user.IsEmailVerified() {
			return accounts.ErrEmailVerified()
		}
		return i.mail(ctx, scope.AsSystem(system), notices.EmailVerification{UserID: user.ID})
	})
	return translate(err)
}

// RequestReset has the mail sent with which a forgotten password is reset. For an address without an account it enqueues
// a job for nobody: the same statements, and so the same time.
func (i *Identity) RequestReset(ctx context.Context, email, requestID string) error {
	system := tenancy.SystemTenant
	err := i.db.controlTx(ctx, &system, func(ctx context.Context) error {
		user, found, err := one(i.db.control(ctx), readID,
			"select u.id from users u where u.email = $1 and u.state = 'active'", email)
		if err != nil {
			return err
		}
		if !found {
			user = tenancy.NewID()
		}
		digest := sha256.Sum256([]byte(email))
		return i.mail(ctx, tenancy.AsSystem(system, requestID), notices.PasswordReset{
			UserID: user, Key: hex.EncodeToString(digest[:]),
		})
	})
	return translate(err)
}

// ResetPassword replaces the password of a token's user and ends all of their sessions. Whoever could read the mail has
// proven the address as well.
func (i *Identity) ResetPassword(ctx context.Context, reset accounts.Reset) error {
	system := tenancy.SystemTenant
	err := i.db.controlTx(ctx, &system, func(ctx context.Context) error {
		tx := i.db.control(ctx)
		token, err := openToken(tx, accounts.ResetPassword, reset.TokenHash, reset.Now)
		if err != nil {
			return err
		}
		user, now := token.User, reset.Now
		scope := actsIn(system, user.ID, reset.RequestID)
		if err := useToken(tx, reset.TokenHash, now); err != nil {
			return err
		}
		if !user.IsEmailVerified() {
			user.Version++
			if err := markVerified(tx, scope, user, now); err != nil {
				return err
			}
		}
		if err := Defer(tx, endSessions, user.ID, now, sessions.ReasonPassword); err != nil {
			return err
		}
		return i.replacePassword(ctx, scope, user, reset.PasswordHash, now)
	})
	return translate(err)
}

// replacePassword saves a user's new password in a transaction that has the control plane open, ends the links that
// would reset it, and has the user told.
func (i *Identity) replacePassword(ctx context.Context, scope tenancy.Scope, user users.User, hash string, now time.Time) error {
	tx := i.db.control(ctx)
	if err := Defer(tx, "update users set password_hash = $2, version = version + 1, updated_at = $3 where id = $1",
		user.ID, hash, now); err != nil {
		return err
	}
	if err := retireTokens(tx, user.ID, accounts.ResetPassword, now); err != nil {
		return err
	}
	if err := tellAct(tx, scope, now, "user.password_changed", "user", user.ID, user.Version+1); err != nil {
		return err
	}
	return i.mail(ctx, scope.AsSystem(tenancy.SystemTenant), notices.PasswordChanged{UserID: user.ID})
}

// mail enqueues a mail in the transaction of the context, as the system of the scope's tenant: the job is there once it
// is committed, and never where it is not.
func (i *Identity) mail(ctx context.Context, scope tenancy.Scope, args jobs.Args) error {
	_, err := jobs.Enqueue(ctx, i.queue, scope, args)
	return err
}
