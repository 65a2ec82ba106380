// Command intake measures the intake of webhooks of a running stack: messages are sent at a fixed rate, whether or not
// those before were answered, and each one's time is counted from when it was due. Afterwards it sees to it that
// everything that was answered with 200 is kept.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
	"github.com/groundwork-saas/groundwork/deployments/internal/running"
	"github.com/groundwork-saas/groundwork/deployments/internal/stripe"
)

// load is what is sent.
type load struct {
	*client.Client

	rate    int
	lasts   time.Duration
	size    int
	event   string // the messages' type
	http    *http.Client
	address string // the source's
	secret  string
}

// result is what became of the messages.
type result struct {
	mu       sync.Mutex
	took     []time.Duration
	statuses map[int]int
	failed   int
	accepted map[string]bool
}

func main() {
	l := load{secret: "whsec_" + rand.Text(), http: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024},
	}}
	flag.IntVar(&l.rate, "rate", 500, "messages a second")
	flag.DurationVar(&l.lasts, "for", time.Minute, "how long")
	flag.IntVar(&l.size, "size", 2048, "bytes of a message")
	flag.StringVar(&l.event, "type", "customer.created", "their type: charge.refunded is one that is handled, by a job each")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "intake: measures the intake of the stack that LOCAL_DIR/stack.json names (.local; see make run)\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := l.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "bench-intake:", err)
		os.Exit(1)
	}
}

func (l *load) run(ctx context.Context) error {
	source, err := l.prepare(ctx)
	if err != nil {
		return err
	}
	r := &result{statuses: map[int]int{}, accepted: map[string]bool{}}
	began := time.Now()
	l.send(ctx, r, began)
	took := time.Since(began)
	kept, err := l.kept(ctx, source)
	if err != nil {
		return err
	}
	missing := 0
	for id := range r.accepted {
		if !kept[id] {
			missing++
		}
	}
	r.print(l, took, missing)
	if missing > 0 {
		return fmt.Errorf("%d messages were answered with 200 and are not kept", missing)
	}
	return nil
}

// prepare reads where the stack is, and makes a source.
func (l *load) prepare(ctx context.Context) (id string, err error) {
	if l.Client, err = running.Find(); err != nil {
		return "", err
	}
	var source struct {
		ID  string `json:"id"`
		URL string `json:"url"`
	}
	body := map[string]any{"name": "bench", "provider": "stripe", "secrets": []string{l.secret}}
	if err := l.Do(ctx, client.Call{Method: http.MethodPost, Path: "/webhook-sources", Body: body, Into: &source}); err != nil {
		return "", err
	}
	l.address = source.URL
	return source.ID, nil
}

// send sends at the rate until the time is over, and waits for the answers.
func (l *load) send(ctx context.Context, r *result, began time.Time) {
	filler := strings.Repeat("x", l.size)
	var under sync.WaitGroup
	for n := range int(l.lasts.Seconds() * float64(l.rate)) {
		due := began.Add(time.Duration(n) * time.Second / time.Duration(l.rate))
		time.Sleep(time.Until(due))
		under.Go(func() { l.one(ctx, r, fmt.Sprintf("evt_bench_%d_%d", began.UnixNano(), n), filler, due) })
	}
	under.Wait()
}

func (l *load) one(ctx context.Context, r *result, id, filler string, due time.Time) {
	body := fmt.Sprintf(`{"id":%q,"type":%q,"created":%d,"data":{"object":{"filler":%q}}}`, id, l.event, due.Unix(), filler)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.address, strings.NewReader(body))
	if err != nil {
		panic(err) // the address was given by the API
	}
	for name, value := range stripe.Headers(l.secret, []byte(body), time.Now()) {
		request.Header.Set(name, value)
	}
	response, err := l.http.Do(request)
	took := time.Since(due)
	status := 0
	if err == nil {
		status = response.StatusCode
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failed++
		return
	}
	r.statuses[status]++
	if status == http.StatusOK {
		r.took = append(r.took, took)
		r.accepted[id] = true
	}
}

// kept are the provider's ids of all events of the source.
func (l *load) kept(ctx context.Context, source string) (map[string]bool, error) {
	kept, cursor := map[string]bool{}, ""
	for {
		query := url.Values{"source_id": {source}, "limit": {"100"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var list struct {
			Data []struct {
				ProviderEventID string `json:"provider_event_id"`
			} `json:"data"`
			NextCursor *string `json:"next_cursor"`
		}
		if err := l.Do(ctx, client.Call{Method: http.MethodGet, Path: "/inbound-events", Query: query, Into: &list}); err != nil {
			return nil, err
		}
		for _, e := range list.Data {
			kept[e.ProviderEventID] = true
		}
		if list.NextCursor == nil {
			return kept, nil
		}
		cursor = *list.NextCursor
	}
}

func (r *result) print(l *load, took time.Duration, missing int) {
	slices.Sort(r.took)
	at := func(share float64) string {
		if len(r.took) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f ms", float64(r.took[min(int(share*float64(len(r.took))), len(r.took)-1)].Microseconds())/1000)
	}
	fmt.Fprintf(os.Stdout, "| Messages | Type | Rate | Bytes | Answered 200 | Others | p50 | p95 | p99 | p99.9 | Answered and not kept |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	fmt.Fprintf(os.Stdout, "| %d in %.0f s | %s | %d/s | %d | %d | %d | %s | %s | %s | %s | %d |\n", int(l.lasts.Seconds()*float64(l.rate)), took.Seconds(), l.event, l.rate,
		l.size, r.statuses[http.StatusOK], r.failed+others(r.statuses), at(.5), at(.95), at(.99), at(.999), missing)
}

func others(statuses map[int]int) int {
	n := 0
	for status, count := range statuses {
		if status != http.StatusOK {
			n += count
		}
	}
	return n
}
