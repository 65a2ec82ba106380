package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// newClient returns a client that calls the stack through the balancer.
func newClient(s site) (*client.Client, error) {
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
	return &client.Client{Origin: s.origin(), HTTP: &http.Client{
		Timeout: time.Minute,
		Transport: once{&http.Transport{
			Proxy: nil, TLSClientConfig: trusted, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		}},
	}}, nil
}

// isUp says whether the API is reached through the balancer.
func isUp(ctx context.Context, s site) bool {
	c, err := newClient(s)
	return err == nil && c.Do(ctx, client.Call{Method: http.MethodGet, Path: "/healthz", URL: s.origin() + "/healthz", Want: http.StatusOK}) == nil
}

// once never sends a request twice: one that fails has failed.
type once struct{ transport *http.Transport }

// RoundTrip sends a request whose body cannot be read again, so that the transport does not send it again by itself.
func (o once) RoundTrip(request *http.Request) (*http.Response, error) {
	only := request.Clone(request.Context())
	only.GetBody = nil
	return o.transport.RoundTrip(only)
}
