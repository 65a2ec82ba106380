// Command with-postgres runs a command with an ephemeral PostgreSQL beside it, and TEST_DATABASE_URL set to its
// administrator's URL:
//
//	go run ./platform/devstack/cmd/with-postgres go test ./...
//
// Tests share such a server anyway; with this it stays between one package and the next, and is gone when the command returns.
// It exits with the command's status.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/groundwork-saas/groundwork/platform/devstack"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: with-postgres COMMAND [ARGUMENT…]")
		os.Exit(2)
	}
	status, err := run(context.Background(), os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "with-postgres:", err)
		status = 1
	}
	os.Exit(status)
}

func run(ctx context.Context, name string, args []string) (status int, err error) {
	// Ctrl-C reaches the command from the terminal, SIGTERM is passed on; either way the server is ended after it.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	server, err := devstack.SharedPostgres(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, server.Stop(ctx)) }()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "TEST_DATABASE_URL="+server.AdminURL)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("run %s: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM {
				_ = cmd.Process.Signal(s)
			}
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() >= 0 {
				return exit.ExitCode(), nil
			}
			return 0, err //nolint:wrapcheck // it says all
		}
	}
}
