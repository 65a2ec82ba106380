package seal_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/groundwork-saas/groundwork/platform/seal"
)

func masterKey(t *testing.T) string {
	t.Helper()
	key, err := seal.NewMasterKey()
	require.NoError(t, err)
	return key
}

func sealer(t *testing.T, key string) *seal.Sealer {
	t.Helper()
	s, err := seal.New(key)
	require.NoError(t, err)
	return s
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	s := sealer(t, masterKey(t))
	place := seal.AAD{Tenant: "t1", Table: "webhook_endpoints", Column: "secret", Row: "r1"}

	for _, plaintext := range [][]byte{[]byte("whsec_x"), {}, bytes.Repeat([]byte{0}, 1<<16)} {
		sealed, err := s.Seal(plaintext, place)
		require.NoError(t, err)
		opened, err := s.Open(sealed, place)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(plaintext, opened))
		if len(plaintext) > 0 {
			assert.NotContains(t, string(sealed), string(plaintext))
		}
		again, err := s.Seal(plaintext, place)
		require.NoError(t, err)
		assert.NotEqual(t, sealed, again, "equal secrets do not look alike")
	}

	sealed, err := s.Seal([]byte("x"), place)
	require.NoError(t, err)
	t.Run("opens_at_no_other_place", func(t *testing.T) {
		t.Parallel()
		for _, other := range []seal.AAD{
			{Tenant: "t2", Table: "webhook_endpoints", Column: "secret", Row: "r1"},
			{Tenant: "", Table: "webhook_endpoints", Column: "secret", Row: "r1"},
			{Tenant: "t1", Table: "webhook_sources", Column: "secret", Row: "r1"},
			{Tenant: "t1", Table: "webhook_endpoints", Column: "secrets", Row: "r1"},
			{Tenant: "t1", Table: "webhook_endpoints", Column: "secret", Row: "r2"},
			{Tenant: "t1w", Table: "ebhook_endpoints", Column: "secret", Row: "r1"},
			{Tenant: "t1", Table: "webhook_endpoint", Column: "ssecret", Row: "r1"},
			{Tenant: "t1", Table: "webhook_endpoints", Column: "secretr", Row: "1"},
		} {
			_, err := s.Open(sealed, other)
			require.ErrorIs(t, err, seal.ErrOpen, other)
		}
	})
	t.Run("opens_nothing_altered", func(t *testing.T) {
		t.Parallel()
		for i := range sealed {
			altered := slices.Clone(sealed)
			altered[i] ^= 1
			_, err := s.Open(altered, place)
			require.ErrorIs(t, err, seal.ErrOpen, i)
			_, err = s.Open(sealed[:i], place)
			require.ErrorIs(t, err, seal.ErrOpen, i)
		}
	})
	t.Run("opens_with_no_other_key", func(t *testing.T) {
		t.Parallel()
		_, err := sealer(t, masterKey(t)).Open(sealed, place)
		require.ErrorIs(t, err, seal.ErrOpen)
	})
	t.Run("wants_a_whole_place", func(t *testing.T) {
		t.Parallel()
		for _, partial := range []seal.AAD{{Table: "t", Column: "c"}, {Table: "t", Row: "r"}, {Column: "c", Row: "r"}} {
			_, err := s.Seal([]byte("x"), partial)
			require.ErrorContains(t, err, "the place is not complete")
			_, err = s.Open(sealed, partial)
			require.ErrorContains(t, err, "the place is not complete")
		}
	})
}

// TestMasterKeysStayReadable opens what an earlier build sealed: neither the master key's form nor the place's may change.
func TestMasterKeysStayReadable(t *testing.T) {
	t.Parallel()
	const key, sealed = "CMChgIkOEmQKWAowdHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUuY3J5cHRvLnRpbmsuQWVzR2NtS2V5EiIaIH7MAXS4t+aVJlBu79uq2CdaKq66eKClRqxYul7q6YNLGAEQARjAoYCJDiAB",
		"AeEgEMDQ3BN6dz6L0kPW8O3ovnOYRZokzTFCtcItqsR1HmzbGYOj9HUQzh1HNZM="
	value, err := base64.StdEncoding.DecodeString(sealed)
	require.NoError(t, err)
	s := sealer(t, "\n"+key+"\n")
	opened, err := s.Open(value, seal.AAD{Tenant: "t1", Table: "signing_keys", Column: "private", Row: "r1"})
	require.NoError(t, err)
	assert.Equal(t, "kept for years", string(opened))
	assert.False(t, s.NeedsReseal(value))
}

func TestRotation(t *testing.T) {
	t.Parallel()
	place := seal.AAD{Table: "t", Column: "c", Row: "r"}
	first := masterKey(t)
	old := sealer(t, first)
	sealedByOld, err := old.Seal([]byte("x"), place)
	require.NoError(t, err)
	assert.False(t, old.NeedsReseal(sealedByOld))
	assert.True(t, old.NeedsReseal(nil))
	assert.True(t, old.NeedsReseal([]byte("plain text")))

	t.Run("Rotate_seals_with_the_new_key_and_opens_with_the_old", func(t *testing.T) {
		t.Parallel()
		second, err := seal.Rotate(first)
		require.NoError(t, err)
		third, err := seal.Rotate(second)
		require.NoError(t, err)
		s := sealer(t, third)
		opened, err := s.Open(sealedByOld, place)
		require.NoError(t, err)
		assert.Equal(t, "x", string(opened))
		assert.True(t, s.NeedsReseal(sealedByOld))

		resealed, err := s.Seal(opened, place)
		require.NoError(t, err)
		assert.False(t, s.NeedsReseal(resealed))
		_, err = old.Open(resealed, place)
		require.ErrorIs(t, err, seal.ErrOpen)
	})

	t.Run("Stage_then_Promote_leaves_no_moment_at_which_a_replica_cannot_open", func(t *testing.T) {
		t.Parallel()
		stagedKey, err := seal.Stage(first)
		require.NoError(t, err)
		promotedKey, err := seal.Promote(stagedKey)
		require.NoError(t, err)
		staged, promoted := sealer(t, stagedKey), sealer(t, promotedKey)

		sealed, err := staged.Seal([]byte("x"), place)
		require.NoError(t, err)
		_, err = old.Open(sealed, place)
		require.NoError(t, err, "a replica that was not restarted yet")
		assert.False(t, staged.NeedsReseal(sealedByOld))

		sealed, err = promoted.Seal([]byte("x"), place)
		require.NoError(t, err)
		_, err = staged.Open(sealed, place)
		require.NoError(t, err, "a replica that was not restarted since")
		assert.True(t, staged.NeedsReseal(sealed))
		assert.True(t, promoted.NeedsReseal(sealedByOld))
	})
}

func TestBadMasterKeysAreRefused(t *testing.T) {
	t.Parallel()
	good := masterKey(t)
	for _, bad := range []string{"", "hunter2", "aHVudGVyMg==", good[:40], good[4:]} {
		_, err := seal.New(bad)
		require.EqualError(t, err, "seal: this is no master key (a base64 keyset); make one with the command masterkey new", bad)
		_, err = seal.Rotate(bad)
		require.Error(t, err)
		_, err = seal.Promote(bad)
		require.Error(t, err)
	}

	t.Run("of_another_kind", func(t *testing.T) {
		t.Parallel()
		handle, err := keyset.NewHandle(aead.ChaCha20Poly1305KeyTemplate())
		require.NoError(t, err)
		var b bytes.Buffer
		require.NoError(t, insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&b)))
		_, err = seal.New(base64.StdEncoding.EncodeToString(b.Bytes()))
		require.ErrorContains(t, err, "ChaCha20Poly1305Key")
	})
}
