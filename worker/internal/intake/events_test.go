package intake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/orders"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/worker/internal/intake"
	workerjobs "github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

// example is an event as its provider publishes it.
type example struct{ provider, id, eventType, body string }

// examples are those in testdata; Stripe's are about an order.
func examples(tb testing.TB, order tenancy.ID) []example {
	tb.Helper()
	paths, err := filepath.Glob("testdata/*/*.json")
	require.NoError(tb, err)
	require.GreaterOrEqual(tb, len(paths), 11)
	types := map[string]string{
		"ping.json": "ping", "issues.json": "issues", "push.json": "push", "orders-create.json": "orders/create", "app-uninstalled.json": "app/uninstalled",
	}
	var all []example
	for i, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(tb, err)
		if filepath.Base(path) == "url_verification.json" {
			continue
		}
		all = append(all, example{
			provider: filepath.Base(filepath.Dir(path)), id: fmt.Sprint("delivery-", i), eventType: types[filepath.Base(path)],
			body: strings.ReplaceAll(string(data), "{{ORDER}}", order.String()),
		})
	}
	return all
}

// stripeEvent is an example of Stripe's with parts of it replaced.
func stripeEvent(tb testing.TB, order, file string, replace ...string) string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "stripe", file+".json"))
	require.NoError(tb, err)
	for i := 0; i < len(replace); i += 2 {
		require.Contains(tb, string(data), replace[i])
	}
	return strings.NewReplacer(append(replace, "{{ORDER}}", order)...).Replace(string(data))
}

// Every example comes three times, in whatever order: each is kept once, processed once, and comes to the same.
func TestExamples_three_times_in_any_order(t *testing.T) {
	t.Parallel()
	for round := range 3 {
		t.Run(fmt.Sprint("round_", round), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			order := w.order(t, w.scope)
			sources, paths := map[string]inbound.Source{}, map[string]string{}
			for provider, secret := range map[string]string{"stripe": stripeSecret, "github": anySecret, "shopify": anySecret, "slack": anySecret} {
				sources[provider], paths[provider] = w.source(t, inbound.SourceInput{Provider: provider, Secrets: []string{secret}})
			}
			once := examples(t, order.ID)
			all := slices.Concat(once, once, once)
			rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			for i, e := range all {
				headers := sign(e.provider, e.id, e.eventType, e.body, w.now())
				require.Equal(t, http.StatusOK, w.post(t, paths[e.provider], e.body, headers).status, "%s %s", e.provider, e.id)
				if i%7 == 0 { // some are processed before the next arrive
					require.Zero(t, w.work(t))
				}
			}
			require.Zero(t, w.work(t))

			states := map[string]inbound.State{}
			total := 0
			for _, source := range sources {
				for _, e := range w.received(t, source) {
					total++
					states[e.Type] = e.State
					assert.EqualValues(t, 1, e.Attempts, e.Type)
					assert.NotNil(t, e.ProcessedAt, e.Type)
				}
			}
			assert.Equal(t, len(once), total)
			assert.Equal(t, map[string]inbound.State{
				"checkout.session.completed": inbound.Processed, "invoice.paid": inbound.Processed, "charge.refunded": inbound.Processed,
				"customer.created": inbound.Unhandled, "ping": inbound.Unhandled, "issues.opened": inbound.Unhandled, "push": inbound.Unhandled,
				"orders/create": inbound.Unhandled, "app/uninstalled": inbound.Unhandled, "app_mention": inbound.Unhandled, "message": inbound.Unhandled,
			}, states)
			assert.Equal(t, orders.Cancelled, w.findOrder(t, w.scope, order.ID).Status, "what was paid and given back is cancelled, whichever was told first")
		})
	}
}

// What nobody handles is kept without a job; a replay asks again.
func TestReceive_what_nobody_handles(t *testing.T) {
	t.Parallel()
	handlers, err := workerjobs.InboundHandlers(nil) // they are only asked what they are for
	require.NoError(t, err)
	w := newWorld(t, func(needs *inbound.ReceiverNeeds, _ *intake.Config) { needs.Handlers = handlers })
	source, path := w.source(t, inbound.SourceInput{Provider: "stripe", Secrets: []string{stripeSecret}})
	for _, eventType := range []string{"customer.created", "charge.refunded"} {
		body := fmt.Sprintf(`{"id": "evt_%s", "type": %q, "data": {"object": {}}}`, eventType, eventType)
		require.Equal(t, http.StatusOK, w.post(t, path, body, sign("stripe", "", "", body, w.now())).status)
	}
	unhandled := w.received(t, source, inbound.Unhandled)
	require.Len(t, unhandled, 1)
	assert.Equal(t, "customer.created", unhandled[0].Type)
	assert.Nil(t, unhandled[0].JobID)
	pending := w.received(t, source, inbound.Pending)
	require.Len(t, pending, 1)
	assert.Equal(t, "charge.refunded", pending[0].Type)
	assert.NotNil(t, pending[0].JobID)

	again, err := w.events.Replay(t.Context(), w.scope, unhandled[0].ID)
	require.NoError(t, err)
	assert.Equal(t, inbound.Pending, again.State)
	w.work(t)
	after, err := w.events.Find(t.Context(), w.scope, again.ID)
	require.NoError(t, err)
	assert.Equal(t, inbound.Unhandled, after.State)
	assert.EqualValues(t, 1, after.Attempts)
}

func TestStripe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source, path := w.source(t, inbound.SourceInput{Provider: "stripe", Secrets: []string{stripeSecret}})
	// send posts an event under an id of its own, has it processed, and returns it.
	send := func(t *testing.T, body string) inbound.Event {
		t.Helper()
		id := "evt_" + tenancy.NewID().String()
		var content map[string]any
		require.NoError(t, json.Unmarshal([]byte(body), &content))
		content["id"] = id
		data, err := json.Marshal(content)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, w.post(t, path, string(data), sign("stripe", "", "", string(data), w.now())).status)
		for _, e := range w.received(t, source) {
			if *e.ProviderEventID == id {
				job, err := w.queue.FindJob(t.Context(), tenancy.AsSystem(w.scope.Tenant, ""), *e.JobID)
				require.NoError(t, err)
				_ = w.run(t, job)
				after, err := w.events.Find(t.Context(), w.scope, e.ID)
				require.NoError(t, err)
				return after
			}
		}
		t.Fatal("the event was not kept")
		return inbound.Event{}
	}
	const checkout, invoice, refund = "checkout.session.completed", "invoice.paid", "charge.refunded"
	event := func(t *testing.T, o *orders.Order, file string, replace ...string) inbound.Event {
		t.Helper()
		return send(t, stripeEvent(t, o.ID.String(), file, replace...))
	}

	t.Run("pays_an_order_once", func(t *testing.T) {
		t.Parallel()
		o := w.order(t, w.scope)
		for _, file := range []string{checkout, invoice, checkout} {
			assert.Equal(t, inbound.Processed, event(t, o, file).State)
		}
		after := w.findOrder(t, w.scope, o.ID)
		assert.Equal(t, orders.Paid, after.Status)
		assert.Equal(t, o.Version+1, after.Version, "what changes nothing makes no version")
	})
	t.Run("cancels_what_is_refunded", func(t *testing.T) {
		t.Parallel()
		o := w.order(t, w.scope)
		event(t, o, checkout)
		assert.Equal(t, inbound.Processed, event(t, o, refund).State)
		assert.Equal(t, inbound.Processed, event(t, o, checkout).State)
		assert.Equal(t, orders.Cancelled, w.findOrder(t, w.scope, o.ID).Status)
	})
	t.Run("notes_a_refund_of_what_has_left", func(t *testing.T) {
		t.Parallel()
		o := w.order(t, w.scope)
		event(t, o, checkout)
		w.act(t, w.scope, o.ID, "shipped", (*orders.Order).Ship)
		for range 3 {
			assert.Equal(t, inbound.Processed, event(t, o, refund).State)
		}
		after := w.findOrder(t, w.scope, o.ID)
		assert.Equal(t, orders.Shipped, after.Status)
		assert.Equal(t, 1, strings.Count(after.Note, "Refunded 2000 EUR"))
	})
	t.Run("notes_a_part_that_is_refunded", func(t *testing.T) {
		t.Parallel()
		o := w.order(t, w.scope)
		event(t, o, checkout)
		event(t, o, refund, `"amount_refunded": 2000`, `"amount_refunded": 500`, `"refunded": true`, `"refunded": false`)
		after := w.findOrder(t, w.scope, o.ID)
		assert.Equal(t, orders.Paid, after.Status)
		assert.Contains(t, after.Note, "Refunded 500 EUR")
	})
	t.Run("says_why_it_cannot", func(t *testing.T) {
		t.Parallel()
		o := w.order(t, w.scope)
		stranger := w.Tenant(t)
		theirs := w.order(t, stranger)
		for name, each := range map[string]struct {
			event  inbound.Event
			state  inbound.State
			reason string
		}{
			"too little":       {event(t, o, checkout, `"amount_total": 2000`, `"amount_total": 1999`), inbound.Failed, "1999 EUR were paid"},
			"another currency": {event(t, o, checkout, `"currency": "eur"`, `"currency": "usd"`), inbound.Failed, "2000 USD were paid"},
			"not paid yet":     {event(t, o, checkout, `"payment_status": "paid"`, `"payment_status": "unpaid"`), inbound.Unhandled, "still under way"},
			"no order":         {send(t, stripeEvent(t, tenancy.NewID().String(), checkout)), inbound.Failed, "There is no order"},
			"no id":            {send(t, stripeEvent(t, "4711", checkout)), inbound.Failed, "not the id of an order"},
			"names none":       {send(t, stripeEvent(t, "", checkout)), inbound.Unhandled, "names no order"},
			"another tenant's": {event(t, theirs, checkout), inbound.Failed, "There is no order"},
			"odd types":        {send(t, `{"type":"invoice.paid","data":{"object":{"metadata":{"order_id":7}}}}`), inbound.Failed, "not an event as Stripe sends it"},
		} {
			assert.Equal(t, each.state, each.event.State, name)
			require.NotNil(t, each.event.Error, name)
			assert.Contains(t, *each.event.Error, each.reason, name)
		}
		assert.Equal(t, orders.Placed, w.findOrder(t, w.scope, o.ID).Status)
		assert.Equal(t, orders.Placed, w.findOrder(t, stranger, theirs.ID).Status)
	})
	t.Run("refuses_a_draft_and_takes_it_when_replayed_after_it_was_placed", func(t *testing.T) {
		t.Parallel()
		placed := w.order(t, w.scope)
		draft := &orders.Order{CustomerID: placed.CustomerID, Currency: "EUR", Lines: placed.Lines}
		require.NoError(t, w.resources["orders"].Create(t.Context(), w.scope, draft))
		e := event(t, draft, checkout)
		assert.Equal(t, inbound.Failed, e.State)
		assert.Contains(t, *e.Error, "is draft and cannot become paid")
		w.act(t, w.scope, draft.ID, "placed", (*orders.Order).Place)
		again, err := w.events.Replay(t.Context(), w.owner(), e.ID)
		require.NoError(t, err)
		job, err := w.queue.FindJob(t.Context(), tenancy.AsSystem(w.scope.Tenant, ""), *again.JobID)
		require.NoError(t, err)
		require.NoError(t, w.run(t, job))
		assert.Equal(t, orders.Paid, w.findOrder(t, w.scope, draft.ID).Status)
		require.NoError(t, w.run(t, job), "a job that runs once more finds nothing to do")
		after, err := w.events.Find(t.Context(), w.scope, e.ID)
		require.NoError(t, err)
		assert.Equal(t, inbound.Processed, after.State)
		assert.EqualValues(t, 2, after.Attempts)
		assert.Nil(t, after.Error)
	})
}

// What a handler did is undone with its failure, and the event says what went wrong.
func TestProcessing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source, path := w.hub(t)
	order := w.order(t, w.scope)
	fail := true
	handlers, err := inbound.NewHandlers(inbound.Handle("github", "*", w.failing(order.ID, &fail)))
	require.NoError(t, err)
	w.processor = inbound.NewProcessor(w.store, handlers, w.now)
	require.Equal(t, http.StatusOK, w.github(t, path, "1", "{}").status)
	e := w.received(t, source)[0]
	job, err := w.queue.FindJob(t.Context(), tenancy.AsSystem(w.scope.Tenant, ""), *e.JobID)
	require.NoError(t, err)

	job.Attempt = 1
	require.ErrorContains(t, w.run(t, job), "out of order")
	e = w.received(t, source)[0]
	assert.Equal(t, inbound.Pending, e.State, "it is tried again")
	assert.NotContains(t, *e.Error, "out of order", "what is inside is told to nobody outside")
	assert.Equal(t, orders.Placed, w.findOrder(t, w.scope, order.ID).Status, "the try was undone")

	job.Attempt = job.MaxAttempts
	require.Error(t, w.run(t, job))
	assert.Equal(t, inbound.Failed, w.received(t, source)[0].State, "the last try has failed")

	fail = false
	require.NoError(t, w.run(t, job), "the job was retried by hand")
	assert.Equal(t, inbound.Processed, w.received(t, source)[0].State)
	assert.Equal(t, orders.Cancelled, w.findOrder(t, w.scope, order.ID).Status)

	_, err = inbound.NewHandlers(inbound.Handle("nobody", "x", nil))
	require.ErrorContains(t, err, "no provider")
	_, err = inbound.NewHandlers(inbound.Handle("github", "x", nil), inbound.Handle("github", "x", nil))
	require.ErrorContains(t, err, "two handlers")
}

// What was held is processed once the source goes on, and many events are replayed by a job that may be interrupted.
func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Run("releases_what_was_held", func(t *testing.T) {
		t.Parallel()
		source, path := w.hub(t)
		w.pause(t, source, true)
		for n := range 5 {
			require.Equal(t, http.StatusOK, w.github(t, path, fmt.Sprint(n), "{}").status)
		}
		w.pause(t, source, false)
		w.runKind(t, "inbound.replay")
		for _, e := range w.received(t, source) {
			assert.Equal(t, inbound.Pending, e.State)
			require.NotNil(t, e.JobID)
			_, err := w.queue.FindJob(t.Context(), tenancy.AsSystem(w.scope.Tenant, ""), *e.JobID)
			require.NoError(t, err)
		}
	})
	t.Run("takes_each_event_once_however_often_its_job_begins", func(t *testing.T) {
		t.Parallel()
		source, _ := w.hub(t)
		const many = 1234
		w.Exec(t, `insert into inbound_events (tenant_id, id, source_id, provider, type, state, received_at, size, headers, body)
			select $1::uuid, overlay(uuid7_floor(now())::text placing lpad(to_hex(n), 12, '0') from 25 for 12)::uuid, $2::uuid, 'github', 'ping', 'failed', now(), 0, '{}', ''
			from generate_series(1, 1234) n`, w.scope.Tenant.String(), source.ID.String())
		run := &jobs.Run{Job: jobs.Job{ID: tenancy.NewID(), Tenant: w.scope.Tenant}, Scope: tenancy.AsSystem(w.scope.Tenant, "")}
		args := inbound.ReplayArgs{Selection: inbound.Selection{SourceID: source.ID, States: []inbound.State{inbound.Failed}}}
		reported := int64(0)
		run.Report = func(p jobs.Progress) { reported = p.Done }
		require.NoError(t, w.events.RunReplay(t.Context(), run, args))
		assert.JSONEq(t, `{"count":1234}`, string(run.Result()))
		assert.EqualValues(t, many, reported)
		w.Exec(t, "update inbound_events set state = 'failed' where tenant_id = $1 and source_id = $2", w.scope.Tenant.String(), source.ID.String())
		require.NoError(t, w.events.RunReplay(t.Context(), run, args))
		assert.JSONEq(t, `{"count":0}`, string(run.Result()), "the same replay takes none twice")
	})
}

// runKind runs the waiting jobs of a kind.
func (w *world) runKind(tb testing.TB, kind string) {
	tb.Helper()
	list, err := w.queue.ListJobs(tb.Context(), tenancy.AsSystem(w.scope.Tenant, ""), jobs.Query{
		Request: page.Request{Limit: page.MaxLimit}, States: []jobs.State{jobs.Pending}, Kind: kind,
	})
	require.NoError(tb, err)
	require.NotEmpty(tb, list)
	for _, job := range list {
		require.NoError(tb, w.run(tb, job))
	}
}

// failing is a handler that cancels an order and then fails, as long as it is told to.
func (w *world) failing(order tenancy.ID, fail *bool) func(context.Context, tenancy.Scope, inbound.Event) error {
	return func(ctx context.Context, scope tenancy.Scope, _ inbound.Event) error {
		act := resource.ActOf("cancel", "cancelled", func(o *orders.Order, now time.Time) error { return o.Cancel(now) })
		if _, err := w.resources["orders"].Perform(ctx, scope, order, 0, act); err != nil {
			return err
		}
		if *fail {
			return errors.New("the machine is out of order")
		}
		return nil
	}
}
