package apikeys

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestCache(t *testing.T) {
	t.Parallel()
	name := func(n int) (hash [32]byte) {
		binary.BigEndian.PutUint64(hash[:], uint64(n))
		return hash
	}

	t.Run("holds_no_more_than_its_bound_and_always_the_newest", func(t *testing.T) {
		t.Parallel()
		c := newCache()
		for n := range maxCached + 100 {
			c.put(name(n), entry{version: int64(n)})
			e, ok := c.find(name(n))
			assert.True(t, ok)
			assert.EqualValues(t, n, e.version)
		}
		assert.Len(t, c.entries, maxCached)
	})
	t.Run("replaces_an_entry_without_pushing_another_out", func(t *testing.T) {
		t.Parallel()
		c := newCache()
		for n := range maxCached {
			c.put(name(n), entry{})
		}
		c.put(name(7), entry{version: 2})
		assert.Len(t, c.entries, maxCached)
	})
	t.Run("tells_each_use_once_and_only_after_a_minute_again", func(t *testing.T) {
		t.Parallel()
		c, now, key := newCache(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), tenancy.NewID()
		c.put(name(1), entry{key: key, touchedAt: now.Add(-30 * time.Second)})
		c.touch(name(1), now)
		assert.Empty(t, c.takeUsed(), "it was noted half a minute ago")
		c.touch(name(1), now.Add(30*time.Second))
		c.touch(name(1), now.Add(31*time.Second))
		used := c.takeUsed()
		assert.Equal(t, []Used{{Key: key, At: now.Add(30 * time.Second)}}, used)
		assert.Empty(t, c.takeUsed())
		c.touch(name(2), now)
		assert.Empty(t, c.takeUsed(), "what is not remembered is not noted")
	})
}
