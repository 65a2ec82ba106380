package dispatch

import (
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

const (
	// ahead is for how long the jobs in a list last, beside those for idle slots. A job of a tenant that has few waits
	// behind them; less, and workers would wait for a scheduler that has to wait for a processor.
	ahead = 20 * time.Millisecond
	// leastAhead is how many they are at least, and without any worker firstAhead, so that the first one finds work.
	leastAhead = 2
	firstAhead = 10
	// mostRoom bounds what is handed over at once.
	mostRoom = 1000
	// paceOver is over how long the pace of the workers is averaged.
	paceOver = 100 * time.Millisecond
)

// window decides how many jobs are to be in a queue's list: one for each idle slot, and what the workers take in a
// moment. Where jobs are long that is hardly any, so that what is picked is picked late.
type window struct {
	last jobs.List
	at   time.Time
	pace float64 // jobs a second that the workers take
}

// room is how many jobs to hand over, 0 where it is not worth the trouble yet.
func (w *window) room(list jobs.List, now time.Time) int {
	w.measure(list, now)
	most := max(int(w.pace*ahead.Seconds()), leastAhead)
	if list.Slots == 0 {
		most = firstAhead
	}
	idle := min(max(list.Slots-list.Running, 0), list.Slots)
	room := min(idle+most-list.Waiting, mostRoom)
	if room < (most+1)/2 {
		return 0
	}
	return room
}

// measure keeps the pace.
func (w *window) measure(list jobs.List, now time.Time) {
	took, pushed := now.Sub(w.at), list.Pushed-w.last.Pushed
	if pushed < 0 || took > 10*paceOver { // Redis was emptied, or nobody has looked for long
		w.pace = 0
	} else if took > 0 {
		taken := float64(max(w.last.Waiting+int(pushed)-list.Waiting, 0))
		weight := min(took.Seconds()/paceOver.Seconds(), 1)
		w.pace += weight * (taken/took.Seconds() - w.pace)
	}
	w.last, w.at = list, now
}
