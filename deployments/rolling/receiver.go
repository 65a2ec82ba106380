package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// receiver takes the webhooks that the stack sends, and counts what each is about.
type receiver struct {
	address string // host:port, as the stack reaches it
	server  *http.Server

	mu   sync.Mutex
	came map[string]int // by type and id
	odd  int            // that could not be read
}

func listen(ctx context.Context, o options) (*receiver, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cmp.Or(o.receiver, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("listen for webhooks: %w", err)
	}
	r := &receiver{address: listener.Addr().String(), came: map[string]int{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }() // it ends with close
	return r, nil
}

func (r *receiver) close() { _ = r.server.Close() }

// ServeHTTP takes one webhook.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	const mostOfBody = 1 << 20
	var message struct {
		Type string `json:"type"`
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, mostOfBody))
	if err == nil {
		err = json.Unmarshal(body, &message)
	}
	r.mu.Lock()
	if err == nil {
		r.came[message.Type+" "+message.Data.ID]++
	} else {
		r.odd++
	}
	r.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// compare counts how many of those that were due have not come, and how often one came once too often.
func (r *receiver) compare(due []string) (missing, again int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, about := range due {
		switch n := r.came[about]; n {
		case 0:
			missing++
		default:
			again += n - 1
		}
	}
	return missing, again + r.odd
}
