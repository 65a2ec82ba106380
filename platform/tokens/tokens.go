// Package tokens signs and verifies the access tokens of the API: JWTs as RFC 9068 has them, signed with Ed25519.
//
// The API holds one Ring and replaces its keys as they rotate: a key is published as Next, then signs as Current, then
// is Retiring until the last token that it signed has expired. A Ring keeps no tokens but a bounded cache of those that
// it verified; it knows nothing about sessions or revocation: a token that verifies says who signed in, and the
// database says whether that still counts.
package tokens

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// The errors of Verify, to be told apart with errors.Is. None holds the token.
var (
	// ErrInvalid is a token that was never good, or is not yet or for somebody else.
	ErrInvalid = errors.New("the token is not valid")
	// ErrExpired is a token that was good.
	ErrExpired = errors.New("the token has expired")
	// ErrUnknownKey is a token that names a key which the ring does not hold: the keys may have rotated, so that it is
	// worth loading them again and verifying once more.
	ErrUnknownKey = errors.New("the token was signed with a key that is not known")
)

// ErrNoSigningKey is what Sign returns where no key of the ring is Current.
var ErrNoSigningKey = errors.New("no key signs at present")

// State is where a key stands in its life.
type State int

// The states, in their order.
const (
	Next     State = iota // published, so that others know it before it signs
	Current               // signs
	Retiring              // signed tokens that have not expired yet
)

// Key is a signing key.
type Key struct {
	// KID names the key in tokens and in the key set.
	KID string
	// Public verifies.
	Public ed25519.PublicKey
	// Private signs; only the Current key needs it.
	Private ed25519.PrivateKey
	// State decides whether the key signs. In every state it verifies.
	State State
}

// NewKey makes a key that is Next. Its KID is its thumbprint as of RFC 7638.
func NewKey() (Key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("make a signing key: %w", err)
	}
	return Key{KID: Thumbprint(public), Public: public, Private: private}, nil
}

// Thumbprint returns the thumbprint of a key as of RFC 7638 and RFC 8037.
func Thumbprint(public ed25519.PublicKey) string {
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + encode(public) + `"}`))
	return encode(sum[:])
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Claims is what a token says.
type Claims struct {
	// User, Tenant and Session are UUIDs (sub, tid and sid); none may be zero.
	User, Tenant, Session [16]byte
	// MembershipVersion is the version of the membership that Role was read from (mv): another version in the
	// database means that the role has changed since.
	MembershipVersion int64
	// Role is the user's role in the tenant.
	Role string

	// What follows is set by Sign.

	// TokenID is the token's own id (jti).
	TokenID [16]byte
	// IssuedAt is when it was signed, in whole seconds; it is good from then on (iat and nbf).
	IssuedAt time.Time
	// ExpiresAt is when it stops being good.
	ExpiresAt time.Time
}

// Config is what all tokens of a ring have in common.
type Config struct {
	// Issuer and Audience are signed into each token and required of it.
	Issuer, Audience string
	// TTL is how long a token is good, in whole seconds.
	TTL time.Duration
	// Now is the clock.
	Now func() time.Time
	// Cache is how many verified tokens are remembered at most; 0 is 10,000, which takes a few MiB.
	Cache int
}

const (
	leeway       = 5 * time.Second // how far clocks may be apart
	maxToken     = 4 << 10         // bytes; ours have about 500
	defaultCache = 10_000
)

// Ring signs with its current key and verifies with all of them; it may be used by many goroutines.
type Ring struct {
	cfg   Config
	state atomic.Pointer[state]
}

// state is what is replaced with the keys, and at once. The cache is part of it: what a key verified is forgotten with
// the key.
type state struct {
	keys    map[string]ed25519.PublicKey
	current *Key
	jwks    []byte
	cache   *cache
}

// New returns a ring. The keys may be none at first; see Replace.
func New(cfg Config, keys []Key) (*Ring, error) {
	if cfg.Issuer == "" || cfg.Audience == "" || cfg.TTL < time.Second || cfg.Now == nil {
		return nil, errors.New("tokens: a ring needs an issuer, an audience, a clock and a TTL of a second or more")
	}
	if cfg.Cache <= 0 {
		cfg.Cache = defaultCache
	}
	r := &Ring{cfg: cfg}
	if err := r.Replace(keys); err != nil {
		return nil, err
	}
	return r, nil
}

// Replace changes the keys of the ring, all at once; on an error the old ones stay. At most one key is Current, and it
// has its private half.
func (r *Ring) Replace(keys []Key) error {
	next := &state{keys: make(map[string]ed25519.PublicKey, len(keys)), cache: newCache(r.cfg.Cache)}
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, key := range keys {
		switch {
		case key.KID == "" || next.keys[key.KID] != nil:
			return fmt.Errorf("tokens: key id %q is empty or there twice", key.KID)
		case len(key.Public) != ed25519.PublicKeySize:
			return fmt.Errorf("tokens: key %s is not an Ed25519 key", key.KID)
		case key.State != Current:
		case next.current != nil:
			return fmt.Errorf("tokens: keys %s and %s are both current", next.current.KID, key.KID)
		case len(key.Private) != ed25519.PrivateKeySize || !key.Public.Equal(key.Private.Public()):
			return fmt.Errorf("tokens: key %s is current and has no private half, or that of another key", key.KID)
		default:
			next.current = &key
		}
		next.keys[key.KID] = key.Public
		set.Keys = append(set.Keys, jwk{Type: "OKP", Curve: "Ed25519", Use: "sig", Algorithm: "EdDSA", ID: key.KID, X: encode(key.Public)})
	}
	var err error
	if next.jwks, err = json.Marshal(set); err != nil {
		return fmt.Errorf("tokens: write the key set: %w", err)
	}
	r.state.Store(next)
	return nil
}

// jwk is a public key as of RFC 8037.
type jwk struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	ID        string `json:"kid"`
	X         string `json:"x"`
}

// JWKS returns the public keys as a JSON Web Key Set (RFC 7517), for /.well-known/jwks.json. It is not to be changed.
func (r *Ring) JWKS() []byte { return r.state.Load().jwks }

// Sign returns a token that is good from now on. Of the claims it takes who, where and as what; the rest it sets.
func (r *Ring) Sign(claims Claims) (string, error) {
	current := r.state.Load().current
	if current == nil {
		return "", ErrNoSigningKey
	}
	if claims.User == [16]byte{} || claims.Tenant == [16]byte{} || claims.Session == [16]byte{} || claims.Role == "" {
		return "", errors.New("tokens: a token needs a user, a tenant, a session and a role")
	}
	claims.TokenID = uuid.New()
	claims.IssuedAt = r.cfg.Now().Truncate(time.Second)
	claims.ExpiresAt = claims.IssuedAt.Add(r.cfg.TTL)
	return r.sign(claims, current)
}

// Verify returns what a token says, or ErrInvalid, ErrExpired or ErrUnknownKey.
func (r *Ring) Verify(token string) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, fmt.Errorf("%w: it has more than %d bytes", ErrInvalid, maxToken)
	}
	if strings.ContainsAny(token, "\r\n") { // a base64 decoder skips them: one token would have many forms
		return Claims{}, fmt.Errorf("%w: it has line breaks", ErrInvalid)
	}
	s := r.state.Load()
	sum := sha256.Sum256([]byte(token))
	if claims, ok := s.cache.get(sum); ok {
		if r.cfg.Now().Before(claims.ExpiresAt.Add(leeway)) {
			return claims, nil
		}
		return Claims{}, ErrExpired
	}
	claims, err := r.verify(token, s.keys)
	if err != nil {
		return Claims{}, err
	}
	s.cache.put(sum, claims)
	return claims, nil
}
