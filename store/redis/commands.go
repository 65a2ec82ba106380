package redis

import (
	"context"
	"errors"
	"strings"
	"time"

	redigo "github.com/gomodule/redigo/redis"
)

// script is one that Redis runs, with its number of keys.
type script struct {
	keys   int
	source string
}

// script runs one, with its keys before its other arguments.
func (c *Client) script(ctx context.Context, s script, keysAndArgs ...any) (any, error) {
	conn, timeout, err := c.borrow(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool; what was wrong with it was said by the command
	return s.run(conn, timeout, keysAndArgs...)
}

// run runs the script by its hash, and by its text where the server does not know it yet or any more.
func (s script) run(conn redigo.Conn, timeout time.Duration, keysAndArgs ...any) (any, error) {
	hash := redigo.NewScript(s.keys, s.source).Hash()
	reply, err := redigo.DoWithTimeout(conn, timeout, "EVALSHA", append([]any{hash, s.keys}, keysAndArgs...)...)
	if err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
		return redigo.DoWithTimeout(conn, timeout, "EVAL", append([]any{s.source, s.keys}, keysAndArgs...)...)
	}
	return reply, err
}

// call is one command.
type call struct {
	command string
	args    []any
}

// reply is what became of a command.
type reply struct {
	value any
	err   error
}

// pipeline sends commands in one round trip. It returns what was wrong with any of them.
func (c *Client) pipeline(ctx context.Context, calls ...call) error {
	var failures []error
	for _, each := range c.exchange(ctx, calls) {
		failures = append(failures, each.err)
	}
	return errors.Join(failures...)
}

// exchange sends commands in one round trip and answers what became of each.
func (c *Client) exchange(ctx context.Context, calls []call) []reply {
	replies := make([]reply, len(calls))
	lost := func(from int, err error) []reply {
		for i := from; i < len(replies); i++ {
			replies[i].err = err
		}
		return replies
	}
	conn, timeout, err := c.borrow(ctx)
	if err != nil {
		return lost(0, err)
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool; what was wrong with it was said by the command
	for _, each := range calls {
		if err := conn.Send(each.command, each.args...); err != nil {
			return lost(0, err)
		}
	}
	if err := conn.Flush(); err != nil {
		return lost(0, err)
	}
	for i := range calls {
		value, err := redigo.ReceiveWithTimeout(conn, timeout)
		replies[i] = reply{value, err}
		var said redigo.Error
		if err != nil && !errors.As(err, &said) {
			return lost(i, err) // the connection is gone, and the other replies with it
		}
	}
	return replies
}
