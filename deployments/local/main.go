// Command local brings up the whole product on one machine: `go run ./deployments/local`, which is `make run`.
//
// It owns what a developer's machine lacks: a private PostgreSQL and Redis, the secrets, the migrations, the processes' start
// and end, and a demo tenant. It builds and runs the same programs as production does and knows them by their
// environment and their HTTP interface only. It is never a part of a deployment: see docker-compose.yml for that.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `Brings up PostgreSQL, Redis, the API, the worker and the scheduler on this machine, with a demo tenant.
Ctrl-C stops everything; the data stays.

Variables, all optional:
  LOCAL_DIR            where data, logs and secrets are kept (.local)
  API_ADDR             where the API listens (127.0.0.1:8080)
  API_OPS_ADDR         where the API's health and metrics are served (127.0.0.1:9090)
  INTAKE_ADDR          where webhooks are taken in (127.0.0.1:8081)
  WORKER_OPS_ADDR      where the worker's health and metrics are served (127.0.0.1:9091)
  SCHEDULER_OPS_ADDR   where the scheduler's health and metrics are served (127.0.0.1:9092)
  MAIL_ADDR            where the mails that are sent are shown (127.0.0.1:8025)
  SMTP_URL             a mail server to send mails by, instead of catching them
  APP_URL              the origin of a web app, where links in mails lead (pages that stand in for it)
  DATABASE_URL         an administrator's URL of a PostgreSQL to use instead of a private one
  POOLER_URL           a pooler in front of DATABASE_URL, which the processes connect through
  REDIS_URL            a Redis to use instead of a private one
  MASTER_KEY           the key that seals secrets in the database, instead of one made for LOCAL_DIR
A port 0 means a free one. Other variables are passed on to the processes, whose --help lists them.
`

func main() {
	if len(os.Args) > 1 {
		fmt.Fprint(os.Stderr, usage)
		if len(os.Args) == 2 && (os.Args[1] == "--help" || os.Args[1] == "-h") {
			return
		}
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "\nlocal: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	// A reader of our output that goes away (`make run | head`) must not end the stack.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	// The first signal stops the stack in order, the second stops waiting for it.
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	hurry, abandon := context.WithCancel(context.Background())
	defer abandon()
	go func() {
		<-signals
		stop()
		<-signals
		abandon()
	}()
	go watchParents(ctx, stop)

	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the current directory: %w", err)
	}
	s, err := newSettings(ctx, os.Environ(), dir, programs())
	if err != nil {
		return err
	}
	return (&stack{settings: s, out: newTerminal(os.Stdout), now: time.Now}).run(ctx, hurry)
}
