package redis

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	redigo "github.com/gomodule/redigo/redis"
)

// heartbeatTTL is how many seconds a pool of workers counts as alive after a heartbeat; gocraft/work beats every 5.
const heartbeatTTL = 15

// FetchConfig is what NewFetch needs.
type FetchConfig struct {
	// Client has the connections. Those of all fetches of a process come from it; it must be set.
	Client *Client
	// Bells rings when there is something to fetch. It must be set.
	Bells *Bells
	Queue string
	// Workers is how many jobs of the queue the process runs at once.
	Workers int
	// OnChange is called when Redis goes away, with what happened to it, and when it is back, with nil. It may be nil.
	OnChange func(healthy bool, cause error)
}

// Fetch is how gocraft/work reaches Redis for one queue. The library asks Redis for a job, sleeps for up to five seconds
// where there is none, and retries a hundred times a second where Redis is away, printing each time. Here an idle worker
// waits for the queue's bell instead, and one without Redis waits until it is back.
//
// The connections in its pool are not connections: what many workers ask at the same time goes to Redis in one round
// trip, over one of the client's connections, and a worker's notice that a job is done travels with the next one's
// question. Idle workers hold no connection. What the library does beside fetching, and what we have no use for, is answered
// without asking: its own retries and schedules, which it gets wrong, its rescue of dead workers' jobs, which PostgreSQL
// does, and its notes of what each worker is doing. No error of Redis reaches it, since all that it does is to print it.
type Fetch struct {
	config FetchConfig
	pool   *redigo.Pool
	bell   chan struct{}
	halt   chan struct{}
	halted sync.Once

	mu   sync.Mutex
	away bool

	talk    sync.Mutex
	asked   []question
	talking bool
}

// question is a command of a worker's that waits for the next round trip. Nobody waits for the reply where answer is nil.
type question struct {
	call
	answer chan<- reply
}

// NewFetch prepares the fetching of a queue's jobs. Halt it when done.
func NewFetch(config FetchConfig) *Fetch {
	if config.OnChange == nil {
		config.OnChange = func(bool, error) {}
	}
	f := &Fetch{config: config, bell: make(chan struct{}, 1), halt: make(chan struct{})}
	f.pool = &redigo.Pool{
		MaxIdle: config.Workers + 8,
		Dial:    func() (redigo.Conn, error) { return &fetchConn{fetch: f}, nil },
	}
	config.Bells.OnJobs(config.Queue, f.ring)
	return f
}

// Pool is what gocraft/work is given.
func (f *Fetch) Pool() *redigo.Pool { return f.pool }

// Halt ends the fetching: who waits for a job is answered that there is none, and nobody is given one any more. It
// comes before the library's own Stop, which would otherwise wait for those who wait.
func (f *Fetch) Halt() { f.halted.Do(func() { close(f.halt) }) }

// ring wakes one worker. Where that finds a job it wakes the next one.
func (f *Fetch) ring() {
	select {
	case f.bell <- struct{}{}:
	default:
	}
}

// next runs the library's fetch script until it has a job, or the fetching ends.
func (f *Fetch) next(c call) (any, error) {
	for failures := 0; ; {
		select {
		case <-f.halt:
			f.startTalking()
			return nil, nil //nolint:nilnil // how Redis says that there is none
		default:
		}
		reply, err := f.ask(c)
		var said redigo.Error
		switch {
		case errors.As(err, &said) && strings.HasPrefix(string(said), "NOSCRIPT "):
			return nil, err // the library sends the script itself
		case err != nil:
			f.tell(err)
			f.wait(nil, min(firstPause<<min(failures, 10), lastPause))
			failures++
		case reply != nil:
			f.tell(nil)
			f.ring()
			return reply, nil
		case c.command == "EVAL":
			return nil, nil //nolint:nilnil // the library asks again, by the script's hash from now on
		default:
			f.tell(nil)
			failures = 0
			f.wait(f.bell, f.pollEvery())
		}
	}
}

// ask asks Redis in the next round trip, after what was noted before.
func (f *Fetch) ask(calls ...call) (any, error) {
	answer := make(chan reply, 1)
	questions := asQuestions(calls)
	questions[len(questions)-1].answer = answer
	f.note(questions)
	f.startTalking()
	got := <-answer
	return got.value, got.err
}

// note has something said in the next round trip, which it does not bring about.
func (f *Fetch) note(questions []question) {
	f.talk.Lock()
	defer f.talk.Unlock()
	f.asked = append(f.asked, questions...)
}

// startTalking has somebody see to what is asked.
func (f *Fetch) startTalking() {
	f.talk.Lock()
	defer f.talk.Unlock()
	if !f.talking && len(f.asked) > 0 {
		f.talking = true
		go f.talkOn()
	}
}

// talkOn makes round trips for as long as something is asked: what comes up during one goes with the next.
func (f *Fetch) talkOn() {
	for {
		f.talk.Lock()
		next := f.asked
		f.asked = nil
		f.talking = len(next) > 0
		f.talk.Unlock()
		if len(next) == 0 {
			return
		}
		calls := make([]call, len(next))
		for i, each := range next {
			calls[i] = each.call
		}
		for i, got := range f.config.Client.exchange(context.Background(), calls) {
			if next[i].answer != nil {
				next[i].answer <- got
			}
		}
	}
}

// pollEvery is how long a worker waits for the bell. Bells may be missed; all workers of a queue together ask about
// twice a second.
func (f *Fetch) pollEvery() time.Duration {
	const share, least, most = 350 * time.Millisecond, time.Second, 20 * time.Second
	return min(max(time.Duration(f.config.Workers)*share, least), most)
}

// wait waits for the bell, the end of the fetching, or a time between d and twice that.
func (f *Fetch) wait(bell <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d + rand.N(d)) //nolint:gosec // workers that do not ask together need no secret
	defer timer.Stop()
	select {
	case <-bell:
	case <-f.halt:
	case <-timer.C:
	}
}

// tell reports that Redis went away or is back, once each.
func (f *Fetch) tell(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away == (cause != nil) {
		return
	}
	f.away = cause != nil
	f.config.OnChange(!f.away, cause)
}

// fetchConn is a connection as gocraft/work sees it.
type fetchConn struct {
	fetch   *Fetch
	pending []call
}

// Close is redigo.Conn's.
func (c *fetchConn) Close() error { return nil }

// Err is redigo.Conn's. The connection is always fit for use: it holds none.
func (c *fetchConn) Err() error { return nil }

// Do is redigo.Conn's.
func (c *fetchConn) Do(command string, args ...any) (any, error) {
	next := call{command, args}
	if isFetch(next) {
		return c.fetch.next(next)
	}
	if reply, ok := answer(next); ok {
		return reply, nil
	}
	if command != "" {
		c.pending = append(c.pending, next)
	}
	return nil, c.Flush()
}

// Send is redigo.Conn's.
func (c *fetchConn) Send(command string, args ...any) error {
	next := call{command, args}
	if _, ok := answer(next); ok {
		return nil
	}
	c.pending = append(c.pending, next)
	if key := firstKey(next); command == "HMSET" && strings.Contains(key, ":worker_pools:") {
		// A heartbeat ends by Redis's clock, not by comparing those of machines.
		c.pending = append(c.pending, call{"EXPIRE", []any{key, heartbeatTTL}})
	}
	return nil
}

// Flush is redigo.Conn's. A worker's notice that a job is done, which ends with EXEC, waits for the next question, mostly
// the worker's own. What Redis was to be told and was not is mended by Jobs.Sweep.
func (c *fetchConn) Flush() error {
	calls := c.pending
	c.pending = nil
	switch {
	case len(calls) == 0:
	case calls[len(calls)-1].command == "EXEC":
		c.fetch.note(asQuestions(calls))
	default:
		_, _ = c.fetch.ask(calls...)
	}
	return nil
}

func asQuestions(calls []call) []question {
	questions := make([]question, len(calls))
	for i, each := range calls {
		questions[i].call = each
	}
	return questions
}

// Receive is redigo.Conn's.
func (c *fetchConn) Receive() (any, error) {
	return nil, errors.New("the replies of this connection are not kept")
}

// isFetch tells the library's fetch script by the keys that it is given.
func isFetch(c call) bool {
	if c.command != "EVALSHA" && c.command != "EVAL" || len(c.args) < 5 {
		return false
	}
	inProgress, ok := c.args[3].(string)
	paused, also := c.args[4].(string)
	return ok && also && strings.HasSuffix(inProgress, ":inprogress") && strings.HasSuffix(paused, ":paused")
}

// answer answers what Redis is not to be asked.
func answer(c call) (reply any, ok bool) {
	key := firstKey(c)
	switch c.command {
	case "EVALSHA", "EVAL": // of the retries and schedules
		return nil, strings.HasSuffix(key, ":retry") || strings.HasSuffix(key, ":scheduled")
	case "SMEMBERS": // of the rescue of dead workers' jobs
		return []any{}, strings.HasSuffix(key, ":worker_pools")
	case "GET": // when recurring jobs were last enqueued: they have been
		return int64(math.MaxInt64), strings.HasSuffix(key, ":last_periodic_enqueue")
	case "HMSET", "EXPIRE", "DEL": // what a worker is doing
		return nil, strings.Contains(key, ":worker:")
	default:
		return nil, false
	}
}

// firstKey is the first key of a command, "" where it has none.
func firstKey(c call) string {
	at := 0
	if strings.HasPrefix(c.command, "EVAL") {
		at = 2
	}
	if len(c.args) <= at {
		return ""
	}
	key, _ := c.args[at].(string)
	return key
}
