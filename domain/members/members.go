// Package members owns who belongs to a tenant and what each may do there: memberships, roles, invitations.
//
// Every change moves the membership's version, which access tokens carry and the store compares in each statement's
// own round trip: what is taken away is gone at the next request. A tenant always keeps an owner, and only owners make
// or unmake owners. The package never knows how somebody signs in.
package members

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// Membership is a user in a tenant.
type Membership struct {
	TenantID  tenancy.ID `json:"-"`
	UserID    tenancy.ID `json:"user_id"`
	Name      string     `json:"name"`
	Email     string     `json:"email"`
	Role      string     `json:"role"`
	Version   int64      `json:"version"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
}

// IsOwner says whether the member is an owner.
func (m Membership) IsOwner() bool { return m.Role == Owner }

// Situation is what a change of a membership is decided on. The store holds the tenant's lock for memberships while
// it is decided, so that it is still true when the change is saved.
type Situation struct {
	Target Membership
	// ActorRole is the acting user's role now, "" for a key or the system.
	ActorRole string
	// Owners is how many owners the tenant has.
	Owners int
}

// Store keeps memberships.
type Store interface {
	// ListMembers returns up to request.Limit+1 members by the id of the user.
	ListMembers(ctx context.Context, scope tenancy.Scope, request page.Request) ([]Membership, error)
	// FindMember returns one member.
	FindMember(ctx context.Context, scope tenancy.Scope, user tenancy.ID) (Membership, error)
	// ChangeRole sets the role that decide returns and moves the version; nothing changes where it is the present one.
	ChangeRole(ctx context.Context, scope tenancy.Scope, user tenancy.ID, now time.Time,
		decide func(Situation) (string, error)) (Membership, error)
	// RemoveMember removes a member where decide allows it, and revokes their sessions in the tenant.
	RemoveMember(ctx context.Context, scope tenancy.Scope, user tenancy.ID, now time.Time,
		decide func(Situation) error) error
}

// Service reads and changes memberships.
type Service struct {
	store    Store
	validate validation.Validator
	now      func() time.Time
}

// NewService returns the service over a store.
func NewService(store Store, validate validation.Validator, now func() time.Time) *Service {
	return &Service{store: store, validate: validate, now: now}
}

// List returns a page of members with their names and addresses.
func (s *Service) List(ctx context.Context, scope tenancy.Scope, request page.Request) (page.Page[Membership], error) {
	request = request.Normalized()
	rows, err := s.store.ListMembers(ctx, scope, request)
	if err != nil {
		return page.Page[Membership]{}, err
	}
	return page.Of(rows, request, func(m Membership) page.Position { return page.Position{m.UserID.String()} }), nil
}

// Find returns one member.
func (s *Service) Find(ctx context.Context, scope tenancy.Scope, user tenancy.ID) (Membership, error) {
	return s.store.FindMember(ctx, scope, user)
}

// RoleChange is the role that a member is to have.
type RoleChange struct {
	Role string `json:"role" validate:"required,oneof=owner admin member viewer"`
}

// ChangeRole gives a member another role. Only an owner makes or unmakes an owner, and the last owner stays one. The
// member's access tokens end with it; their next refresh brings the new role.
func (s *Service) ChangeRole(ctx context.Context, scope tenancy.Scope, user tenancy.ID, match resource.Match,
	change RoleChange,
) (Membership, error) {
	if err := validation.Check(s.validate, change); err != nil {
		return Membership{}, err
	}
	return s.store.ChangeRole(ctx, scope, user, s.moment(), func(at Situation) (string, error) {
		if err := match.Check(at.Target.Version, "membership"); err != nil {
			return "", err
		}
		if at.Target.Role == change.Role {
			return change.Role, nil
		}
		if at.Target.IsOwner() || change.Role == Owner {
			if err := mayTouchOwners(scope.Actor, at.ActorRole); err != nil {
				return "", err
			}
		}
		if err := keepsAnOwner(at); err != nil {
			return "", err
		}
		return change.Role, nil
	})
}

// Remove takes a member out of the tenant, at once. Members may always remove themselves; others need members:write.
// Only an owner removes an owner, and the last owner stays.
func (s *Service) Remove(ctx context.Context, scope tenancy.Scope, user tenancy.ID) error {
	leaves := scope.Actor.Kind == tenancy.User && scope.Actor.ID == user
	if !leaves && !scope.Actor.May(MembersWrite) {
		return fault.New(fault.Forbidden, "permission_denied", "Removing somebody else needs the permission "+MembersWrite+".")
	}
	return s.store.RemoveMember(ctx, scope, user, s.moment(), func(at Situation) error {
		if at.Target.IsOwner() && !leaves {
			if err := mayTouchOwners(scope.Actor, at.ActorRole); err != nil {
				return err
			}
		}
		return keepsAnOwner(at)
	})
}

func mayTouchOwners(actor tenancy.Actor, role string) error {
	if actor.Kind == tenancy.System || role == Owner {
		return nil
	}
	return fault.New(fault.Forbidden, "member.owner_required", "Only an owner makes, changes or removes an owner.")
}

func keepsAnOwner(at Situation) error {
	if at.Target.IsOwner() && at.Owners <= 1 {
		return fault.New(fault.Conflict, "member.last_owner",
			"This is the organization's last owner. Make somebody else an owner first.")
	}
	return nil
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Service) moment() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
