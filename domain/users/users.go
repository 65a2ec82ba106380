// Package users owns people: their name, e-mail address, password and state, across every tenant that they belong to.
//
// What somebody may do is not known here but in members; how they come in is known in sessions, which calls this
// package's rules. It never hashes a password itself and never tells a stranger whether an address has an account.
package users

import (
	"context"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// State says whether somebody may sign in.
type State string

// The states of a user.
const (
	Active   State = "active"
	Disabled State = "disabled"
)

// User is a person.
type User struct {
	ID    tenancy.ID
	Email string
	Name  string
	// PasswordHash is what Passwords.Hash returned; it leaves the process in no answer and no log.
	PasswordHash string `json:"-"`
	State        State
	// EmailVerifiedAt is when the address was proven to be theirs, nil where it was not yet.
	EmailVerifiedAt *time.Time
	Version         int64
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// IsActive says whether the user may sign in.
func (u User) IsActive() bool { return u.State == Active }

// IsEmailVerified says whether the address was proven to be theirs.
func (u User) IsEmailVerified() bool { return u.EmailVerifiedAt != nil }

// NormalizeEmail returns the one form in which an address is kept and looked up.
func NormalizeEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// NormalizeName returns a name as it is kept: without the space around it.
func NormalizeName(name string) string { return strings.TrimSpace(name) }

// Passwords judges, hashes and verifies passwords. Hashing is slow on purpose: it is called outside of transactions.
type Passwords interface {
	// Check says what is wrong with a password that somebody wants, as a sentence for them, or "". about is what the
	// password must not be made of: their name, their address.
	Check(password string, about ...string) string
	// Hash returns the password's hash with the present parameters.
	Hash(ctx context.Context, password string) (string, error)
	// Verify says whether the password is the hash's, and whether the hash was made with older parameters. An empty
	// hash costs the same work and never matches.
	Verify(ctx context.Context, password, hash string) (ok, outdated bool, err error)
}

// Store keeps users. Each function proves the scope's session in its own transaction and answers Unauthorized where
// it no longer stands.
type Store interface {
	// FindUser returns the user who acts.
	FindUser(ctx context.Context, scope tenancy.Scope) (User, error)
	// ChangeUser loads the user who acts under a lock, lets change alter them, and saves.
	ChangeUser(ctx context.Context, scope tenancy.Scope, now time.Time, change func(*User) error) (User, error)
	// ChangePassword replaces the hash if it still is old, and revokes the user's other sessions.
	ChangePassword(ctx context.Context, scope tenancy.Scope, now time.Time, old, replacement string) error
	// SetUserState lets an operator disable or enable a user; disabling revokes all of their sessions.
	SetUserState(ctx context.Context, id tenancy.ID, state State, now time.Time, requestID string) error
}

// ErrInvalidCredentials is the one answer to a wrong password, an unknown address and a disabled user.
func ErrInvalidCredentials() *fault.Error {
	return fault.New(fault.Unauthorized, "auth.invalid_credentials", "The e-mail address or the password is wrong.")
}
