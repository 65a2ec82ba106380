package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

func queueCommands() []command {
	return []command{
		{
			name: "jobs pause", usage: "QUEUE", summary: "start no more jobs of a queue",
			detail:  "What runs goes on to its end, and what is enqueued waits. jobs drain waits until nothing runs any more.",
			prepare: preparePause("paused", office.pause),
		},
		{
			name: "jobs resume", usage: "QUEUE", summary: "start the jobs of a paused queue again", prepare: preparePause("running", office.resume),
		},
		{
			name: "jobs drain", usage: "QUEUE [--timeout DURATION]", summary: "wait until a queue has nothing to do",
			detail: "Of a paused queue it waits for what runs; of any other for what is pending as well. Scheduled jobs, and those that\n" +
				"wait for their next attempt, are not waited for.",
			prepare: prepareDrain,
		},
	}
}

func preparePause(
	state string, act func(o office, ctx context.Context, queue string) error,
) func(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
	return func(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
		asJSON := jsonFlag(flags)
		return func(ctx context.Context, args []string) error {
			queue, err := oneQueue(args)
			if err != nil {
				return err
			}
			return p.withOffice(ctx, func(o office) error {
				if err := act(o, ctx, queue); err != nil {
					return err
				}
				if *asJSON {
					return writeJSON(p.out, map[string]string{"queue": queue, "state": state})
				}
				fmt.Fprintf(p.out, "%s is %s\n", queue, state)
				return nil
			})
		}
	}
}

// pollEvery is how often a drain looks.
const pollEvery = time.Second

// progress is a line of a drain.
type progress struct {
	Queue   string `json:"queue"`
	Pending int64  `json:"pending"`
	Running int64  `json:"running"`
	Paused  bool   `json:"paused"`
	Done    bool   `json:"done"`
}

func prepareDrain(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
	timeout := flags.Duration("timeout", 10*time.Minute, "give up after this `DURATION`, such as 90s or 10m")
	asJSON := jsonFlag(flags)
	return func(ctx context.Context, args []string) error {
		queue, err := oneQueue(args)
		if err != nil {
			return err
		}
		if *timeout <= 0 {
			return usageError("--timeout is %s; it is more than 0, such as 90s or 10m", *timeout)
		}
		return p.withOffice(ctx, func(o office) error { return p.drain(ctx, o, wait{queue: queue, timeout: *timeout, asJSON: asJSON}) })
	}
}

// wait is what a drain waits for.
type wait struct {
	queue   string
	timeout time.Duration
	asJSON  *bool
}

// drain looks at the queue again and again until it has nothing to do, and writes the counts as they change.
func (p program) drain(ctx context.Context, o office, w wait) error {
	expired := time.NewTimer(w.timeout)
	defer expired.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last progress
	for {
		now, err := o.load(ctx, w.queue)
		if err != nil {
			return err
		}
		if now != last {
			if err := p.tell(now, w.asJSON); err != nil {
				return err
			}
			last = now
		}
		if now.Done {
			return nil
		}
		select {
		case <-tick.C:
		case <-expired.C:
			return fmt.Errorf("%s still has %d pending and %d running after %s; wait longer with --timeout, or see "+
				"groundwork jobs list --queue %s --state pending,running", w.queue, now.Pending, now.Running, w.timeout, w.queue)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p program) tell(now progress, asJSON *bool) error {
	if *asJSON {
		return writeJSON(p.out, now)
	}
	text := fmt.Sprintf("%s  %s: %d pending, %d running", p.now().UTC().Format(time.TimeOnly), now.Queue, now.Pending, now.Running)
	if now.Paused {
		text += ", paused"
	}
	if now.Done {
		text += "; nothing to do"
	}
	_, err := fmt.Fprintln(p.out, text)
	return err
}

func oneQueue(args []string) (string, error) {
	name, err := only(args, "the name of a queue: "+strings.Join(jobs.Queues(), ", "))
	if err == nil && !slices.Contains(jobs.Queues(), name) {
		err = checkQueue(name)
	}
	return name, err
}
