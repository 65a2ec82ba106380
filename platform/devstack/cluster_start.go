package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// errAgain says that the server ended for a reason that another try may not meet.
var errAgain = errors.New("try again")

// start brings the server up and returns the port it listens on.
func (c *cluster) start(ctx context.Context) (*proc.Process, int, error) {
	timeout := c.StartTimeout
	if timeout == 0 {
		timeout = time.Minute
	}
	if err := c.prepare(ctx); err != nil {
		return nil, 0, err
	}
	if err := c.endLeftover(ctx); err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	port := c.lastPort()
	for {
		if port == 0 || proc.IsFree(ctx, proc.Local(port)) != nil {
			var err error
			if port, err = proc.FreePort(ctx); err != nil {
				return nil, 0, err
			}
		}
		process, err := c.launch(ctx, port)
		if err == nil {
			err = WriteFile(c.path("port"), []byte(strconv.Itoa(port)+"\n"), 0o600)
			if err != nil {
				return nil, 0, errors.Join(c.explain("keep PostgreSQL's port", err), process.Stop(ctx, c.stopSteps()...))
			}
			return process, port, nil
		}
		if !errors.Is(err, errAgain) || ctx.Err() != nil {
			return nil, 0, err
		}
		port = 0
	}
}

func (c *cluster) lastPort() int {
	b, err := os.ReadFile(c.path("port"))
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || port < 1024 || port > 65535 {
		return 0
	}
	return port
}

// launch starts the server once and waits until it accepts connections.
func (c *cluster) launch(ctx context.Context, port int) (*proc.Process, error) {
	const enough = 16 << 20
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(c.path("postgres.log")); err == nil && info.Size() > enough {
		flags |= os.O_TRUNC
	}
	log, err := os.OpenFile(c.path("postgres.log"), flags, 0o600)
	if err != nil {
		return nil, c.explain("open PostgreSQL's log", err)
	}
	defer closeFile(log)
	before, err := log.Seek(0, 2)
	if err != nil {
		return nil, c.explain("open PostgreSQL's log", err)
	}
	// The server is ended by Stop and by the death signal, not by the context that it was started under.
	cmd, dir, err := c.command(context.WithoutCancel(ctx), "postgres", c.arguments(port)...)
	if err != nil {
		return nil, err
	}
	defer closeFile(dir)
	cmd.Stdout, cmd.Stderr = log, log
	o := proc.Options{DeathSignal: syscall.SIGINT}
	if c.outlives {
		o = proc.Options{Session: true}
	} else if c.Ephemeral {
		o.DeathSignal = syscall.SIGQUIT
	}
	process, err := proc.Start(cmd, o)
	if err != nil {
		return nil, c.explain("start PostgreSQL", err)
	}
	proc.Poll(ctx, time.Hour, func() bool { return hasEnded(process) || c.isReady(process.Pid) })
	switch {
	case hasEnded(process):
		said := tail(c.path("postgres.log"), before)
		if strings.Contains(said, "Address already in use") || strings.Contains(said, "pre-existing shared memory block") {
			return nil, fmt.Errorf("%w: %w", errAgain, c.explainWith("start PostgreSQL", process.Err(), []byte(said)))
		}
		return nil, c.explainWith("start PostgreSQL", process.Err(), []byte(said))
	case ctx.Err() != nil:
		err := c.explainWith("wait for PostgreSQL to accept connections", ctx.Err(), []byte(tail(c.path("postgres.log"), before)))
		return nil, errors.Join(err, process.Stop(ctx, c.stopSteps()...))
	}
	return process, nil
}

func hasEnded(p *proc.Process) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// pidFile is what PostgreSQL notes in postmaster.pid: the process in line 1, its state in line 8.
func (c *cluster) pidFile() (pid int, state string) {
	b, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if err != nil {
		return 0, ""
	}
	lines := strings.Split(string(b), "\n")
	pid, err = strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return 0, ""
	}
	if len(lines) > 7 {
		state = strings.TrimSpace(lines[7])
	}
	return pid, state
}

func (c *cluster) isReady(pid int) bool {
	noted, state := c.pidFile()
	return noted == pid && state == "ready"
}

// endLeftover ends the server that an earlier run left over this cluster, and removes the pid file of one that is gone: its
// number may be a stranger's by now, and PostgreSQL would refuse to start. We hold the lock, so no living run owns either.
func (c *cluster) endLeftover(ctx context.Context) error {
	pid, _ := c.pidFile()
	if pid != 0 {
		id, ok := proc.Identify(pid)
		if ok && id.WorksIn(c.data()) && strings.Contains(id.Command(), "postgres") {
			c.logf("ending the PostgreSQL (process %d) that an earlier run left", pid)
			if err := id.End(ctx, c.stopSteps()...); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(filepath.Join(c.data(), "postmaster.pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return c.explain("remove a stale postmaster.pid", err)
	}
	return nil
}
