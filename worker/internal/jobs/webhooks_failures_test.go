package jobs_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// forgetHealth has an endpoint's circuit closed and its failures forgotten, so that what is seen is the delivery's.
func (s *stand) forgetHealth(t *testing.T) {
	t.Helper()
	s.Exec(t, `update webhook_endpoint_health set consecutive_failures = 0, failing_since = null, open_until = null, trips = 0, probe_until = null`)
}

// waitsOf are the times between a delivery's attempts as the schedule has them.
func waitsOf(t *testing.T, s *stand) []time.Duration {
	t.Helper()
	var waits []time.Duration
	for range webhooks.MaxAttempts + 2 {
		s.settle(t)
		s.forgetHealth(t)
		d := s.deliveries(t)[0]
		if d.State != webhooks.Pending {
			break
		}
		require.NotNil(t, d.NextAttemptAt)
		wait := d.NextAttemptAt.Sub(s.now())
		waits = append(waits, wait)
		s.advance(wait + time.Second)
	}
	return waits
}

func TestRetries(t *testing.T) {
	t.Parallel()
	t.Run("follow_the_schedule_and_end", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, status(http.StatusInternalServerError))
		s.endpoint(t, r.URL)
		s.customer(t, "a")
		waits := waitsOf(t, s)
		want := []time.Duration{
			5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour,
			24 * time.Hour,
		}
		require.Len(t, waits, len(want))
		for i := range want {
			assert.GreaterOrEqual(t, waits[i], want[i], i)
			assert.LessOrEqual(t, waits[i], want[i]*6/5, i)
		}
		d, attempts := s.attempts(t, s.deliveries(t)[0].ID)
		assert.Equal(t, webhooks.Failed, d.State)
		require.Len(t, attempts, webhooks.MaxAttempts)
		stamps, signatures, ids := map[string]bool{}, map[string]bool{}, map[string]bool{}
		for i, c := range r.got() {
			assert.Equal(t, int64(webhooks.MaxAttempts-i), attempts[i].Number)
			stamps[c.header.Get("Webhook-Timestamp")], signatures[c.header.Get("Webhook-Signature")] = true, true
			ids[c.header.Get("Webhook-Id")] = true
		}
		assert.Len(t, stamps, webhooks.MaxAttempts)
		assert.Len(t, signatures, webhooks.MaxAttempts)
		assert.Len(t, ids, 1)
	})
	t.Run("wait_as_long_as_the_receiver_asks_for", func(t *testing.T) {
		t.Parallel()
		for value, want := range map[string]time.Duration{
			"120": 2 * time.Minute, "1": 5 * time.Second, "99999999": 24 * time.Hour, "-5": 5 * time.Second, "soon": 5 * time.Second,
			"in an hour": time.Hour,
		} {
			s := newStand(t)
			r := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
				asked := value
				if asked == "in an hour" {
					asked = s.now().Add(time.Hour).UTC().Format(http.TimeFormat) // a moment, and so counted from the answer on
				}
				status(http.StatusInternalServerError, "Retry-After", asked)(w, r)
			})
			s.endpoint(t, r.URL)
			s.customer(t, "a")
			s.settle(t)
			d, attempts := s.attempts(t, s.deliveries(t)[0].ID)
			require.NotNil(t, d.NextAttemptAt, value)
			assert.InDelta(t, want.Seconds(), d.NextAttemptAt.Sub(attempts[0].At).Seconds(), 2, value)
		}
	})
	t.Run("a_redirect_is_a_failure", func(t *testing.T) {
		t.Parallel()
		s, elsewhere := newStand(t), newReceiver(t, nil)
		r := newReceiver(t, status(http.StatusFound, "Location", elsewhere.URL))
		s.endpoint(t, r.URL)
		s.customer(t, "a")
		s.settle(t)
		assert.Empty(t, elsewhere.got())
		assert.Equal(t, webhooks.Pending, s.deliveries(t)[0].State)
		assert.Contains(t, *s.deliveries(t)[0].LastError, "redirect")
	})
	t.Run("nobody_there_is_a_failure", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, nil)
		s.endpoint(t, r.URL)
		r.Close()
		s.customer(t, "a")
		s.settle(t)
		d, attempts := s.attempts(t, s.deliveries(t)[0].ID)
		assert.Equal(t, webhooks.Pending, d.State)
		assert.Nil(t, attempts[0].Status)
		assert.Equal(t, "the connection was refused", *attempts[0].Error)
		assert.NotContains(t, *attempts[0].Error, "127.0.0.1")
	})
	t.Run("a_host_that_has_become_private_is_not_called", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, nil)
		e, _ := s.endpoint(t, r.URL)
		s.Exec(t, "update webhook_endpoints set url = 'https://10.0.0.1/' where id = $1", e.ID.String())
		s.customer(t, "a")
		s.settle(t)
		assert.Contains(t, *s.deliveries(t)[0].LastError, "private or reserved")
		_, err := s.service.SendTest(t.Context(), s.scope, e.ID)
		require.NoError(t, err)
		s.settle(t)
		assert.Equal(t, webhooks.Failed, s.deliveries(t)[1].State)
	})
}

func TestCircuit(t *testing.T) {
	t.Parallel()
	t.Run("opens_probes_and_closes", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, status(http.StatusInternalServerError))
		e, _ := s.endpoint(t, r.URL)
		for range 20 {
			s.customer(t, "a")
		}
		s.settle(t)
		assert.Len(t, r.got(), 5, "five failures open it")
		assert.NotNil(t, s.find(t, e.ID).Health.OpenUntil)
		held := 0
		for _, d := range s.deliveries(t) {
			if d.State == webhooks.Held {
				held++
			}
		}
		assert.GreaterOrEqual(t, held, 15)
		s.customer(t, "new ones are held without a job")
		s.fanOut(t)
		assert.Empty(t, s.due(t))
		for range 3 {
			before := len(r.got())
			s.advance(s.find(t, e.ID).Health.OpenUntil.Sub(s.now()) + time.Second)
			s.settle(t)
			assert.LessOrEqual(t, len(r.got())-before, 1, "one probe at a time")
		}
		cooled := s.find(t, e.ID).Health.OpenUntil.Sub(s.now())
		assert.Greater(t, cooled, 30*time.Second, "the cool-down grows")
		r.answers(nil)
		for range 5 {
			s.advance(5 * time.Minute)
			s.settle(t)
		}
		assert.Nil(t, s.find(t, e.ID).Health.OpenUntil)
		for _, d := range s.deliveries(t) {
			assert.Equal(t, webhooks.Delivered, d.State)
		}
	})
	t.Run("throttling_holds_everything_for_as_long_as_is_asked", func(t *testing.T) {
		t.Parallel()
		for _, code := range []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
			s, r := newStand(t), newReceiver(t, status(code, "Retry-After", "600"))
			e, _ := s.endpoint(t, r.URL)
			for range 5 {
				s.customer(t, "a")
			}
			s.settle(t)
			assert.Len(t, r.got(), 1, code)
			assert.InDelta(t, 600, s.find(t, e.ID).Health.OpenUntil.Sub(s.now()).Seconds(), 1)
			r.answers(nil)
			s.advance(9 * time.Minute)
			s.settle(t)
			assert.Len(t, r.got(), 1)
			for range 3 {
				s.advance(2 * time.Minute)
				s.settle(t)
			}
			assert.Len(t, r.got(), 6)
		}
	})
	t.Run("somebodys_redelivery_finds_out_at_once", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, status(http.StatusBadGateway))
		e, _ := s.endpoint(t, r.URL)
		for range 5 {
			s.customer(t, "a")
		}
		s.settle(t)
		require.NotNil(t, s.find(t, e.ID).Health.OpenUntil)
		r.answers(nil)
		_, err := s.service.Redeliver(t.Context(), s.scope, s.deliveries(t)[4].ID)
		require.NoError(t, err)
		s.settle(t)
		assert.Nil(t, s.find(t, e.ID).Health.OpenUntil)
		s.advance(10 * time.Second)
		s.settle(t)
		for _, d := range s.deliveries(t) {
			assert.Equal(t, webhooks.Delivered, d.State)
		}
	})
	t.Run("another_endpoints_is_another", func(t *testing.T) {
		t.Parallel()
		s, bad, good := newStand(t), newReceiver(t, status(http.StatusBadGateway)), newReceiver(t, nil)
		s.endpoint(t, bad.URL)
		s.endpoint(t, good.URL)
		for range 10 {
			s.customer(t, "a")
		}
		s.settle(t)
		assert.Len(t, bad.got(), 1)
		assert.Len(t, good.got(), 10)
	})
}

func TestHopeless(t *testing.T) {
	t.Parallel()
	s, r := newStand(t), newReceiver(t, status(http.StatusInternalServerError))
	e, _ := s.endpoint(t, r.URL)
	for day := range 7 {
		s.customer(t, "a")
		for range 4 {
			s.settle(t)
			s.advance(6 * time.Hour)
		}
		if state := s.find(t, e.ID).State; day < 4 {
			require.Equal(t, webhooks.Enabled, state, "day %d", day)
		}
	}
	e = s.find(t, e.ID)
	assert.Equal(t, webhooks.Disabled, e.State)
	assert.Equal(t, webhooks.ReasonFailing, *e.DisabledReason)
	require.Len(t, s.disabled, 1, "it is told of once")
	assert.Empty(t, s.due(t))
	s.settle(t)
	for _, d := range s.deliveries(t) {
		assert.Contains(t, []webhooks.DeliveryState{webhooks.Failed, webhooks.Cancelled}, d.State)
	}
	r.answers(nil)
	_, err := s.service.Resume(t.Context(), s.scope, e.ID)
	require.NoError(t, err)
	before := len(r.got())
	s.customer(t, "again")
	s.settle(t)
	assert.Len(t, r.got(), before+1)
	assert.Nil(t, s.find(t, e.ID).Health.FailingSince)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	s, r := newStand(t), newReceiver(t, nil)
	s.endpoint(t, r.URL, func(in *webhooks.Input) { in.RateLimit = &webhooks.RateLimit{Limit: 6, Per: "minute"} })
	for range 10 {
		s.customer(t, "a")
	}
	s.settle(t)
	require.Len(t, r.got(), 1)
	for range 9 {
		before := len(r.got())
		s.advance(10 * time.Second)
		s.settle(t)
		assert.LessOrEqual(t, len(r.got())-before, 2)
	}
	s.advance(20 * time.Second)
	s.settle(t)
	assert.Len(t, r.got(), 10)
}
