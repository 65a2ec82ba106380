package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// load is requests at a steady rate: each has its time, whatever became of those before, and what it takes counts from
// that time on. So a stall is not hidden by the requests that were not sent during it.
type load struct {
	*show

	client *http.Client
	stop   context.CancelFunc
	ended  sync.WaitGroup

	mu    sync.Mutex
	phase *phase
}

// phase is what requests noticed of one change.
type phase struct {
	name     string
	took     time.Duration
	requests int
	failed   int
	why      string // of the first that failed
	all      []time.Duration
}

func (p *phase) worst() time.Duration { return slices.Max(append(p.all, 0)) }

func (p *phase) share(of float64) time.Duration {
	if len(p.all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(p.all))
	return sorted[min(len(sorted)-1, int(of*float64(len(sorted))))]
}

// startLoad begins; what comes counts to the phase that is current when it ends.
func (s *show) startLoad(ctx context.Context) *load {
	ctx, stop := context.WithCancel(ctx)
	l := &load{show: s, stop: stop, client: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: s.clients, MaxConnsPerHost: s.clients},
	}}
	every := time.Duration(s.clients) * time.Second / time.Duration(s.rate)
	began := time.Now()
	for i := range s.clients {
		due := began.Add(every * time.Duration(i) / time.Duration(s.clients))
		l.ended.Go(func() {
			timer := time.NewTimer(time.Until(due))
			defer timer.Stop()
			for n := i; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-timer.C:
				}
				err := l.ask(ctx, n)
				l.note(ctx, time.Since(due), err)
				due = due.Add(every)
				timer.Reset(time.Until(due))
			}
		})
	}
	return l
}

func (l *load) end() {
	l.stop()
	l.ended.Wait()
}

// begin has what ends from now on count to another phase.
func (l *load) begin(p *phase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = p
}

func (l *load) note(ctx context.Context, took time.Duration, err error) {
	if ctx.Err() != nil {
		return // it was cut off by the end
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.phase
	if p == nil {
		return
	}
	p.requests++
	p.all = append(p.all, took)
	if err != nil {
		if p.failed == 0 {
			p.why = err.Error()
		}
		p.failed++
	}
}

// ask makes one request: of ten, five read a record, two a list, two change and one creates.
func (l *load) ask(ctx context.Context, n int) error {
	const customers = "/api/v1/customers"
	one := customers + "/" + idOf(share*(1+rand.IntN(l.rows/share))) //nolint:gosec // chooses rows, guards nothing
	switch n % 10 {
	case 0:
		return l.send(ctx, call{http.MethodPost, customers, `{"name": "Grace Hopper"}`, http.StatusCreated})
	case 1, 2:
		return l.send(ctx, call{http.MethodPatch, one, fmt.Sprintf(`{"name": "Ada King %d"}`, n), http.StatusOK})
	case 3, 4:
		return l.send(ctx, call{http.MethodGet, customers + "?limit=25", "", http.StatusOK})
	default:
		return l.send(ctx, call{http.MethodGet, one, "", http.StatusOK})
	}
}

type call struct {
	method, path, body string
	status             int
}

func (l *load) send(ctx context.Context, c call) error {
	request, err := http.NewRequestWithContext(ctx, c.method, l.api.origin+c.path, bytes.NewReader([]byte(c.body)))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+l.api.token)
	if c.body != "" {
		request.Header.Set("Content-Type", map[bool]string{true: "application/merge-patch+json", false: "application/json"}[c.method == http.MethodPatch])
	}
	response, err := l.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != c.status {
		err = fmt.Errorf("%s %s: %d: %.300s", c.method, c.path, response.StatusCode, said)
	}
	return err
}
