// Package accounts owns what somebody proves by mail: that an address is theirs, and that they may set a new password.
//
// A link in a mail holds a token, of which only the hash is kept; package notices makes it when the mail is sent, and
// this package says what it is good for. Nothing here tells a stranger whether an address has an account.
package accounts

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/users"
)

// Purpose is what a token is good for.
type Purpose string

// The purposes.
const (
	VerifyEmail   Purpose = "verify_email"
	ResetPassword Purpose = "reset_password"
)

// Prefix begins the tokens of a purpose, so that leaked ones are known by their shape.
func (p Purpose) Prefix() string {
	if p == VerifyEmail {
		return "gw_verify_"
	}
	return "gw_reset_"
}

// Life is how long a token of the purpose is good.
func (p Purpose) Life() time.Duration {
	if p == VerifyEmail {
		return 48 * time.Hour
	}
	return time.Hour
}

// Token is what is known of a token that somebody shows.
type Token struct {
	Purpose Purpose
	// User is whose it is.
	User users.User
	// Email is where it was sent.
	Email     string
	ExpiresAt time.Time
	UsedAt    *time.Time
	// RetiredAt is when a newer one took its place, or what it was for was done in another way.
	RetiredAt *time.Time
}

// CheckOpen says why the token is of no use now, if it is of none.
func (t Token) CheckOpen(now time.Time) error {
	switch {
	case t.UsedAt != nil:
		return fault.New(fault.Conflict, "auth.link_used", "This link was used before; each works once. Ask for another one.")
	case t.RetiredAt != nil, t.Email != t.User.Email:
		return fault.New(fault.Conflict, "auth.link_replaced",
			"This link works no longer: a newer one was sent, or the account has changed since. Use the newest mail, or ask for another one.")
	case !now.Before(t.ExpiresAt):
		return fault.New(fault.Conflict, "auth.link_expired", "This link has expired. Ask for another one.")
	case !t.User.IsActive():
		return ErrNoSuchLink()
	default:
		return nil
	}
}

// HasProven says whether the token has done its work and the address is proven still: whoever follows the link twice
// need not be told that the second time was too late.
func (t Token) HasProven() bool {
	return t.Purpose == VerifyEmail && t.UsedAt != nil && t.Email == t.User.Email && t.User.IsEmailVerified() && t.User.IsActive()
}

// Reset is a new password for whoever a token belongs to.
type Reset struct {
	TokenHash []byte
	// PasswordHash is the new one's.
	PasswordHash string
	Now          time.Time
	RequestID    string
}

// Store keeps tokens, and does what they are for together with what follows from it.
type Store interface {
	// FindToken returns the token of a hash with its user; NotFound "auth.link_invalid" where there is none of the purpose.
	FindToken(ctx context.Context, purpose Purpose, tokenHash []byte) (Token, error)
	// VerifyEmail checks the token again under the user's lock, marks the address as proven, and returns the user.
	VerifyEmail(ctx context.Context, tokenHash []byte, now time.Time, requestID string) (users.User, error)
	// RequestVerification has a mail sent to the scope's user; Conflict "auth.email_verified" where they need none.
	RequestVerification(ctx context.Context, scope tenancy.Scope) error
	// RequestReset has a mail sent to the active user of an address. For an address without one it does the same work,
	// and no mail comes of it.
	RequestReset(ctx context.Context, email, requestID string) error
	// ResetPassword checks the token again under the user's lock, replaces the password, ends all of the user's sessions,
	// retires their other reset tokens, and has them told.
	ResetPassword(ctx context.Context, reset Reset) error
}

// ErrNoSuchLink is the answer to a token that is none.
func ErrNoSuchLink() error {
	return fault.New(fault.NotFound, "auth.link_invalid",
		"This link is not one of ours, or was not copied whole. Open the mail again, or ask for another one.")
}

// ErrEmailVerified is the answer to whoever asks to prove what is proven.
func ErrEmailVerified() error {
	return fault.New(fault.Conflict, "auth.email_verified", "Your e-mail address is verified already; there is nothing to do.")
}
