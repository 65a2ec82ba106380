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

// look is one look at the stack.
type look struct {
	*client.Client
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
	return l.Do(ctx, client.Call{Method: http.MethodGet, Path: "/healthz", URL: l.Origin + "/healthz", Want: http.StatusOK})
}

func (l *look) signIn(ctx context.Context) error {
	_, _, err := l.Enter(ctx, client.Account{Name: "Smoke", Email: l.email, Password: l.password, Organization: "Smoke"})
	if errors.Is(err, client.ErrOtherPassword) {
		return fmt.Errorf("%s has an account with another password than SMOKE_PASSWORD says", l.email)
	}
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
	if err := l.make(ctx, "/customers", map[string]string{"name": name}, &made); err != nil {
		return err
	}
	l.customer = made.ID
	if err := l.read(ctx, "/customers/"+made.ID, &read); err != nil {
		return err
	}
	if read.Name != name {
		return fmt.Errorf("the customer was made as %q and is read as %q", name, read.Name)
	}
	var found struct {
		Data []record `json:"data"`
	}
	if err := l.read(ctx, "/customers?limit=5&q="+strings.TrimPrefix(name, "Smoke "), &found); err != nil {
		return err
	}
	if len(found.Data) != 1 || found.Data[0].ID != made.ID {
		return fmt.Errorf("a search for the customer's name finds %d records", len(found.Data))
	}
	return nil
}

// make makes a record, read reads one, and act does what needs no body.
func (l *look) make(ctx context.Context, path string, body, into any) error {
	return l.Do(ctx, client.Call{Method: http.MethodPost, Path: path, Body: body, Into: into, Want: http.StatusCreated})
}

func (l *look) read(ctx context.Context, path string, into any) error {
	return l.Do(ctx, client.Call{Method: http.MethodGet, Path: path, Into: into, Want: http.StatusOK})
}

func (l *look) act(ctx context.Context, method, path string, want int) error {
	return l.Do(ctx, client.Call{Method: method, Path: path, Want: want})
}

// takeWebhook has an order that waits to be paid, and says as Stripe would that it was.
func (l *look) takeWebhook(ctx context.Context) error {
	var order, source record
	err := l.make(ctx, "/orders", map[string]any{
		"customer_id": l.customer, "currency": "EUR", "lines": []map[string]any{{"sku": "SMOKE", "quantity": 1, "unit_price_cents": 100}},
	}, &order)
	if err != nil {
		return err
	}
	l.order = order.ID
	if err := l.act(ctx, http.MethodPost, "/orders/"+order.ID+"/place", http.StatusOK); err != nil {
		return err
	}
	l.secret = "whsec_" + rand.Text()
	err = l.make(ctx, "/webhook-sources", map[string]any{"name": "Smoke", "provider": "stripe", "secrets": []string{l.secret}}, &source)
	if err != nil {
		return err
	}
	l.source, l.sourceURL = source.ID, source.URL
	event := stripe.Paid(order.ID, 100, "eur", time.Now())
	if err := l.post(ctx, "whsec_"+rand.Text(), event, http.StatusUnauthorized); err != nil {
		return err
	}
	return l.post(ctx, l.secret, event, http.StatusOK)
}

// post posts an event with the signature that Stripe would make. The source's address is a secret, and in no error.
func (l *look) post(ctx context.Context, secret string, event []byte, want int) error {
	origin, _, _ := strings.Cut(l.sourceURL, "/hooks/")
	err := l.Do(ctx, client.Call{
		Method: http.MethodPost, Path: "/hooks/…", URL: l.sourceURL, Header: stripe.Headers(secret, event, time.Now()), Body: event, Want: want,
	})
	var other *client.UnexpectedError
	switch {
	case errors.As(err, &other):
		return fmt.Errorf("the intake at %s answered %d where %d was due", origin, other.Status, want)
	case err != nil:
		return fmt.Errorf("the intake at %s does not answer; is INTAKE_URL where senders reach it?", origin)
	}
	return nil
}

func (l *look) awaitJob(ctx context.Context) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var order record
		err := l.read(ctx, "/orders/"+l.order, &order)
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
	if err := l.act(ctx, http.MethodPost, "/orders/"+l.order+"/cancel", http.StatusOK); err != nil {
		return err
	}
	for _, made := range []struct {
		path string
		id   *string
	}{{"/orders/", &l.order}, {"/customers/", &l.customer}, {"/webhook-sources/", &l.source}} {
		if err := l.act(ctx, http.MethodDelete, made.path+*made.id, http.StatusNoContent); err != nil {
			return err
		}
		if err := l.act(ctx, http.MethodGet, made.path+*made.id, http.StatusNotFound); err != nil {
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
		_ = l.act(ctx, http.MethodPost, "/orders/"+l.order+"/cancel", http.StatusOK)
		_ = l.act(ctx, http.MethodDelete, "/orders/"+l.order, http.StatusNoContent)
	}
	if l.customer != "" {
		_ = l.act(ctx, http.MethodDelete, "/customers/"+l.customer, http.StatusNoContent)
	}
	if l.source != "" {
		_ = l.act(ctx, http.MethodDelete, "/webhook-sources/"+l.source, http.StatusNoContent)
	}
}
