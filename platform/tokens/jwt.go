package tokens

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// mediaType is the typ of an access token (RFC 9068): an ID token or a reset token is none.
const mediaType = "at+jwt"

// wire is the token's payload.
type wire struct {
	jwt.RegisteredClaims

	Tenant            string `json:"tid"`
	Session           string `json:"sid"`
	MembershipVersion *int64 `json:"mv"`
	Role              string `json:"role"`
}

func (r *Ring) sign(claims Claims, key *Key) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, wire{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: r.cfg.Issuer, Audience: jwt.ClaimStrings{r.cfg.Audience}, Subject: uuid.UUID(claims.User).String(),
			ID: uuid.UUID(claims.TokenID).String(), IssuedAt: jwt.NewNumericDate(claims.IssuedAt),
			NotBefore: jwt.NewNumericDate(claims.IssuedAt), ExpiresAt: jwt.NewNumericDate(claims.ExpiresAt),
		},
		Tenant: uuid.UUID(claims.Tenant).String(), Session: uuid.UUID(claims.Session).String(),
		MembershipVersion: &claims.MembershipVersion, Role: claims.Role,
	})
	token.Header["typ"] = mediaType
	token.Header["kid"] = key.KID
	signed, err := token.SignedString(key.Private)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed, nil
}

func (r *Ring) verify(token string, keys map[string]ed25519.PublicKey) (Claims, error) {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(r.cfg.Issuer), jwt.WithAudience(r.cfg.Audience), jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(r.cfg.Now),
	)
	var w wire
	_, err := parser.ParseWithClaims(token, &w, func(t *jwt.Token) (any, error) { return keyOf(t.Header, keys) })
	switch {
	case errors.Is(err, ErrUnknownKey):
		return Claims{}, ErrUnknownKey
	case errors.Is(err, ErrInvalid):
		return Claims{}, err
	case errors.Is(err, jwt.ErrTokenExpired) && onlyExpired(err):
		return Claims{}, ErrExpired
	case err != nil:
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return w.claims()
}

// onlyExpired says whether a token has no other fault than its age.
func onlyExpired(err error) bool {
	for _, other := range []error{
		jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenNotValidYet,
		jwt.ErrTokenRequiredClaimMissing,
	} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}

// keyOf chooses the key by the header's kid and by nothing else that the header may say (jku, jwk, x5u).
func keyOf(header map[string]any, keys map[string]ed25519.PublicKey) (ed25519.PublicKey, error) {
	if header["typ"] != mediaType {
		return nil, fmt.Errorf("%w: it is not an access token", ErrInvalid)
	}
	if _, critical := header["crit"]; critical {
		return nil, fmt.Errorf("%w: it has critical extensions", ErrInvalid)
	}
	kid, ok := header["kid"].(string)
	if !ok {
		return nil, fmt.Errorf("%w: it names no key", ErrInvalid)
	}
	key, ok := keys[kid]
	if !ok {
		return nil, ErrUnknownKey
	}
	return key, nil
}

// claims checks that all is there: what the parser does not know of, and what it takes for optional.
func (w *wire) claims() (Claims, error) {
	if w.IssuedAt == nil || w.MembershipVersion == nil || w.Role == "" {
		return Claims{}, fmt.Errorf("%w: claims are missing", ErrInvalid)
	}
	c := Claims{
		MembershipVersion: *w.MembershipVersion, Role: w.Role,
		IssuedAt: w.IssuedAt.Truncate(time.Second), ExpiresAt: w.ExpiresAt.Truncate(time.Second),
	}
	for _, id := range []struct {
		into *[16]byte
		text string
	}{{&c.User, w.Subject}, {&c.Tenant, w.Tenant}, {&c.Session, w.Session}, {&c.TokenID, w.ID}} {
		parsed, err := uuid.Parse(id.text)
		if err != nil || parsed == uuid.Nil || len(id.text) != 36 {
			return Claims{}, fmt.Errorf("%w: an id in it is not a UUID", ErrInvalid)
		}
		*id.into = parsed
	}
	return c, nil
}
