package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/worker/cmd/internal/stand"
)

// fault is one way to break the engine.
type fault struct {
	name string
	// act breaks something, and mends it as an operator's supervision does.
	act func(ctx context.Context, t *trial, random *rand.Rand) error
	// forgets says that Redis loses jobs, or cannot be reached: how soon they run again is measured.
	forgets bool
}

// workerFaults are those of workers' processes.
func workerFaults() []fault {
	return []fault{
		{name: "worker killed (kill -9)", act: killWorkers},
		{name: "worker stopped past its lease (SIGSTOP, SIGCONT)", act: stopWorker},
		{name: "workers rolled (SIGTERM) to other --queues", act: rollWorkers},
	}
}

// otherFaults are those of everything else.
func otherFaults() []fault {
	return []fault{
		{name: "scheduler killed (kill -9)", act: func(_ context.Context, t *trial, random *rand.Rand) error {
			return t.crew.schedulers[random.IntN(2)].signal(syscall.SIGKILL)
		}},
		{name: "scheduler stopped between LPUSH and COMMIT (SIGSTOP, SIGCONT)", act: stopScheduler},
		{name: "Redis flushed (FLUSHALL)", forgets: true, act: func(_ context.Context, t *trial, _ *rand.Rand) error {
			_, err := t.crew.Redis("FLUSHALL")
			return err
		}},
		{name: "Redis killed and started empty", forgets: true, act: func(ctx context.Context, t *trial, random *rand.Rand) error {
			if err := t.crew.KillRedis(ctx); err != nil {
				return err
			}
			if err := wait(ctx, time.Duration(random.IntN(1500))*time.Millisecond); err != nil {
				return err
			}
			return t.crew.StartRedis(ctx)
		}},
		{name: "Redis's clients cut", forgets: true, act: func(_ context.Context, t *trial, _ *rand.Rand) error {
			for _, p := range t.crew.proxies() {
				p.Cut()
			}
			return nil
		}},
		{name: "Redis full (maxmemory, noeviction)", forgets: true, act: fillRedis},
		{name: "Redis's replies lost (fetches, EXECs, LPUSHes)", forgets: true, act: loseReplies},
		{name: "PostgreSQL restarted, fast", act: func(ctx context.Context, t *trial, _ *rand.Rand) error {
			return t.crew.RestartPostgres(ctx, syscall.SIGINT)
		}},
		{name: "PostgreSQL restarted, immediate", act: func(ctx context.Context, t *trial, _ *rand.Rand) error {
			return t.crew.RestartPostgres(ctx, syscall.SIGQUIT)
		}},
	}
}

func killWorkers(ctx context.Context, t *trial, random *rand.Rand) error {
	for range 1 + random.IntN(3) {
		if err := t.crew.victim(random).signal(syscall.SIGKILL); err != nil {
			return err
		}
		if err := wait(ctx, time.Duration(100+random.IntN(400))*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func stopWorker(ctx context.Context, t *trial, random *rand.Rand) error {
	victim := t.crew.victim(random).now()
	if err := victim.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	waited := wait(ctx, t.lease+1500*time.Millisecond)
	return errors.Join(waited, victim.Signal(syscall.SIGCONT))
}

// rollWorkers tells one worker after the other to stop, and waits until its successor, with other queues, is there.
func rollWorkers(ctx context.Context, t *trial, random *rand.Rand) error {
	t.crew.shuffle(random)
	return t.roll(ctx)
}

// roll replaces all workers but the first, one after the other.
func (t *trial) roll(ctx context.Context) error {
	for _, each := range t.crew.workers[1:] {
		old := each.now()
		if err := old.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		for each.now() == old {
			if err := wait(ctx, 10*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

// stopScheduler catches a scheduler that has handed jobs over and not committed yet, and stops it there for so long that
// PostgreSQL ends its transaction.
func stopScheduler(ctx context.Context, t *trial, _ *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	caught := make(chan *stand.Process, 1)
	release := make(chan struct{})
	var freed sync.Once
	defer freed.Do(func() { close(release) })
	for _, each := range t.crew.schedulers {
		p := each.now()
		if p == nil {
			continue
		}
		p.Redis.Decide(func(request []byte) stand.Fate {
			if !bytes.Contains(request, []byte("LPUSH")) {
				return stand.Fate{}
			}
			select {
			case caught <- p: // the first one is enough
				return stand.Fate{Held: release}
			default:
				return stand.Fate{}
			}
		})
		defer p.Redis.Decide(nil)
	}
	var victim *stand.Process
	for victim == nil {
		select {
		case victim = <-caught:
		case <-ctx.Done():
			return fmt.Errorf("catch a scheduler that hands jobs over: %w", context.Cause(ctx))
		}
	}
	if err := victim.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	waited := wait(ctx, 3*time.Second)
	freed.Do(func() { close(release) })
	return errors.Join(waited, victim.Signal(syscall.SIGCONT))
}

func fillRedis(ctx context.Context, t *trial, _ *rand.Rand) error {
	if _, err := t.crew.Redis("CONFIG", "SET", "maxmemory", "1"); err != nil {
		return err
	}
	waited := wait(ctx, 1500*time.Millisecond)
	_, err := t.crew.Redis("CONFIG", "SET", "maxmemory", "0")
	return errors.Join(waited, err)
}

// loseReplies has every tenth reply lost, and the connection with it, of the requests that move jobs.
func loseReplies(ctx context.Context, t *trial, _ *rand.Rand) error {
	var asked atomic.Int64
	proxies := t.crew.proxies()
	for _, p := range proxies {
		p.Decide(func(request []byte) stand.Fate {
			for _, command := range []string{"EVALSHA", "EXEC", "LPUSH"} {
				if bytes.Contains(request, []byte(command)) {
					return stand.Fate{Lost: asked.Add(1)%10 == 0}
				}
			}
			return stand.Fate{}
		})
	}
	waited := wait(ctx, 2*time.Second)
	for _, p := range proxies {
		p.Decide(nil)
	}
	return waited
}
