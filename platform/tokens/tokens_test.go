package tokens_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/tokens"
)

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) move(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 987654321, time.UTC)} }

func newKey(tb testing.TB, state tokens.State) tokens.Key {
	tb.Helper()
	key, err := tokens.NewKey()
	require.NoError(tb, err)
	key.State = state
	return key
}

func newRing(tb testing.TB, c *clock, keys ...tokens.Key) *tokens.Ring {
	tb.Helper()
	ring, err := tokens.New(tokens.Config{
		Issuer: "https://api.example", Audience: "groundwork", TTL: 10 * time.Minute, Now: c.Now, Cache: 100,
	}, keys)
	require.NoError(tb, err)
	return ring
}

func someone() tokens.Claims {
	return tokens.Claims{User: uuid.New(), Tenant: uuid.New(), Session: uuid.New(), MembershipVersion: 7, Role: "admin"}
}

func sign(tb testing.TB, ring *tokens.Ring, claims tokens.Claims) string {
	tb.Helper()
	token, err := ring.Sign(claims)
	require.NoError(tb, err)
	return token
}

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	c, key := newClock(), newKey(t, tokens.Current)
	ring := newRing(t, c, key)
	in := someone()
	token := sign(t, ring, in)

	for _, round := range []string{"verified", "from the cache"} {
		out, err := ring.Verify(token)
		require.NoError(t, err, round)
		assert.NotZero(t, out.TokenID)
		assert.True(t, c.Now().Truncate(time.Second).Equal(out.IssuedAt))
		assert.Equal(t, 10*time.Minute, out.ExpiresAt.Sub(out.IssuedAt))
		out.TokenID, out.IssuedAt, out.ExpiresAt = [16]byte{}, time.Time{}, time.Time{}
		assert.Equal(t, in, out)
	}
	assert.NotEqual(t, token, sign(t, ring, in), "each token has an id of its own")

	t.Run("as_RFC_9068_has_it", func(t *testing.T) {
		t.Parallel()
		parts := strings.Split(token, ".")
		require.Len(t, parts, 3)
		decode := func(s string) map[string]any {
			raw, err := base64.RawURLEncoding.DecodeString(s)
			require.NoError(t, err)
			var m map[string]any
			require.NoError(t, json.Unmarshal(raw, &m))
			return m
		}
		assert.Equal(t, map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": key.KID}, decode(parts[0]))
		payload := decode(parts[1])
		_, err := uuid.Parse(fmt.Sprint(payload["jti"]))
		require.NoError(t, err)
		delete(payload, "jti")
		now := float64(c.Now().Unix())
		assert.Equal(t, map[string]any{
			"iss": "https://api.example", "aud": []any{"groundwork"}, "sub": uuid.UUID(in.User).String(), "tid": uuid.UUID(in.Tenant).String(),
			"sid": uuid.UUID(in.Session).String(), "mv": 7.0, "role": "admin", "iat": now, "nbf": now, "exp": now + 600,
		}, payload)
		signature, err := base64.RawURLEncoding.DecodeString(parts[2])
		require.NoError(t, err)
		assert.True(t, ed25519.Verify(key.Public, []byte(parts[0]+"."+parts[1]), signature))
	})
}

func TestVerifyMindsTheTime(t *testing.T) {
	t.Parallel()
	for _, cached := range []bool{false, true} {
		c := newClock()
		ring := newRing(t, c, newKey(t, tokens.Current))
		token := sign(t, ring, someone())
		if cached {
			_, err := ring.Verify(token)
			require.NoError(t, err)
		}
		c.move(10*time.Minute + 4*time.Second) // within the leeway, counted from the whole second
		_, err := ring.Verify(token)
		require.NoError(t, err)
		c.move(time.Second)
		_, err = ring.Verify(token)
		require.ErrorIs(t, err, tokens.ErrExpired)
	}

	c := newClock()
	ring := newRing(t, c, newKey(t, tokens.Current))
	token := sign(t, ring, someone())
	c.move(-6 * time.Second)
	_, err := ring.Verify(token)
	require.ErrorIs(t, err, tokens.ErrInvalid, "a token from the future")
	c.move(2 * time.Second)
	_, err = ring.Verify(token)
	require.NoError(t, err, "clocks may be a little apart")
}

// forge makes a token with whatever it is told.
type forge struct {
	method jwt.SigningMethod
	key    any
	header map[string]any
	claims jwt.MapClaims
}

func (f forge) token(t *testing.T) string {
	t.Helper()
	token := jwt.NewWithClaims(f.method, f.claims)
	for name, value := range f.header {
		if value == nil {
			delete(token.Header, name)
		} else {
			token.Header[name] = value
		}
	}
	signed, err := token.SignedString(f.key)
	require.NoError(t, err)
	return signed
}

func TestVerifyRefusesForgeries(t *testing.T) {
	t.Parallel()
	c, key, stranger := newClock(), newKey(t, tokens.Current), newKey(t, tokens.Current)
	ring := newRing(t, c, key)
	good := func() forge {
		now := c.Now().Unix()
		return forge{jwt.SigningMethodEdDSA, key.Private, map[string]any{"typ": "at+jwt", "kid": key.KID}, jwt.MapClaims{
			"iss": "https://api.example", "aud": "groundwork", "sub": uuid.NewString(), "tid": uuid.NewString(), "sid": uuid.NewString(),
			"jti": uuid.NewString(), "mv": 1, "role": "viewer", "iat": now, "nbf": now, "exp": now + 60,
		}}
	}
	_, err := ring.Verify(good().token(t))
	require.NoError(t, err, "what the forgeries begin with is good")

	forgeries := map[string]func(*forge){
		"signed_with_none":              func(f *forge) { f.method, f.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType },
		"signed_with_the_public_key":    func(f *forge) { f.method, f.key = jwt.SigningMethodHS256, []byte(key.Public) },
		"signed_with_another_key":       func(f *forge) { f.key = stranger.Private },
		"for_another_audience":          func(f *forge) { f.claims["aud"] = "elsewhere" },
		"from_another_issuer":           func(f *forge) { f.claims["iss"] = "https://evil.example" },
		"of_another_type":               func(f *forge) { f.header["typ"] = "JWT" },
		"of_no_type":                    func(f *forge) { f.header["typ"] = nil },
		"of_a_type_that_is_no_string":   func(f *forge) { f.header["typ"] = []string{"at+jwt"} },
		"naming_no_key":                 func(f *forge) { f.header["kid"] = nil },
		"naming_a_key_by_number":        func(f *forge) { f.header["kid"] = 1 },
		"with_critical_extensions":      func(f *forge) { f.header["crit"] = []string{"b64"} },
		"not_good_yet":                  func(f *forge) { f.claims["nbf"] = c.Now().Add(time.Minute).Unix() },
		"issued_in_the_future":          func(f *forge) { f.claims["iat"] = c.Now().Add(time.Minute).Unix() },
		"with_an_id_in_another_form":    func(f *forge) { f.claims["tid"] = "urn:uuid:" + uuid.NewString() },
		"with_a_zero_id":                func(f *forge) { f.claims["tid"] = uuid.Nil.String() },
		"with_a_version_that_is_text":   func(f *forge) { f.claims["mv"] = "1" },
		"late_and_from_somewhere_else":  func(f *forge) { f.claims["exp"] = 1; f.claims["iss"] = "https://evil.example" },
		"with_a_time_that_is_no_number": func(f *forge) { f.claims["exp"] = "tomorrow" },
		"with_its_own_key_in_the_header": func(f *forge) {
			f.key = stranger.Private
			f.header["jwk"] = map[string]any{"kty": "OKP", "x": base64.RawURLEncoding.EncodeToString(stranger.Public)}
		},
	}
	for _, claim := range []string{"iss", "aud", "sub", "tid", "sid", "jti", "mv", "role", "iat", "nbf", "exp"} {
		forgeries["without_"+claim] = func(f *forge) { delete(f.claims, claim) }
	}
	for name, alter := range forgeries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := good()
			alter(&f)
			_, err := ring.Verify(f.token(t))
			require.ErrorIs(t, err, tokens.ErrInvalid)
			require.NotErrorIs(t, err, tokens.ErrExpired)
		})
	}
	t.Run("but_ignores_addresses_of_keys", func(t *testing.T) {
		t.Parallel()
		f := good()
		f.header["jku"], f.header["x5u"] = "https://evil.example/jwks.json", "https://evil.example/cert"
		_, err := ring.Verify(f.token(t))
		require.NoError(t, err)
	})
	t.Run("by_an_unknown_key_in_a_way_of_its_own", func(t *testing.T) {
		t.Parallel()
		f := good()
		f.key, f.header["kid"] = stranger.Private, stranger.KID
		_, err := ring.Verify(f.token(t))
		require.ErrorIs(t, err, tokens.ErrUnknownKey)
	})
	t.Run("altered_in_any_character", func(t *testing.T) {
		t.Parallel()
		token := good().token(t)
		for i := range token {
			for _, change := range []string{"", "A", "=", ".", "\x00", "\n" + token[i:i+1]} {
				altered := token[:i] + change + token[i+1:]
				if altered == token {
					continue
				}
				_, err := ring.Verify(altered)
				require.Error(t, err, "%q at %d", change, i)
			}
		}
	})
	t.Run("that_are_no_tokens", func(t *testing.T) {
		t.Parallel()
		for _, raw := range []string{"", ".", "..", "...", "a.b.c", good().token(t) + "\n", " " + good().token(t), strings.Repeat("a", 4097), strings.Repeat(".", 4096)} {
			_, err := ring.Verify(raw)
			require.ErrorIs(t, err, tokens.ErrInvalid)
		}
	})
}

func TestRotation(t *testing.T) {
	t.Parallel()
	c := newClock()
	first, second := newKey(t, tokens.Current), newKey(t, tokens.Next)
	ring, other := newRing(t, c, first, second), newRing(t, c, first)
	early := sign(t, ring, someone())
	_, err := ring.Verify(early)
	require.NoError(t, err)

	first.State, second.State = tokens.Retiring, tokens.Current
	first.Private = nil
	require.NoError(t, ring.Replace([]tokens.Key{first, second}))
	late := sign(t, ring, someone())
	for _, token := range []string{early, late} {
		_, err = ring.Verify(token)
		require.NoError(t, err)
	}
	_, err = other.Verify(late)
	require.ErrorIs(t, err, tokens.ErrUnknownKey, "a replica that has not loaded the keys yet")
	require.NoError(t, other.Replace([]tokens.Key{first, second}))
	_, err = other.Verify(late)
	require.NoError(t, err)

	require.NoError(t, ring.Replace([]tokens.Key{second}))
	_, err = ring.Verify(early)
	require.ErrorIs(t, err, tokens.ErrUnknownKey, "the cache forgets with the ring")

	require.NoError(t, ring.Replace(nil))
	_, err = ring.Sign(someone())
	require.ErrorIs(t, err, tokens.ErrNoSigningKey)
	assert.JSONEq(t, `{"keys":[]}`, string(ring.JWKS()))
}

func TestRingRefuses(t *testing.T) {
	t.Parallel()
	c, key, other := newClock(), newKey(t, tokens.Current), newKey(t, tokens.Current)
	ring := newRing(t, c, key)
	token := sign(t, ring, someone())
	unnamed, halved, mixed, short := key, key, key, key
	unnamed.KID, halved.Private, mixed.Private, short.Public = "", nil, other.Private, key.Public[:31]
	for want, keys := range map[string][]tokens.Key{
		"both current":               {key, other},
		`"` + key.KID + `" is empty`: {key, key},
		`"" is empty`:                {unnamed},
		"has no private half":        {halved},
		"of another key":             {mixed},
		"not an Ed25519 key":         {short},
	} {
		require.ErrorContains(t, ring.Replace(keys), want)
		_, err := ring.Verify(token)
		require.NoError(t, err, "the old keys stay")
	}
	for _, partial := range []func(*tokens.Claims){
		func(c *tokens.Claims) { c.User = [16]byte{} }, func(c *tokens.Claims) { c.Tenant = [16]byte{} },
		func(c *tokens.Claims) { c.Session = [16]byte{} }, func(c *tokens.Claims) { c.Role = "" },
	} {
		claims := someone()
		partial(&claims)
		_, err := ring.Sign(claims)
		require.Error(t, err)
	}
	_, err := tokens.New(tokens.Config{Issuer: "x", Audience: "y", TTL: time.Minute}, nil)
	require.ErrorContains(t, err, "a clock")
}

func TestJWKS(t *testing.T) {
	t.Parallel()
	next, current, retiring := newKey(t, tokens.Next), newKey(t, tokens.Current), newKey(t, tokens.Retiring)
	var set struct{ Keys []map[string]string }
	raw := newRing(t, newClock(), next, current, retiring).JWKS()
	require.NoError(t, json.Unmarshal(raw, &set))
	require.Len(t, set.Keys, 3)
	for i, key := range []tokens.Key{next, current, retiring} {
		assert.Equal(t, map[string]string{
			"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.KID, "x": base64.RawURLEncoding.EncodeToString(key.Public),
		}, set.Keys[i])
	}
}

// TestThumbprint is the example of RFC 8037, appendix A.3.
func TestThumbprint(t *testing.T) {
	t.Parallel()
	public, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	require.NoError(t, err)
	assert.Equal(t, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", tokens.Thumbprint(public))
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	c, key, next := newClock(), newKey(t, tokens.Current), newKey(t, tokens.Next)
	ring := newRing(t, c, key)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 200 {
				in := someone()
				token, err := ring.Sign(in)
				if !assert.NoError(t, err) { //nolint:testifylint // require is not for goroutines
					return
				}
				first, firstErr := ring.Verify(token)
				again, againErr := ring.Verify(token)
				assert.NoError(t, errors.Join(firstErr, againErr)) //nolint:testifylint // require is not for goroutines
				assert.Equal(t, in.User, first.User)
				assert.Equal(t, first, again)
				if worker == 0 && i%20 == 0 {
					assert.NoError(t, ring.Replace([]tokens.Key{key, next}))
				}
			}
		})
	}
	wg.Wait()
}
