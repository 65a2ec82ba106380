package runner_test

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/redis"
)

// proxy stands between a client and a server, and does as a bad network does.
type proxy struct {
	listener net.Listener
	target   string
	// loses says whether the replies to a request are lost, and the connection with them; nil loses none.
	loses atomic.Pointer[func(request []byte) bool]
	// away refuses connections and ends those that there are.
	away atomic.Bool

	mu   sync.Mutex
	open map[net.Conn]struct{}
	work sync.WaitGroup
}

// through returns the address of a proxy in the place of the server's.
func through(t *testing.T, address string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: listener, target: u.Host, open: map[net.Conn]struct{}{}}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		p.work.Wait()
	})
	u.Host = listener.Addr().String()
	return p, u.String()
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
		if err != nil || p.away.Load() {
			_ = client.Close()
			if err == nil {
				_ = server.Close()
			}
			continue
		}
		p.mu.Lock()
		p.open[client], p.open[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		var mute atomic.Bool
		p.work.Go(func() {
			p.carry(server, client, func(request []byte) bool {
				if loses := p.loses.Load(); loses != nil && (*loses)(request) {
					mute.Store(true)
				}
				return true
			})
		})
		// Where a reply is lost the server has done it, and the client never learns.
		p.work.Go(func() { p.carry(client, server, func([]byte) bool { return !mute.Load() }) })
	}
}

// carry carries what one side says to the other until either ends, or passes says no.
func (p *proxy) carry(to, from net.Conn, passes func(said []byte) bool) {
	defer func() {
		_, _ = to.Close(), from.Close()
		p.mu.Lock()
		delete(p.open, to)
		delete(p.open, from)
		p.mu.Unlock()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if !passes(buffer[:n]) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// counting counts how often each job ran.
type counting struct {
	mu  sync.Mutex
	ran map[tenancy.ID]int
}

func (c *counting) handler() jobs.Handler {
	c.ran = map[tenancy.ID]int{}
	return handle[plain](func(_ context.Context, run *jobs.Run) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ran[run.Job.ID]++
		return nil
	})
}

// waitForAll waits until all jobs have succeeded, and says how many ran more than once.
func (c *counting) waitForAll(t *testing.T, w *world, ids []tenancy.ID) (again int) {
	t.Helper()
	admin := w.Admin(t)
	for done := 0; done < len(ids); { // however many they are, on a slow machine: it has patience while they go on
		require.Eventually(t, func() bool {
			var n int
			err := admin.QueryRow(t.Context(), "select count(*) from jobs_finished where state = 'succeeded'").Scan(&n)
			goesOn := err == nil && n > done
			if goesOn {
				done = n
			}
			return goesOn
		}, patience, 10*time.Millisecond)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		assert.Positive(t, c.ran[id], "it ran")
		if c.ran[id] > 1 {
			again++
		}
	}
	return again
}

func (w *world) enqueueMany(t *testing.T, n int) []tenancy.ID {
	t.Helper()
	ids := make([]tenancy.ID, n)
	list := make([]jobs.New, n)
	for i := range list {
		var err error
		list[i], err = jobs.Of(plain{N: i})
		require.NoError(t, err)
		ids[i] = list[i].ID
	}
	_, err := w.queue.Enqueue(t.Context(), w.scope, list...)
	require.NoError(t, err)
	return ids
}

// every returns a function that is true each nth time that something is seen.
func every(n int64, what string) *func([]byte) bool {
	var seen atomic.Int64
	fn := func(request []byte) bool { return bytes.Contains(request, []byte(what)) && seen.Add(1)%n == 0 }
	return &fn
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]string{"lost_replies_to_fetches": "EVALSHA", "lost_replies_to_the_end_of_jobs": "EXEC"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.dispatch(t)
			p, url := through(t, w.redisURL)
			p.loses.Store(every(20, lost))
			var c counting
			w.start(t, options{handlers: []jobs.Handler{c.handler()}, redisURL: url, lease: time.Minute})
			ids := w.enqueueMany(t, 500)
			assert.Zero(t, c.waitForAll(t, w, ids), "none ran twice")
			require.EventuallyWithT(t, func(c *assert.CollectT) { // what the library forgot is swept
				_, err := w.buffer.Sweep(t.Context(), jobs.Default)
				require.NoError(c, err)
				left, err := w.client.Do(t.Context(), "EVAL", `local n = 0
					for _, key in ipairs(redis.call('keys', '*:inprogress')) do n = n + redis.call('llen', key) end
					return n`, 0)
				require.NoError(c, err)
				assert.LessOrEqual(c, left, int64(4), "no more than the workers can have under way")
			}, patience, 10*time.Millisecond)
		})
	}
	t.Run("all_of_redis_lost_again_and_again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.dispatch(t)
		p, url := through(t, w.redisURL)
		var c counting
		w.start(t, options{handlers: []jobs.Handler{c.handler()}, redisURL: url, lease: time.Minute})
		var ids []tenancy.ID
		for range 8 {
			ids = append(ids, w.enqueueMany(t, 200)...)
			_, err := w.client.Do(t.Context(), "FLUSHALL")
			require.NoError(t, err)
			p.cut()
		}
		assert.Zero(t, c.waitForAll(t, w, ids), "none ran twice")
	})
	t.Run("a_database_that_comes_back_within_the_lease", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.dispatch(t)
		p, url := through(t, w.SystemURL)
		began, finish := make(chan struct{}, 1), make(chan struct{})
		at := w.start(t, options{systemURL: url, lease: time.Minute, handlers: []jobs.Handler{handle[plain](func(context.Context, *jobs.Run) error {
			began <- struct{}{}
			<-finish
			return nil
		})}})
		id := w.enqueue(t, plain{})
		receive(t, began)
		p.away.Store(true)
		p.cut()
		close(finish)
		unclaimed := w.enqueue(t, plain{})
		require.Eventually(t, func() bool { // who cannot claim drops the job
			return at.counted(t, "groundwork_jobs_claims_total", map[string]string{"result": "failed"}) > 0
		}, patience, 5*time.Millisecond)
		p.away.Store(false)
		assert.Equal(t, 1, w.until(t, id, jobs.Succeeded).Attempt, "it was settled when the database was back")
		assert.Equal(t, 1, w.until(t, unclaimed, jobs.Succeeded).Attempt)
	})
	t.Run("a_database_that_stays_away_longer_than_the_lease", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		p, url := through(t, w.SystemURL)
		began, causes := make(chan int, 1), make(chan error, 1)
		w.start(t, options{systemURL: url, lease: 5 * time.Second, handlers: []jobs.Handler{handle[plain](func(ctx context.Context, run *jobs.Run) error {
			began <- run.Job.Attempt
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		})}})
		undispatch := w.dispatch(t)
		id := w.enqueue(t, plain{})
		first := receive(t, began)
		undispatch()
		p.away.Store(true)
		p.cut()
		require.EqualError(t, receive(t, causes), "the worker lost its claim to the job")
		second := make(chan struct{}, 1)
		w.start(t, options{handlers: []jobs.Handler{handle[plain](func(context.Context, *jobs.Run) error {
			second <- struct{}{}
			return nil
		})}})
		w.dispatch(t)
		receive(t, second)
		assert.Equal(t, first+1, w.until(t, id, jobs.Succeeded).Attempt)
	})
	t.Run("a_redis_that_is_not_there_at_the_start", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		p, url := through(t, w.redisURL)
		p.away.Store(true)
		var c counting
		w.start(t, options{handlers: []jobs.Handler{c.handler()}, redisURL: url})
		ids := w.enqueueMany(t, 10)
		w.dispatch(t)
		require.Eventually(t, func() bool {
			waiting, err := w.buffer.Waiting(t.Context(), jobs.Default)
			return err == nil && len(waiting) == len(ids)
		}, patience, 5*time.Millisecond)
		p.away.Store(false)
		assert.Zero(t, c.waitForAll(t, w, ids))
	})
	t.Run("what_names_no_job_is_dropped", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		at := w.start(t, options{})
		list := redis.Namespace(jobs.Default) + ":jobs:" + redis.JobName
		_, err := w.client.Do(t.Context(), "LPUSH", list,
			`{"name":"run","args":{"ref":"../../etc"}}`, `{"name":"run","args":{"ref":7}}`, `{"name":"run"}`, `not JSON`, `{"name":"else"}`)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			waiting, err := w.client.Do(t.Context(), "LLEN", list)
			return err == nil && waiting == int64(0)
		}, patience, 5*time.Millisecond)
		require.Eventually(t, func() bool {
			return bytes.Count([]byte(at.log.String()), []byte("names no job")) == 3
		}, patience, 5*time.Millisecond)
	})
}
