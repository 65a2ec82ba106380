package passwords_test

import (
	"bufio"
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/passwords"
)

// cheap is a hasher whose work takes no time to speak of.
func cheap() *passwords.Hasher { return passwords.New(passwords.Config{Time: 1, MemoryKiB: 8}) }

func TestHashAndVerify(t *testing.T) {
	t.Parallel()
	h := cheap()
	for _, password := range []string{"correct horse", "pässwörd-日本", "with\x00nul", strings.Repeat("x", 1000), ""} {
		hash, err := h.Hash(t.Context(), password)
		require.NoError(t, err)
		assert.Regexp(t, `^\$argon2id\$v=19\$m=8,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, hash)

		ok, outdated, err := h.Verify(t.Context(), password, hash)
		require.NoError(t, err)
		assert.True(t, ok)
		assert.False(t, outdated)
		for _, wrong := range []string{password + " ", password + "\x00", "P" + password, "other"} {
			ok, outdated, err = h.Verify(t.Context(), wrong, hash)
			require.NoError(t, err)
			assert.False(t, ok, wrong)
			assert.False(t, outdated)
		}
		again, err := h.Hash(t.Context(), password)
		require.NoError(t, err)
		assert.NotEqual(t, hash, again, "equal passwords do not look alike")
	}

	t.Run("is_as_dear_as_OWASP_asks_by_default", func(t *testing.T) {
		t.Parallel()
		hash, err := passwords.New(passwords.Config{}).Hash(t.Context(), "x")
		require.NoError(t, err)
		assert.Contains(t, hash, "$m=19456,t=2,p=1$")
	})
	t.Run("reads_what_the_reference_implementation_writes", func(t *testing.T) {
		t.Parallel()
		for _, hash := range []string{ // from its own tests
			"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
			"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		} {
			ok, outdated, err := h.Verify(t.Context(), "password", hash)
			require.NoError(t, err)
			assert.True(t, ok)
			assert.True(t, outdated)
		}
	})
	t.Run("knows_hashes_of_other_parameters", func(t *testing.T) {
		t.Parallel()
		for _, cfg := range []passwords.Config{{Time: 2, MemoryKiB: 8}, {Time: 1, MemoryKiB: 16}, {Time: 1, MemoryKiB: 16, Threads: 2}} {
			hash, err := passwords.New(cfg).Hash(t.Context(), "x")
			require.NoError(t, err)
			ok, outdated, err := h.Verify(t.Context(), "x", hash)
			require.NoError(t, err)
			assert.True(t, ok)
			assert.True(t, outdated)
		}
	})
	t.Run("refuses_a_hash_that_is_none_or_asks_too_much", func(t *testing.T) {
		t.Parallel()
		const salt, sum = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
		_, _, err := h.Verify(t.Context(), "password", "$argon2id$v=19$m=256,t=2,p=1$"+salt+"$"+sum)
		require.NoError(t, err, "what the bad ones begin with is good")
		for _, bad := range []string{
			"", "x", "$", "$argon2id$v=19$m=256,t=2,p=1$c29tc2FsdA$" + sum, "$2a$10$abcdefghijklmnopqrstuv", "$argon2i$v=19$m=256,t=2,p=1$" + salt + "$" + sum, "$argon2id$v=16$m=256,t=2,p=1$" + salt + "$" + sum,
			"$argon2id$v=19$m=256,t=0,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=256,t=65,p=1$" + salt + "$" + sum,
			"$argon2id$v=19$m=256,t=2,p=0$" + salt + "$" + sum, "$argon2id$v=19$m=256,t=2,p=65$" + salt + "$" + sum, "$argon2id$v=19$m=256,t=2,p=256$" + salt + "$" + sum,
			"$argon2id$v=19$m=7,t=2,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=2097152,t=2,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=-1,t=2,p=1$" + salt + "$" + sum,
			"$argon2id$v=19$m=256,t=2,p=1,x=1$" + salt + "$" + sum, "$argon2id$v=19$m=0256,t=2,p=1$" + salt + "$" + sum,
			"$argon2id$v=19$m=256,t=2,p=1$" + salt + "$", "$argon2id$v=19$m=256,t=2,p=1$$" + sum, "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + sum + "=",
			"$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + sum + "\n", "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + strings.Repeat("A", 400),
		} {
			ok, _, err := h.Verify(t.Context(), "password", bad)
			require.EqualError(t, err, "passwords: the stored hash is no argon2id PHC string, or asks for unreasonable work", bad)
			assert.False(t, ok)
		}
	})
}

func TestConcurrency(t *testing.T) {
	t.Parallel()
	h := passwords.New(passwords.Config{Time: 1, MemoryKiB: 64, Concurrency: 2})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			hash, err := h.Hash(t.Context(), "x")
			if assert.NoError(t, err) {
				ok, _, err := h.Verify(t.Context(), "x", hash)
				assert.True(t, ok && err == nil)
			}
		})
	}
	wg.Wait()

	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Hash(over, "x")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, h.VerifyNothing(over, "x"), context.Canceled)
	require.NoError(t, h.VerifyNothing(t.Context(), "x"))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const short, long = "is too short; use at least 8 characters", "is too long; use at most 256 characters"
	const common, personal = "is one of those that attackers try first; choose another one", "is your name or your e-mail address; choose another one"
	about := []string{"Ann Example", "ann.example+shop@mail.example", ""}
	for password, want := range map[string]string{
		"":                              short,
		"1234567":                       short,
		"日本語日本語日":                       short,
		"pässwör":                       short,
		strings.Repeat("ab", 128):       "",
		strings.Repeat("ab", 128) + "a": long,
		strings.Repeat("é日", 128):       "",
		"not text \xff":                 "is not text in UTF-8",
		"password":                      common,
		"PassWord1":                     common,
		"qwertyuiop":                    common,
		"12345678":                      common,
		"11111111":                      common,
		"!!!!!!!!!!!!":                  common,
		"日日日日日日日日":                      common,
		"Summer2026!":                   common,
		"trustno1":                      common,
		"Ann Example":                   personal,
		"annexample":                    personal,
		"ANN.EXAMPLE+shop@mail.example": personal,
		" ann.example+shop":             personal,
		"correct horse battery":         "",
		"ann example 7 lives":           "",
		"        x":                     "",
	} {
		assert.Equal(t, want, passwords.Check(password, about...), password)
	}
	assert.Empty(t, passwords.Check("@example.com", "@example.com/"))
}

func TestCommonList(t *testing.T) {
	t.Parallel()
	file, err := os.Open("common.txt")
	require.NoError(t, err)
	defer file.Close()
	list := []string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if line := lines.Text(); !strings.HasPrefix(line, "# ") && line != "#" {
			list = append(list, line)
			assert.Equal(t, "is one of those that attackers try first; choose another one", passwords.Check(strings.ToUpper(line)), line)
			assert.GreaterOrEqual(t, utf8.RuneCountInString(line), passwords.MinLength, "shorter ones are refused anyway: %s", line)
			assert.Equal(t, strings.ToLower(line), line)
		}
	}
	assert.True(t, slices.IsSorted(list))
	assert.Len(t, slices.Compact(slices.Clone(list)), len(list))
	assert.Greater(t, len(list), 3000)
}

func BenchmarkHash(b *testing.B) {
	h := passwords.New(passwords.Config{})
	for b.Loop() {
		if _, err := h.Hash(b.Context(), "correct horse"); err != nil {
			b.Fatal(err)
		}
	}
}
