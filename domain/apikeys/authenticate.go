package apikeys

import (
	"context"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// touchEvery is how long a key's last use is good enough.
const touchEvery = time.Minute

// Looks says whether a credential is meant to be an API key rather than an access token.
func Looks(credential string) bool { return strings.HasPrefix(credential, TokenPrefix) }

// Authenticate returns the scope of a key. A key that was seen before costs no look-up: that it still stands is proven
// by whatever the scope is used for, and where that answers that the key was revoked or changed, the caller calls
// Forget and authenticates once more.
func (s *Service) Authenticate(ctx context.Context, token string) (tenancy.Scope, error) {
	if !Looks(token) || !s.Secrets.Check(token) {
		return tenancy.Scope{}, errUnknown()
	}
	now := s.moment()
	hash := [32]byte(s.Secrets.Hash(token))
	known, ok := s.cache.find(hash)
	if !ok {
		key, err := s.Store.FindKeyByToken(ctx, hash[:])
		if err != nil {
			return tenancy.Scope{}, err
		}
		if key.ID.IsZero() {
			return tenancy.Scope{}, errUnknown()
		}
		known = entry{
			tenant: key.TenantID, key: key.ID, version: key.Version, expiresAt: key.ExpiresAt,
			isRevoked: key.RevokedAt != nil, permissions: s.Roles.Resolve(key.Scopes),
		}
		if key.LastUsedAt != nil {
			known.touchedAt = *key.LastUsedAt
		}
		s.cache.put(hash, known)
	}
	if known.isRevoked {
		s.cache.forget(hash)
		return tenancy.Scope{}, fault.New(fault.Unauthorized, "auth.api_key_revoked", "This API key was revoked.")
	}
	if known.expiresAt != nil && !now.Before(*known.expiresAt) {
		s.cache.forget(hash)
		return tenancy.Scope{}, fault.New(fault.Unauthorized, "auth.api_key_expired", "This API key has expired.")
	}
	s.cache.touch(hash, now)
	return tenancy.Scope{
		Tenant: known.tenant,
		Actor: tenancy.Actor{
			Kind: tenancy.APIKey, ID: known.key, Version: known.version, Permissions: known.permissions,
		},
	}, nil
}

// Forget drops what is remembered of a key, so that the next Authenticate looks it up.
func (s *Service) Forget(token string) {
	s.cache.forget([32]byte(s.Secrets.Hash(token)))
}

// Run writes down every so often when keys were used last, until ctx ends, and once more then. report is told of what
// could not be written; it is tried again with the next use.
func (s *Service) Run(ctx context.Context, every time.Duration, report func(error)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := s.Flush(ctx); err != nil && ctx.Err() == nil {
				report(err)
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if err := s.Flush(last); err != nil {
				report(err)
			}
			return
		}
	}
}

// Flush writes down when keys were used last, in one statement for all of them.
func (s *Service) Flush(ctx context.Context) error {
	used := s.cache.takeUsed()
	if len(used) == 0 {
		return nil
	}
	return s.Store.TouchKeys(ctx, used)
}

func errUnknown() *fault.Error {
	return fault.New(fault.Unauthorized, "auth.api_key_invalid", "This is not a valid API key.")
}
