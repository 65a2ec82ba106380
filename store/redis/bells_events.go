package redis

import (
	"sync"
	"time"
)

// eventsChannel tells that events were committed which somebody may want to be told of.
const eventsChannel = "{jobs}:events"

// eventsPace is how often that is said at most: changes come in by the thousand, and one message is as good as many.
const eventsPace = 10 * time.Millisecond

// OnEvents has ring called when events were committed, or may have been. It must not block.
func (b *Bells) OnEvents(ring func()) { b.listen(eventsChannel, func(string) { ring() }) }

// EventsBell returns what tells of events: at once, and then no more often than each 10 ms. It returns at once; a message
// may be lost.
func (b *Bells) EventsBell() func() {
	p := &pace{every: eventsPace, act: func() { b.publish(message{eventsChannel, ""}) }}
	return p.ring
}

// pace does an act when it is rung, and where it is rung again too soon, later, once.
type pace struct {
	every time.Duration
	act   func()

	mu              sync.Mutex
	resting, rungIn bool
}

func (p *pace) ring() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resting {
		p.rungIn = true
		return
	}
	p.resting = true
	p.act()
	time.AfterFunc(p.every, p.rested)
}

func (p *pace) rested() {
	p.mu.Lock()
	again := p.rungIn
	p.resting, p.rungIn = false, false
	p.mu.Unlock()
	if again {
		p.ring()
	}
}
