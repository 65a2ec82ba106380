// Package proc starts and ends the processes of a development stack so that none is left behind.
//
// It owns the starting of children that die with their parent, the recognition of a process that an earlier run
// left, locks on files that a dead holder frees by itself, and the search for free ports and for what holds one that is not
// free. platform/devstack and deployments/local call it; no service does. It never signals a process that it has not
// started or recognised, and it knows Unix only.
package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Options say how a process lives beside its parent.
type Options struct {
	// DeathSignal is sent to the process by the kernel when this one dies in whatever way, kill -9 included; 0 lets it
	// outlive its parent. Only Linux can do it; elsewhere an orphan is found and ended by the next start.
	DeathSignal syscall.Signal
	// Session starts the process in a session of its own, out of reach of the terminal; without it, it gets a process
	// group of its own, so that Ctrl-C reaches it through us only and in our order.
	Session bool
}

// Process is a child.
type Process struct {
	// Pid is the child's process id, and its process group's.
	Pid int

	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start starts the command. It may have a credential in its SysProcAttr; the rest of it is set here.
//
// The kernel sends a death signal when the *thread* that started the child dies, not the process. Go ends a thread when
// a goroutine that is locked to it returns, which any package in the process may cause on the very thread that
// happened to start the child. So each child is started on a thread that belongs to one goroutine, and this
// goroutine stays, waiting for the child, for as long as the child lives.
func Start(cmd *exec.Cmd, o Options) (*Process, error) {
	attr := &syscall.SysProcAttr{Setsid: o.Session, Setpgid: !o.Session}
	if cmd.SysProcAttr != nil {
		attr.Credential = cmd.SysProcAttr.Credential
	}
	setDeathSignal(attr, o.DeathSignal)
	cmd.SysProcAttr = attr

	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.Pid = cmd.Process.Pid
		started <- nil
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// Done is closed when the process has ended and was waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the process ended: nil for a plain exit with 0, an *exec.ExitError otherwise. It waits for the end.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Signal sends a signal to the process alone. That it has ended already is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal process %d: %w", p.Pid, err)
	}
	return nil
}

// Step is a signal and how long to wait for its effect.
type Step struct {
	Signal syscall.Signal
	Wait   time.Duration
}

// Stop takes the steps in turn until the process has ended, and kills its whole group when none of them helped. A context
// that ends makes it skip to the next step. It returns only when the process is gone.
func (p *Process) Stop(ctx context.Context, steps ...Step) error {
	for _, step := range steps {
		if err := p.Signal(step.Signal); err != nil {
			return err
		}
		timer := time.NewTimer(step.Wait)
		select {
		case <-p.done:
			timer.Stop()
			return nil
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := syscall.Kill(-p.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", p.Pid, err)
	}
	<-p.done
	return nil
}
