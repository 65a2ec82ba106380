package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// client calls the API with an access token.
type client struct {
	origin, token string
	http          *http.Client
}

// refused is an answer with another status than was due.
type refused struct {
	call         string
	status, want int
	Code         string `json:"code"`
	Detail       string `json:"detail"`
	RequestID    string `json:"request_id"`
}

// Error says what came in the place of what was due.
func (r *refused) Error() string {
	return fmt.Sprintf("%s answered %d where %d was due: %s %s (request %s)", r.call, r.status, r.want, r.Code, r.Detail, r.RequestID)
}

// do calls the API with JSON; body and into may be nil. An answer with another status is a *refused.
func (c *client) do(ctx context.Context, method, path string, body, into any, want int) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("write the body: %w", err)
	}
	header := http.Header{}
	if body == nil {
		data = nil
	} else {
		header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		header.Set("Authorization", "Bearer "+c.token)
	}
	status, answer, err := c.send(ctx, method, c.origin+"/api/v1"+path, header, data)
	if err != nil {
		return err
	}
	if status != want {
		r := &refused{call: method + " " + path, status: status, want: want}
		_ = json.Unmarshal(answer, r) // what is no problem document has no more to say
		return r
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

// send sends one request and returns the answer's status and body.
func (c *client) send(ctx context.Context, method, address string, header http.Header, body []byte) (int, []byte, error) {
	const mostOfAnswer = 4 << 20
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("make the request: %w", err)
	}
	request.Header = header
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, mostOfAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("%s: read the answer: %w", method, err)
	}
	return response.StatusCode, answer, nil
}
