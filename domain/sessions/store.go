package sessions

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/users"
)

// Fresh is a session about to be, with the hash of its first refresh token.
type Fresh struct {
	Session          Session
	TokenHash        []byte
	RefreshExpiresAt time.Time
	RequestID        string
}

// Store keeps sessions and refresh tokens, and makes in one transaction what comes to be together.
type Store interface {
	// FindUserByEmail returns the user of an address; a user without an id where there is none.
	FindUserByEmail(ctx context.Context, email string) (users.User, error)
	// SignUp saves a user, their tenant, their ownership and their session. A taken address is Conflict
	// "auth.email_taken".
	SignUp(ctx context.Context, user users.User, tenant tenants.Tenant, fresh Fresh) error
	// OpenSession saves a session of a user who proved who they are; ErrHashMoved where their hash moved meanwhile. A zero
	// tenant in fresh is the tenant that they used last, else the oldest active one. A rehash replaces the password
	// hash; "" leaves it.
	OpenSession(ctx context.Context, user users.User, rehash string, fresh Fresh) (Access, error)
	// SwitchSession saves a session in fresh's tenant beside the scope's own, which must still stand and lends it its
	// end. It moves the ends in fresh accordingly.
	SwitchSession(ctx context.Context, scope tenancy.Scope, fresh Fresh) (Access, error)
	// Refresh finds the refresh token by its hash, lets judge decide under the session's lock, and does what the
	// verdict says. No such token is Unauthorized "auth.refresh_invalid".
	Refresh(ctx context.Context, tokenHash, nextHash []byte, now time.Time, requestID string,
		judge func(Presented) Verdict) (Presented, error)
	// FindAccess returns what the scope's user may do in the scope's tenant now, if their session stands.
	FindAccess(ctx context.Context, scope tenancy.Scope) (Access, error)
	// ListSessions returns the live sessions of the scope's user, the most recently used first.
	ListSessions(ctx context.Context, scope tenancy.Scope, now time.Time) ([]Session, error)
	// ListTenants returns the tenants of the scope's user by name, each with the role there.
	ListTenants(ctx context.Context, scope tenancy.Scope) ([]Belonging, error)
	// RevokeSession ends one live session of the scope's user; NotFound where it is not one.
	RevokeSession(ctx context.Context, scope tenancy.Scope, id tenancy.ID, reason string, now time.Time) error
	// RevokeSessions ends the live sessions of the scope's user, and keeps the scope's own where keepOwn says so.
	RevokeSessions(ctx context.Context, scope tenancy.Scope, keepOwn bool, reason string, now time.Time) (int64, error)
	// FindInvitation returns the invitation of a token's hash, with its tenant; NotFound where there is none.
	FindInvitation(ctx context.Context, tokenHash []byte) (members.Invitation, tenants.Tenant, error)
	// AcceptInvitation makes the user a member and opens their session. It saves a user who is new, and
	// checks the invitation again under its lock, and the hash as OpenSession does.
	AcceptInvitation(ctx context.Context, invitation members.Invitation, invitee Invitee, fresh Fresh,
	) (Access, error)
	// VerifyAccess proves in one round trip that the scope's access stands.
	VerifyAccess(ctx context.Context, scope tenancy.Scope) error
}

// Invitee is who accepts an invitation: somebody who was proven, or somebody new who is not saved yet.
type Invitee struct {
	User  users.User
	IsNew bool
}

// Belonging is a tenant of a user.
type Belonging struct {
	Tenant tenants.Tenant
	Role   string
	// JoinedAt is when the user became a member.
	JoinedAt time.Time
}
