package apikeys

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// Needs is what the service works with.
type Needs struct {
	Store    Store
	Secrets  members.Secrets
	Roles    *members.Roles
	Validate validation.Validator
	Now      func() time.Time
}

// Service makes, changes and recognizes keys.
type Service struct {
	Needs
	cache *cache
}

// NewService returns the service.
func NewService(needs Needs) *Service {
	return &Service{Needs: needs, cache: newCache()}
}

// Input is a key that is wanted.
type Input struct {
	Name   string   `json:"name" validate:"required,notblank,max=200,printable"`
	Scopes []string `json:"scopes" validate:"required,min=1,max=100,unique,dive,max=100"`
	// ExpiresAt is when the key is to end; nil is never.
	ExpiresAt *time.Time `json:"expires_at"`
}

// Create makes a key and returns it with its token, which is kept nowhere and never shown again.
func (s *Service) Create(ctx context.Context, scope tenancy.Scope, in Input) (Key, string, error) {
	now := s.moment()
	in.Name = strings.TrimSpace(in.Name)
	if err := validation.Check(s.Validate, in); err != nil {
		return Key{}, "", err
	}
	if err := checkScopes(s.Roles, scope.Actor, in.Scopes); err != nil {
		return Key{}, "", err
	}
	if in.ExpiresAt != nil && !in.ExpiresAt.After(now) {
		return Key{}, "", fault.Values(fault.Violation{
			Pointer: "/expires_at", Code: "future", Detail: "is in the past; name a time to come, or null for never",
		})
	}
	scopes := slices.Clone(in.Scopes)
	slices.Sort(scopes)
	token := s.Secrets.New(TokenPrefix, members.TokenBytes)
	key := Key{
		TenantID: scope.Tenant, ID: tenancy.NewID(), Name: in.Name, Prefix: shownPrefix(token), Scopes: scopes,
		CreatedBy: scope.Actor.ID, Version: 1, CreatedAt: now, UpdatedAt: now, ExpiresAt: in.ExpiresAt,
	}
	if err := s.Store.CreateKey(ctx, scope, key, s.Secrets.Hash(token)); err != nil {
		return Key{}, "", err
	}
	return key, token, nil
}

// List returns a page of keys, newest first, those that ended too.
func (s *Service) List(ctx context.Context, scope tenancy.Scope, request page.Request) (page.Page[Key], error) {
	request = request.Normalized()
	rows, err := s.Store.ListKeys(ctx, scope, request)
	if err != nil {
		return page.Page[Key]{}, err
	}
	return page.Of(rows, request, func(k Key) page.Position { return page.Position{k.ID.String()} }), nil
}

// Find returns one key.
func (s *Service) Find(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Key, error) {
	return s.Store.FindKey(ctx, scope, id)
}

// Label is what can be changed of a key.
type Label struct {
	Name string `json:"name" validate:"required,notblank,max=200,printable"`
}

// Change lets apply rename a key. What a key may do never changes; make another one for that.
func (s *Service) Change(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match,
	apply func(*Label) error,
) (Key, error) {
	return s.Store.ChangeKey(ctx, scope, id, s.moment(), func(k *Key) error {
		if err := match.Check(k.Version, "API key"); err != nil {
			return err
		}
		label := Label{Name: k.Name}
		if err := apply(&label); err != nil {
			return err
		}
		label.Name = strings.TrimSpace(label.Name)
		if err := validation.Check(s.Validate, label); err != nil {
			return err
		}
		k.Name = label.Name
		return nil
	})
}

// Revoke ends a key for good, at once. A key that was revoked stays so.
func (s *Service) Revoke(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match) error {
	now := s.moment()
	_, err := s.Store.ChangeKey(ctx, scope, id, now, func(k *Key) error {
		if err := match.Check(k.Version, "API key"); err != nil {
			return err
		}
		if k.RevokedAt == nil {
			k.RevokedAt = &now
		}
		return nil
	})
	return err
}

// Rotate makes a successor to a key and returns it with its token, which is never shown again. The old key ends after
// the overlap, 0 for at once. Whoever rotates must hold the key's scopes, as if they made it.
func (s *Service) Rotate(ctx context.Context, scope tenancy.Scope, id tenancy.ID, overlap time.Duration,
) (Key, string, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return Key{}, "", fault.Values(fault.Violation{
			Pointer: "/overlap", Code: "max",
			Detail: "must be 0 to " + strconv.Itoa(int(MaxOverlap/time.Second)) + " seconds",
		})
	}
	token := s.Secrets.New(TokenPrefix, members.TokenBytes)
	next, err := s.Store.RotateKey(ctx, scope, id, s.moment(), s.Secrets.Hash(token), func(k *Key) (Key, error) {
		if !mayHandOut(s.Roles, scope.Actor, k.Scopes) {
			return Key{}, fault.New(fault.Forbidden, "api_key.scopes_not_held",
				"This key may do what you may not; only somebody who may can rotate it.")
		}
		successor, err := k.Rotate(s.moment(), overlap) // the time now, after the wait for whoever rotates it too
		successor.Prefix, successor.CreatedBy = shownPrefix(token), scope.Actor.ID
		return successor, err
	})
	if err != nil {
		return Key{}, "", err
	}
	return next, token, nil
}

// mayHandOut says whether the actor holds all that a key with the scopes may do now. Permissions that no longer exist
// are nothing to hold.
func mayHandOut(roles *members.Roles, actor tenancy.Actor, scopes []string) bool {
	for _, permission := range roles.Resolve(scopes) {
		if !actor.May(permission) {
			return false
		}
	}
	return true
}

// shownPrefix is what may be shown of a key: enough to tell it from others, too little to guess the rest.
func shownPrefix(token string) string {
	return token[:min(len(token), len(TokenPrefix)+4)]
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Service) moment() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
