package main

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// told is a webhook as it came in at the tour's own receiver.
type told struct {
	header http.Header
	body   []byte
}

// webhooks listens on this machine, has Northwind's stack tell it of orders that are paid, has Stripe say that one was, and
// checks what comes in for it. The endpoint and the order are taken away again.
func (t *tour) webhooks(ctx context.Context) error {
	calls := make(chan told, 10)
	address, stop, err := listen(ctx, calls)
	if err != nil {
		return err
	}
	defer stop()
	var endpoint struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	}
	err = t.northwind.Do(ctx, client.Call{
		Method: http.MethodPost, Path: "/webhook-endpoints", Want: http.StatusCreated, Into: &endpoint,
		Body: map[string]any{"url": address, "events": []string{"order.paid"}, "filter": map[string]any{"data.currency": "EUR"}},
	})
	if err != nil {
		return err
	}
	defer func() {
		_ = t.northwind.Do(context.WithoutCancel(ctx), client.Call{
			Method: http.MethodDelete, Path: "/webhook-endpoints/" + endpoint.ID, Want: http.StatusNoContent,
		})
	}()
	t.say("   A receiver of the tour's own, %s, wants to be told of order.paid, in euros only.", address)

	paid, began, err := t.payByStripe(ctx)
	if err != nil {
		return err
	}
	var got told
	select {
	case got = <-calls:
	case <-time.After(patience):
		return errors.New("no webhook came; does the scheduler run, and a worker that serves the queue webhooks?")
	case <-ctx.Done():
		return ctx.Err()
	}
	after := time.Since(began).Round(time.Millisecond)
	if !isSigned(endpoint.Secret, got) {
		return fmt.Errorf("the signature of the webhook is wrong: %s", got.header.Get("Webhook-Signature"))
	}
	var message struct {
		Type string `json:"type"`
		Data order  `json:"data"`
	}
	if err := json.Unmarshal(got.body, &message); err != nil {
		return fmt.Errorf("read the webhook: %w", err)
	}
	if message.Type != "order.paid" || message.Data.ID != paid.ID {
		return fmt.Errorf("the webhook is about %s of %s, and order.paid of %s was due", message.Type, message.Data.ID, paid.ID)
	}
	t.say("   The webhook that goes out for it, %s of order %s, came %s after Stripe's; webhook-id %s, and the signature is right.",
		message.Type, message.Data.Number, after, got.header.Get("Webhook-Id"))
	return t.takeAway(ctx, paid.ID)
}

// listen serves a receiver, by default on a free port of this machine that nobody else reaches. A stack in containers needs
// another address, and has to allow it (WEBHOOK_ALLOW).
func listen(ctx context.Context, calls chan<- told) (address string, stop func(), err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", cmp.Or(os.Getenv("WEBHOOK_RECEIVER"), "127.0.0.1:0"))
	if err != nil {
		return "", nil, fmt.Errorf("listen for webhooks: %w", err)
	}
	const mostOfBody = 1 << 20
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostOfBody))
		if err == nil {
			calls <- told{header: r.Header.Clone(), body: body}
		}
		w.WriteHeader(http.StatusNoContent)
	})}
	go func() { _ = server.Serve(listener) }() // it ends with stop
	return "http://" + listener.Addr().String() + "/hooks", func() { _ = server.Close() }, nil
}

// isSigned checks a webhook as any receiver may (Standard Webhooks): HMAC-SHA256 of id, time and body.
func isSigned(secret string, got told) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(got.header.Get("Webhook-Id") + "." + got.header.Get("Webhook-Timestamp") + "."))
	_, _ = mac.Write(got.body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for signature := range strings.FieldsSeq(got.header.Get("Webhook-Signature")) {
		if hmac.Equal([]byte(signature), []byte(want)) {
			return true
		}
	}
	return false
}
