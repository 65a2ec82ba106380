// Package running finds the stack that `make run` runs, and calls its API as its demo tenant.
//
// The programs that measure a running stack use it. It knows the stack by stack.json and by its API only.
package running

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Stack is a running product.
type Stack struct {
	// API is its origin, and APIKey the demo tenant's.
	API, APIKey string

	http *http.Client
}

// Find reads stack.json in LOCAL_DIR, .local where that is not set.
func Find() (*Stack, error) {
	path := filepath.Join(cmp.Or(os.Getenv("LOCAL_DIR"), ".local"), "stack.json")
	data, err := os.ReadFile(path) //nolint:gosec // LOCAL_DIR is whoever runs this program's
	if err != nil {
		return nil, fmt.Errorf("find the running stack (start one with make run): %w", err)
	}
	var file struct {
		API  string `json:"api"`
		Demo struct {
			APIKey string `json:"api_key"`
		} `json:"demo"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &Stack{API: file.API, APIKey: file.Demo.APIKey, http: &http.Client{Timeout: time.Hour}}, nil
}

// Call sends body as JSON where it is not nil, and reads the answer into what into points to where that is not nil.
func (s *Stack) Call(ctx context.Context, method, path string, body, into any) error {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		reader = bytes.NewReader(data)
	}
	answer, err := s.Send(ctx, method, path, "application/json", reader)
	if err != nil {
		return err
	}
	defer answer.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(answer).Decode(into); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

// Send sends a body of any type, and returns the answer's, which the caller closes. An answer that tells of a mistake is
// an error.
func (s *Stack) Send(ctx context.Context, method, path, contentType string, body io.Reader) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.API+"/api/v1"+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Authorization", "Bearer "+s.APIKey)
	request.Header.Set("Content-Type", contentType)
	response, err := s.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1000)) // it is for the message only
		_ = response.Body.Close()
		return nil, fmt.Errorf("%s %s answered %d: %s", method, path, response.StatusCode, text)
	}
	return response.Body, nil
}
