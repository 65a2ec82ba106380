package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// receiver is somebody outside, who goes by the key of a call: the first one with it counts, the others are repeats.
type receiver struct {
	url    string
	server *http.Server

	mu    sync.Mutex
	calls map[string]int // by key
}

func newReceiver(ctx context.Context) (*receiver, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for calls: %w", err)
	}
	r := &receiver{url: "http://" + listener.Addr().String(), calls: map[string]int{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	key, err := io.ReadAll(io.LimitReader(request.Body, 1<<10))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.calls[string(key)]++
	r.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// of says how often a job called.
func (r *receiver) of(job string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[job+"/call"]
}

func (r *receiver) close() { _ = r.server.Close() }
