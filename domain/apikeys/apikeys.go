// Package apikeys owns the keys by which servers use a tenant's API: making, showing once, rotating, revoking, and
// telling whose a presented key is.
//
// A key belongs to its tenant, not to who made it; it may do what its scopes say, never more than its maker held. Only
// a hash is kept. A looked-up key is remembered in the process; that it still stands is proven by the store in each
// statement's own round trip, so a key that was revoked is refused at the next request on every replica.
package apikeys

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// TokenPrefix begins every key, so that people and secret scanners know one when they see it.
const TokenPrefix = "gw_live_"

// MaxOverlap is how long a rotated key may live on beside its successor.
const MaxOverlap = 30 * 24 * time.Hour

// Key is an API key, without its secret.
type Key struct {
	TenantID tenancy.ID `json:"-"`
	ID       tenancy.ID `json:"id"`
	Name     string     `json:"name"`
	// Prefix is the beginning of the key, by which its owner tells it from others.
	Prefix string `json:"prefix"`
	// Scopes are permissions, or "*" for all that an admin may do.
	Scopes []string `json:"scopes"`
	// CreatedBy is the user who made it, or the key that did.
	CreatedBy tenancy.ID `json:"created_by"`
	Version   int64      `json:"version"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
	// ExpiresAt is when the key ends; nil is never.
	ExpiresAt *time.Time `json:"expires_at"`
	// LastUsedAt is true to about a minute.
	LastUsedAt *time.Time `json:"last_used_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
}

// IsLive says whether the key can be used.
func (k *Key) IsLive(now time.Time) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || now.Before(*k.ExpiresAt))
}

// State is "active", "expired" or "revoked".
func (k *Key) State(now time.Time) string {
	switch {
	case k.RevokedAt != nil:
		return "revoked"
	case !k.IsLive(now):
		return "expired"
	default:
		return "active"
	}
}

// Rotate decides the successor of the key, and ends the key itself after the overlap. The successor has the key's
// name, scopes and length of life.
func (k *Key) Rotate(now time.Time, overlap time.Duration) (Key, error) {
	if !k.IsLive(now) {
		return Key{}, fault.New(fault.Conflict, "api_key.not_active",
			"This key is "+k.State(now)+"; make a new one instead of rotating it.")
	}
	next := Key{
		TenantID: k.TenantID, ID: tenancy.NewID(), Name: k.Name, Scopes: slices.Clone(k.Scopes),
		Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if k.ExpiresAt != nil {
		expires := now.Add(k.ExpiresAt.Sub(k.CreatedAt))
		next.ExpiresAt = &expires
	}
	end := now.Add(overlap)
	if k.ExpiresAt == nil || end.Before(*k.ExpiresAt) {
		k.ExpiresAt = &end
	}
	return next, nil
}

// Used is a key and when it was used.
type Used struct {
	Tenant, Key tenancy.ID
	At          time.Time
}

// Store keeps keys.
type Store interface {
	CreateKey(ctx context.Context, scope tenancy.Scope, key Key, tokenHash []byte) error
	// ListKeys returns up to request.Limit+1 keys, newest first.
	ListKeys(ctx context.Context, scope tenancy.Scope, request page.Request) ([]Key, error)
	FindKey(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Key, error)
	// ChangeKey loads a key under a lock, lets change alter it, and saves it if something differs.
	ChangeKey(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time, change func(*Key) error) (Key, error)
	// RotateKey loads a key under a lock, lets rotate alter it and return its successor, and saves both.
	RotateKey(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time, tokenHash []byte,
		rotate func(*Key) (Key, error)) (Key, error)
	// FindKeyByToken returns the key of a token's hash, whichever tenant's; a key without an id where there is none.
	FindKeyByToken(ctx context.Context, tokenHash []byte) (Key, error)
	// TouchKeys notes when keys were used last; earlier times than are noted change nothing.
	TouchKeys(ctx context.Context, used []Used) error
}

// checkScopes refuses scopes that do not exist and those that the actor does not hold.
func checkScopes(roles *members.Roles, actor tenancy.Actor, scopes []string) error {
	var wrong []fault.Violation
	for i, scope := range scopes {
		pointer := "/scopes/" + strconv.Itoa(i)
		switch {
		case scope == members.AllScopes:
			for _, permission := range roles.Permissions(members.Admin) {
				if !actor.May(permission) {
					wrong = append(wrong, fault.Violation{
						Pointer: pointer, Code: "not_held", Detail: "holds " + permission + ", which you do not have yourself",
					})
					break
				}
			}
		case !roles.Has(scope):
			wrong = append(wrong, fault.Violation{
				Pointer: pointer, Code: "unknown_permission", Detail: "is not a permission; see the list of roles",
			})
		case !actor.May(scope):
			wrong = append(wrong, fault.Violation{
				Pointer: pointer, Code: "not_held", Detail: "is a permission that you do not have yourself",
			})
		}
	}
	if len(wrong) > 0 {
		return fault.Values(wrong...)
	}
	return nil
}
