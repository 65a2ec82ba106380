package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// client talks to the API with one credential.
type client struct {
	api   string // its origin: http://127.0.0.1:8080
	token string // an access token or an API key; "" for none
	http  *http.Client
}

// call is one request and what it should come to.
type call struct {
	method string
	path   string // under /api/v1
	query  url.Values
	header map[string]string
	body   any // sent as JSON, bytes as they are; nil for none
	want   int // the status; any other is an error
	into   any // the body is read into it; nil where it does not matter
}

// patience is the longest Retry-After that is waited for.
const patience = 10 * time.Second

// do sends the call and returns the answer's headers. An answer with another status than the wanted one is an
// *unexpected.
func (c *client) do(ctx context.Context, this call) (http.Header, error) {
	for {
		a, err := c.send(ctx, this)
		if err != nil {
			return nil, err
		}
		if wait, limited := a.retryAfter(); limited && this.want != http.StatusTooManyRequests {
			if err := pause(ctx, wait); err != nil {
				return nil, err
			}
			continue
		}
		if a.status != this.want {
			return nil, newUnexpected(this, a)
		}
		if this.into != nil {
			if err := json.Unmarshal(a.body, this.into); err != nil {
				return nil, fmt.Errorf("%s: read the answer: %w", a.request, err)
			}
		}
		return a.header, nil
	}
}

// answer is what came back.
type answer struct {
	request string // the method and where it went
	status  int
	header  http.Header
	body    []byte
}

func (c *client) send(ctx context.Context, this call) (answer, error) {
	address := c.api + "/api/v1" + this.path
	if len(this.query) > 0 {
		address += "?" + this.query.Encode()
	}
	var body io.Reader
	if data, isReady := this.body.([]byte); isReady {
		body = bytes.NewReader(data)
	} else if this.body != nil {
		data, err := json.Marshal(this.body)
		if err != nil {
			return answer{}, fmt.Errorf("%s %s: write the body: %w", this.method, this.path, err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, this.method, address, body)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", this.method, this.path, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, value := range this.header {
		req.Header.Set(name, value)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("the API did not answer; is the stack still running? %w", err)
	}
	defer res.Body.Close()
	a := answer{request: this.method + " " + req.URL.RequestURI(), status: res.StatusCode, header: res.Header}
	if a.body, err = io.ReadAll(res.Body); err != nil {
		return answer{}, fmt.Errorf("%s: read the answer: %w", a.request, err)
	}
	return a, nil
}

// retryAfter says how long a limit asks to wait, where it asks for it and it can be borne.
func (a answer) retryAfter() (time.Duration, bool) {
	if a.status != http.StatusTooManyRequests {
		return 0, false
	}
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	wait := time.Duration(seconds) * time.Second
	return wait, err == nil && wait > 0 && wait <= patience
}

func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// problem is an error as the API answers it (RFC 9457).
type problem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Errors []struct {
		Pointer string `json:"pointer"`
		Code    string `json:"code"`
		Detail  string `json:"detail"`
	} `json:"errors"`
	RequestID string `json:"request_id"`
}

// unexpected is an answer that should not have come.
type unexpected struct {
	request string
	status  int
	want    int
	problem problem
	body    string // where it is no problem
}

func newUnexpected(this call, a answer) *unexpected {
	u := &unexpected{request: a.request, status: a.status, want: this.want}
	if json.Unmarshal(a.body, &u.problem) != nil || u.problem.Code == "" {
		u.body = string(a.body[:min(len(a.body), 500)])
	}
	return u
}

// Error shows the request, the status and the problem.
func (u *unexpected) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  answered %d %s where %d %s was due", u.request,
		u.status, http.StatusText(u.status), u.want, http.StatusText(u.want))
	if u.problem.Code == "" {
		if u.body != "" {
			fmt.Fprintf(&b, "\n  %s", u.body)
		}
		return b.String()
	}
	fmt.Fprintf(&b, "\n  %s: %s", u.problem.Code, u.problem.Detail)
	for _, e := range u.problem.Errors {
		fmt.Fprintf(&b, "\n  %s %s", e.Pointer, e.Detail)
	}
	fmt.Fprintf(&b, "\n  request_id %s", u.problem.RequestID)
	return b.String()
}
