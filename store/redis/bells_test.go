package redis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/store/redis"
)

// patience is how long a test waits for what happens by itself.
const patience = 30 * time.Second

func bells(tb testing.TB, url string) *redis.Bells {
	tb.Helper()
	b := redis.NewBells(open(tb, redis.Config{URL: url}))
	tb.Cleanup(b.Close)
	return b
}

// heard collects what a bell was rung with.
func heard() (ring func(string), rung chan string) {
	rung = make(chan string, 1_000)
	return func(payload string) { rung <- payload }, rung
}

func waitFor(tb testing.TB, rung chan string, want string) {
	tb.Helper()
	timeout := time.After(patience)
	for {
		select {
		case got := <-rung:
			if got == want {
				return
			}
		case <-timeout:
			require.Failf(tb, "the bell was not rung", "with %q", want)
		}
	}
}

func TestBells(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		t.Helper()
		t.Run("ring_in_other_processes", func(t *testing.T) {
			t.Parallel()
			listening, ringing := bells(t, url), bells(t, url)
			wake, woken := heard()
			cancel, cancelled := heard()
			entries := make(chan struct{}, 1_000)
			listening.OnWake(wake)
			listening.OnCancel(cancel)
			listening.OnJobs(jobs.Critical, func() { entries <- struct{}{} })
			waitFor(t, woken, "")
			waitFor(t, cancelled, "")
			<-entries // it begins with what may have been missed

			ringing.Wake(jobs.Webhooks)
			waitFor(t, woken, jobs.Webhooks)
			ref := refs(1)[0]
			ringing.Cancel(ref)
			waitFor(t, cancelled, ref.String())
			buffer := redis.NewJobs(open(t, redis.Config{URL: url}), time.Now)
			require.NoError(t, buffer.Push(t.Context(), jobs.Default, refs(1)))
			require.NoError(t, buffer.Push(t.Context(), jobs.Critical, refs(2)))
			select {
			case <-entries:
			case <-time.After(patience):
				require.Fail(t, "handing over rang no bell")
			}
			assert.Empty(t, entries, "once for a queue, whatever is handed over to others")
		})
		t.Run("many_wakes_are_few_messages", func(t *testing.T) {
			t.Parallel()
			listening, ringing := bells(t, url), bells(t, url)
			wake, woken := heard()
			listening.OnWake(wake)
			waitFor(t, woken, "")
			const calls = 10_000
			for range calls {
				ringing.Wake(jobs.Reports)
			}
			ringing.Close() // waits for those on their way
			ringing.Wake(jobs.Reports)
			waitFor(t, woken, jobs.Reports)
			assert.Less(t, len(woken), calls/10)
		})
	})
	t.Run("come_back_with_redis_and_say_that_messages_were_missed", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		b := bells(t, s.URL)
		wake, woken := heard()
		b.OnWake(wake)
		waitFor(t, woken, "")
		s.kill(t)
		s.start(t)
		waitFor(t, woken, "")
		b.Wake(jobs.Default)
		waitFor(t, woken, jobs.Default)
	})
	t.Run("nobody_waits_for_a_redis_that_does_not_answer", func(t *testing.T) {
		t.Parallel()
		addr, accepted := startSilent(t)
		b := bells(t, "redis://"+addr)
		begun := time.Now()
		for range 1_000 {
			b.Wake(jobs.Default)
			require.Less(t, time.Since(begun), patience, "an answer is awaited for longer")
		}
		go func() { // so that the message that is on its way has its end
			for c := range accepted {
				_ = c.Close()
			}
		}()
	})
	t.Run("end_while_redis_is_away", func(t *testing.T) {
		t.Parallel()
		b := redis.NewBells(open(t, redis.Config{URL: "unix:///nowhere.sock"}))
		b.OnWake(func(string) {})
		b.Wake(jobs.Default)
		b.Close()
		b.OnJobs(jobs.Default, func() {})
		b.Close()
	})
}
