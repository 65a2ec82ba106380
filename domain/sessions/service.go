package sessions

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// Claims is what an access token says.
type Claims struct {
	User, Tenant, Session tenancy.ID
	Role                  string
	// Version is the membership's when the token was made.
	Version int64
}

// Tokens signs and reads access tokens.
type Tokens interface {
	// Issue returns a signed token and how long it lasts.
	Issue(ctx context.Context, claims Claims) (token string, lifetime time.Duration, err error)
	// Read returns what a valid token says; one that is not valid is an Unauthorized fault.
	Read(ctx context.Context, token string) (Claims, error)
}

// Needs is what the service works with.
type Needs struct {
	Store     Store
	Tokens    Tokens
	Passwords users.Passwords
	Secrets   members.Secrets
	Roles     *members.Roles
	Validate  validation.Validator
	Now       func() time.Time
}

// Service lets people in and keeps them in.
type Service struct {
	Needs
	config Config
}

// NewService returns the service.
func NewService(needs Needs, config Config) *Service {
	return &Service{Needs: needs, config: config.withDefaults()}
}

// Refresh gives the next access token and refresh token for a refresh token, with the role as it is now. Each is good
// for once; its use again after the grace ends the whole session.
func (s *Service) Refresh(ctx context.Context, client Client, token string) (Grant, error) {
	now := s.moment()
	next := s.Secrets.New(refreshPrefix, members.TokenBytes)
	presented, err := s.Store.Refresh(ctx, s.Secrets.Hash(token), s.Secrets.Hash(next), now, client.RequestID,
		func(p Presented) Verdict { return p.Judge(now, s.config) })
	if err != nil {
		return Grant{}, err
	}
	return s.grant(ctx, presented.Access, presented.Session.ID, next)
}

// Switch opens a session in another tenant of the user's; the present one stays. It ends when the present one would.
func (s *Service) Switch(ctx context.Context, client Client, scope tenancy.Scope, tenant tenancy.ID) (Grant, error) {
	if err := actsAsUser(scope); err != nil {
		return Grant{}, err
	}
	fresh, token := s.fresh(client, scope.Actor.ID, tenant)
	access, err := s.Store.SwitchSession(ctx, scope, fresh)
	if err != nil {
		return Grant{}, err
	}
	return s.grant(ctx, access, fresh.Session.ID, token)
}

// Logout ends the scope's session. It is done where the session had ended already, and in a suspended tenant too.
func (s *Service) Logout(ctx context.Context, scope tenancy.Scope) error {
	if err := actsAsUser(scope); err != nil {
		return err
	}
	err := s.Store.RevokeSession(ctx, scope, scope.Actor.Session, ReasonLogout, s.moment())
	if isEnded(err) {
		return nil
	}
	return err
}

// LogoutEverywhere ends every session of the user's, the present one too.
func (s *Service) LogoutEverywhere(ctx context.Context, scope tenancy.Scope) error {
	if err := actsAsUser(scope); err != nil {
		return err
	}
	_, err := s.Store.RevokeSessions(ctx, scope, false, ReasonLogout, s.moment())
	return err
}

// Current returns what the user who acts may do in the tenant of their session now.
func (s *Service) Current(ctx context.Context, scope tenancy.Scope) (Access, error) {
	if err := actsAsUser(scope); err != nil {
		return Access{}, err
	}
	return s.Store.FindAccess(ctx, scope)
}

// List returns the live sessions of the user who acts.
func (s *Service) List(ctx context.Context, scope tenancy.Scope) ([]Session, error) {
	if err := actsAsUser(scope); err != nil {
		return nil, err
	}
	return s.Store.ListSessions(ctx, scope, s.moment())
}

// Tenants returns the tenants of the user who acts.
func (s *Service) Tenants(ctx context.Context, scope tenancy.Scope) ([]Belonging, error) {
	if err := actsAsUser(scope); err != nil {
		return nil, err
	}
	return s.Store.ListTenants(ctx, scope)
}

// Revoke ends one session of the user who acts.
func (s *Service) Revoke(ctx context.Context, scope tenancy.Scope, id tenancy.ID) error {
	if err := actsAsUser(scope); err != nil {
		return err
	}
	return s.Store.RevokeSession(ctx, scope, id, ReasonRevoked, s.moment())
}

// RevokeOthers ends every session of the user who acts but the present one, and says how many.
func (s *Service) RevokeOthers(ctx context.Context, scope tenancy.Scope) (int64, error) {
	if err := actsAsUser(scope); err != nil {
		return 0, err
	}
	return s.Store.RevokeSessions(ctx, scope, true, ReasonRevoked, s.moment())
}

// Authenticate returns the scope of an access token. That it still stands is proven by whatever the scope is used for.
func (s *Service) Authenticate(ctx context.Context, token string) (tenancy.Scope, error) {
	claims, err := s.Tokens.Read(ctx, token)
	if err != nil {
		return tenancy.Scope{}, err
	}
	return s.scope(claims), nil
}

// Verify proves in one round trip that the scope's access stands: its session or key, its membership, its tenant.
func (s *Service) Verify(ctx context.Context, scope tenancy.Scope) error {
	return s.Store.VerifyAccess(ctx, scope)
}

func (s *Service) scope(claims Claims) tenancy.Scope {
	return tenancy.Scope{
		Tenant: claims.Tenant,
		Actor: tenancy.Actor{
			Kind: tenancy.User, ID: claims.User, Session: claims.Session, Version: claims.Version,
			Role: claims.Role, Permissions: s.Roles.Permissions(claims.Role),
		},
	}
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Service) moment() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
