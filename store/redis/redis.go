// Package redis is everything that Groundwork keeps in Redis: connections, and the limits that all replicas share.
//
// Redis makes things fast and may vanish at any moment, so nothing here is the truth and nothing here fails the start
// of a process. Processes open one Client and pass it on; the limiter is asked by transports through limits.Limiter.
// The package never holds what cannot be lost.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	redigo "github.com/gomodule/redigo/redis"
)

// What Config's zero values mean.
const (
	defaultMaxActive    = 32
	defaultDialTimeout  = time.Second
	defaultReadTimeout  = 2 * time.Second
	defaultWriteTimeout = 2 * time.Second
	defaultIdleTimeout  = 5 * time.Minute
	defaultTestAfter    = 30 * time.Second
)

// Config says where Redis is and how patient to be.
type Config struct {
	// URL is redis://user:password@host:6379/0, the same with rediss:// for TLS, or unix:///path/to/socket?db=0 (also
	// redis+unix://). User, password, port and database may be left out. With rediss:// a parameter sslrootcert names a file
	// of authorities, in PEM, that take the place of the system's.
	URL string
	// TLS is used with rediss://; nil verifies the server's certificate with the URL's sslrootcert, else with the system's
	// authorities.
	TLS *tls.Config
	// ClientName is what CLIENT LIST shows for these connections; "" sets none.
	ClientName string
	// MaxActive is how many connections there may be; who needs one more waits. 0 is 32.
	MaxActive int
	// MaxIdle is how many connections are kept for later; 0 is MaxActive.
	MaxIdle int
	// DialTimeout bounds connecting, with TLS; 0 is 1 s.
	DialTimeout time.Duration
	// ReadTimeout and WriteTimeout bound one command; 0 is 2 s.
	ReadTimeout, WriteTimeout time.Duration
	// IdleTimeout is when an unused connection is closed; 0 is 5 min. Set it below the server's own.
	IdleTimeout time.Duration
	// TestAfter is how long a connection may be unused and still be trusted; after that it is pinged before it is
	// used. 0 is 30 s. After any connection failed, all that were unused since are pinged first.
	TestAfter time.Duration
}

// Client is a pool of connections to one Redis. It is safe for use by many goroutines.
type Client struct {
	pool   *redigo.Pool
	config Config
}

// Open prepares a client. It connects to nothing, so that it succeeds while Redis is away; its errors are about the
// configuration alone. Close it when done.
func Open(config Config) (*Client, error) {
	at, err := parseURL(config.URL)
	if err != nil {
		return nil, err
	}
	config = config.withDefaults()
	if config.TLS == nil {
		config.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		if at.rootCert != "" {
			if config.TLS.RootCAs, err = authorities(at.rootCert); err != nil {
				return nil, err
			}
		}
	}
	d := newDialer(at, config)
	return &Client{
		config: config,
		pool: &redigo.Pool{
			DialContext:         d.dial,
			TestOnBorrowContext: d.test,
			MaxActive:           config.MaxActive,
			MaxIdle:             config.MaxIdle,
			IdleTimeout:         config.IdleTimeout,
			Wait:                true,
		},
	}, nil
}

func (c Config) withDefaults() Config {
	orElse := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	orElse(&c.DialTimeout, defaultDialTimeout)
	orElse(&c.ReadTimeout, defaultReadTimeout)
	orElse(&c.WriteTimeout, defaultWriteTimeout)
	orElse(&c.IdleTimeout, defaultIdleTimeout)
	orElse(&c.TestAfter, defaultTestAfter)
	if c.MaxActive <= 0 {
		c.MaxActive = defaultMaxActive
	}
	if c.MaxIdle <= 0 {
		c.MaxIdle = c.MaxActive
	}
	return c
}

// Pool returns the pool itself, for libraries that take one. Its connections notice a failover and a dead server as
// the client's own do.
func (c *Client) Pool() *redigo.Pool { return c.pool }

// Connections are how many connections are open, and how many of those are idle.
func (c *Client) Connections() (open, idle int) {
	stats := c.pool.Stats()
	return stats.ActiveCount, stats.IdleCount
}

// Ping returns nil where Redis answers. It waits no longer than the context and the time-outs allow.
func (c *Client) Ping(ctx context.Context) error {
	if _, err := c.Do(ctx, "PING"); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

// Do sends one command and returns its reply. It waits until the context's deadline or ReadTimeout, whichever comes
// first; a context that is cancelled while the reply is awaited does not interrupt it, which spares the connection.
func (c *Client) Do(ctx context.Context, command string, args ...any) (any, error) {
	conn, timeout, err := c.borrow(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool; what was wrong with it was said by the command
	reply, err := redigo.DoWithTimeout(conn, timeout, command, args...)
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// Close closes the connections that are not in use; the others close when they are given back.
func (c *Client) Close() error {
	if err := c.pool.Close(); err != nil {
		return fmt.Errorf("close redis: %w", err)
	}
	return nil
}

// borrow returns a connection, which the caller closes, and how long a reply may take.
func (c *Client) borrow(ctx context.Context) (redigo.Conn, time.Duration, error) {
	conn, err := c.pool.GetContext(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("connect to redis: %w", err)
	}
	timeout := c.config.ReadTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	if timeout <= 0 {
		err := errors.Join(context.DeadlineExceeded, conn.Close())
		return nil, 0, fmt.Errorf("connect to redis: %w", err)
	}
	return conn, timeout, nil
}
