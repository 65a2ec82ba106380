package sessions

import (
	"context"
	"errors"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// Acceptance is an invitation's token and what proves or makes the user. Somebody with an account gives their
// password, or nothing where they are signed in; somebody without gives a name and the password that they want.
type Acceptance struct {
	Token    string `json:"token" validate:"required,max=200"`
	Name     string `json:"name" validate:"max=200,printable"`
	Password string `json:"password" validate:"max=1024"`
}

// Accept makes whoever holds the invitation's token a member, and opens a session in the tenant. signedIn is the scope
// of the request's own access token, nil where it has none.
func (s *Service) Accept(ctx context.Context, client Client, signedIn *tenancy.Scope, in Acceptance) (Grant, error) {
	in.Name = users.NormalizeName(in.Name)
	if err := validation.Check(s.Validate, in); err != nil {
		return Grant{}, err
	}
	for range maxProofs {
		grant, err := s.accept(ctx, client, signedIn, in)
		if !errors.Is(err, ErrHashMoved) {
			return grant, err
		}
	}
	return Grant{}, users.ErrInvalidCredentials()
}

func (s *Service) accept(ctx context.Context, client Client, signedIn *tenancy.Scope, in Acceptance) (Grant, error) {
	now := s.moment()
	invitation, _, err := s.Store.FindInvitation(ctx, s.Secrets.Hash(in.Token))
	if err != nil {
		return Grant{}, err
	}
	if err := invitation.CheckOpen(now); err != nil {
		return Grant{}, err
	}
	invitee, err := s.invitee(ctx, signedIn, invitation, in)
	if err != nil {
		return Grant{}, err
	}
	fresh, token := s.fresh(client, invitee.User.ID, invitation.TenantID)
	access, err := s.Store.AcceptInvitation(ctx, invitation, invitee, fresh)
	if err != nil {
		return Grant{}, err
	}
	return s.grant(ctx, access, fresh.Session.ID, token)
}

// invitee returns the user who accepts.
func (s *Service) invitee(ctx context.Context, signedIn *tenancy.Scope, invitation members.Invitation, in Acceptance,
) (Invitee, error) {
	if signedIn != nil {
		access, err := s.Current(ctx, *signedIn)
		if err != nil {
			return Invitee{}, err
		}
		if access.User.Email != invitation.Email {
			return Invitee{}, fault.New(fault.Forbidden, "invitation.other_email",
				"This invitation is for another e-mail address. Sign out, or ask for one to your own.")
		}
		return Invitee{User: access.User}, nil
	}
	existing, err := s.Store.FindUserByEmail(ctx, invitation.Email)
	if err != nil {
		return Invitee{}, err
	}
	if !existing.ID.IsZero() {
		if in.Password == "" {
			return Invitee{}, fault.New(fault.Unauthorized, "invitation.sign_in_required",
				"This address has an account. Sign in first, or give its password.")
		}
		user, _, err := s.prove(ctx, invitation.Email, in.Password)
		return Invitee{User: user}, err
	}
	wanted := struct {
		Name     string `json:"name" validate:"required,notblank"`
		Password string `json:"password" validate:"required"`
	}{in.Name, in.Password}
	if err := validation.Check(s.Validate, wanted); err != nil {
		return Invitee{}, err
	}
	user, err := s.newUser(ctx, in.Name, invitation.Email, in.Password, s.moment())
	return Invitee{User: user, IsNew: true}, err
}
