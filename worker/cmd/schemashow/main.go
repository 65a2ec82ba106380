// Command schemashow changes the schema of a large table while the API is under load, and counts what the requests
// noticed: `go run ./worker/cmd/schemashow`, which is `make migrate-show`.
//
// PostgreSQL, Redis, the API and the rows are its own and go with it. Five changes are applied by the runner that
// production uses, from files that the linter accepts; a backfill runs as a worker runs it. It prints a table in Markdown,
// and ends with 1 where a request failed or took longer than 500 ms.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/worker/cmd/internal/stand"
)

// options are the flags.
type options struct {
	rows, clients, rate int
	calm                time.Duration
	fillFor             time.Duration
	most                time.Duration
	out                 string
}

func main() {
	var o options
	flag.IntVar(&o.rows, "rows", 2_000_000, "customers in all; every fifth is of the organization that is under load")
	flag.IntVar(&o.clients, "clients", 16, "clients, each with a connection of its own")
	flag.IntVar(&o.rate, "rate", 100, "requests a second, of all clients: reads by id, lists, changes and creates")
	flag.DurationVar(&o.calm, "calm", 20*time.Second, "how long requests are counted before the first change, to compare with")
	flag.DurationVar(&o.fillFor, "backfill-for", time.Hour, "how long the backfill may take; then it is no success")
	flag.DurationVar(&o.most, "most", 500*time.Millisecond, "how long a request may take")
	flag.StringVar(&o.out, "out", "", "a file for the table, beside the standard output")
	flag.Parse()
	if flag.NArg() > 0 || o.rows < 1000 || o.rows > 20_000_000 || o.clients < 1 || o.clients > 256 || o.rate < 1 || o.rate > 10_000 || o.calm < 0 || o.most <= 0 || o.fillFor <= 0 {
		fmt.Fprintln(os.Stderr, "schemashow: -rows is 1,000 to 20,000,000, -clients 1 to 256, -rate 1 to 10,000, and there are no other arguments; see -help")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "schemashow:", err)
		os.Exit(1)
	}
}

// show is what runs.
type show struct {
	options

	began time.Time
	stand *stand.Stand
	root  string // the repository
	dir   string
	api   *api
	load  *load
}

func (s *show) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%7.1fs  "+format+"\n", append([]any{time.Since(s.began).Seconds()}, args...)...)
}

var errNoticed = errors.New("requests noticed the changes")

func run(ctx context.Context, o options) (err error) {
	s := &show{options: o, began: time.Now()}
	dir, remove, err := stand.Scratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	s.dir = dir
	s.stand, err = stand.New(ctx, stand.Config{Dir: dir, Say: s.say, Schema: []string{
		"alter table customers add column referred_by uuid, add column segment text default 'none'", // as a release before left them
	}})
	if s.stand != nil {
		defer func() { err = errors.Join(err, s.stand.Close(context.WithoutCancel(ctx))) }()
	}
	if err != nil {
		return err
	}
	if err := s.startAPI(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.api.Stop(context.WithoutCancel(ctx))) }()
	if err := s.fill(ctx); err != nil {
		return err
	}
	results, err := s.change(ctx)
	if results == nil {
		return err
	}
	table, noticed := results.markdown(o)
	fmt.Fprint(os.Stdout, table)
	if o.out != "" {
		if failed := os.WriteFile(o.out, []byte(table), 0o600); failed != nil {
			return errors.Join(err, fmt.Errorf("write the table: %w", failed))
		}
	}
	if noticed {
		return errors.Join(err, errNoticed)
	}
	return err
}
