// Command bench measures the API beside a hand-written handler and beside pgbench, over the same orders of the same
// PostgreSQL, in one run: `go run ./deployments/bench`, which is `make bench`.
//
// It owns a private PostgreSQL with its ordinary durable settings, a real redis-server, the rows, the load, and the
// table in Markdown that it prints. It builds the programs that production runs and knows them by their environment
// and their HTTP interface only. Nothing calls it, and it never touches a database that it did not make.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	rows, tenants     int
	clients           int
	repeats           int
	duration, warmUp  time.Duration
	bulks             int
	starts            int
	dir, out, profile string
	quick             bool
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == rivalArgument {
		if err := runRival(); err != nil {
			fmt.Fprintln(os.Stderr, "rival:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func readOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.rows, "rows", 1_000_000, "orders in all; every fifth is the large tenant's")
	flags.IntVar(&o.tenants, "tenants", 1000, "tenants in all")
	flags.IntVar(&o.clients, "clients", 16, "clients that ask at the same time, one request each")
	flags.IntVar(&o.repeats, "repeats", 5, "how often each is measured; the table shows medians")
	flags.DurationVar(&o.duration, "duration", 5*time.Second, "how long each is measured, each time")
	flags.DurationVar(&o.warmUp, "warm-up", time.Second, "how long each is asked before it is measured, each time")
	flags.IntVar(&o.bulks, "bulks", 5, "bulk requests of 1,000 creates, each time")
	flags.IntVar(&o.starts, "starts", 5, "how often each process is started for its time to ready")
	flags.StringVar(&o.dir, "dir", "", "where the databases are kept; removed at the end; a new temporary directory by default")
	flags.StringVar(&o.out, "out", "", "a file for the table, beside the standard output")
	flags.StringVar(&o.profile, "profile", "", "a directory for CPU and allocation profiles of the API, taken in a round of their own")
	flags.BoolVar(&o.quick, "short", false, "50,000 orders, one short round: to see that it works")
	if err := flags.Parse(args); err != nil {
		return o, err //nolint:wrapcheck // flag says it
	}
	if o.quick {
		given := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
		set := func(name string, to func()) {
			if !given[name] {
				to()
			}
		}
		set("rows", func() { o.rows = 50_000 })
		set("tenants", func() { o.tenants = 100 })
		set("repeats", func() { o.repeats = 1 })
		set("duration", func() { o.duration = 500 * time.Millisecond })
		set("warm-up", func() { o.warmUp = 200 * time.Millisecond })
		set("bulks", func() { o.bulks = 1 })
		set("starts", func() { o.starts = 1 })
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is not understood; see -help", flags.Arg(0))
	case o.rows < 1000 || o.rows > 10_000_000:
		return o, errors.New("-rows must be from 1,000 to 10,000,000")
	case o.tenants < 2 || o.tenants > 100_000:
		return o, errors.New("-tenants must be from 2 to 100,000")
	case o.clients < 1 || o.clients > 256 || o.repeats < 1 || o.repeats > 50 || o.starts < 1 || o.starts > 50 || o.bulks < 1 || o.bulks > 50:
		return o, errors.New("-clients must be from 1 to 256; -repeats, -starts and -bulks from 1 to 50")
	case o.duration < 50*time.Millisecond || o.duration > time.Minute || o.warmUp < 0 || o.warmUp > time.Minute:
		return o, errors.New("-duration must be from 50ms to 1m, -warm-up at most 1m")
	}
	return o, nil
}

func run(ctx context.Context, args []string) (err error) {
	o, err := readOptions(args)
	if err != nil {
		return err
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "groundwork-bench-"); err != nil {
			return fmt.Errorf("make a directory: %w", err)
		}
	} else if err := os.Mkdir(o.dir, 0o700); err != nil {
		return fmt.Errorf("-dir must be new: %w", err)
	}
	// What a private database holds is removed by its own path alone.
	defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	s := &stack{options: o, began: time.Now()}
	defer func() { err = errors.Join(err, s.stop(context.WithoutCancel(ctx))) }()
	if err := s.bringUp(ctx); err != nil {
		return err
	}
	results, err := s.measure(ctx)
	if err != nil {
		return err
	}
	table := results.markdown()
	fmt.Fprint(os.Stdout, table)
	if o.out != "" {
		if err := os.WriteFile(filepath.Clean(o.out), []byte(table), 0o600); err != nil {
			return fmt.Errorf("write the table: %w", err)
		}
	}
	return nil
}

// say tells whoever waits what is going on.
func (s *stack) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1fs  "+format+"\n", append([]any{time.Since(s.began).Seconds()}, args...)...)
}
