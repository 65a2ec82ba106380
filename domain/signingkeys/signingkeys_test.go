package signingkeys

import (
	"crypto/ed25519"
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestThumbprint(t *testing.T) {
	t.Parallel()
	// RFC 8037, appendix A.3.
	public, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	require.NoError(t, err)
	assert.Equal(t, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", thumbprint(ed25519.PublicKey(public)))
}

func TestRotate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	keys, err := complete(nil, now)
	require.NoError(t, err)
	require.Len(t, keys, 2)
	kid := func(state State) string { return keys[index(keys, state)].KID }
	current, next := kid(Current), kid(Next)

	now = now.Add(time.Hour)
	keys, err = rotate(keys, now, time.Hour)
	require.NoError(t, err)
	require.Len(t, keys, 3)
	assert.Equal(t, next, kid(Current))
	assert.Equal(t, current, kid(Retiring))
	assert.NotContains(t, []string{current, next}, kid(Next))

	t.Run("keeps_several_that_retire", func(t *testing.T) {
		t.Parallel()
		again, err := rotate(append([]Key(nil), keys...), now.Add(time.Minute), time.Hour)
		require.NoError(t, err)
		assert.Len(t, again, 4)
	})
	t.Run("drops_what_retired_for_long_enough", func(t *testing.T) {
		t.Parallel()
		assert.Len(t, prune(append([]Key(nil), keys...), now.Add(time.Hour), time.Hour), 3)
		assert.Len(t, prune(append([]Key(nil), keys...), now.Add(time.Hour+1), time.Hour), 2)
	})
	t.Run("makes_the_next_one_current_where_there_is_none", func(t *testing.T) {
		t.Parallel()
		left, err := complete([]Key{keys[index(keys, Next)]}, now)
		require.NoError(t, err)
		require.Len(t, left, 2)
		assert.Equal(t, kid(Next), left[index(left, Current)].KID)
	})
}
