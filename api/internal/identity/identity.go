// Package identity joins the domain of identity with what signs, hashes and makes secrets.
//
// The domain says what a token is for, the platform how it is made; these are the few lines between them. The API's
// cmd builds the services with it; it keeps nothing and decides nothing.
package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/signingkeys"
	"github.com/groundwork-saas/groundwork/platform/passwords"
	"github.com/groundwork-saas/groundwork/platform/secrets"
	"github.com/groundwork-saas/groundwork/platform/tokens"
)

// Secrets makes what is handed out and never kept.
func Secrets() members.Secrets {
	return members.Secrets{New: secrets.Token, Check: secrets.Check, Hash: secrets.Hash}
}

// Tokens signs and reads access tokens with the keys of a keyring.
type Tokens struct {
	ring *tokens.Ring
	keys *signingkeys.Keyring
	ttl  time.Duration
}

// NewTokens returns the tokens of a ring whose keys the keyring replaces.
func NewTokens(ring *tokens.Ring, keys *signingkeys.Keyring, ttl time.Duration) *Tokens {
	return &Tokens{ring: ring, keys: keys, ttl: ttl}
}

// Replace gives the ring the keys that a keyring has read.
func Replace(ring *tokens.Ring) func([]signingkeys.Key) error {
	states := map[signingkeys.State]tokens.State{
		signingkeys.Next: tokens.Next, signingkeys.Current: tokens.Current, signingkeys.Retiring: tokens.Retiring,
	}
	return func(keys []signingkeys.Key) error {
		replacement := make([]tokens.Key, len(keys))
		for i, key := range keys {
			replacement[i] = tokens.Key{KID: key.KID, Public: key.Public, Private: key.Private, State: states[key.State]}
		}
		return ring.Replace(replacement)
	}
}

// Issue returns a signed token and how long it lasts.
func (t *Tokens) Issue(_ context.Context, claims sessions.Claims) (string, time.Duration, error) {
	token, err := t.ring.Sign(tokens.Claims{
		User: claims.User, Tenant: claims.Tenant, Session: claims.Session,
		MembershipVersion: claims.Version, Role: claims.Role,
	})
	if err != nil {
		return "", 0, fmt.Errorf("sign an access token: %w", err)
	}
	return token, t.ttl, nil
}

// Read returns what a valid token says. A key that is not known may be new: the keys are then read again.
func (t *Tokens) Read(ctx context.Context, token string) (sessions.Claims, error) {
	claims, err := t.ring.Verify(token)
	if errors.Is(err, tokens.ErrUnknownKey) {
		if reloaded, failed := t.keys.ReloadFor(ctx); failed != nil {
			return sessions.Claims{}, failed
		} else if reloaded {
			claims, err = t.ring.Verify(token)
		}
	}
	switch {
	case errors.Is(err, tokens.ErrExpired):
		return sessions.Claims{}, fault.New(fault.Unauthorized, "auth.token_expired",
			"The access token has expired; get a new one at /auth/refresh.")
	case err != nil:
		return sessions.Claims{}, fault.New(fault.Unauthorized, "auth.invalid_token",
			"The access token is not valid; sign in again.").Because(err)
	}
	return sessions.Claims{
		User: claims.User, Tenant: claims.Tenant, Session: claims.Session,
		Version: claims.MembershipVersion, Role: claims.Role,
	}, nil
}

// Passwords adapts the platform's hasher to what the domain asks of it.
type Passwords struct{ *passwords.Hasher }

// Check says what is wrong with a password, or "".
func (Passwords) Check(password string, about ...string) string {
	return passwords.Check(password, about...)
}

// Verify says whether the password is the hash's. An empty hash costs the same work and never matches.
func (p Passwords) Verify(ctx context.Context, password, hash string) (ok, outdated bool, err error) {
	if hash == "" {
		return false, false, p.VerifyNothing(ctx, password)
	}
	return p.Hasher.Verify(ctx, password, hash)
}
