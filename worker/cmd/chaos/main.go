// Command chaos proves the job engine: it has jobs of many kinds enqueued without pause, breaks everything that they pass
// through at random and again and again, lets it come to rest, and counts against the database that every job that was
// committed came to the end that its kind demands, and that its effect happened once.
//
// PostgreSQL, Redis, two schedulers and several workers are its own and go with it. It ends with the line
// "jobs=N lost=N doubled=N", and with 1 unless nothing was lost or doubled.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/worker/cmd/internal/stand"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == stand.WorkerArgument {
		os.Exit(stand.Work(time.Now, handlers))
	}
	o := options{now: time.Now, out: os.Stdout}
	flag.DurationVar(&o.duration, "for", time.Minute, "how long faults are made")
	flag.IntVar(&o.jobs, "jobs", 0, "enqueue so many jobs at the start and none later, and break until all have ended; -for does not count then")
	flag.IntVar(&o.rate, "rate", 150, "jobs that are enqueued a second, as far as PostgreSQL is there")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64(), "what the choice of faults and jobs follows from; mostly, since processes race") //nolint:gosec // guards nothing
	flag.DurationVar(&o.lease, "lease", 3*time.Second, "JOB_LEASE of the workers")
	flag.DurationVar(&o.patience, "patience", 3*time.Minute, "how long jobs may take to end once nothing breaks any more")
	flag.StringVar(&o.keep, "keep", "", "a folder in which logs and the database are left; default: a temporary one, removed at the end")
	only := flag.String("faults", "", "only the faults whose names contain one of these words, separated by commas; default: all")
	flag.Parse()
	if flag.NArg() > 0 || o.rate < 1 || o.jobs < 0 || o.duration < 0 {
		fmt.Fprintln(os.Stderr, "chaos: -rate is at least 1, -jobs and -for are not negative, and there are no other arguments; see -help")
		os.Exit(2)
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, o)
	stop()
	os.Exit(code)
}
