package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundwork-saas/groundwork/worker/cmd/internal/stand"
)

// options are what a trial is told.
type options struct {
	duration time.Duration
	jobs     int
	rate     int
	seed     uint64
	lease    time.Duration
	patience time.Duration
	keep     string
	only     []string
	// brief leaves out what takes half a minute by design: jobs of kinds that a worker does not know.
	brief bool
	// rounds is how often each fault is made; 0 is until the time is over.
	rounds int
	now    func() time.Time
	out    io.Writer
}

// trial is one run.
type trial struct {
	options

	crew     *crew
	enqueuer *enqueuer
	outside  *receiver
	began    time.Time

	// calm is held by whoever disturbs workers, and by whoever measures.
	calm sync.Mutex

	mu         sync.Mutex
	made       map[string]int
	recoveries map[string][]time.Duration
}

// newTrial brings everything up. Close it when done, also after an error.
func newTrial(ctx context.Context, dir string, o options) (*trial, error) {
	t := &trial{options: o, began: o.now(), made: map[string]int{}, recoveries: map[string][]time.Duration{}}
	s, err := stand.New(ctx, stand.Config{
		Dir: dir, Schema: []string{schema}, Say: t.say,
		// PostgreSQL's processes die, never the machine: what it has written the kernel keeps. That it says of no commit
		// that it is done before it is written (synchronous_commit) stays as it is.
		Postgres: map[string]string{"fsync": "off", "max_connections": "250"},
	})
	t.crew = &crew{Stand: s, ends: func() {}}
	if err != nil {
		return t, err
	}
	if t.outside, err = newReceiver(ctx); err != nil {
		return t, err
	}
	if t.enqueuer, err = newEnqueuer(ctx, s, o); err != nil {
		return t, err
	}
	t.crew = newCrew(ctx, s, o.lease, t.outside.url)
	return t, t.crew.waitReady(ctx, time.Minute)
}

func (t *trial) close(ctx context.Context) error {
	var err error
	if t.enqueuer != nil {
		err = t.enqueuer.close()
	}
	t.crew.stop()
	err = errors.Join(err, t.crew.Close(ctx))
	if t.outside != nil {
		t.outside.close()
	}
	return err
}

// say prints a line with the time since the beginning.
func (t *trial) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%7.1f s  %s\n", t.now().Sub(t.began).Seconds(), fmt.Sprintf(format, args...))
}

// wanted are the faults that the options name.
func (t *trial) wanted(all []fault) []fault {
	if len(t.only) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(f fault) bool {
		return !slices.ContainsFunc(t.only, func(word string) bool { return strings.Contains(f.name, word) })
	})
}

// breaking makes faults of two lists at once until the context ends, or for so many rounds: of each list all in turn, in
// an order that changes.
func (t *trial) breaking(ctx context.Context) {
	var lanes sync.WaitGroup
	for n, list := range [][]fault{t.wanted(workerFaults()), t.wanted(otherFaults())} {
		random := rand.New(rand.NewPCG(t.seed, uint64(n))) //nolint:gosec // chosen so that it can be repeated
		lanes.Go(func() {
			for round := 0; len(list) > 0 && ctx.Err() == nil && (t.rounds == 0 || round < t.rounds); round++ {
				random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
				for _, f := range list {
					if wait(ctx, t.rest(random)) != nil {
						return
					}
					t.make(context.WithoutCancel(ctx), f, random, n == 0)
				}
			}
		})
	}
	lanes.Wait()
}

// make makes one fault, and measures how soon jobs run again that Redis had.
func (t *trial) make(ctx context.Context, f fault, random *rand.Rand, disturbs bool) { //nolint:revive // says whose calm it is
	if f.forgets || disturbs {
		t.calm.Lock()
		defer t.calm.Unlock()
	}
	if f.forgets {
		t.enqueuer.naps(ctx, t.burst())
		t.untilHandedOver(ctx)
	}
	t.say("%s", f.name)
	if err := f.act(ctx, t, random); err != nil {
		t.say("%s: %s", f.name, err)
		return
	}
	t.mu.Lock()
	t.made[f.name]++
	t.mu.Unlock()
	if f.forgets {
		t.measure(ctx, f)
	}
}

const (
	// handedOver counts the naps that are in Redis, as PostgreSQL has it; waiting those that have not run, too.
	handedOver = "select count(*) from jobs where kind = 'chaos.nap' and state = 'dispatched'"
	waiting    = `select count(*) from jobs where kind = 'chaos.nap' and state in ('pending', 'dispatched') and attempt = 0 and created_at < $1`
)

// untilHandedOver waits until jobs are in Redis that can be lost there.
func (t *trial) untilHandedOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_ = t.poll(ctx, func(admin *pgx.Conn) (bool, error) {
		var n int
		err := admin.QueryRow(ctx, handedOver).Scan(&n)
		return n > 10, err
	})
}

// measure measures how long it takes from now until all have begun that waited when Redis was back.
func (t *trial) measure(ctx context.Context, f fault) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var back, since time.Time
	left := 0
	err := t.poll(ctx, func(admin *pgx.Conn) (bool, error) {
		if back.IsZero() {
			if err := admin.QueryRow(ctx, "select clock_timestamp()").Scan(&back); err != nil {
				return false, err
			}
			since = t.now()
		}
		err := admin.QueryRow(ctx, waiting, back).Scan(&left)
		return left == 0, err
	})
	took := t.now().Sub(since)
	switch {
	case err != nil:
		t.say("%s: jobs did not run again: %d are left: %s", f.name, left, err)
	default:
		t.say("%s: all that waited has run again %s after Redis was back", f.name, took.Round(time.Millisecond))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recoveries[f.name] = append(t.recoveries[f.name], took)
}

// poll asks PostgreSQL until the answer is yes, whatever happens to the connection meanwhile.
func (t *trial) poll(ctx context.Context, ask func(admin *pgx.Conn) (bool, error)) error {
	var admin *pgx.Conn
	defer func() {
		if admin != nil {
			_ = admin.Close(context.WithoutCancel(ctx))
		}
	}()
	for {
		var err error
		if admin == nil || admin.IsClosed() {
			admin, err = t.crew.Admin(ctx)
		}
		if err == nil {
			yes, asked := ask(admin)
			if yes && asked == nil {
				return nil
			}
		}
		if err := wait(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// settle has nothing break any more and waits until all jobs have ended. That they do not is no error: they are counted.
func (t *trial) settle(ctx context.Context) {
	t.crew.settle()
	ctx, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	if err := t.roll(ctx); err != nil {
		t.say("workers could not be replaced: %s", err)
	}
	err := t.poll(ctx, t.noneLeft(ctx))
	if err != nil {
		t.say("not all jobs have ended within %s", t.patience)
	}
}

// noneLeft asks whether all jobs have ended, and tells now and then how many have not.
func (t *trial) noneLeft(ctx context.Context) func(*pgx.Conn) (bool, error) {
	said := t.now()
	return func(admin *pgx.Conn) (bool, error) {
		var n int
		err := admin.QueryRow(ctx, "select count(*) from jobs where state <> 'dead' and kind like 'chaos.%'").Scan(&n)
		if err == nil && t.now().Sub(said) > 5*time.Second {
			t.say("%d jobs have not ended yet", n)
			said = t.now()
		}
		return n == 0, err
	}
}

// rest is how long nothing new breaks.
func (t *trial) rest(random *rand.Rand) time.Duration {
	if t.brief {
		return time.Duration(100+random.IntN(300)) * time.Millisecond
	}
	return time.Duration(300+random.IntN(1200)) * time.Millisecond
}

// burst is how many jobs there are for Redis to lose.
func (t *trial) burst() int {
	if t.brief {
		return 5 * tenantCount
	}
	return 10 * tenantCount
}
