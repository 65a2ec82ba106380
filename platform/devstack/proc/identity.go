package proc

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Identity tells a process from any other that had or will have the same id. It can be kept in a file, and the process
// be ended by a later run without harm to a stranger.
type Identity struct {
	Pid     int    `json:"pid"`
	Started string `json:"started"`
}

// Identify returns the identity of a living process.
func Identify(pid int) (Identity, bool) {
	at, ok := started(pid)
	return Identity{Pid: pid, Started: at}, ok
}

// IsAlive says whether this very process lives.
func (i Identity) IsAlive() bool {
	if i.Pid <= 1 || i.Started == "" {
		return false
	}
	at, ok := started(i.Pid)
	return ok && at == i.Started
}

// Command is the process's command line, "" where it cannot be seen.
func (i Identity) Command() string { return command(i.Pid) }

// WorksIn says whether the process's working directory is dir.
func (i Identity) WorksIn(dir string) bool { return worksIn(i.Pid, dir) }

// Parent returns the process's parent's id; not ok when it has ended.
func (i Identity) Parent() (int, bool) {
	if !i.IsAlive() {
		return 0, false
	}
	return parent(i.Pid)
}

// End ends a process that is nobody's child here: it sends the signals of the steps in turn, then SIGKILL, until the
// process is gone. It is no error that it was gone before.
func (i Identity) End(ctx context.Context, steps ...Step) error {
	for _, step := range append(steps, Step{Signal: syscall.SIGKILL, Wait: 30 * time.Second}) {
		if !i.IsAlive() {
			return nil
		}
		if err := syscall.Kill(i.Pid, step.Signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process %d (%s): %w", i.Pid, i.Command(), err)
		}
		if Poll(ctx, step.Wait, func() bool { return !i.IsAlive() }) {
			return nil
		}
	}
	return fmt.Errorf("process %d (%s) does not end; end it with: kill -9 %d", i.Pid, i.Command(), i.Pid)
}

// Poll asks every few milliseconds until the answer is yes, the time is over or the context has ended, and returns the
// last answer. It is for what gives no signal, such as the end of another process's child.
func Poll(ctx context.Context, atMost time.Duration, ask func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ask() {
			return true
		}
		select {
		case <-ctx.Done():
			return ask()
		case <-tick.C:
		}
	}
}
