package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
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
	_, err = t.northwind.do(ctx, call{
		method: http.MethodPost, path: "/orders", want: http.StatusCreated, into: &made,
		body: map[string]any{
			"customer_id": buyer.ID, "currency": "EUR",
			"lines": []newLine{{SKU: "CHAI", Quantity: 2, UnitPriceCents: 1800}},
		},
	})
	if err != nil {
		return paid, began, err
	}
	_, err = t.northwind.do(ctx, call{method: http.MethodPost, path: "/orders/" + made.ID + "/place", want: http.StatusOK})
	if err != nil {
		return paid, began, err
	}
	secret := "whsec_" + rand.Text()
	var source struct {
		ID  string `json:"id"`
		URL string `json:"url"`
	}
	_, err = t.northwind.do(ctx, call{
		method: http.MethodPost, path: "/webhook-sources", want: http.StatusCreated, into: &source,
		body: map[string]any{"name": "The tour's Stripe", "provider": "stripe", "secrets": []string{secret}},
	})
	if err != nil {
		return paid, began, err
	}
	defer func() { // what was received stays; the address goes
		_, _ = t.northwind.do(context.WithoutCancel(ctx), call{
			method: http.MethodDelete, path: "/webhook-sources/" + source.ID, want: http.StatusNoContent,
		})
	}()
	address, _, _ := strings.Cut(source.URL, "/hooks/")
	t.say("   A source for Stripe has an address of its own: %s/hooks/… (the rest is a secret).", address)
	event := checkoutEvent(made.ID, 3600)
	began = time.Now()
	for range 2 {
		if err := t.postSigned(ctx, source.URL, secret, event); err != nil {
			return paid, began, err
		}
	}
	forged, err := t.postStripe(ctx, source.URL, "whsec_"+rand.Text(), event)
	if err != nil {
		return paid, began, err
	}
	var events page[inboundEvent]
	path := "/inbound-events?source_id=" + source.ID + "&state="
	paid, err = t.awaitPaid(ctx, made.ID)
	if err != nil {
		return paid, began, err
	}
	if _, err := t.northwind.do(ctx, call{method: http.MethodGet, path: path + "processed", want: http.StatusOK, into: &events}); err != nil {
		return paid, began, err
	}
	if len(events.Data) != 1 || forged != http.StatusUnauthorized {
		return paid, began, fmt.Errorf("one event should have been processed and the forged one refused: %d were, and that one answered %d", len(events.Data), forged)
	}
	t.say("   The event was sent twice and kept once; a forged one was refused (%d).", forged)
	t.say("   Its job has moved order %s to %s.", paid.Number, paid.Status)
	return paid, began, nil
}

// takeAway cancels and deletes an order, so that the next tour adds up the same ones.
func (t *tour) takeAway(ctx context.Context, id string) error {
	if _, err := t.northwind.do(ctx, call{method: http.MethodPost, path: "/orders/" + id + "/cancel", want: http.StatusOK}); err != nil {
		return err
	}
	_, err := t.northwind.do(ctx, call{method: http.MethodDelete, path: "/orders/" + id, want: http.StatusNoContent})
	return err
}

// awaitPaid waits until the order is paid.
func (t *tour) awaitPaid(ctx context.Context, id string) (order, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var o order
		if _, err := t.northwind.do(ctx, call{method: http.MethodGet, path: "/orders/" + id, want: http.StatusOK, into: &o}); err != nil {
			return order{}, fmt.Errorf("the order has not become paid: %w", err)
		}
		if o.Status == "paid" {
			return o, nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return order{}, fmt.Errorf("the order is still %s; does a worker serve the queue default? %w", o.Status, err)
		}
	}
}

// checkoutEvent is a checkout.session.completed as Stripe sends it.
func checkoutEvent(order string, cents int64) []byte {
	data, err := json.Marshal(map[string]any{
		"id": "evt_" + rand.Text(), "object": "event", "type": "checkout.session.completed", "created": time.Now().Unix(),
		"data": map[string]any{"object": map[string]any{
			"id": "cs_test_" + rand.Text(), "object": "checkout.session", "payment_status": "paid", "status": "complete",
			"amount_total": cents, "currency": "eur", "metadata": map[string]string{"order_id": order},
		}},
	})
	if err != nil {
		panic(err) // of strings and numbers
	}
	return data
}

func (t *tour) postSigned(ctx context.Context, address, secret string, event []byte) error {
	status, err := t.postStripe(ctx, address, secret, event)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the intake answered %d where 200 was due", status)
	}
	return err
}

// postStripe posts an event with the signature that Stripe would make, and returns the status of the answer.
func (t *tour) postStripe(ctx context.Context, address, secret string, event []byte) (int, error) {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%s.%s", at, event)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(string(event)))
	if err != nil {
		return 0, fmt.Errorf("post the event: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Stripe-Signature", "t="+at+",v1="+hex.EncodeToString(mac.Sum(nil)))
	response, err := t.api.http.Do(request)
	if err != nil {
		return 0, fmt.Errorf("the intake did not answer; is the worker running with --intake? %w", err)
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}
