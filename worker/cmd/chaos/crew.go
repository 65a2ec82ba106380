package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/worker/cmd/internal/stand"
)

// slot is a place for a process, which is started again whenever it ends, as an orchestrator does.
type slot struct {
	name  string
	start func(ctx context.Context, name string) (*stand.Process, error)

	mu      sync.Mutex
	process *stand.Process
}

// keep starts the process again and again until the context ends.
func (s *slot) keep(ctx context.Context) {
	for ctx.Err() == nil {
		p, err := s.start(ctx, s.name)
		if err == nil {
			s.mu.Lock()
			s.process = p
			s.mu.Unlock()
			select {
			case <-p.Done():
			case <-ctx.Done():
				return
			}
		}
		_ = wait(ctx, 100*time.Millisecond)
	}
}

// now is the process that is in the slot; nil before the first one.
func (s *slot) now() *stand.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

func (s *slot) signal(signal syscall.Signal) error {
	if p := s.now(); p != nil {
		return p.Signal(signal)
	}
	return nil
}

// crew are the schedulers and the workers.
type crew struct {
	*stand.Stand

	schedulers, workers []*slot
	env                 []string // of workers
	ends                context.CancelFunc
	kept                sync.WaitGroup

	mu sync.Mutex
	// shifts are the workers' queues, by slot. Those of the first one never change: it alone has what kills it.
	shifts  []shift
	settled bool
}

// shift is what a worker serves and knows.
type shift struct {
	queues   string
	ignorant bool
}

// sacrificed is the shift of the worker that poison kills.
const sacrificed = "reports=2,transfers=8"

func shifts() []shift {
	return []shift{
		{queues: sacrificed},
		{queues: "critical=8,default=8"},
		{queues: "critical=4,default=4,webhooks=8", ignorant: true},
		{queues: "default=8,webhooks=8,critical=4"},
		{queues: "critical=8,webhooks=4,default=2", ignorant: true},
	}
}

// newCrew starts two schedulers and a worker for each shift.
func newCrew(ctx context.Context, s *stand.Stand, lease time.Duration, receiver string) *crew {
	c := &crew{Stand: s, shifts: shifts(), env: []string{
		"JOB_LEASE=" + lease.String(), "SHUTDOWN_TIMEOUT=5s", "DATABASE_MAX_CONNECTIONS=8", envReceiver + "=" + receiver,
	}}
	ctx, c.ends = context.WithCancel(ctx)
	for n := range 2 {
		c.schedulers = append(c.schedulers, &slot{name: "scheduler-" + strconv.Itoa(n+1), start: c.startScheduler})
	}
	for n := range c.shifts {
		c.workers = append(c.workers, &slot{name: "worker-" + strconv.Itoa(n+1), start: func(ctx context.Context, name string) (*stand.Process, error) {
			return c.startWorker(ctx, name, n)
		}})
	}
	for _, each := range append(append([]*slot{}, c.schedulers...), c.workers...) {
		c.kept.Go(func() { each.keep(ctx) })
	}
	return c
}

func (c *crew) startScheduler(ctx context.Context, name string) (*stand.Process, error) {
	return c.StartScheduler(ctx, stand.Options{Name: name, Proxied: true, Env: []string{"DATABASE_MAX_CONNECTIONS=16"}})
}

func (c *crew) startWorker(ctx context.Context, name string, n int) (*stand.Process, error) {
	c.mu.Lock()
	at, settled := c.shifts[n], c.settled
	c.mu.Unlock()
	o := stand.Options{Name: name, Proxied: true, Env: c.env}
	switch {
	case settled && n > 0:
		o.Args = []string{"--queues", "critical=8,default=8,webhooks=8,transfers=8"}
	default:
		o.Args = []string{"--queues", at.queues}
		if at.ignorant {
			o.Env = append(o.Env[:len(o.Env):len(o.Env)], envIgnorant+"=1")
		}
	}
	return c.StartWorker(ctx, o)
}

// shuffle gives the workers other shifts, for their next start.
func (c *crew) shuffle(random *rand.Rand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	random.Shuffle(len(c.shifts)-1, func(i, j int) { c.shifts[i+1], c.shifts[j+1] = c.shifts[j+1], c.shifts[i+1] })
}

// settle has all workers know all kinds from their next start on, and all but the first serve every queue but the one
// with poison.
func (c *crew) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled = true
}

// victim is a worker, at random; not the one that poison kills.
func (c *crew) victim(random *rand.Rand) *slot { return c.workers[1+random.IntN(len(c.workers)-1)] }

// proxies are those between the processes and Redis.
func (c *crew) proxies() (all []*stand.Proxy) {
	for _, each := range append(append([]*slot{}, c.schedulers...), c.workers...) {
		if p := each.now(); p != nil {
			all = append(all, p.Redis)
		}
	}
	return all
}

// waitReady waits until all processes are ready.
func (c *crew) waitReady(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, each := range append(append([]*slot{}, c.schedulers...), c.workers...) {
		for p := each.now(); p == nil || !p.IsReady(ctx); p = each.now() {
			if err := wait(ctx, 20*time.Millisecond); err != nil {
				if p == nil {
					return fmt.Errorf("%s does not start: %w", each.name, err)
				}
				return fmt.Errorf("%s does not get ready: %w; its log ends with:\n%s", each.name, err, p.Tail())
			}
		}
	}
	return nil
}

// stop ends the starting of processes; the stand ends those that there are.
func (c *crew) stop() {
	c.ends()
	c.kept.Wait()
}
