package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// run runs a trial, reports, and answers the exit code.
func run(ctx context.Context, o options) int {
	dir, remove := o.keep, func() error { return nil }
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "groundwork-chaos-"); err != nil {
			fmt.Fprintln(o.out, "chaos: make a folder:", err)
			return 1
		}
		remove = func() error { return os.RemoveAll(dir) }
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		fmt.Fprintln(o.out, "chaos: make the folder:", err)
		return 1
	}
	dir, err := filepath.Abs(dir)
	var v *verdict
	if err == nil {
		fmt.Fprintf(o.out, "chaos: seed %d (-seed %d makes the same choices again)\n", o.seed, o.seed)
		v, err = try(ctx, dir, o)
	}
	if err = errors.Join(err, remove()); err != nil {
		fmt.Fprintln(o.out, "chaos:", err)
	}
	if v == nil {
		return 1
	}
	fmt.Fprintf(o.out, "jobs=%d lost=%d doubled=%d\n", v.jobs, v.lost, v.doubled)
	if err != nil || v.lost > 0 || v.doubled > 0 || v.jobs == 0 {
		return 1
	}
	return 0
}

// try runs a trial in a folder.
func try(ctx context.Context, dir string, o options) (v *verdict, err error) {
	t, err := newTrial(ctx, dir, o)
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, t.close(closing))
	}()
	if err != nil {
		return nil, err
	}
	return t.all(ctx)
}

// all enqueues, breaks, settles and counts.
func (t *trial) all(ctx context.Context) (*verdict, error) {
	t.say("everything is up: 2 schedulers, %d workers, %d tenants", len(t.crew.workers), tenantCount)
	breaking, stop := context.WithTimeout(ctx, t.duration)
	if t.jobs > 0 {
		stop()
		breaking, stop = context.WithCancel(ctx)
	}
	defer stop()
	enqueued := make(chan error, 1)
	if t.jobs > 0 {
		if err := t.enqueuer.many(ctx, t.jobs, t.seed); err != nil {
			return nil, err
		}
		t.say("%d jobs are enqueued", t.jobs)
		go func() {
			t.untilEnded(breaking)
			stop()
		}()
		enqueued <- nil
	} else {
		go func() {
			t.enqueuer.run(breaking, t.rate, t.seed)
			enqueued <- nil
		}()
	}
	t.breaking(breaking)
	<-enqueued
	if ctx.Err() != nil {
		return nil, errors.New("interrupted: nothing was counted")
	}
	t.say("nothing breaks any more; %d jobs were enqueued", t.enqueuer.ledger.count())
	t.settle(ctx)
	t.enqueuer.cancels.Wait()
	return t.count(ctx)
}

// count holds the database against the ledger and prints what there is to tell.
func (t *trial) count(ctx context.Context) (*verdict, error) {
	admin, err := t.crew.Admin(ctx)
	if err != nil {
		return nil, err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	v, err := t.enqueuer.ledger.audit(ctx, admin, t.outside)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprint(t.out, v.report(t.made, t.recoveries, t.crew.Told.States()))
	return v, nil
}

// report is all counts, for people.
func (v *verdict) report(made map[string]int, recoveries map[string][]time.Duration, told map[string]int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nFaults, and how soon all that had waited ran again once Redis was back:\n")
	for _, name := range slices.Sorted(maps.Keys(made)) {
		fmt.Fprintf(&b, "  %4d  %s", made[name], name)
		if took := slices.Sorted(slices.Values(recoveries[name])); len(took) > 0 {
			fmt.Fprintf(&b, ": %s (median), %s at worst", took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\nAttempts, by what became of them (lost: its completion came too late and was refused):\n ")
	for _, state := range slices.Sorted(maps.Keys(told)) {
		fmt.Fprintf(&b, " %s=%d", state, told[state])
	}
	fmt.Fprintf(&b, "\n  fenced=%d\n\nJobs, by how they ended:\n", told["lost"])
	ends := slices.SortedFunc(maps.Keys(v.ends), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	for _, end := range ends {
		fmt.Fprintf(&b, "  %6d  %s %s\n", v.ends[end], end[0], cmp.Or(end[1], "nowhere"))
	}
	fmt.Fprintf(&b, "  %d took more than one attempt; %d were rolled back; of %d whose commit nobody saw %d had been committed\n",
		v.again, v.rolledBack, v.unknown, v.kept)
	fmt.Fprintf(&b, "  %d calls outside, %d of them repeats with a key that had come before\n", v.calls, v.repeats)
	for _, note := range v.notes {
		fmt.Fprintf(&b, "  WRONG: %s\n", note)
	}
	b.WriteString("\n")
	return b.String()
}

// untilEnded waits until all jobs have ended, or the context has.
func (t *trial) untilEnded(ctx context.Context) {
	_ = t.poll(ctx, t.noneLeft(ctx))
}
