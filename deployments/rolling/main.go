// Command rolling restarts every process of the product in turn while it is used, and counts what came of it: `make rolling`.
//
// It brings up two of each process behind the balancer with deployments/caddy/Caddyfile, all on this machine, of this version
// or of one before (-from), or takes a running stack of containers (-compose). Callers read, write, upload, and send webhooks
// through the balancer; each write makes jobs. At the end every request must have been answered well, and every job must
// have run, once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// options are what the command is told.
type options struct {
	rounds  int
	rate    float64
	from    string // the version that runs before, as git names it, with processes; "" for this one
	compose bool
	// target and authority are the stack's origin and the certificate that its own rests on, with compose.
	target, authority string
	// receiver is where the stack's webhooks reach this program, with compose: host:port.
	receiver string
	// during is a program that is run under the load in the place of restarts; "" for none.
	during   string
	patience time.Duration
}

// site is a stack whose replicas can be restarted.
type site interface {
	// origin is the balancer's.
	origin() string
	// authority is a file with the certificate that the balancer's rests on; "" where it is trusted anyway.
	authority() string
	// replicas are the names of all processes, in the order in which they are restarted.
	replicas() []string
	// advance brings the database to the version that is rolled out, where it is not there yet.
	advance(ctx context.Context) error
	// restart tells a process to stop, waits until it has, starts it again and waits until it is ready.
	restart(ctx context.Context, name string) error
	// close ends what was brought up. Where all was not well, it leaves what says why.
	close(ctx context.Context, isWell bool) error
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 2, "how often each process is restarted")
	flag.Float64Var(&o.rate, "rate", 1, "how much load: 1 is some 60 requests a second")
	flag.StringVar(&o.from, "from", "", "begin with another version, such as v1.2.0 or a commit: its schema and processes come up first, then the database and each process is brought to this one")
	flag.BoolVar(&o.compose, "compose", false, "restart the containers of the running stack of docker-compose.yml")
	flag.StringVar(&o.target, "target", "https://localhost", "with -compose: the stack's origin")
	flag.StringVar(&o.authority, "authority", "", "with -compose: a file with the certificate of the authority that is to be believed; the balancer's own where it is left out")
	flag.StringVar(&o.receiver, "receiver", "", "with -compose: host:port of this machine, as containers reach it; WEBHOOK_ALLOW must name it")
	flag.StringVar(&o.during, "during", "", "with -compose: a program to run under the load in the place of restarts, such as deployments/rollout")
	flag.DurationVar(&o.patience, "patience", 2*time.Minute, "how long jobs may take to end afterwards")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	v, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "rolling:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
	fmt.Println(v)
	if !v.isWell() {
		stop()
		os.Exit(1)
	}
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func run(ctx context.Context, o options) (v verdict, err error) {
	received, err := listen(ctx, o)
	if err != nil {
		return v, err
	}
	defer received.close()
	s, err := open(ctx, o, received)
	if s != nil {
		defer func() { err = errors.Join(err, s.close(context.WithoutCancel(ctx), err == nil && v.isWell())) }()
	}
	if err != nil {
		return v, err
	}
	if !o.compose { // whose callers on this machine have one address
		if err := tellsCallersApart(ctx, s); err != nil {
			return v, err
		}
	}
	l, err := newLoad(ctx, s, received, o.rate)
	if err != nil {
		return v, err
	}
	loading, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	done := l.start(loading)
	if o.during != "" {
		err = runDuring(ctx, o.during)
	} else {
		err = roll(ctx, s, l, o.rounds)
	}
	stopLoad()
	<-done
	if err != nil {
		return v, err
	}
	return l.count(ctx, o.patience)
}

func open(ctx context.Context, o options, received *receiver) (site, error) {
	if o.compose {
		return openContainers(ctx, o)
	}
	return openProcesses(ctx, received, o.from)
}

// roll restarts each process in turn, as often as is asked for, and says how many requests failed meanwhile.
func roll(ctx context.Context, s site, l *load, rounds int) error {
	const pause = time.Second // of load with all of them up
	if err := client.Pause(ctx, pause); err != nil {
		return err
	}
	if err := s.advance(ctx); err != nil {
		return err
	}
	width := 20
	for _, name := range s.replicas() {
		width = max(width, len(name))
	}
	for round := 1; round <= rounds; round++ {
		for _, name := range s.replicas() {
			if err := client.Pause(ctx, pause); err != nil {
				return err
			}
			before, began := l.tally(), time.Now()
			if err := s.restart(ctx, name); err != nil {
				return fmt.Errorf("restart %s: %w", name, err)
			}
			after := l.tally()
			say("round %d: %-*s restarted in %4.1f s, %4d requests, %d failed", round, width, name, time.Since(began).Seconds(),
				after.requests-before.requests, after.failed-before.failed)
		}
	}
	return client.Pause(ctx, pause)
}

// runDuring runs a program, with some seconds of load before and after it.
func runDuring(ctx context.Context, program string) error {
	const margin = 3 * time.Second
	if err := client.Pause(ctx, margin); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return client.Pause(ctx, margin)
}
