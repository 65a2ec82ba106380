package lifecycle

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Balanced is HTTP for a server that stands behind a balancer: it lets nobody down who still sends it requests when the
// process is told to stop.
//
// From Drain on each answer asks for its connection to be closed (RFC 9112, 9.6), and Stop goes on serving for delay: the
// balancer has that long to see that the process has turned unready. None of its connections is left then but those that
// have been idle for all of that time, so that no request meets a closed door. A balancer must let go of idle connections
// earlier than that. The delay takes no more than half of the time that Stop has, so that requests in flight have theirs.
func Balanced(name string, server *http.Server, delay time.Duration, listening func(net.Addr)) Component {
	drained := make(chan struct{})
	var draining atomic.Bool
	handler := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if draining.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
	c := HTTP(name, server, listening)
	c.Drain = func() {
		if !draining.Swap(true) {
			time.AfterFunc(delay, func() { close(drained) })
		}
	}
	shutdown := c.Stop
	c.Stop = func(ctx context.Context) error {
		c.Drain()
		atMost := delay
		if deadline, ok := ctx.Deadline(); ok {
			atMost = min(atMost, time.Until(deadline)/2)
		}
		enough := time.NewTimer(atMost)
		defer enough.Stop()
		select {
		case <-drained:
		case <-enough.C:
		case <-ctx.Done():
		}
		return shutdown(ctx)
	}
	return c
}
