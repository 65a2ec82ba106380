// Package stripe speaks as Stripe does to whoever takes its webhooks (docs.stripe.com/webhooks).
//
// The programs of deployments use it to send a running product what Stripe would. It is no client of Stripe's.
package stripe

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Paid is the event that an order was paid, in cents of the currency: a checkout.session.completed.
func Paid(order string, cents int64, currency string, now time.Time) []byte {
	data, err := json.Marshal(map[string]any{
		"id": "evt_" + rand.Text(), "object": "event", "type": "checkout.session.completed", "created": now.Unix(),
		"data": map[string]any{"object": map[string]any{
			"id": "cs_test_" + rand.Text(), "object": "checkout.session", "payment_status": "paid", "status": "complete",
			"amount_total": cents, "currency": currency, "metadata": map[string]string{"order_id": order},
		}},
	})
	if err != nil {
		panic(err) // of strings and numbers
	}
	return data
}

// Headers are what an event is sent with: its type, and the signature that the secret makes.
func Headers(secret string, event []byte, now time.Time) map[string]string {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%s.%s", at, event)
	return map[string]string{
		"Content-Type": "application/json", "Stripe-Signature": "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil)),
	}
}
