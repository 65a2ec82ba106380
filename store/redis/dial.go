package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	redigo "github.com/gomodule/redigo/redis"
)

// ErrAway is in the chain of errors about a Redis that could not be reached a moment ago and was not tried again.
var ErrAway = errors.New("redis is away")

// How long a server that could not be reached is left alone: doubling from the first to the last, less up to a half.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// dialer makes the pool's connections. While the server cannot be reached one caller at a time tries, between pauses;
// the others are told at once, so that a dead server does not cost each of them a time-out.
type dialer struct {
	at      address
	config  Config
	clock   func() time.Time
	options []redigo.DialOption
	// failed is when a connection last failed, in nanoseconds since 1970.
	failed atomic.Int64

	mu       sync.Mutex
	failures int       // in a row
	again    time.Time // when to try again after a failure
	trying   bool      // whether a caller is trying again
	cause    error     // of the last failure
}

func newDialer(at address, config Config) *dialer {
	clock := time.Now //nolint:forbidigo // the pool goes by the real clock too, and offers no other
	return &dialer{at: at, config: config, clock: clock, options: []redigo.DialOption{
		redigo.DialConnectTimeout(config.DialTimeout),
		redigo.DialTLSHandshakeTimeout(config.DialTimeout),
		redigo.DialReadTimeout(config.ReadTimeout),
		redigo.DialWriteTimeout(config.WriteTimeout),
		redigo.DialKeepAlive(30 * time.Second),
		redigo.DialUseTLS(at.tls),
		redigo.DialTLSConfig(config.TLS),
		redigo.DialUsername(at.username),
		redigo.DialPassword(at.password),
		redigo.DialDatabase(at.db),
		redigo.DialClientName(config.ClientName),
	}}
}

func (d *dialer) dial(ctx context.Context) (redigo.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := d.enter(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.config.DialTimeout)
	defer cancel()
	raw, err := redigo.DialContext(ctx, d.at.network, d.at.addr, d.options...)
	d.leave(err)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", d.at.addr, err)
	}
	return &conn{Conn: raw, dialer: d}, nil
}

// enter says whether to try now; who is let in calls leave.
func (d *dialer) enter() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failures == 0 {
		return nil
	}
	if d.trying || d.clock().Before(d.again) {
		return fmt.Errorf("%w: %w", ErrAway, d.cause)
	}
	d.trying = true
	return nil
}

func (d *dialer) leave(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trying = false
	switch {
	case err == nil:
		d.failures, d.cause = 0, nil
	case errors.Is(err, context.Canceled):
		// The caller left; that says nothing about the server.
	default:
		pause := min(firstPause<<min(d.failures, 10), lastPause)
		pause -= rand.N(pause / 2) //nolint:gosec // replicas that do not knock together need no secret
		d.failures, d.cause = d.failures+1, err
		d.again = d.clock().Add(pause)
	}
}

// test pings a connection that was unused for long, or since before another failed: a server that went away took all
// of them with it.
func (d *dialer) test(ctx context.Context, c redigo.Conn, used time.Time) error {
	if used.UnixNano() > d.failed.Load() && time.Since(used) < d.config.TestAfter {
		return nil
	}
	timeout := d.config.ReadTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	if timeout <= 0 {
		return context.DeadlineExceeded
	}
	_, err := redigo.DoWithTimeout(c, timeout, "PING")
	return err
}

// conn is a connection that ends where the server became a replica: after a failover its address may lead elsewhere.
type conn struct {
	redigo.Conn
	dialer *dialer
	ended  atomic.Pointer[error]
}

var (
	_ redigo.ConnWithTimeout = (*conn)(nil)
	_ redigo.ConnWithContext = (*conn)(nil)
)

// Err returns why the connection is of no more use, nil where it is. The pool keeps those where it is nil.
func (c *conn) Err() error {
	if ended := c.ended.Load(); ended != nil {
		return *ended
	}
	return c.Conn.Err()
}

// Do is redigo.Conn's.
func (c *conn) Do(command string, args ...any) (any, error) {
	return c.seen(c.Conn.Do(command, args...))
}

// DoWithTimeout is redigo.ConnWithTimeout's.
func (c *conn) DoWithTimeout(timeout time.Duration, command string, args ...any) (any, error) {
	return c.seen(redigo.DoWithTimeout(c.Conn, timeout, command, args...))
}

// DoContext is redigo.ConnWithContext's.
func (c *conn) DoContext(ctx context.Context, command string, args ...any) (any, error) {
	return c.seen(redigo.DoContext(c.Conn, ctx, command, args...))
}

// Receive is redigo.Conn's.
func (c *conn) Receive() (any, error) {
	return c.seen(c.Conn.Receive())
}

// ReceiveWithTimeout is redigo.ConnWithTimeout's.
func (c *conn) ReceiveWithTimeout(timeout time.Duration) (any, error) {
	return c.seen(redigo.ReceiveWithTimeout(c.Conn, timeout))
}

// ReceiveContext is redigo.ConnWithContext's.
func (c *conn) ReceiveContext(ctx context.Context) (any, error) {
	return c.seen(redigo.ReceiveContext(c.Conn, ctx))
}

// seen passes a reply on and remembers what it says about the connection and the server.
func (c *conn) seen(reply any, err error) (any, error) {
	if err == nil {
		return reply, nil
	}
	var said redigo.Error
	switch {
	case !errors.As(err, &said):
		if !errors.Is(err, context.Canceled) {
			c.dialer.failed.Store(c.dialer.clock().UnixNano())
		}
	case strings.Contains(string(said), "READONLY "):
		c.ended.CompareAndSwap(nil, &err)
		c.dialer.failed.Store(c.dialer.clock().UnixNano())
	}
	return reply, err
}
