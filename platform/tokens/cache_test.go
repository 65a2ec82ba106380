package tokens

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCache(t *testing.T) {
	t.Parallel()
	sum := func(i int) [sha256.Size]byte { return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))) }
	c := newCache(100)
	c.put(sum(-1), Claims{Role: "busy"})
	for i := range 10_000 {
		c.put(sum(i), Claims{MembershipVersion: int64(i)})
		assert.LessOrEqual(t, len(c.young)+len(c.old), 100, "it is bounded")
		claims, ok := c.get(sum(-1))
		assert.True(t, ok, "what is in use stays")
		assert.Equal(t, "busy", claims.Role)
	}
	claims, ok := c.get(sum(9_999))
	assert.True(t, ok)
	assert.Equal(t, int64(9_999), claims.MembershipVersion)
	_, ok = c.get(sum(0))
	assert.False(t, ok, "what is not used goes")
}
