package accounts

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// Needs is what the service works with.
type Needs struct {
	Store     Store
	Secrets   members.Secrets
	Passwords users.Passwords
	Validate  validation.Validator
	Now       func() time.Time
}

// Service takes what mails have proven, and has such mails sent.
type Service struct{ Needs }

// NewService returns the service.
func NewService(needs Needs) *Service { return &Service{Needs: needs} }

// Verification is the token of a mail that asked to verify an address.
type Verification struct {
	Token string `json:"token" validate:"required,max=200"`
}

// Verify takes the proof that an address is its user's, and returns the user. To follow the link twice does no harm.
func (s *Service) Verify(ctx context.Context, in Verification, requestID string) (users.User, error) {
	token, hash, err := s.find(ctx, VerifyEmail, in.Token, in)
	if err != nil {
		return users.User{}, err
	}
	if token.HasProven() {
		return token.User, nil
	}
	if err := token.CheckOpen(s.moment()); err != nil {
		return users.User{}, err
	}
	return s.Store.VerifyEmail(ctx, hash, s.moment(), requestID)
}

// Resend has the mail that verifies the address of the user who acts sent once more, at most once a minute.
func (s *Service) Resend(ctx context.Context, scope tenancy.Scope) error {
	if scope.Actor.Kind != tenancy.User {
		return fault.New(fault.Forbidden, "auth.user_required",
			"Only a signed-in user has an address to verify; an API key has none. Sign in and use an access token.")
	}
	return s.Store.RequestVerification(ctx, scope)
}

// Forgotten is the address of an account whose password is forgotten.
type Forgotten struct {
	Email string `json:"email" validate:"required,max=254,email"`
}

// Forgot has a mail sent to whoever has the address, at most once a minute. It answers and works the same for every address.
func (s *Service) Forgot(ctx context.Context, in Forgotten, requestID string) error {
	in.Email = users.NormalizeEmail(in.Email)
	if err := validation.Check(s.Validate, in); err != nil {
		return err
	}
	return s.Store.RequestReset(ctx, in.Email, requestID)
}

// NewPassword is the token of a mail that lets set a new password, and that password.
type NewPassword struct {
	Token    string `json:"token" validate:"required,max=200"`
	Password string `json:"password" validate:"required,max=1024"`
}

// Reset replaces a forgotten password and signs its user out everywhere. A token works once; one whose password was
// refused works still.
func (s *Service) Reset(ctx context.Context, in NewPassword, requestID string) error {
	token, hash, err := s.find(ctx, ResetPassword, in.Token, in)
	if err != nil {
		return err
	}
	if err := token.CheckOpen(s.moment()); err != nil {
		return err
	}
	if err := users.CheckPassword(s.Passwords, in.Password, "/password", token.User.Name, token.User.Email); err != nil {
		return err
	}
	password, err := s.Passwords.Hash(ctx, in.Password)
	if err != nil {
		return err
	}
	return s.Store.ResetPassword(ctx, Reset{TokenHash: hash, PasswordHash: password, Now: s.moment(), RequestID: requestID})
}

// find checks what was sent, and returns the token with its hash. It is looked up by the hash, so that how long that
// takes tells nothing about tokens that exist; one that was mistyped is told by its checksum.
func (s *Service) find(ctx context.Context, purpose Purpose, token string, in any) (Token, []byte, error) {
	if err := validation.Check(s.Validate, in); err != nil {
		return Token{}, nil, err
	}
	if !s.Secrets.Check(token) {
		return Token{}, nil, ErrNoSuchLink()
	}
	hash := s.Secrets.Hash(token)
	found, err := s.Store.FindToken(ctx, purpose, hash)
	return found, hash, err
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Service) moment() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
