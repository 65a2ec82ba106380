package secrets_test

import (
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/secrets"
)

func TestToken(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^gw_live_[0-9A-Za-z]{33}[0-9A-Za-z]{6}$`)
	seen := make(map[string]bool)
	for range 1000 {
		token := secrets.Token("gw_live_", 24)
		require.Regexp(t, shape, token)
		require.True(t, secrets.Check(token), token)
		require.False(t, seen[token])
		seen[token] = true
	}
	assert.Len(t, secrets.Token("whin_", 16), len("whin_")+22+6)

	t.Run("refuses_what_could_be_guessed_or_not_be_checked", func(t *testing.T) {
		t.Parallel()
		assert.Panics(t, func() { secrets.Token("gw_live_", 15) })
		for _, prefix := range []string{"", "gw", "_", "GW_", "gw__", "_gw_", "gw-live_", "gwé_"} {
			assert.Panics(t, func() { secrets.Token(prefix, 24) }, prefix)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	token := secrets.Token("gw_live_", 24)

	t.Run("refuses_a_change_of_any_character", func(t *testing.T) {
		t.Parallel()
		for i := range token {
			for _, c := range "0aZ_ é" {
				if altered := token[:i] + string(c) + token[i+1:]; altered != token {
					assert.False(t, secrets.Check(altered), altered)
				}
			}
			assert.False(t, secrets.Check(token[:i]))
			assert.False(t, secrets.Check(token[i+1:]))
		}
	})
	t.Run("refuses_what_is_no_token", func(t *testing.T) {
		t.Parallel()
		for _, bad := range []string{
			"", "_", "gw_live_", token + "0", " " + token, token + "\n", strings.ToUpper(token), "gw_test_" + token[8:],
			strings.Repeat("0", 22) + token, "gw_" + strings.Repeat("0", 1<<20),
		} {
			assert.False(t, secrets.Check(bad), bad[:min(len(bad), 60)])
		}
	})
	// What was handed out once must pass for ever: computed apart, with Python's zlib.crc32.
	assert.True(t, secrets.Check("gw_live_0000000000000000000000000000000013nxkZb"))
}

func TestHash(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hex.EncodeToString(secrets.Hash("abc")))
}

func FuzzCheck(f *testing.F) {
	f.Add(secrets.Token("gw_live_", 24))
	f.Add("gw_live_")
	f.Fuzz(func(t *testing.T, token string) {
		if secrets.Check(token) && !regexp.MustCompile(`^([a-z0-9]+_)+[0-9A-Za-z]{28,}$`).MatchString(token) {
			t.Errorf("%q passed", token)
		}
	})
}
