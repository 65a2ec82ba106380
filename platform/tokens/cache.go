package tokens

import (
	"crypto/sha256"
	"sync"
)

// cache remembers what verified tokens say, by the hash of the token: verifying a signature takes about 60 µs, which
// is what a whole request may take. It has two halves: what is used moves to the young one, and when that is full the
// old one is forgotten. So it is bounded, keeps what is in use, and never walks its entries.
type cache struct {
	mu         sync.RWMutex
	half       int
	young, old map[[sha256.Size]byte]Claims
}

func newCache(size int) *cache {
	return &cache{half: max(1, size/2), young: make(map[[sha256.Size]byte]Claims)}
}

func (c *cache) get(sum [sha256.Size]byte) (Claims, bool) {
	c.mu.RLock()
	claims, young := c.young[sum]
	old := false
	if !young {
		claims, old = c.old[sum]
	}
	c.mu.RUnlock()
	if old {
		c.put(sum, claims)
	}
	return claims, young || old
}

func (c *cache) put(sum [sha256.Size]byte, claims Claims) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.half {
		c.old, c.young = c.young, make(map[[sha256.Size]byte]Claims)
	}
	c.young[sum] = claims
}
