package jobs_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// verify checks a call as a receiver does that follows the standard, by the library of its makers.
func verify(t *testing.T, c call, secret webhooks.Secret) error {
	t.Helper()
	wh, err := standardwebhooks.NewWebhook(secret.Reveal())
	require.NoError(t, err)
	return wh.Verify(c.body, c.header)
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	t.Run("tells_of_a_change_as_the_standard_says", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, status(http.StatusOK, "X-Seen", "yes"))
		e, secret := s.endpoint(t, r.URL+"/in", func(in *webhooks.Input) {
			in.Events, in.Headers = []string{"customer.*"}, map[string]any{"x-team": "billing"}
		})
		c := s.customer(t, "Ada & <Co>")
		s.settle(t)
		calls := r.got()
		require.Len(t, calls, 1)
		require.NoError(t, verify(t, calls[0], secret))
		require.Error(t, verify(t, call{header: calls[0].header, body: append(calls[0].body, ' ')}, secret))
		assert.Equal(t, "application/json", calls[0].header.Get("Content-Type"))
		assert.Equal(t, "billing", calls[0].header.Get("X-Team"))
		assert.Empty(t, calls[0].header.Get("Accept-Encoding"))
		assert.Equal(t, "customer.created", calls[0].at("type"))
		assert.Equal(t, "v1", calls[0].at("api_version"))
		assert.Equal(t, calls[0].header.Get("Webhook-Id"), calls[0].at("id"))
		assert.Equal(t, c.ID.String(), calls[0].at("data", "id"))
		assert.Equal(t, "1", calls[0].at("data", "version"))
		assert.Equal(t, "Ada & <Co>", calls[0].at("data", "name"))

		list := s.deliveries(t)
		require.Len(t, list, 1)
		d, attempts := s.attempts(t, list[0].ID)
		assert.Equal(t, webhooks.Delivered, d.State)
		assert.Equal(t, e.ID, d.EndpointID)
		assert.NotNil(t, d.FinishedAt)
		assert.Nil(t, d.NextAttemptAt)
		require.Len(t, attempts, 1)
		assert.Equal(t, int64(1), attempts[0].Number)
		assert.Equal(t, int64(200), *attempts[0].Status)
		assert.Equal(t, "yes", attempts[0].ResponseHeaders["X-Seen"])
		assert.Equal(t, "answer answer answer ", attempts[0].ResponseBody)
		assert.Nil(t, attempts[0].Error)
		assert.NotNil(t, s.find(t, e.ID).Health.LastSuccessAt)
	})
	t.Run("is_part_of_the_trace_of_the_request", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, status(http.StatusInternalServerError))
		s.endpoint(t, r.URL)
		s.customer(t, "nobody's")
		s.settle(t)
		require.Len(t, r.got(), 1)
		assert.Empty(t, r.got()[0].header.Get("Traceparent"), "where there is no trace, none is made up")
		const id = "4bf92f3577b34da6a3ce929d0e0e4736"
		s.scope.Trace = tenancy.ParseTrace("00-" + id + "-00f067aa0ba902b7-01")
		s.customer(t, "traced")
		s.fanOut(t)
		var jobs []aJob
		for _, j := range s.due(t) {
			if j.job.Trace != "" {
				jobs = append(jobs, j)
			}
		}
		require.Len(t, jobs, 1)
		assert.Equal(t, id, jobs[0].job.Trace.ID())
		require.NoError(t, s.run(t, t.Context(), jobs[0]))
		s.advance(time.Minute)
		s.settle(t)
		spans := map[string]bool{}
		for _, c := range r.got() {
			if parent := c.header.Get("Traceparent"); parent != "" {
				assert.Regexp(t, "^00-"+id+"-[0-9a-f]{16}-01$", parent)
				spans[parent] = true
			}
		}
		assert.GreaterOrEqual(t, len(spans), 2, "each attempt is a call of its own")
	})
	t.Run("only_of_what_was_asked_for", func(t *testing.T) {
		t.Parallel()
		s := newStand(t)
		receive := func(change func(*webhooks.Input)) *receiver {
			r := newReceiver(t, nil)
			s.endpoint(t, r.URL, change)
			return r
		}
		all := receive(func(*webhooks.Input) {})
		created := receive(func(in *webhooks.Input) { in.Events = []string{"customer.created"} })
		orders := receive(func(in *webhooks.Input) { in.Events = []string{"order.*"} })
		ada := receive(func(in *webhooks.Input) { in.Filter = map[string]any{"data.name": []any{"Ada", "Grace"}} })
		thin := receive(func(in *webhooks.Input) { in.Payload = webhooks.Thin })
		c := s.customer(t, "Ada")
		s.customer(t, "Bob")
		require.NoError(t, s.customers.Delete(t.Context(), s.scope, c.ID, resource.Match(0)))
		s.settle(t)
		assert.Len(t, all.got(), 3)
		assert.Len(t, created.got(), 2)
		assert.Empty(t, orders.got())
		assert.Len(t, ada.got(), 2)
		for _, got := range thin.got() {
			var body struct{ Data map[string]any }
			require.NoError(t, json.Unmarshal(got.body, &body))
			assert.Len(t, body.Data, 2, "%s", got.body)
			assert.Contains(t, body.Data, "version")
		}
	})
	t.Run("never_to_another_tenant", func(t *testing.T) {
		t.Parallel()
		s, mine, theirs := newStand(t), newReceiver(t, nil), newReceiver(t, nil)
		s.endpoint(t, mine.URL)
		own := s.scope
		s.scope = s.Tenant(t)
		s.endpoint(t, theirs.URL)
		s.customer(t, "theirs")
		s.scope = own
		s.customer(t, "mine")
		s.settle(t)
		require.Len(t, mine.got(), 1)
		require.Len(t, theirs.got(), 1)
		assert.Equal(t, "mine", mine.got()[0].at("data", "name"))
		assert.Equal(t, "theirs", theirs.got()[0].at("data", "name"))
	})
	t.Run("signed_with_both_secrets_during_a_rotation", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, nil)
		e, old := s.endpoint(t, r.URL)
		_, fresh, err := s.service.RotateSecret(t.Context(), s.scope, e.ID, webhooks.Rotation{})
		require.NoError(t, err)
		s.customer(t, "a")
		s.settle(t)
		require.NoError(t, verify(t, r.got()[0], old))
		require.NoError(t, verify(t, r.got()[0], fresh))
		assert.Len(t, strings.Fields(r.got()[0].header.Get("Webhook-Signature")), 2)
		s.advance(25 * time.Hour)
		s.customer(t, "b")
		s.settle(t)
		assert.Len(t, strings.Fields(r.got()[1].header.Get("Webhook-Signature")), 1)
	})
	t.Run("tests_reach_the_one_endpoint_once_whatever_its_state", func(t *testing.T) {
		t.Parallel()
		s, r, other := newStand(t), newReceiver(t, status(http.StatusInternalServerError)), newReceiver(t, nil)
		e, secret := s.endpoint(t, r.URL)
		s.endpoint(t, other.URL)
		_, err := s.service.Pause(t.Context(), s.scope, e.ID)
		require.NoError(t, err)
		sent, err := s.service.SendTest(t.Context(), s.scope, e.ID)
		require.NoError(t, err)
		s.settle(t)
		require.Len(t, r.got(), 1)
		require.NoError(t, verify(t, r.got()[0], secret))
		assert.Equal(t, "webhook.test", r.got()[0].at("type"))
		assert.Empty(t, other.got())
		d, _ := s.attempts(t, sent.ID)
		assert.Equal(t, webhooks.Failed, d.State)
		assert.Zero(t, s.find(t, e.ID).Health.ConsecutiveFailures)
	})
}

func TestPausedAndGone(t *testing.T) {
	t.Parallel()
	t.Run("what_a_paused_endpoint_misses_is_held", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, nil)
		e, _ := s.endpoint(t, r.URL)
		s.customer(t, "under way when it is paused")
		s.fanOut(t)
		_, err := s.service.Pause(t.Context(), s.scope, e.ID)
		require.NoError(t, err)
		s.customer(t, "while it is paused")
		s.settle(t)
		assert.Empty(t, r.got())
		for _, d := range s.deliveries(t) {
			assert.Equal(t, webhooks.Held, d.State)
		}
		_, err = s.service.Resume(t.Context(), s.scope, e.ID)
		require.NoError(t, err)
		s.settle(t)
		assert.Len(t, r.got(), 2)
		assert.Zero(t, s.release(t), "nothing is left to release")
	})
	t.Run("what_waits_for_a_deleted_endpoint_is_cancelled", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, nil)
		e, _ := s.endpoint(t, r.URL)
		s.customer(t, "pending")
		s.fanOut(t)
		p, _ := s.endpoint(t, r.URL)
		_, err := s.service.Pause(t.Context(), s.scope, p.ID)
		require.NoError(t, err)
		s.customer(t, "held")
		s.fanOut(t)
		for _, id := range []tenancy.ID{e.ID, p.ID} {
			require.NoError(t, s.service.Delete(t.Context(), s.scope, id, 0))
		}
		s.settle(t)
		assert.Empty(t, r.got())
		for _, d := range s.deliveries(t) {
			assert.Equal(t, webhooks.Cancelled, d.State)
			require.NotNil(t, d.LastError)
		}
	})
	t.Run("an_answer_of_410_disables", func(t *testing.T) {
		t.Parallel()
		s, r, watcher := newStand(t), newReceiver(t, status(http.StatusGone)), newReceiver(t, nil)
		e, _ := s.endpoint(t, r.URL)
		s.endpoint(t, watcher.URL, func(in *webhooks.Input) { in.Events = []string{webhooks.TypeDisabled} })
		s.customer(t, "a")
		s.settle(t)
		e = s.find(t, e.ID)
		assert.Equal(t, webhooks.Disabled, e.State)
		assert.Equal(t, webhooks.ReasonGone, *e.DisabledReason)
		require.Len(t, watcher.got(), 1)
		assert.Equal(t, webhooks.TypeDisabled, watcher.got()[0].at("type"))
		assert.Equal(t, e.ID.String(), watcher.got()[0].at("data", "id"))
		assert.NotContains(t, string(watcher.got()[0].body), "whsec")
		require.Len(t, s.disabled, 1)
		s.customer(t, "b")
		s.settle(t)
		assert.Len(t, r.got(), 1, "a disabled endpoint is sent nothing")
		var audited int
		require.NoError(t, s.Admin(t).QueryRow(t.Context(), "select count(*) from audit_events where action = $1 and actor_kind = 'system'",
			webhooks.TypeDisabled).Scan(&audited))
		assert.Equal(t, 1, audited)
	})
}

func TestRedeliverAndReplay(t *testing.T) {
	t.Parallel()
	t.Run("a_redelivery_goes_on_counting_and_keeps_the_id", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, nil)
		_, secret := s.endpoint(t, r.URL)
		s.customer(t, "a")
		s.settle(t)
		d := s.deliveries(t)[0]
		s.advance(time.Minute)
		_, err := s.service.Redeliver(t.Context(), s.scope, d.ID)
		require.NoError(t, err)
		s.settle(t)
		calls := r.got()
		require.Len(t, calls, 2)
		assert.Equal(t, calls[0].header.Get("Webhook-Id"), calls[1].header.Get("Webhook-Id"))
		assert.NotEqual(t, calls[0].header.Get("Webhook-Timestamp"), calls[1].header.Get("Webhook-Timestamp"))
		require.NoError(t, verify(t, calls[1], secret))
		_, attempts := s.attempts(t, d.ID)
		require.Len(t, attempts, 2)
		assert.Equal(t, int64(2), attempts[0].Number)
	})
	t.Run("a_redelivery_takes_the_place_of_the_retry_that_waits", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, status(http.StatusTeapot))
		s.endpoint(t, r.URL)
		s.customer(t, "a")
		s.settle(t)
		r.answers(nil)
		_, err := s.service.Redeliver(t.Context(), s.scope, s.deliveries(t)[0].ID)
		require.NoError(t, err)
		s.settle(t)
		s.advance(time.Hour)
		s.settle(t)
		assert.Len(t, r.got(), 2)
		assert.Equal(t, webhooks.Delivered, s.deliveries(t)[0].State)
	})
	replay := func(t *testing.T, s *stand, e webhooks.Endpoint, in webhooks.ReplayInput) {
		t.Helper()
		s.advance(time.Hour) // events are dated by PostgreSQL, whose clock goes on
		in.From = s.now().Add(-24 * time.Hour)
		_, err := s.service.Replay(t.Context(), s.scope, e.ID, in)
		require.NoError(t, err)
		s.settle(t)
	}
	t.Run("a_replay_sends_what_was_missed_and_what_was_not", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, nil)
		e, _ := s.endpoint(t, r.URL, func(in *webhooks.Input) { in.Events = []string{"customer.created"} })
		other, quiet := newReceiver(t, nil), newReceiver(t, nil)
		s.endpoint(t, other.URL)
		for range 450 {
			s.customer(t, "a")
		}
		s.settle(t)
		require.Len(t, r.got(), 450)
		late, _ := s.endpoint(t, quiet.URL)
		replay(t, s, e, webhooks.ReplayInput{})
		replay(t, s, late, webhooks.ReplayInput{Types: []string{"customer.deleted"}})
		replay(t, s, late, webhooks.ReplayInput{Types: []string{"customer.*"}})
		assert.Len(t, r.got(), 900)
		assert.Len(t, quiet.got(), 450)
		assert.Len(t, other.got(), 450, "nobody else is told again")
	})
	t.Run("a_replay_of_what_failed_begins_those_anew", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, status(http.StatusGone))
		e, _ := s.endpoint(t, r.URL)
		s.customer(t, "a")
		s.settle(t)
		r.answers(nil)
		_, err := s.service.Resume(t.Context(), s.scope, e.ID)
		require.NoError(t, err)
		s.customer(t, "b")
		s.settle(t)
		require.Len(t, r.got(), 2)
		replay(t, s, e, webhooks.ReplayInput{OnlyFailed: true})
		assert.Len(t, r.got(), 3)
		assert.Len(t, s.deliveries(t), 2)
		assert.Equal(t, int64(2), s.deliveries(t)[0].Attempts)
		assert.Equal(t, webhooks.Delivered, s.deliveries(t)[0].State)
	})
	t.Run("a_replay_that_begins_anew_sends_nothing_twice", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, nil)
		for range 3 {
			s.customer(t, "a")
		}
		s.advance(time.Hour) // events are dated by PostgreSQL, whose clock goes on
		e, _ := s.endpoint(t, r.URL)
		_, err := s.service.Replay(t.Context(), s.scope, e.ID, webhooks.ReplayInput{From: s.now().Add(-2 * time.Hour)})
		require.NoError(t, err)
		job := s.due(t)[0]
		first, err := s.worker.ReplayBatch(t.Context(), tenancy.AsSystem(job.job.Tenant, ""), webhooks.ReplayBatch{
			Args: webhooks.ReplayArgs{EndpointID: e.ID, From: s.now().Add(-2 * time.Hour), To: s.now()}, Job: job.job.ID, Limit: 2, Now: s.now(),
		})
		require.NoError(t, err)
		assert.Equal(t, 2, first.Deliveries)
		s.settle(t) // the whole job, as after a crash
		assert.Len(t, r.got(), 3)
	})
}

// TestInterrupted shows what a process leaves behind that dies on the way.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	t.Run("between_the_call_and_its_record_the_message_goes_again_with_its_id", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, nil)
		s.endpoint(t, r.URL)
		s.customer(t, "a")
		s.fanOut(t)
		ctx, die := context.WithCancel(t.Context())
		r.answers(func(http.ResponseWriter, *http.Request) { die() })
		require.Error(t, s.run(t, ctx, s.due(t)[0]))
		r.answers(nil)
		s.settle(t)
		calls := r.got()
		require.Len(t, calls, 2)
		assert.Equal(t, calls[0].header.Get("Webhook-Id"), calls[1].header.Get("Webhook-Id"))
		_, attempts := s.attempts(t, s.deliveries(t)[0].ID)
		assert.Len(t, attempts, 1)
	})
	t.Run("between_the_record_and_the_jobs_end_nothing_goes_again", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, nil)
		s.endpoint(t, r.URL)
		s.customer(t, "a")
		s.fanOut(t)
		job := s.due(t)[0]
		require.NoError(t, s.run(t, t.Context(), job))
		require.NoError(t, s.run(t, t.Context(), job))
		assert.Len(t, r.got(), 1)
	})
	t.Run("two_fan_outs_at_once_make_each_delivery_once", func(t *testing.T) {
		t.Parallel()
		s, r := newStand(t), newReceiver(t, nil)
		s.endpoint(t, r.URL)
		for range 50 {
			s.customer(t, "a")
		}
		done := make(chan error, 4)
		for range 4 {
			go func() {
				_, err := s.dispatcherOfItsOwn().FanOut(t.Context())
				done <- err
			}()
		}
		for range 4 {
			require.NoError(t, <-done)
		}
		s.settle(t)
		assert.Len(t, r.got(), 50)
	})
}

// TestHostileReceiver shows that what a receiver answers is kept as it can be, and harms nothing.
func TestHostileReceiver(t *testing.T) {
	t.Parallel()
	s, r := newStand(t), newReceiver(t, nil)
	s.endpoint(t, r.URL)
	r.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Odd", "a\xff\xfe")
		for i := range 80 {
			w.Header().Add("X-Many-"+strings.Repeat("y", i), strings.Repeat("z", 100))
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "\x00\xff\xfe"+strings.Repeat("x", 100<<10))
	})
	s.customer(t, "a")
	s.settle(t)
	_, attempts := s.attempts(t, s.deliveries(t)[0].ID)
	require.Len(t, attempts, 1)
	assert.True(t, attempts[0].IsCut)
	assert.NotContains(t, attempts[0].ResponseBody, "\x00")
	assert.LessOrEqual(t, len(attempts[0].ResponseHeaders), 50)
}
