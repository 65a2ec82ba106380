package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
	"github.com/groundwork-saas/groundwork/deployments/internal/stripe"
)

// inboundEvent is what a webhook source received.
type inboundEvent struct {
	State string  `json:"state"`
	Error *string `json:"error"`
}

// payByStripe makes an order and a source for Stripe, sends that an event as Stripe would, twice, and waits until the order
// is paid; began is when the event was sent. The source is taken away again.
func (t *tour) payByStripe(ctx context.Context) (paid order, began time.Time, err error) {
	buyer, err := t.find("ALFKI")
	if err != nil {
		return paid, began, err
	}
	var made order
	err = t.northwind.Do(ctx, client.Call{
		Method: http.MethodPost, Path: "/orders", Want: http.StatusCreated, Into: &made,
		Body: map[string]any{
			"customer_id": buyer.ID, "currency": "EUR",
			"lines": []newLine{{SKU: "CHAI", Quantity: 2, UnitPriceCents: 1800}},
		},
	})
	if err != nil {
		return paid, began, err
	}
	err = t.northwind.Do(ctx, client.Call{Method: http.MethodPost, Path: "/orders/" + made.ID + "/place", Want: http.StatusOK})
	if err != nil {
		return paid, began, err
	}
	secret := "whsec_" + rand.Text()
	var source struct {
		ID  string `json:"id"`
		URL string `json:"url"`
	}
	err = t.northwind.Do(ctx, client.Call{
		Method: http.MethodPost, Path: "/webhook-sources", Want: http.StatusCreated, Into: &source,
		Body: map[string]any{"name": "The tour's Stripe", "provider": "stripe", "secrets": []string{secret}},
	})
	if err != nil {
		return paid, began, err
	}
	defer func() { // what was received stays; the address goes
		_ = t.northwind.Do(context.WithoutCancel(ctx), client.Call{
			Method: http.MethodDelete, Path: "/webhook-sources/" + source.ID, Want: http.StatusNoContent,
		})
	}()
	address, _, _ := strings.Cut(source.URL, "/hooks/")
	t.say("   A source for Stripe has an address of its own: %s/hooks/… (the rest is a secret).", address)
	event := stripe.Paid(made.ID, 3600, "eur", time.Now())
	began = time.Now()
	for range 2 {
		if err := t.post(ctx, source.URL, secret, event, http.StatusOK); err != nil {
			return paid, began, err
		}
	}
	if err := t.post(ctx, source.URL, "whsec_"+rand.Text(), event, http.StatusUnauthorized); err != nil {
		return paid, began, err
	}
	var events page[inboundEvent]
	path := "/inbound-events?source_id=" + source.ID + "&state="
	paid, err = t.awaitPaid(ctx, made.ID)
	if err != nil {
		return paid, began, err
	}
	if err := t.northwind.Do(ctx, client.Call{Method: http.MethodGet, Path: path + "processed", Want: http.StatusOK, Into: &events}); err != nil {
		return paid, began, err
	}
	if len(events.Data) != 1 {
		return paid, began, fmt.Errorf("one event should have been processed, and %d were", len(events.Data))
	}
	t.say("   The event was sent twice and kept once; a forged one was refused (%d).", http.StatusUnauthorized)
	t.say("   Its job has moved order %s to %s.", paid.Number, paid.Status)
	return paid, began, nil
}

// takeAway cancels and deletes an order, so that the next tour adds up the same ones.
func (t *tour) takeAway(ctx context.Context, id string) error {
	if err := t.northwind.Do(ctx, client.Call{Method: http.MethodPost, Path: "/orders/" + id + "/cancel", Want: http.StatusOK}); err != nil {
		return err
	}
	err := t.northwind.Do(ctx, client.Call{Method: http.MethodDelete, Path: "/orders/" + id, Want: http.StatusNoContent})
	return err
}

// awaitPaid waits until the order is paid.
func (t *tour) awaitPaid(ctx context.Context, id string) (order, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var o order
		if err := t.northwind.Do(ctx, client.Call{Method: http.MethodGet, Path: "/orders/" + id, Want: http.StatusOK, Into: &o}); err != nil {
			return order{}, fmt.Errorf("the order has not become paid: %w", err)
		}
		if o.Status == "paid" {
			return o, nil
		}
		if err := client.Pause(ctx, 100*time.Millisecond); err != nil {
			return order{}, fmt.Errorf("the order is still %s; does a worker serve the queue default? %w", o.Status, err)
		}
	}
}

// post posts an event to the intake. The source's address is a secret, and in no error.
func (t *tour) post(ctx context.Context, address, secret string, event []byte, want int) error {
	err := t.api.Do(ctx, client.Call{
		Method: http.MethodPost, Path: "/hooks/…", URL: address, Header: stripe.Headers(secret, event, time.Now()), Body: event, Want: want,
	})
	var other *client.UnexpectedError
	if err != nil && !errors.As(err, &other) {
		return fmt.Errorf("the intake did not answer; is the worker running with --intake? %w", err)
	}
	return err
}
