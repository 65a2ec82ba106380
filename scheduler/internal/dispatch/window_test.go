package dispatch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	t.Run("fills_idle_slots_and_little_more", func(t *testing.T) {
		t.Parallel()
		var w window
		assert.Equal(t, firstAhead, w.room(jobs.List{}, start), "no worker is there yet")
		assert.Equal(t, 50+leastAhead, w.room(jobs.List{Slots: 50}, start))
		assert.Equal(t, leastAhead, w.room(jobs.List{Slots: 50, Running: 50}, start))
		assert.Zero(t, w.room(jobs.List{Slots: 50, Running: 50, Waiting: 2}, start))
		assert.Zero(t, w.room(jobs.List{Slots: 50, Running: 80, Waiting: 2}, start), "counters may be wrong after a crash")
		assert.Equal(t, 48, w.room(jobs.List{Slots: 50, Running: -30, Waiting: 4}, start))
		assert.Equal(t, mostRoom, w.room(jobs.List{Slots: 5000}, start))
	})
	t.Run("keeps_as_many_as_the_workers_take_in_a_moment", func(t *testing.T) {
		t.Parallel()
		var w window
		list, now := jobs.List{Slots: 50, Running: 50}, start
		room := 0
		for range 100 { // 2,000 jobs a second are taken, and as many handed over, by whomever
			room = w.room(list, now)
			now = now.Add(10 * time.Millisecond)
			list.Pushed += 20
		}
		assert.InDelta(t, 2000*ahead.Seconds(), room, 1)
		list.Waiting = room - 1
		assert.Zero(t, w.room(list, now), "one is not worth a pick")
		for range 100 { // they take none any more
			now = now.Add(10 * time.Millisecond)
			list.Waiting = 0
			room = w.room(list, now)
		}
		assert.Equal(t, leastAhead, room)
	})
	t.Run("forgets_the_pace_where_Redis_was_emptied", func(t *testing.T) {
		t.Parallel()
		var w window
		busy := jobs.List{Slots: 50, Running: 50}
		w.room(busy, start)
		busy.Pushed = 100_000
		assert.Greater(t, w.room(busy, start.Add(time.Second)), leastAhead)
		busy.Pushed = 5
		assert.Equal(t, leastAhead, w.room(busy, start.Add(2*time.Second)))
	})
}
