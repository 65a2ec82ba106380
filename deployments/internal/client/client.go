// Package client calls the product's API as anybody's program would: JSON goes in and comes out, and an error says which
// request was answered how.
//
// The programs of deployments use it. It knows the API by its paths only: who calls declares what they read of an answer.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Client calls the API with one credential.
type Client struct {
	// Origin is the API's: http://127.0.0.1:8080.
	Origin string
	// Token is an access token or an API key; "" for none.
	Token string
	HTTP  *http.Client
	// Patience is the longest Retry-After of a 429 that is waited for; 0 waits for none.
	Patience time.Duration
}

// Call is a request and what it should come to.
type Call struct {
	Method string
	// Path is under /api/v1.
	Path  string
	Query url.Values
	// URL is where the request goes in the place of Path, without the credential. Errors tell Path only, since the address
	// may be a secret.
	URL string
	// Header is sent beside the standard ones, and wins.
	Header map[string]string
	// Body is written as JSON; a []byte or an io.Reader is sent as it is; nil for none.
	Body any
	// Want is the status that is due; 0 is any success.
	Want int
	// Into is what the answer's JSON is read into; nil where it does not matter.
	Into any
}

// mostOfAnswer bounds what is read of an answer, in bytes.
const mostOfAnswer = 64 << 20

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a call. An answer with another status than is due is an *UnexpectedError.
func (c *Client) Do(ctx context.Context, this Call) error {
	_, err := c.Ask(ctx, this)
	return err
}

// Ask is Do, with the answer, which is there with an *UnexpectedError too.
func (c *Client) Ask(ctx context.Context, this Call) (Answer, error) {
	a, err := c.send(ctx, this)
	for err == nil && this.Want != http.StatusTooManyRequests {
		after, mayRetry := c.retryAfter(this, a)
		if !mayRetry {
			break
		}
		if err = Pause(ctx, after); err == nil {
			a, err = c.send(ctx, this)
		}
	}
	if err != nil {
		return a, fmt.Errorf("%s: %w", this.name(), err)
	}
	if a.Status != this.Want && (this.Want != 0 || a.Status >= http.StatusMultipleChoices) {
		return a, newUnexpected(this, a)
	}
	if this.Into == nil {
		return a, nil
	}
	if err := json.Unmarshal(a.Body, this.Into); err != nil {
		return a, fmt.Errorf("%s: read the answer: %w", this.name(), err)
	}
	return a, nil
}

// name is the call in errors.
func (c Call) name() string {
	if len(c.Query) > 0 {
		return c.Method + " " + c.Path + "?" + c.Query.Encode()
	}
	return c.Method + " " + c.Path
}

func (c *Client) send(ctx context.Context, this Call) (Answer, error) {
	body, err := this.body()
	if err != nil {
		return Answer{}, fmt.Errorf("write the body: %w", err)
	}
	address := this.URL
	if address == "" {
		address = c.Origin + "/api/v1" + this.Path
	}
	if len(this.Query) > 0 {
		address += "?" + this.Query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, this.Method, address, body)
	if err != nil {
		return Answer{}, withoutAddress(err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" && this.URL == "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for name, value := range this.Header {
		request.Header.Set(name, value)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return Answer{}, withoutAddress(err)
	}
	defer response.Body.Close()
	a := Answer{Status: response.StatusCode, Header: response.Header}
	if a.Body, err = io.ReadAll(io.LimitReader(response.Body, mostOfAnswer)); err != nil {
		return a, fmt.Errorf("read the answer: %w", err)
	}
	return a, nil
}

func (c Call) body() (io.Reader, error) {
	switch body := c.Body.(type) {
	case nil:
		return nil, nil //nolint:nilnil // a request without a body
	case io.Reader:
		return body, nil
	case []byte:
		return bytes.NewReader(body), nil
	default:
		data, err := json.Marshal(body)
		return bytes.NewReader(data), err
	}
}

// withoutAddress is an error of net/http's without the URL, which may be a secret.
func withoutAddress(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// retryAfter says how long a limit asks to wait, where that is borne and the body can be sent again.
func (c *Client) retryAfter(this Call, a Answer) (time.Duration, bool) {
	if _, isRead := this.Body.(io.Reader); isRead || a.Status != http.StatusTooManyRequests {
		return 0, false
	}
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	wait := time.Duration(seconds) * time.Second
	return wait, err == nil && wait > 0 && wait <= c.Patience
}

// Pause waits, and fails with the cause where the context ends before.
func Pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
