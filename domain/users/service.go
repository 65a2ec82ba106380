package users

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// Service is what somebody does with their own account, whichever tenant they work in.
type Service struct {
	store     Store
	passwords Passwords
	validate  validation.Validator
	now       func() time.Time
}

// NewService returns the service over a store.
func NewService(store Store, passwords Passwords, validate validation.Validator, now func() time.Time) *Service {
	return &Service{store: store, passwords: passwords, validate: validate, now: now}
}

// Find returns the user who acts.
func (s *Service) Find(ctx context.Context, scope tenancy.Scope) (User, error) {
	if err := actsAsUser(scope); err != nil {
		return User{}, err
	}
	return s.store.FindUser(ctx, scope)
}

// Profile is what somebody may change of themselves.
type Profile struct {
	Name string `json:"name" validate:"required,notblank,max=200,printable"`
}

// Change lets apply change the profile of the user who acts, checks it and returns them.
func (s *Service) Change(ctx context.Context, scope tenancy.Scope, match resource.Match, apply func(*Profile) error,
) (User, error) {
	if err := actsAsUser(scope); err != nil {
		return User{}, err
	}
	return s.store.ChangeUser(ctx, scope, s.moment(), func(u *User) error {
		if err := match.Check(u.Version, "account"); err != nil {
			return err
		}
		profile := Profile{Name: u.Name}
		if err := apply(&profile); err != nil {
			return err
		}
		profile.Name = NormalizeName(profile.Name)
		if err := validation.Check(s.validate, profile); err != nil {
			return err
		}
		u.Name = profile.Name
		return nil
	})
}

// PasswordChange proves the present password and names the next.
type PasswordChange struct {
	Current string `json:"current_password" validate:"required,max=1024"`
	New     string `json:"new_password" validate:"required,max=1024"`
}

// ChangePassword replaces the password of the user who acts and signs them out everywhere else.
func (s *Service) ChangePassword(ctx context.Context, scope tenancy.Scope, change PasswordChange) error {
	if err := actsAsUser(scope); err != nil {
		return err
	}
	if err := validation.Check(s.validate, change); err != nil {
		return err
	}
	user, err := s.store.FindUser(ctx, scope)
	if err != nil {
		return err
	}
	ok, _, err := s.passwords.Verify(ctx, change.Current, user.PasswordHash)
	if err != nil {
		return err
	}
	if !ok {
		return ErrWrongCurrentPassword()
	}
	if err := CheckPassword(s.passwords, change.New, "/new_password", user.Name, user.Email); err != nil {
		return err
	}
	if change.New == change.Current {
		return fault.Values(fault.Violation{
			Pointer: "/new_password", Code: "password", Detail: "is the present password; choose another one",
		})
	}
	hash, err := s.passwords.Hash(ctx, change.New)
	if err != nil {
		return err
	}
	return s.store.ChangePassword(ctx, scope, s.moment(), user.PasswordHash, hash)
}

// Disable stops a user from signing in and ends their sessions, at once. It is for operators and asks for no
// permission.
func (s *Service) Disable(ctx context.Context, id tenancy.ID, requestID string) error {
	return s.store.SetUserState(ctx, id, Disabled, s.moment(), requestID)
}

// Enable lets a disabled user sign in again.
func (s *Service) Enable(ctx context.Context, id tenancy.ID, requestID string) error {
	return s.store.SetUserState(ctx, id, Active, s.moment(), requestID)
}

// ErrWrongCurrentPassword is the answer to whoever cannot repeat their present password, or whose password was changed
// by somebody else meanwhile.
func ErrWrongCurrentPassword() error {
	return fault.Values(fault.Violation{
		Pointer: "/current_password", Code: "password", Detail: "is not the present password",
	})
}

// CheckPassword returns an Invalid fault at the pointer where the policy refuses the password.
func CheckPassword(passwords Passwords, password, pointer string, about ...string) error {
	if reason := passwords.Check(password, about...); reason != "" {
		return fault.Values(fault.Violation{Pointer: pointer, Code: "password", Detail: reason})
	}
	return nil
}

func actsAsUser(scope tenancy.Scope) error {
	if scope.Actor.Kind != tenancy.User {
		return fault.New(fault.Forbidden, "auth.user_required",
			"Only a signed-in user has an account; an API key has none. Sign in and use an access token.")
	}
	return nil
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Service) moment() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
