package sessions

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

const (
	refreshPrefix = "gw_refresh_"
	// maxProofs is how often a password is compared anew where its hash moved in between: another sign-in at the same
	// time may have made it with newer parameters.
	maxProofs = 3
)

// ErrHashMoved is the store's word for a password hash that is not the one that was proven any more.
var ErrHashMoved = errors.New("sessions: the password hash was replaced meanwhile")

// SignUp is who signs up, and the organization that they bring.
type SignUp struct {
	Name         string `json:"name" validate:"required,notblank,max=200,printable"`
	Email        string `json:"email" validate:"required,max=254,email"`
	Password     string `json:"password" validate:"required,max=1024"`
	Organization string `json:"organization" validate:"required,notblank,max=200,printable"`
}

// SignUp makes a user, their organization and its first session together. They own the organization.
func (s *Service) SignUp(ctx context.Context, client Client, in SignUp) (Grant, error) {
	in.Name, in.Email = users.NormalizeName(in.Name), users.NormalizeEmail(in.Email)
	in.Organization = strings.TrimSpace(in.Organization)
	if err := validation.Check(s.Validate, in); err != nil {
		return Grant{}, err
	}
	now := s.moment()
	user, err := s.newUser(ctx, in.Name, in.Email, in.Password, now)
	if err != nil {
		return Grant{}, err
	}
	tenant := tenants.Tenant{
		ID: tenancy.NewID(), Name: in.Organization, State: tenants.Active, TimeZone: "UTC",
		Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	fresh, token := s.fresh(client, user.ID, tenant.ID)
	if err := s.Store.SignUp(ctx, user, tenant, fresh); err != nil {
		return Grant{}, err
	}
	access := Access{User: user, Tenant: tenant, Role: members.Owner, Version: 1}
	return s.grant(ctx, access, fresh.Session.ID, token)
}

// Login is who wants in, and where to.
type Login struct {
	Email    string `json:"email" validate:"required,max=254"`
	Password string `json:"password" validate:"required,max=1024"`
	// OTP is the second factor's code.
	OTP string `json:"otp" validate:"max=64"`
	// TenantID names the organization to work in; without it, it is the one that was used last.
	TenantID *tenancy.ID `json:"tenant_id"`
}

// Login opens a session. A wrong password, an unknown address and a disabled user get the same answer after the same
// work; what else stands in the way is told only to whoever knows the password.
func (s *Service) Login(ctx context.Context, client Client, in Login) (Grant, error) {
	in.Email = users.NormalizeEmail(in.Email)
	if err := validation.Check(s.Validate, in); err != nil {
		return Grant{}, err
	}
	for range maxProofs {
		grant, err := s.login(ctx, client, in)
		if !errors.Is(err, ErrHashMoved) {
			return grant, err
		}
	}
	return Grant{}, users.ErrInvalidCredentials()
}

func (s *Service) login(ctx context.Context, client Client, in Login) (Grant, error) {
	user, rehash, err := s.prove(ctx, in.Email, in.Password)
	if err != nil {
		return Grant{}, err
	}
	if in.OTP != "" {
		f := fault.New(fault.Invalid, "auth.mfa_not_enabled", "MFA is not enabled for this account; leave otp out.")
		f.Violations = []fault.Violation{{
			Pointer: "/otp", Code: "mfa_not_enabled", Detail: "mfa is not enabled for this account",
		}}
		return Grant{}, f
	}
	var tenant tenancy.ID
	if in.TenantID != nil {
		tenant = *in.TenantID
		if tenant.IsZero() {
			return Grant{}, ErrNotAMember()
		}
	}
	fresh, token := s.fresh(client, user.ID, tenant)
	access, err := s.Store.OpenSession(ctx, user, rehash, fresh)
	if err != nil {
		return Grant{}, err
	}
	return s.grant(ctx, access, fresh.Session.ID, token)
}

// prove returns the user whose address and password these are, and the hash to replace theirs with, "" for none.
func (s *Service) prove(ctx context.Context, email, password string) (users.User, string, error) {
	user, err := s.Store.FindUserByEmail(ctx, email)
	if err != nil {
		return users.User{}, "", err
	}
	ok, outdated, err := s.Passwords.Verify(ctx, password, user.PasswordHash)
	if err != nil {
		return users.User{}, "", err
	}
	if !ok || user.ID.IsZero() || !user.IsActive() {
		return users.User{}, "", users.ErrInvalidCredentials()
	}
	if !outdated {
		return user, "", nil
	}
	rehash, err := s.Passwords.Hash(ctx, password)
	return user, rehash, err
}

// newUser judges the password and hashes it; nothing is saved.
func (s *Service) newUser(ctx context.Context, name, email, password string, now time.Time) (users.User, error) {
	if err := users.CheckPassword(s.Passwords, password, "/password", name, email); err != nil {
		return users.User{}, err
	}
	hash, err := s.Passwords.Hash(ctx, password)
	if err != nil {
		return users.User{}, err
	}
	return users.User{
		ID: tenancy.NewID(), Email: email, Name: name, PasswordHash: hash, State: users.Active,
		Version: 1, CreatedAt: now, UpdatedAt: now,
	}, nil
}

// fresh returns a session that is to be saved, and its first refresh token.
func (s *Service) fresh(client Client, user, tenant tenancy.ID) (Fresh, string) {
	now := s.moment()
	token := s.Secrets.New(refreshPrefix, members.TokenBytes)
	ends := now.Add(s.config.SessionTTL)
	expires := now.Add(s.config.RefreshTTL)
	if ends.Before(expires) {
		expires = ends
	}
	return Fresh{
		Session: Session{
			ID: tenancy.NewID(), UserID: user, TenantID: tenant, CreatedAt: now, LastUsedAt: now, ExpiresAt: ends,
			UserAgent: clean(client.UserAgent, maxUserAgent), Address: clean(client.Address, maxAddress),
		},
		TokenHash: s.Secrets.Hash(token), RefreshExpiresAt: expires, RequestID: client.RequestID,
	}, token
}

func (s *Service) grant(ctx context.Context, access Access, session tenancy.ID, refresh string) (Grant, error) {
	token, lifetime, err := s.Tokens.Issue(ctx, Claims{
		User: access.User.ID, Tenant: access.Tenant.ID, Session: session, Role: access.Role, Version: access.Version,
	})
	if err != nil {
		return Grant{}, err
	}
	return Grant{
		Access: access, SessionID: session, AccessToken: token, ExpiresIn: lifetime, RefreshToken: refresh,
	}, nil
}

// clean keeps what a client says about itself short and storable.
func clean(s string, limit int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

func actsAsUser(scope tenancy.Scope) error {
	if scope.Actor.Kind != tenancy.User {
		return fault.New(fault.Forbidden, "auth.user_required",
			"Only a signed-in user has sessions; an API key has none. Sign in and use an access token.")
	}
	return nil
}

// isEnded says whether err says that the session had ended already.
func isEnded(err error) bool {
	return fault.Is(err, "auth.revoked") || fault.Is(err, "session.not_found")
}
