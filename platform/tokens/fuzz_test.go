package tokens_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/tokens"
)

func FuzzVerify(f *testing.F) {
	c := newClock()
	ring := newRing(f, c, newKey(f, tokens.Current))
	token := sign(f, ring, someone())
	parts := strings.Split(token, ".")
	f.Add(token)
	f.Add("")
	f.Add(parts[0] + "." + parts[1] + ".")
	f.Add("eyJhbGciOiJub25lIn0." + parts[1] + ".")
	f.Add(parts[0] + ".e30." + parts[2])
	f.Add(token + "=")
	f.Fuzz(func(t *testing.T, raw string) {
		if _, err := ring.Verify(raw); err == nil && raw != token {
			t.Errorf("%q verified", raw)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	c := newClock()
	key := newKey(b, tokens.Current)
	ring := newRing(b, c, key)
	token := sign(b, ring, someone())
	b.Run("cached", func(b *testing.B) {
		for b.Loop() {
			if _, err := ring.Verify(token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			require.NoError(b, ring.Replace([]tokens.Key{key}))
			b.StartTimer()
			if _, err := ring.Verify(token); err != nil {
				b.Fatal(err)
			}
		}
	})
}
