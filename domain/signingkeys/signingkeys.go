// Package signingkeys owns the keys that access tokens are signed with: their making, their order, their end.
//
// There is always a next, a current and, after a rotation, a retiring key, and all of them are published: a verifier
// that fetches them now and then never meets a token that it cannot check. The private halves are sealed wherever they
// are kept, and are opened in the memory of the processes that sign. The package never reads or writes a token.
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

// Key is a signing key as it is kept.
type Key struct {
	// KID is the public key's RFC 7638 thumbprint.
	KID    string
	Public ed25519.PublicKey
	// Sealed is the private key's seed, sealed for this row.
	Sealed     []byte
	State      State
	CreatedAt  time.Time
	StateSince time.Time
}

// AAD is what a sealed value is bound to, so that it opens nowhere else: the table, the column, the row.
func AAD(kid string) []byte { return []byte("signing_keys/private_sealed/" + kid) }

// Sealer seals secrets at rest under the master key.
type Sealer interface {
	Seal(plaintext, aad []byte) ([]byte, error)
	Open(sealed, aad []byte) ([]byte, error)
}

// Store keeps keys.
type Store interface {
	// ListSigningKeys returns all keys.
	ListSigningKeys(ctx context.Context) ([]Key, error)
	// ChangeSigningKeys lets change decide what the keys shall be, while no other process can, and saves that. It
	// returns them.
	ChangeSigningKeys(ctx context.Context, change func([]Key) ([]Key, error)) ([]Key, error)
}

// generate returns a new key in the state.
func generate(sealer Sealer, state State, now time.Time) (Key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("generate a signing key: %w", err)
	}
	kid := thumbprint(public)
	sealed, err := sealer.Seal(private.Seed(), AAD(kid))
	if err != nil {
		return Key{}, fmt.Errorf("seal a signing key: %w", err)
	}
	return Key{KID: kid, Public: public, Sealed: sealed, State: state, CreatedAt: now, StateSince: now}, nil
}

// thumbprint is RFC 7638's of an Ed25519 public key (RFC 8037, appendix A.3).
func thumbprint(public ed25519.PublicKey) string {
	x := base64.RawURLEncoding.EncodeToString(public)
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// complete adds the next and the current key where they are missing.
func complete(keys []Key, sealer Sealer, now time.Time) ([]Key, error) {
	if index(keys, Current) < 0 {
		if i := index(keys, Next); i >= 0 {
			keys[i].State, keys[i].StateSince = Current, now
		} else {
			key, err := generate(sealer, Current, now)
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		}
	}
	if index(keys, Next) < 0 {
		key, err := generate(sealer, Next, now)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// rotate moves each key one state on, and drops those that have retired for long enough.
func rotate(keys []Key, sealer Sealer, now time.Time, retainFor time.Duration) ([]Key, error) {
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
	return complete(keys, sealer, now)
}

func prune(keys []Key, now time.Time, retainFor time.Duration) []Key {
	return slices.DeleteFunc(keys, func(k Key) bool {
		return k.State == Retiring && now.Sub(k.StateSince) > retainFor
	})
}

func index(keys []Key, state State) int {
	return slices.IndexFunc(keys, func(k Key) bool { return k.State == state })
}
