// Command migrate brings a database to the version of this program, takes migrations back, shows where the database
// stands, and prepares the PostgreSQL roles. A deployment runs it before the processes start.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command{lookup: os.LookupEnv, out: os.Stdout, err: os.Stderr}.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
