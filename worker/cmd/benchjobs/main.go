// Command benchjobs measures the job engine: the real worker and real schedulers over a private PostgreSQL, with its
// ordinary, durable settings, and a private redis-server, beside bare gocraft/work, asynq and River on the same two, in
// one run. It prints the tables of docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/worker/cmd/internal/stand"
)

// options are what a run is told.
type options struct {
	jobs, probes          int
	flood, future         int
	floodFor              time.Duration
	finished, pending     int
	endurance, ended      int
	rivals, only          []string
	onlyEmpty             bool
	out, profile, logging string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == stand.WorkerArgument {
		os.Exit(stand.Work(time.Now, handlers))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchjobs:", err)
		os.Exit(1)
	}
}

func readOptions(args []string) (options, error) {
	o := options{floodFor: 20 * time.Second}
	flags := flag.NewFlagSet("benchjobs", flag.ContinueOnError)
	flags.IntVar(&o.jobs, "jobs", 50_000, "jobs to process in a measurement")
	flags.IntVar(&o.probes, "probes", 100, "starts on an idle worker")
	flags.IntVar(&o.flood, "flood", 100_000, "jobs of the tenant that floods")
	flags.IntVar(&o.future, "future", 10_000, "tenants that hold a future job each")
	flags.IntVar(&o.finished, "finished", 1_000_000, "jobs that have ended, in the measurements beside a backlog")
	flags.IntVar(&o.pending, "pending", 100_000, "jobs that wait, in the measurements beside a backlog")
	flags.IntVar(&o.endurance, "endurance", 0, "instead of all that: put so many jobs through (5000000) and show the tables' sizes")
	flags.IntVar(&o.ended, "ended", 0, "with -endurance: so many jobs are put there by SQL, as if they had gone through before")
	rivals := flags.String("rivals", "river,asynq,gocraft", "the other engines to measure; empty for none")
	only := flags.String("only", "enqueue,process,idle,flood", "the parts to measure of ours")
	flags.BoolVar(&o.onlyEmpty, "only-empty", false, "leave out the measurements beside a backlog")
	flags.StringVar(&o.out, "out", "", "a file for the tables, beside the standard output")
	flags.StringVar(&o.profile, "profile", "", "a directory for CPU profiles of the worker and a scheduler while they process")
	flags.StringVar(&o.logging, "log-level", "info", "LOG_LEVEL of the worker and the schedulers; info is production's")
	short := flags.Bool("short", false, "a tenth of everything: to see that it works")
	if err := flags.Parse(args); err != nil {
		return o, err //nolint:wrapcheck // flag says it
	}
	split := func(list string) []string {
		return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
	}
	o.rivals, o.only = split(*rivals), split(*only)
	if *short {
		o.jobs, o.probes, o.flood, o.future, o.finished, o.pending = o.jobs/10, 10, o.flood/10, o.future/10, o.finished/10, o.pending/10
		o.floodFor = 5 * time.Second
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is not understood; see -help", flags.Arg(0))
	}
	if o.jobs < 1000 || o.probes < 2 || o.flood < 1000 || o.future < 0 || o.finished < 0 || o.pending < 0 || o.endurance < 0 || o.ended < 0 {
		return o, errors.New("-jobs and -flood are at least 1000, -probes at least 2, and nothing is negative")
	}
	return o, nil
}
