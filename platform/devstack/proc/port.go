package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// FreePort returns a TCP port of 127.0.0.1 that nobody listens on. Another process may take it before it is used, so
// whoever uses it must be ready to ask again.
func FreePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil || !ok {
		return 0, errors.Join(errors.New("find a free port"), err)
	}
	return addr.Port, nil
}

// IsFree returns nil when the address can be listened on, and why not otherwise.
func IsFree(ctx context.Context, addr string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err //nolint:wrapcheck // net says all
	}
	return l.Close() //nolint:wrapcheck // net says all
}

// Local is the address of a port on the loopback interface.
func Local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
