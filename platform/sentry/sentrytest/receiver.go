// Package sentrytest is a receiver of Sentry's envelopes over HTTP, for tests of what is told to it.
package sentrytest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Event is an event that has arrived, as far as tests look at it, with all of its text.
type Event struct {
	Level       string            `json:"level"`
	Environment string            `json:"environment"`
	Release     string            `json:"release"`
	Transaction string            `json:"transaction"`
	Fingerprint []string          `json:"fingerprint"`
	Tags        map[string]string `json:"tags"`
	User        map[string]string `json:"user"`
	Request     json.RawMessage   `json:"request"`
	Exception   []struct {
		Type       string `json:"type"`
		Value      string `json:"value"`
		Stacktrace struct {
			Frames []struct {
				Function string `json:"function"`
				Module   string `json:"module"`
				InApp    bool   `json:"in_app"`
			} `json:"frames"`
		} `json:"stacktrace"`
	} `json:"exception"`
	// Text is the whole envelope as it arrived.
	Text string `json:"-"`
}

// Receiver takes envelopes.
type Receiver struct {
	// DSN is what a client is given.
	DSN string
	// Events are those that have arrived.
	Events chan Event

	server *httptest.Server
}

// Start starts a receiver, which the end of the test stops. It answers when answer says so; nil is at once.
func Start(tb testing.TB, answer <-chan struct{}) *Receiver {
	tb.Helper()
	r := &Receiver{Events: make(chan Event, 1000)}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil || !strings.HasSuffix(request.URL.Path, "/api/42/envelope/") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if answer != nil {
			<-answer
		}
		for part := range bytes.Lines(body) {
			event := Event{Text: string(body)}
			if err := json.Unmarshal(part, &event); err == nil && len(event.Exception) > 0 {
				r.Events <- event
			}
		}
		w.WriteHeader(http.StatusOK)
	}))
	tb.Cleanup(r.server.Close)
	r.DSN = strings.Replace(r.server.URL, "http://", "http://4f1e5d5f0c3b4a6f@", 1) + "/42"
	return r
}

// Next waits for an event.
func (r *Receiver) Next(tb testing.TB) Event {
	tb.Helper()
	select {
	case event := <-r.Events:
		return event
	case <-time.After(30 * time.Second):
		require.FailNow(tb, "no event arrived")
		return Event{}
	}
}
