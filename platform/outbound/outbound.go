// Package outbound calls URLs that strangers gave, without letting them reach what is ours.
//
// Where a URL leads is judged by the address that is really dialled, so that a name that resolves to another address the
// next time changes nothing (CWE-918, DNS rebinding). It follows no redirect, knows no proxy, unpacks nothing and reads
// an answer up to a limit. The same client gives the verdict when a URL is entered and when it is called. The package
// knows nothing of webhooks, and keeps neither URLs nor answers.
package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Config is what the client is told; zero values mean what is said of each.
type Config struct {
	// Allow are addresses that may be called though private; none by default.
	Allow Allow
	// AllowHTTP takes http:// for any host, which is for development. What Allow names may always be http.
	AllowHTTP bool
	// Timeout bounds a call, from the look-up of the name to the last byte that is read; 0 is 20 s.
	Timeout time.Duration
	// ConnectTimeout bounds the connection, TLSTimeout its handshake, HeaderTimeout the wait for the answer to begin; 0 is
	// 5 s, 5 s and 15 s.
	ConnectTimeout, TLSTimeout, HeaderTimeout time.Duration
	// MaxBody is how much of an answer is kept, in bytes; 0 is 4 KiB. More of it is not read.
	MaxBody int
	// UserAgent is what the client calls itself; "" is "Groundwork".
	UserAgent string
	// Resolver looks names up; nil is the machine's.
	Resolver *net.Resolver
	// TLS is for receivers whose certificates the machine's authorities did not sign; nil trusts those.
	TLS *tls.Config
}

// Client calls URLs. It may be used from many goroutines.
type Client struct {
	allow     Allow
	allowHTTP bool
	timeout   time.Duration
	maxBody   int
	agent     string
	resolver  *net.Resolver
	http      *http.Client
}

// New returns a client.
func New(config Config) *Client {
	c := &Client{
		allow: config.Allow, allowHTTP: config.AllowHTTP, timeout: or(config.Timeout, 20*time.Second),
		maxBody: config.MaxBody, agent: config.UserAgent, resolver: config.Resolver,
	}
	if c.maxBody <= 0 {
		c.maxBody = 4 << 10
	}
	if c.agent == "" {
		c.agent = "Groundwork"
	}
	if c.resolver == nil {
		c.resolver = net.DefaultResolver
	}
	dialer := &net.Dialer{
		Timeout: or(config.ConnectTimeout, 5*time.Second), KeepAlive: 15 * time.Second, Resolver: c.resolver, ControlContext: c.control,
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if config.TLS != nil {
		tlsConfig = config.TLS.Clone()
	}
	const maxHeader = 32 << 10
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy: nil, TLSClientConfig: tlsConfig,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return dialer.DialContext(context.WithValue(ctx, dialledKey{}, address), network, address)
			},
			TLSHandshakeTimeout: or(config.TLSTimeout, 5*time.Second), ResponseHeaderTimeout: or(config.HeaderTimeout, 15*time.Second),
			DisableCompression: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxHeader,
			MaxIdleConns: 512, MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

type dialledKey struct{}

// control is asked for each address that is about to be dialled, after its name was resolved.
func (c *Client) control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	dialled, _ := ctx.Value(dialledKey{}).(string)
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return refuse("private", "leads to an address that cannot be judged")
	}
	return c.judge(dialled, at.Addr())
}

// judge says whether the address that a host:port resolved to may be called.
func (c *Client) judge(hostport string, ip netip.Addr) error {
	if IsPublic(ip) || c.allow.hasHost(hostport) || c.allow.hasAddress(ip.Unmap()) {
		return nil
	}
	return refuse("private", "leads to a private or reserved address, which is not called; "+
		"use a public host, or have the operator allow this one (WEBHOOK_ALLOW)")
}

// Check gives the verdict on a URL that was entered, and returns it in the form in which it is called. All that its host
// resolves to now must be allowed. The error is a *RefusalError.
func (c *Client) Check(ctx context.Context, raw string) (string, error) {
	t, err := c.parse(raw)
	if err != nil {
		return "", err
	}
	host, _, _ := net.SplitHostPort(t.hostport)
	const lookUp = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, lookUp)
	defer cancel()
	addresses, err := c.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addresses) == 0 {
		return "", refuse("unresolvable", "has a host that cannot be found; check how it is spelled")
	}
	for _, ip := range addresses {
		if err := c.judge(t.hostport, ip); err != nil {
			return "", err
		}
	}
	return t.url.String(), nil
}

// Request is one call.
type Request struct {
	URL    string
	Header http.Header
	Body   []byte
}

// Response is what a server answered.
type Response struct {
	Status int
	Header http.Header
	// Body is the beginning of the answer, of at most Config.MaxBody bytes, as it came; IsCut says that there was, or may
	// have been, more.
	Body  []byte
	IsCut bool
}

// Post sends the body. An answer is a Response whatever its status; redirects are answers. The error is a *RefusalError where
// the URL may not be called, and otherwise says in a few words what went wrong, without addresses.
func (c *Client) Post(ctx context.Context, r Request) (Response, error) {
	return c.call(ctx, http.MethodPost, r)
}

// Get asks for what stands at the URL; see Post.
func (c *Client) Get(ctx context.Context, r Request) (Response, error) {
	r.Body = nil
	return c.call(ctx, http.MethodGet, r)
}

func (c *Client) call(ctx context.Context, method string, r Request) (Response, error) {
	t, err := c.parse(r.URL)
	if err != nil {
		return Response{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var sent io.Reader
	if r.Body != nil || method == http.MethodPost {
		sent = bytes.NewReader(r.Body)
	}
	request, err := http.NewRequestWithContext(ctx, method, t.url.String(), sent)
	if err != nil {
		return Response{}, fmt.Errorf("make the request: %w", err)
	}
	request.Header = r.Header.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	request.Header.Set("User-Agent", c.agent)
	response, err := c.http.Do(request)
	if err != nil {
		return Response{}, reason(ctx, err)
	}
	defer func() { _ = response.Body.Close() }() // what is left unread is the sender's loss
	body, isCut := c.read(response.Body)
	return Response{Status: response.StatusCode, Header: response.Header, Body: body, IsCut: isCut}, nil
}

// read takes the beginning of a body. A server that stalls in the middle of one has answered all the same. The rest of a
// short body is read away, so that the connection can be used again.
func (c *Client) read(body io.Reader) (beginning []byte, isCut bool) {
	beginning, err := io.ReadAll(io.LimitReader(body, int64(c.maxBody)))
	if err != nil {
		return beginning, true
	}
	const drain = 16 << 10
	left, err := io.Copy(io.Discard, io.LimitReader(body, drain))
	return beginning, err != nil || left > 0
}

// Close ends connections that are kept for later calls.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// reason is what went wrong in words that may be shown to whoever owns the URL: no addresses, no look into our network.
func reason(ctx context.Context, err error) error {
	var refusal *RefusalError
	var dns *net.DNSError
	var timeout net.Error
	var unknown *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case errors.As(err, &dns):
		return &CallError{Reason: "the host cannot be found", cause: err}
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &CallError{Reason: "no answer in time", IsTimeout: true, cause: err}
	case errors.As(err, &unknown):
		return &CallError{Reason: "the certificate is not trusted: " + unknown.Err.Error(), cause: err}
	case errors.As(err, &record):
		return &CallError{Reason: "the server does not speak TLS", cause: err}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &CallError{Reason: "the connection was refused", cause: err}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &CallError{Reason: "the connection was closed before an answer came", cause: err}
	default:
		return &CallError{Reason: "the call failed before an answer came", cause: err}
	}
}

// CallError is a call without an answer.
type CallError struct {
	// Reason may be shown to the URL's owner.
	Reason    string
	IsTimeout bool

	cause error
}

// Error is the reason.
func (e *CallError) Error() string { return e.Reason }

// Unwrap is what went wrong, for logs; it may name addresses.
func (e *CallError) Unwrap() error { return e.cause }
