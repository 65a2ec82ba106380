package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// look is one look at the stack.
type look struct {
	*client
	settings

	customer, order, source string // ids of what was made and is there still
	sourceURL, secret       string
}

// step is a part of it.
type step struct {
	what string
	run  func(context.Context) error
}

func (l *look) steps() []step {
	return []step{
		{"the public port is up", l.isUp},
		{"an account signs in", l.signIn},
		{"a record is made, read and found", l.makeRecord},
		{"a webhook is taken in, a forged one not", l.takeWebhook},
		{"its job is done", l.awaitJob},
		{"what was made is deleted", l.deleteAll},
	}
}

func (l *look) isUp(ctx context.Context) error {
	status, _, err := l.send(ctx, http.MethodGet, l.client.origin+"/healthz", http.Header{}, nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("/healthz answered %d", status)
	}
	return err
}

func (l *look) signIn(ctx context.Context) error {
	var session struct {
		AccessToken string `json:"access_token"`
	}
	account := map[string]string{"email": l.email, "password": l.password}
	err := l.do(ctx, http.MethodPost, "/auth/login", account, &session, http.StatusOK)
	var no *refused
	if errors.As(err, &no) && no.Code == "auth.invalid_credentials" {
		account["name"], account["organization"] = "Smoke", "Smoke"
		err = l.do(ctx, http.MethodPost, "/auth/signup", account, &session, http.StatusCreated)
	}
	if errors.As(err, &no) && no.Code == "auth.email_taken" {
		return fmt.Errorf("%s has an account with another password than SMOKE_PASSWORD says", l.email)
	}
	l.token = session.AccessToken
	return err
}

var errNotPaid = errors.New("the webhook has not made the order paid in time: does a scheduler run, and does a worker serve the queue default?")

// record is any of what the API keeps.
type record struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
	URL    string `json:"url"`
}

func (l *look) makeRecord(ctx context.Context) error {
	var made, read record
	name := "Smoke " + rand.Text()
	if err := l.do(ctx, http.MethodPost, "/customers", map[string]string{"name": name}, &made, http.StatusCreated); err != nil {
		return err
	}
	l.customer = made.ID
	if err := l.do(ctx, http.MethodGet, "/customers/"+made.ID, nil, &read, http.StatusOK); err != nil {
		return err
	}
	if read.Name != name {
		return fmt.Errorf("the customer was made as %q and is read as %q", name, read.Name)
	}
	var found struct {
		Data []record `json:"data"`
	}
	if err := l.do(ctx, http.MethodGet, "/customers?limit=5&q="+strings.TrimPrefix(name, "Smoke "), nil, &found, http.StatusOK); err != nil {
		return err
	}
	if len(found.Data) != 1 || found.Data[0].ID != made.ID {
		return fmt.Errorf("a search for the customer's name finds %d records", len(found.Data))
	}
	return nil
}

// takeWebhook has an order that waits to be paid, and says as Stripe would that it was.
func (l *look) takeWebhook(ctx context.Context) error {
	var order, source record
	err := l.do(ctx, http.MethodPost, "/orders", map[string]any{
		"customer_id": l.customer, "currency": "EUR", "lines": []map[string]any{{"sku": "SMOKE", "quantity": 1, "unit_price_cents": 100}},
	}, &order, http.StatusCreated)
	if err != nil {
		return err
	}
	l.order = order.ID
	if err := l.do(ctx, http.MethodPost, "/orders/"+order.ID+"/place", nil, nil, http.StatusOK); err != nil {
		return err
	}
	l.secret = "whsec_" + rand.Text()
	err = l.do(ctx, http.MethodPost, "/webhook-sources", map[string]any{
		"name": "Smoke", "provider": "stripe", "secrets": []string{l.secret},
	}, &source, http.StatusCreated)
	if err != nil {
		return err
	}
	l.source, l.sourceURL = source.ID, source.URL
	event, err := json.Marshal(map[string]any{
		"id": "evt_" + rand.Text(), "object": "event", "type": "checkout.session.completed", "created": time.Now().Unix(),
		"data": map[string]any{"object": map[string]any{
			"id": "cs_test_" + rand.Text(), "object": "checkout.session", "payment_status": "paid", "status": "complete",
			"amount_total": 100, "currency": "eur", "metadata": map[string]string{"order_id": order.ID},
		}},
	})
	if err != nil {
		return fmt.Errorf("write the event: %w", err)
	}
	if err := l.post(ctx, "whsec_"+rand.Text(), event, http.StatusUnauthorized); err != nil {
		return err
	}
	return l.post(ctx, l.secret, event, http.StatusOK)
}

// post posts an event with the signature that Stripe would make. The source's address is a secret, and in no error.
func (l *look) post(ctx context.Context, secret string, event []byte, want int) error {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%s.%s", at, event)
	status, _, err := l.send(ctx, http.MethodPost, l.sourceURL, http.Header{
		"Content-Type": {"application/json"}, "Stripe-Signature": {"t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))},
	}, event)
	origin, _, _ := strings.Cut(l.sourceURL, "/hooks/")
	if err != nil {
		return fmt.Errorf("the intake at %s does not answer; is INTAKE_URL where senders reach it?", origin)
	}
	if status != want {
		return fmt.Errorf("the intake at %s answered %d where %d was due", origin, status, want)
	}
	return nil
}

func (l *look) awaitJob(ctx context.Context) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var order record
		err := l.do(ctx, http.MethodGet, "/orders/"+l.order, nil, &order, http.StatusOK)
		if err == nil && order.Status == "paid" {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errNotPaid
		}
		if err != nil {
			return err
		}
	}
}

func (l *look) deleteAll(ctx context.Context) error {
	if err := l.do(ctx, http.MethodPost, "/orders/"+l.order+"/cancel", nil, nil, http.StatusOK); err != nil {
		return err
	}
	for _, made := range []struct {
		path string
		id   *string
	}{{"/orders/", &l.order}, {"/customers/", &l.customer}, {"/webhook-sources/", &l.source}} {
		if err := l.do(ctx, http.MethodDelete, made.path+*made.id, nil, nil, http.StatusNoContent); err != nil {
			return err
		}
		if err := l.do(ctx, http.MethodGet, made.path+*made.id, nil, nil, http.StatusNotFound); err != nil {
			return err
		}
		*made.id = ""
	}
	return nil
}

// tidy takes away what a look that failed has left, as far as it can.
func (l *look) tidy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if l.order != "" {
		_ = l.do(ctx, http.MethodPost, "/orders/"+l.order+"/cancel", nil, nil, http.StatusOK)
		_ = l.do(ctx, http.MethodDelete, "/orders/"+l.order, nil, nil, http.StatusNoContent)
	}
	if l.customer != "" {
		_ = l.do(ctx, http.MethodDelete, "/customers/"+l.customer, nil, nil, http.StatusNoContent)
	}
	if l.source != "" {
		_ = l.do(ctx, http.MethodDelete, "/webhook-sources/"+l.source, nil, nil, http.StatusNoContent)
	}
}
