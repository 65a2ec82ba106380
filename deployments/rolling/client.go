package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"time"
)

// client calls the stack through the balancer. It never sends a request twice: one that fails has failed.
type client struct {
	origin string
	key    string
	http   *http.Client
}

func newClient(s site) (*client, error) {
	trusted := &tls.Config{MinVersion: tls.VersionTLS12}
	if path := s.authority(); path != "" {
		certificate, err := os.ReadFile(path) //nolint:gosec // the operator, or we ourselves, name it
		if err != nil {
			return nil, fmt.Errorf("read the authority's certificate: %w", err)
		}
		trusted.RootCAs = x509.NewCertPool()
		if !trusted.RootCAs.AppendCertsFromPEM(certificate) {
			return nil, fmt.Errorf("%s holds no certificate", path)
		}
	}
	return &client{origin: s.origin(), http: &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			Proxy: nil, TLSClientConfig: trusted, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		},
	}}, nil
}

// call is a request and the status that it should have.
type call struct {
	method, url string
	header      http.Header
	body        io.Reader
	want        int
}

// errUnexpected is an answer with another status than was due.
var errUnexpected = errors.New("unexpected answer")

// send sends a request and returns the body of its answer.
func (c *client) send(ctx context.Context, this call) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, this.method, this.url, this.body)
	if err != nil {
		return nil, err
	}
	maps.Copy(request.Header, this.header)
	request.GetBody = nil // the transport would send it a second time by itself
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != this.want {
		return body, fmt.Errorf("%w: %d %s", errUnexpected, response.StatusCode, body[:min(len(body), 300)])
	}
	return body, nil
}

// api calls the API with JSON; into is nil where the answer does not matter.
func (c *client) api(ctx context.Context, method, path string, body, into any, want int) error {
	this := call{method: method, url: c.origin + "/api/v1" + path, want: want, header: http.Header{}}
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		this.body = bytes.NewReader(data)
		this.header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		this.header.Set("Authorization", "Bearer "+c.key)
	}
	answer, err := c.send(ctx, this)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}
