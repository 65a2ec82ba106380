// Command webhooks measures outgoing webhooks of a running stack: customers are made in bulk, and receivers on this machine
// count how fast their creation comes in, once with all endpoints well and once with some that never answer.
//
// It knows the stack by stack.json and by its API only, and takes its endpoints away again.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
	"github.com/groundwork-saas/groundwork/deployments/internal/running"
)

// bench is what is measured, and where.
type bench struct {
	*client.Client

	events    int
	endpoints int
	hanging   int
	patience  time.Duration
}

func main() {
	var b bench
	flag.IntVar(&b.events, "events", 1000, "customers that are made, each of which every endpoint is told of")
	flag.IntVar(&b.endpoints, "endpoints", 10, "endpoints, at most 50")
	flag.IntVar(&b.hanging, "hanging", 2, "how many of them never answer in the second measurement")
	flag.DurationVar(&b.patience, "patience", 5*time.Minute, "how long a measurement may take")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "webhooks: measures deliveries of the stack that LOCAL_DIR/stack.json names (.local; see make run)\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := b.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "webhooks:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context) error {
	var err error
	if b.Client, err = running.Find(); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "| Endpoints | of them hanging | Events | Deliveries | First after | Last after | Deliveries/s |")
	fmt.Fprintln(os.Stdout, "|---|---|---|---|---|---|---|")
	for _, hanging := range []int{0, b.hanging} {
		if err := b.measure(ctx, hanging); err != nil {
			return err
		}
	}
	return nil
}

// counter counts what receivers that are well are sent.
type counter struct {
	want        int64
	count       atomic.Int64
	first, last atomic.Int64 // nanoseconds of Unix
	done        chan struct{}
}

// ServeHTTP counts what arrives.
func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	now := time.Now().UnixNano()
	c.first.CompareAndSwap(0, now)
	if c.count.Add(1) == c.want {
		c.last.Store(now)
		close(c.done)
	}
	w.WriteHeader(http.StatusNoContent)
}

func (b *bench) measure(ctx context.Context, hanging int) error {
	well := b.endpoints - hanging
	c := &counter{want: int64(well * b.events), done: make(chan struct{})}
	url, stop, err := serve(ctx, c)
	if err != nil {
		return err
	}
	defer stop()
	stuck, stopStuck, err := serve(ctx, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	if err != nil {
		return err
	}
	defer stopStuck()
	for i := range b.endpoints {
		at := url
		if i < hanging {
			at = stuck
		}
		var made struct{ ID string }
		endpoint := map[string]any{"url": at, "events": []string{"customer.created"}}
		if err := b.Do(ctx, client.Call{Method: http.MethodPost, Path: "/webhook-endpoints", Body: endpoint, Into: &made}); err != nil {
			return err
		}
		defer func() {
			_ = b.Do(context.WithoutCancel(ctx), client.Call{Method: http.MethodDelete, Path: "/webhook-endpoints/" + made.ID})
		}()
	}
	items := make([]map[string]string, b.events)
	for i := range items {
		items[i] = map[string]string{"name": fmt.Sprint("Bench ", i)}
	}
	bulk := map[string]any{"mode": "create", "atomic": true, "items": items}
	if err := b.Do(ctx, client.Call{Method: http.MethodPost, Path: "/customers/bulk", Body: bulk}); err != nil {
		return err
	}
	began := time.Now()
	select {
	case <-c.done:
	case <-time.After(b.patience):
		return fmt.Errorf("%d of %d deliveries came within %s", c.count.Load(), c.want, b.patience)
	}
	first, last := time.Unix(0, c.first.Load()), time.Unix(0, c.last.Load())
	_, err = fmt.Fprintf(os.Stdout, "| %d | %d | %d | %d | %s | %s | %.0f |\n", b.endpoints, hanging, b.events, c.want,
		first.Sub(began).Round(time.Millisecond), last.Sub(began).Round(time.Millisecond), float64(c.want)/last.Sub(first).Seconds())
	return err
}

// serve runs a receiver on a free port of this machine.
func serve(ctx context.Context, h http.Handler) (url string, stop func(), err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen for webhooks: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: h}
	go func() { _ = server.Serve(listener) }() // it ends with stop
	return "http://" + listener.Addr().String(), func() { _ = server.Close() }, nil
}
