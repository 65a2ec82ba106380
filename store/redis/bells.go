package redis

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	redigo "github.com/gomodule/redigo/redis"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// The channels. Their messages are hints: who misses one finds out by itself, later.
const (
	wakeChannel   = "{jobs}:wake"   // a queue has new jobs in PostgreSQL
	cancelChannel = "{jobs}:cancel" // a job that runs was asked to end
)

// bellOf is the channel that tells workers of new entries in a queue's list.
func bellOf(queue string) string { return "{jobs}:bell:" + queue }

const (
	pingEvery  = 10 * time.Second
	pongWithin = 2*pingEvery + 5*time.Second
	// mostPublishing is how many messages may be on their way at once; more are dropped.
	mostPublishing = 64
)

// Bells carries short messages between processes, over one connection of its own for all that it listens to. It
// connects again by itself, and no call waits for Redis. A process has one and closes it with its end.
type Bells struct {
	client *Client
	stop   context.CancelFunc
	work   sync.WaitGroup

	mu         sync.Mutex
	done       <-chan struct{}
	connect    func() // starts the connection, with the first who listens
	closed     bool
	listeners  map[string][]func(payload string)
	changed    chan struct{}
	publishing map[message]bool // true where it is to be sent once more
}

type message struct{ channel, payload string }

// NewBells returns the bells of a process. Nothing is connected until somebody listens.
func NewBells(client *Client) *Bells {
	ctx, stop := context.WithCancel(context.Background())
	b := &Bells{
		client: client, stop: stop, done: ctx.Done(), changed: make(chan struct{}, 1),
		listeners: map[string][]func(string){}, publishing: map[message]bool{},
	}
	b.connect = func() { b.work.Go(func() { b.run(ctx) }) }
	return b
}

// OnJobs has ring called when a queue's list has new entries, or may have. It must not block.
func (b *Bells) OnJobs(queue string, ring func()) {
	b.listen(bellOf(queue), func(string) { ring() })
}

// OnWake has ring called with the queue that has new jobs in PostgreSQL, and with "" where messages may have been
// missed. It must not block.
func (b *Bells) OnWake(ring func(queue string)) { b.listen(wakeChannel, ring) }

// OnCancel has ring called with the jobs.Ref, as a string, of a job that was asked to end, and with "" where messages
// may have been missed. It must not block.
func (b *Bells) OnCancel(ring func(ref string)) { b.listen(cancelChannel, ring) }

// Wake tells dispatchers that a queue has new jobs. It returns at once; the message may be lost.
func (b *Bells) Wake(queue string) { b.publish(message{wakeChannel, queue}) }

// Cancel tells workers that a running job was asked to end. It returns at once; the message may be lost.
func (b *Bells) Cancel(ref jobs.Ref) { b.publish(message{cancelChannel, ref.String()}) }

// Close ends the connection and waits for messages on their way.
func (b *Bells) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.stop()
	b.work.Wait()
}

func (b *Bells) listen(channel string, ring func(payload string)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.listeners[channel] = append(b.listeners[channel], ring)
	if b.connect != nil {
		b.connect()
		b.connect = nil
	}
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// publish sends a message in the background. While it is on its way, any number of further ones are one more.
func (b *Bells) publish(m message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, underway := b.publishing[m]; underway {
		b.publishing[m] = true
		return
	}
	if b.closed || len(b.publishing) >= mostPublishing {
		return
	}
	b.publishing[m] = false
	b.work.Go(func() {
		for again := true; again; {
			_, _ = b.client.Do(context.Background(), "PUBLISH", m.channel, m.payload) // a hint: who misses it polls
			b.mu.Lock()
			if again = b.publishing[m]; again {
				b.publishing[m] = false
			} else {
				delete(b.publishing, m)
			}
			b.mu.Unlock()
		}
	})
}

func (b *Bells) run(ctx context.Context) {
	for ctx.Err() == nil {
		b.session(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(firstPause + rand.N(lastPause/4)): //nolint:gosec // processes that do not knock together need no secret
		}
	}
}

// session listens until the connection ends.
func (b *Bells) session(ctx context.Context) {
	conn, err := b.client.pool.DialContext(ctx)
	if err != nil {
		return
	}
	line := redigo.PubSubConn{Conn: conn}
	ended := make(chan struct{})
	defer func() {
		_ = line.Close() // which ends the receiving
		<-ended
	}()
	go func() {
		defer close(ended)
		b.receive(line)
	}()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	subscribed := map[string]bool{}
	for {
		if missing := b.missing(subscribed); len(missing) > 0 {
			if line.Subscribe(missing...) != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ended:
			return
		case <-b.changed:
		case <-ping.C:
			if line.Ping("") != nil {
				return
			}
		}
	}
}

// missing returns the channels that somebody listens to and that are not subscribed to yet, and notes them.
func (b *Bells) missing(subscribed map[string]bool) []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	var missing []any
	for channel := range b.listeners {
		if !subscribed[channel] {
			subscribed[channel] = true
			missing = append(missing, channel)
		}
	}
	return missing
}

func (b *Bells) receive(line redigo.PubSubConn) {
	for {
		switch got := line.ReceiveWithTimeout(pongWithin).(type) {
		case redigo.Message:
			b.ring(got.Channel, string(got.Data))
		case redigo.Subscription:
			b.ring(got.Channel, "") // what came before it was missed
		case error:
			return
		}
	}
}

func (b *Bells) ring(channel, payload string) {
	b.mu.Lock()
	listeners := b.listeners[channel]
	b.mu.Unlock()
	for _, ring := range listeners {
		ring(payload)
	}
}
