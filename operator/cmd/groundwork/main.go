// Command groundwork is what operators steer a running Groundwork with: its jobs, queues, organizations and users.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := program{environ: os.Environ(), out: os.Stdout, err: os.Stderr, now: time.Now}.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
