// Package sessions owns how people come in and stay in: sign-up, login, invitations accepted, refresh, switch, logout,
// and the access tokens that say who acts.
//
// A session is one sign-in on one device, in one tenant: a family of refresh tokens of which each is used once. An
// access token is believed for what it says only as long as the store finds, in the statement's own round trip, that
// its session and membership still stand. The package never hashes a password and never signs a token itself.
package sessions

import (
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/users"
)

// Session is one sign-in on one device.
type Session struct {
	ID       tenancy.ID
	UserID   tenancy.ID
	TenantID tenancy.ID
	// TenantName is filled in where sessions are listed.
	TenantName string
	UserAgent  string
	Address    string
	CreatedAt  time.Time
	LastUsedAt time.Time
	// ExpiresAt is when the session ends, however busy it is.
	ExpiresAt     time.Time
	RevokedAt     *time.Time
	RevokedReason *string
}

// The reasons for which a session is revoked.
const (
	ReasonLogout        = "logout"
	ReasonRevoked       = "revoked_by_user"
	ReasonPassword      = "password_changed"
	ReasonReused        = "refresh_token_reused"
	ReasonMemberRemoved = "member_removed"
	ReasonUserDisabled  = "user_disabled"
)

// What is kept of what a client says about itself, in bytes.
const (
	maxUserAgent = 512
	maxAddress   = 64
)

// Client is where a request comes from, as far as it is told to the session's owner.
type Client struct {
	UserAgent string
	Address   string
	RequestID string
}

// Access is what a user may do in a tenant at this moment.
type Access struct {
	User   users.User
	Tenant tenants.Tenant
	Role   string
	// Version is the membership's.
	Version int64
}

// Grant is what somebody gets who came in.
type Grant struct {
	Access
	SessionID   tenancy.ID
	AccessToken string
	// ExpiresIn is how long the access token lasts.
	ExpiresIn    time.Duration
	RefreshToken string
}

// Config is how long things last.
type Config struct {
	// RefreshTTL is how long a session lives unused: a refresh token's life. 0 is 30 days.
	RefreshTTL time.Duration
	// SessionTTL is how long a session lives at most, however busy. 0 is 90 days.
	SessionTTL time.Duration
	// ReuseGrace is how long after its first use a refresh token still brings another one, since the tabs of one
	// browser refresh at once; later its use means that it was stolen. 0 is 10 seconds.
	ReuseGrace time.Duration
}

func (c Config) withDefaults() Config {
	const day = 24 * time.Hour
	if c.RefreshTTL == 0 {
		c.RefreshTTL = 30 * day
	}
	if c.SessionTTL == 0 {
		c.SessionTTL = 90 * day
	}
	if c.ReuseGrace == 0 {
		c.ReuseGrace = 10 * time.Second
	}
	return c
}

// Presented is a refresh token that somebody presents, with all that its fate depends on. The store holds the
// session's lock while it is judged.
type Presented struct {
	Session Session
	Access  Access
	// IsMember is false where the membership is gone.
	IsMember  bool
	UsedAt    *time.Time
	ExpiresAt time.Time
}

// Verdict is the fate of a refresh token.
type Verdict struct {
	// Err is answered; nil gives the next token.
	Err error
	// Revoke is the reason for which the session is revoked before Err is answered; "" leaves it.
	Revoke string
	// ExpiresAt is when the next token expires.
	ExpiresAt time.Time
}

// Judge decides what becomes of a refresh token. A tenant that is suspended for a while costs nobody their session.
func (p Presented) Judge(now time.Time, config Config) Verdict {
	config = config.withDefaults()
	switch {
	case p.Session.RevokedAt != nil, !p.IsMember, !p.Access.User.IsActive():
		return Verdict{Err: ErrRevoked()}
	case p.UsedAt != nil && now.Sub(*p.UsedAt) > config.ReuseGrace:
		return Verdict{Revoke: ReasonReused, Err: fault.New(fault.Unauthorized, "auth.refresh_reused",
			"This refresh token was used before, so it may have been stolen; the session was ended. Sign in again.")}
	case !now.Before(p.ExpiresAt), !now.Before(p.Session.ExpiresAt):
		return Verdict{Err: fault.New(fault.Unauthorized, "auth.refresh_expired", "The session has expired. Sign in again.")}
	case !p.Access.Tenant.IsActive():
		return Verdict{Err: tenants.ErrSuspended()}
	}
	expires := now.Add(config.RefreshTTL)
	if p.Session.ExpiresAt.Before(expires) {
		expires = p.Session.ExpiresAt
	}
	return Verdict{ExpiresAt: expires}
}

// ErrRevoked is the answer to a session that was ended.
func ErrRevoked() *fault.Error {
	return fault.New(fault.Unauthorized, "auth.revoked", "This session was ended. Sign in again.")
}

// ErrNotAMember is the answer to whoever names a tenant that is not theirs, or that does not exist.
func ErrNotAMember() *fault.Error {
	return fault.New(fault.Forbidden, "auth.not_a_member", "You are not a member of this organization.")
}
