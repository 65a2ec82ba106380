// Package lifecycle starts the parts of a process in order and stops them in the reverse order.
//
// cmd/ packages call Run once, with everything that must be stopped properly: servers, pools, loops. It owns the
// process's signals. It knows nothing about what the parts do, and starts nothing again: a part that fails ends the
// process, and whoever supervises it starts a fresh one.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// Component is one part of a process. Every function may be nil.
type Component struct {
	// Name says what failed: "api server".
	Name string
	// Start brings the part up and returns once it works; the next part starts after it. ctx ends where the process
	// is told to stop meanwhile. Where Start fails it cleans up after itself: Stop is not called.
	Start func(ctx context.Context) error
	// Serve does the part's work until Stop is called, beside the other parts. Where it returns before that, with or
	// without an error, the whole process stops.
	Serve func() error
	// Drain announces that the end has come while everything still works: readiness is turned off here. Every Drain
	// is called before the first Stop, and must not block.
	Drain func()
	// Stop finishes what is in flight and returns once nothing is left; when ctx ends it gives up what is left.
	Stop func(ctx context.Context) error
}

// giveUp is how long a Stop may take to return once its time is over.
const giveUp = time.Second

// Run starts the components in order and returns once they have stopped again, in the reverse order: after SIGINT,
// SIGTERM or the end of ctx with nil, after the failure of a component with its error. Stopping may take shutdown in
// all; what has not stopped by then is left behind and named in the error. A second signal exits at once, with 128 and
// the signal's number.
func Run(ctx context.Context, shutdown time.Duration, components ...Component) error {
	// The collector counts it as heap. It is never written to, so that the system gives no memory for it.
	floor := make([]byte, heapFloor)
	defer runtime.KeepAlive(floor)

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)

	running, stop := context.WithCancel(ctx)
	defer stop()
	go giveBack(running)
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-signals:
			stop()
		case <-over:
			return
		}
		select {
		case second := <-signals:
			code := 1
			if number, ok := second.(syscall.Signal); ok {
				code = 128 + int(number)
			}
			os.Exit(code)
		case <-over:
		}
	}()

	r := run{failed: make(chan error, len(components)), stopAll: stop}
	failure := r.start(running, components)
	if failure == nil {
		<-running.Done()
	}
	failure = errors.Join(failure, r.stop(ctx, shutdown))
	for len(r.failed) > 0 {
		failure = errors.Join(<-r.failed, failure)
	}
	return failure
}

// run is what is up, in the order of its start.
type run struct {
	up      []served
	failed  chan error // has room for one of each component
	stopAll context.CancelFunc
}

type served struct {
	Component
	// stopping is closed before Stop is called, done once Serve has returned.
	stopping, done chan struct{}
}

func (r *run) start(ctx context.Context, components []Component) error {
	over := func() bool { return ctx.Err() != nil }
	for _, component := range components {
		if over() {
			return nil
		}
		if component.Start != nil {
			err := component.Start(ctx)
			switch {
			case err != nil && over():
				return nil // it was told to stop meanwhile: the error says no more than that
			case err != nil:
				return fmt.Errorf("start %s: %w", component.Name, err)
			}
		}
		s := served{component, make(chan struct{}), make(chan struct{})}
		r.up = append(r.up, s)
		go func() {
			defer close(s.done)
			if err := s.serve(); err != nil {
				r.failed <- err
				r.stopAll()
			}
		}()
	}
	return nil
}

// serve does the component's work and returns the error where that ended too early.
func (s *served) serve() error {
	if s.Serve == nil {
		return nil
	}
	err := s.Serve()
	select {
	case <-s.stopping:
		return nil
	default:
	}
	if err == nil {
		err = errors.New("ended by itself")
	}
	return fmt.Errorf("%s: %w", s.Name, err)
}

func (r *run) stop(ctx context.Context, shutdown time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
	defer cancel()
	for _, s := range r.up {
		if s.Drain != nil {
			s.Drain()
		}
	}
	var failures []error
	for i := len(r.up) - 1; i >= 0; i-- {
		if err := r.up[i].end(ctx); err != nil {
			failures = append(failures, fmt.Errorf("stop %s: %w", r.up[i].Name, err))
		}
	}
	return errors.Join(failures...)
}

// end stops one component and waits for its work to end.
func (s *served) end(ctx context.Context) error {
	close(s.stopping)
	stopped := make(chan error, 1)
	go func() {
		var err error
		if s.Stop != nil {
			err = s.Stop(ctx)
		}
		<-s.done
		stopped <- err
	}()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-stopped:
		return err
	case <-time.After(giveUp):
		return errors.New("it did not stop in time and was left behind")
	}
}
