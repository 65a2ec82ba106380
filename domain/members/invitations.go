package members

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// InvitationLife is how long an invitation can be accepted.
const InvitationLife = 7 * 24 * time.Hour

// Invitation asks somebody into a tenant. Whoever holds its token may accept it.
type Invitation struct {
	TenantID tenancy.ID `json:"-"`
	ID       tenancy.ID `json:"id"`
	Email    string     `json:"email"`
	Role     string     `json:"role"`
	// InvitedBy is the user who asked; nil where a key did.
	InvitedBy  *tenancy.ID `json:"invited_by"`
	CreatedAt  time.Time   `json:"created_at"`
	ExpiresAt  time.Time   `json:"expires_at"`
	AcceptedAt *time.Time  `json:"accepted_at"`
	RevokedAt  *time.Time  `json:"revoked_at"`

	// IsMailed says that it was found by a token that was mailed to its address, and not by the one that the API showed.
	IsMailed bool `json:"-"`
}

// State is "pending", "accepted", "revoked" or "expired".
func (i Invitation) State(now time.Time) string {
	switch {
	case i.AcceptedAt != nil:
		return "accepted"
	case i.RevokedAt != nil:
		return "revoked"
	case !now.Before(i.ExpiresAt):
		return "expired"
	default:
		return "pending"
	}
}

// CheckOpen says why the invitation cannot be accepted now, if it cannot.
func (i Invitation) CheckOpen(now time.Time) error {
	switch i.State(now) {
	case "accepted":
		return fault.New(fault.Conflict, "invitation.accepted", "This invitation was accepted before. Sign in.")
	case "revoked":
		return fault.New(fault.Conflict, "invitation.revoked", "This invitation was taken back. Ask for another one.")
	case "expired":
		return fault.New(fault.Conflict, "invitation.expired", "This invitation has expired. Ask for another one.")
	default:
		return nil
	}
}

// Secrets makes the tokens that are handed out and never kept.
type Secrets struct {
	// New returns a fresh token: the prefix, so many random bytes, and a checksum.
	New func(prefix string, bytes int) string
	// Check says whether a token's checksum is right: a mistyped one costs no look-up.
	Check func(token string) bool
	// Hash is what is kept of a token, 32 bytes.
	Hash func(token string) []byte
}

// TokenBytes is how much chance is in a token.
const TokenBytes = 24

// InvitationStore keeps invitations.
type InvitationStore interface {
	// CreateInvitation saves an invitation. It answers Conflict where the address is a member's already or holds an
	// invitation that is open; one that has expired makes room.
	CreateInvitation(ctx context.Context, scope tenancy.Scope, invitation Invitation, tokenHash []byte) error
	// ListInvitations returns up to request.Limit+1 invitations, newest first.
	ListInvitations(ctx context.Context, scope tenancy.Scope, request page.Request) ([]Invitation, error)
	// FindInvitationByID returns one invitation.
	FindInvitationByID(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Invitation, error)
	// RevokeInvitation takes an open invitation back.
	RevokeInvitation(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time) error
}

// Invitations asks people into tenants. How they accept is in sessions, since they come in by it.
type Invitations struct {
	store    InvitationStore
	secrets  Secrets
	validate validation.Validator
	now      func() time.Time
}

// NewInvitations returns the service over a store.
func NewInvitations(store InvitationStore, secrets Secrets, validate validation.Validator, now func() time.Time,
) *Invitations {
	return &Invitations{store: store, secrets: secrets, validate: validate, now: now}
}

// InvitationInput is who is asked in, and as what.
type InvitationInput struct {
	Email string `json:"email" validate:"required,max=254,email"`
	Role  string `json:"role" validate:"required,oneof=owner admin member viewer"`
}

// Create makes an invitation and returns it with its token, which is kept nowhere and never shown again.
func (s *Invitations) Create(ctx context.Context, scope tenancy.Scope, in InvitationInput) (Invitation, string, error) {
	in.Email = users.NormalizeEmail(in.Email)
	if err := validation.Check(s.validate, in); err != nil {
		return Invitation{}, "", err
	}
	if in.Role == Owner {
		if err := mayTouchOwners(scope.Actor, scope.Actor.Role); err != nil {
			return Invitation{}, "", err
		}
	}
	now := s.moment()
	invitation := Invitation{
		TenantID: scope.Tenant, ID: tenancy.NewID(), Email: in.Email, Role: in.Role,
		CreatedAt: now, ExpiresAt: now.Add(InvitationLife),
	}
	if scope.Actor.Kind == tenancy.User {
		invitation.InvitedBy = &scope.Actor.ID
	}
	token := s.secrets.New("gw_inv_", TokenBytes)
	if err := s.store.CreateInvitation(ctx, scope, invitation, s.secrets.Hash(token)); err != nil {
		return Invitation{}, "", err
	}
	return invitation, token, nil
}

// List returns a page of invitations, newest first.
func (s *Invitations) List(ctx context.Context, scope tenancy.Scope, request page.Request,
) (page.Page[Invitation], error) {
	request = request.Normalized()
	rows, err := s.store.ListInvitations(ctx, scope, request)
	if err != nil {
		return page.Page[Invitation]{}, err
	}
	return page.Of(rows, request, func(i Invitation) page.Position { return page.Position{i.ID.String()} }), nil
}

// Find returns one invitation.
func (s *Invitations) Find(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Invitation, error) {
	return s.store.FindInvitationByID(ctx, scope, id)
}

// Revoke takes an open invitation back; one that is not open any more is a Conflict.
func (s *Invitations) Revoke(ctx context.Context, scope tenancy.Scope, id tenancy.ID) error {
	return s.store.RevokeInvitation(ctx, scope, id, s.moment())
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Invitations) moment() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
