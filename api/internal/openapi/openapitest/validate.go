// Package openapitest holds requests and answers against the API's own document.
//
// Tests wrap the API's handler with Validate; from then on an answer that the document does not describe, or a request
// that was accepted though the document does not allow it, fails the test. The document is asked of the handler itself,
// so that what is tested is what is served. OpenAPI 3.1 schemas are JSON Schemas, which a validator of those checks.
package openapitest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Validate returns the handler, watched: tb fails for each exchange that does not fit the document at /openapi.json.
func Validate(tb testing.TB, handler http.Handler) http.Handler {
	tb.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/openapi.json", nil))
	if recorder.Code != http.StatusOK {
		tb.Fatalf("GET /openapi.json answered %d: %s", recorder.Code, recorder.Body)
	}
	c, err := contractOf(recorder.Body.Bytes())
	if err != nil {
		tb.Fatalf("the OpenAPI document: %v", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{request: r}
		if r.Body != nil {
			r.Body = &tee{ReadCloser: r.Body, copy: &x.sent}
		}
		seen := &recording{ResponseWriter: w, exchange: x}
		handler.ServeHTTP(seen, r)
		x.header = w.Header()
		if x.status == 0 {
			x.status = http.StatusOK
		}
		for _, problem := range c.check(x) {
			tb.Errorf("%s %s answered %d, which does not fit the OpenAPI document: %s", r.Method, r.URL, x.status, problem)
		}
	})
}

// exchange is a request with what was answered.
type exchange struct {
	request *http.Request
	sent    bytes.Buffer
	status  int
	header  http.Header
	body    bytes.Buffer
}

// wasAccepted says whether the API took the request for a good one.
func (x *exchange) wasAccepted() bool { return x.status < http.StatusBadRequest }

// tee keeps what the handler reads.
type tee struct {
	io.ReadCloser

	copy *bytes.Buffer
}

// Read reads, and keeps what was read.
func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.copy.Write(p[:n])
	return n, err //nolint:wrapcheck // the reader's own
}

// recording keeps what the handler writes.
type recording struct {
	http.ResponseWriter

	exchange *exchange
}

// WriteHeader passes the status on.
func (r *recording) WriteHeader(status int) {
	if r.exchange.status == 0 {
		r.exchange.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write passes on what is written.
func (r *recording) Write(p []byte) (int, error) {
	if r.exchange.status == 0 {
		r.exchange.status = http.StatusOK
	}
	r.exchange.body.Write(p)
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find the writer below.
func (r *recording) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Flush passes on what streams need.
func (r *recording) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}
