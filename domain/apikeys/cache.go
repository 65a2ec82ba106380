package apikeys

import (
	"sync"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// maxCached bounds the memory that remembered keys take, to a few MiB.
const maxCached = 10_000

// entry is what a key's token means.
type entry struct {
	tenant, key tenancy.ID
	version     int64
	permissions []string
	expiresAt   *time.Time
	isRevoked   bool
	touchedAt   time.Time
}

// cache remembers what tokens mean, by their hash. It is never the proof that a key still stands.
type cache struct {
	mu      sync.Mutex
	entries map[[32]byte]entry
	used    map[tenancy.ID]Used
}

func newCache() *cache {
	return &cache{entries: map[[32]byte]entry{}, used: map[tenancy.ID]Used{}}
}

func (c *cache) find(hash [32]byte) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[hash]
	return e, ok
}

// put remembers a token. Where there is no room, one that the map happens to offer makes it: it costs a look-up.
func (c *cache) put(hash [32]byte, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.entries[hash]; !known && len(c.entries) >= maxCached {
		for victim := range c.entries {
			delete(c.entries, victim)
			break
		}
	}
	c.entries[hash] = e
}

func (c *cache) forget(hash [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, hash)
}

// touch notes a use, at most once in touchEvery.
func (c *cache) touch(hash [32]byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[hash]
	if !ok || now.Sub(e.touchedAt) < touchEvery {
		return
	}
	e.touchedAt = now
	c.entries[hash] = e
	c.used[e.key] = Used{Tenant: e.tenant, Key: e.key, At: now}
}

func (c *cache) takeUsed() []Used {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.used) == 0 {
		return nil
	}
	taken := make([]Used, 0, len(c.used))
	for _, u := range c.used {
		taken = append(taken, u)
	}
	clear(c.used)
	return taken
}
