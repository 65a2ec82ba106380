package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
	"github.com/groundwork-saas/groundwork/deployments/internal/stripe"
)

// load is what is done with the stack while its processes are restarted.
type load struct {
	*client.Client

	received *receiver
	rate     float64
	source   struct {
		ID  string `json:"id"`
		URL string `json:"url"`
	}
	secret string

	mu       sync.Mutex
	counts   tally
	due      []string // webhooks that the stack owes: type and id
	hooks    int      // webhooks that were sent to it
	complain int
}

// tally counts requests.
type tally struct{ requests, failed int }

// newLoad makes an organization with a key, a receiver of its webhooks, and a source of others.
func newLoad(ctx context.Context, s site, received *receiver, rate float64) (*load, error) {
	c, err := newClient(s)
	if err != nil {
		return nil, err
	}
	l := &load{Client: c, received: received, rate: rate, secret: "whsec_" + rand.Text()}
	account := client.Account{Name: "Rolling", Email: strings.ToLower(rand.Text()) + "@example.com", Password: rand.Text(), Organization: "Rolling"}
	if _, err := l.SignUp(ctx, account); err != nil {
		return nil, err
	}
	var made struct {
		Key string `json:"key"`
	}
	scopes := []string{"*"}
	if err := l.api(ctx, http.MethodPost, "/api-keys", map[string]any{"name": "rolling", "scopes": scopes}, &made, http.StatusCreated); err != nil {
		return nil, err
	}
	l.Token = made.Key
	endpoint := map[string]any{"url": "http://" + received.address + "/", "events": []string{"customer.created", "order.paid"}}
	if err := l.api(ctx, http.MethodPost, "/webhook-endpoints", endpoint, nil, http.StatusCreated); err != nil {
		return nil, err
	}
	source := map[string]any{"name": "rolling", "provider": "stripe", "secrets": []string{l.secret}}
	if err := l.api(ctx, http.MethodPost, "/webhook-sources", source, &l.source, http.StatusCreated); err != nil {
		return nil, err
	}
	return l, nil
}

// start does it until the context ends; what is under way then is finished. The channel is closed when all is done.
func (l *load) start(ctx context.Context) <-chan struct{} {
	var running sync.WaitGroup
	each := func(every time.Duration, act func(context.Context)) {
		every = time.Duration(float64(every) / l.rate)
		running.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					// One that takes long holds up no other.
					running.Go(func() { act(context.WithoutCancel(ctx)) })
				}
			}
		})
	}
	each(40*time.Millisecond, l.read)
	each(100*time.Millisecond, l.create)
	each(250*time.Millisecond, l.pay)
	each(time.Second, l.transfer)
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	return done
}

// did counts a request, and shows the first that fail.
func (l *load) did(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.requests++
	if err == nil {
		return true
	}
	l.counts.failed++
	if l.complain++; l.complain <= 20 {
		say("  FAILED %s: %v", time.Now().Format("15:04:05.000"), err)
	}
	return false
}

func (l *load) tally() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// owes notes a webhook that is due.
func (l *load) owes(kind, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due = append(l.due, kind+" "+id)
}

func (l *load) read(ctx context.Context) {
	l.did(l.api(ctx, http.MethodGet, "/customers?limit=5&sort=-created_at", nil, nil, http.StatusOK))
}

type record struct {
	ID string `json:"id"`
}

// create makes a customer, of whom a webhook tells. It has no Idempotency-Key: nobody may send it again.
func (l *load) create(ctx context.Context) {
	var made record
	if l.did(l.api(ctx, http.MethodPost, "/customers", map[string]string{"name": rand.Text()}, &made, http.StatusCreated)) {
		l.owes("customer.created", made.ID)
	}
}

// pay makes and places an order, and sends the webhook by which it becomes paid, of which another webhook tells.
func (l *load) pay(ctx context.Context) {
	var customer, order record
	if !l.did(l.api(ctx, http.MethodPost, "/customers", map[string]string{"name": "Payer"}, &customer, http.StatusCreated)) {
		return
	}
	l.owes("customer.created", customer.ID)
	wanted := map[string]any{"customer_id": customer.ID, "currency": "EUR", "lines": []map[string]any{
		{"sku": "CHAI", "quantity": 2, "unit_price_cents": 1800},
	}}
	if !l.did(l.api(ctx, http.MethodPost, "/orders", wanted, &order, http.StatusCreated)) {
		return
	}
	if !l.did(l.api(ctx, http.MethodPost, "/orders/"+order.ID+"/place", nil, nil, http.StatusOK)) {
		return
	}
	if !l.did(l.hook(ctx, order.ID)) {
		return
	}
	l.owes("order.paid", order.ID)
	l.mu.Lock()
	l.hooks++
	l.mu.Unlock()
}

// hook sends what Stripe would, signed.
func (l *load) hook(ctx context.Context, order string) error {
	event := stripe.Paid(order, 3600, "eur", time.Now())
	return l.Do(ctx, client.Call{ // the address is a secret
		Method: http.MethodPost, Path: "/hooks/…", URL: l.source.URL, Header: stripe.Headers(l.secret, event, time.Now()), Body: event, Want: http.StatusOK,
	})
}

// transfer uploads a file over some seconds, so that restarts come in between, reads it again and removes it.
func (l *load) transfer(ctx context.Context) {
	const pieces, piece, pause = 24, 64 << 10, 100 * time.Millisecond
	contents := make([]byte, pieces*piece)
	_, _ = rand.Read(contents) // which never fails
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("file", "rolling.bin")
		for n := 0; n < pieces && err == nil; n++ {
			if _, err = part.Write(contents[n*piece : (n+1)*piece]); err == nil {
				err = client.Pause(ctx, pause)
			}
		}
		if err == nil {
			err = form.Close()
		}
		_ = w.CloseWithError(err)
	}()
	var made record
	err := l.Do(ctx, client.Call{
		Method: http.MethodPost, Path: "/files", Header: map[string]string{"Content-Type": form.FormDataContentType()}, Body: r, Into: &made,
		Want: http.StatusCreated,
	})
	_ = r.Close()
	if !l.did(err) {
		return
	}
	path := "/files/" + made.ID
	read, err := l.Ask(ctx, client.Call{Method: http.MethodGet, Path: path + "/content", Want: http.StatusOK})
	if err == nil && !bytes.Equal(read.Body, contents) {
		err = fmt.Errorf("GET %s/content: the contents are others than were sent", path)
	}
	l.did(err)
	l.did(l.api(ctx, http.MethodDelete, path, nil, nil, http.StatusNoContent))
}

// api calls the API with JSON; into is nil where the answer does not matter.
func (l *load) api(ctx context.Context, method, path string, body, into any, want int) error {
	return l.Do(ctx, client.Call{Method: method, Path: path, Body: body, Into: into, Want: want})
}
