// Package signingkeys owns the keys that access tokens are signed with: their making, their order, their end.
//
// There is always a next, a current and, after a rotation, a retiring key, and all of them are published: a verifier
// that fetches them now and then never meets a token that it cannot check. The private halves are sealed wherever they
// are kept, and are open in the memory of the processes that sign. The package never reads or writes a token.
package signingkeys

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"time"
)

// State is a key's place in the rotation.
type State string

// The states, in the order in which a key goes through them; after the last it is deleted.
const (
	Next     State = "next"     // published, and not signed with yet
	Current  State = "current"  // signed with
	Retiring State = "retiring" // not signed with any more, and published while tokens that it signed may live
)

// Key is a signing key.
type Key struct {
	// KID is the public key's RFC 7638 thumbprint.
	KID    string
	Public ed25519.PublicKey
	// Private is kept sealed, and is in the memory of the processes that sign only.
	Private    ed25519.PrivateKey `json:"-"`
	State      State
	CreatedAt  time.Time
	StateSince time.Time
}

// Store keeps keys, their private halves sealed under the master key.
type Store interface {
	// ListSigningKeys returns all keys.
	ListSigningKeys(ctx context.Context) ([]Key, error)
	// ChangeSigningKeys lets change decide what the keys shall be, while no other process can, and saves that. It
	// returns them.
	ChangeSigningKeys(ctx context.Context, change func([]Key) ([]Key, error)) ([]Key, error)
	// ResealSigningKeys seals the private halves anew that are sealed under another than the present master key, and
	// says how many.
	ResealSigningKeys(ctx context.Context) (int, error)
}

// generate returns a new key in the state.
func generate(state State, now time.Time) (Key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("generate a signing key: %w", err)
	}
	return Key{
		KID: thumbprint(public), Public: public, Private: private, State: state, CreatedAt: now, StateSince: now,
	}, nil
}

// thumbprint is RFC 7638's of an Ed25519 public key (RFC 8037, appendix A.3).
func thumbprint(public ed25519.PublicKey) string {
	x := base64.RawURLEncoding.EncodeToString(public)
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// complete adds the next and the current key where they are missing.
func complete(keys []Key, now time.Time) ([]Key, error) {
	if index(keys, Current) < 0 {
		if i := index(keys, Next); i >= 0 {
			keys[i].State, keys[i].StateSince = Current, now
		} else {
			key, err := generate(Current, now)
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		}
	}
	if index(keys, Next) < 0 {
		key, err := generate(Next, now)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// rotate moves each key one state on, and drops those that have retired for long enough.
func rotate(keys []Key, now time.Time, retainFor time.Duration) ([]Key, error) {
	keys = prune(keys, now, retainFor)
	for i := range keys {
		switch keys[i].State {
		case Current:
			keys[i].State, keys[i].StateSince = Retiring, now
		case Next:
			keys[i].State, keys[i].StateSince = Current, now
		case Retiring:
		}
	}
	return complete(keys, now)
}

func prune(keys []Key, now time.Time, retainFor time.Duration) []Key {
	return slices.DeleteFunc(keys, func(k Key) bool {
		return k.State == Retiring && now.Sub(k.StateSince) > retainFor
	})
}

func index(keys []Key, state State) int {
	return slices.IndexFunc(keys, func(k Key) bool { return k.State == state })
}
