package stand

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// WorkerArgument is the first argument of the calling program where it is to be a worker: it calls Work then.
const WorkerArgument = "-worker"

// Process is a scheduler or a worker.
type Process struct {
	*proc.Process

	Name string
	// Ops is the address of its ops port.
	Ops string
	// Redis is the network between the process and Redis; nil where it was asked for none.
	Redis *Proxy
	// LogPath is where its log is, with those of all processes of its name.
	LogPath string
}

// Options say how a process is started.
type Options struct {
	// Name is the log's: processes that follow each other in one place share it.
	Name string
	// Proxied puts a Proxy between the process and Redis.
	Proxied bool
	// Args are the worker's: --queues default=10.
	Args []string
	// Env is added to the environment: NAME=value.
	Env []string
	// Ready is how long the process may take until it is ready; 0 does not wait.
	Ready time.Duration
}

// StartScheduler starts a real scheduler.
func (s *Stand) StartScheduler(ctx context.Context, o Options) (*Process, error) {
	o.Env = append(o.Env, "DATABASE_URL="+s.RoleURL("groundwork_system"))
	return s.start(ctx, exec.CommandContext(context.WithoutCancel(ctx), s.scheduler), "SCHEDULER_OPS_ADDR", o) //nolint:gosec // built here
}

// StartWorker starts this program again, as a worker.
func (s *Stand) StartWorker(ctx context.Context, o Options) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	o.Env = append(o.Env, "DATABASE_URL="+s.RoleURL("groundwork_worker"), "SYSTEM_DATABASE_URL="+s.RoleURL("groundwork_system"))
	args := append([]string{WorkerArgument}, o.Args...)
	return s.start(ctx, exec.CommandContext(context.WithoutCancel(ctx), self, args...), "WORKER_OPS_ADDR", o) //nolint:gosec // ourselves
}

func (s *Stand) start(ctx context.Context, cmd *exec.Cmd, opsVariable string, o Options) (*Process, error) {
	p := &Process{Name: o.Name, LogPath: filepath.Join(s.config.Dir, o.Name+".log")}
	redis := s.RedisURL()
	if o.Proxied {
		var err error
		if p.Redis, redis, err = newProxy(ctx, redis); err != nil {
			return nil, err
		}
	}
	port, err := proc.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	p.Ops = proc.Local(port)
	log, err := os.OpenFile(p.LogPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", o.Name, err)
	}
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "TZ=UTC", "REDIS_URL=" + redis, "MASTER_KEY=" + s.masterKey, opsVariable + "=" + p.Ops,
	}, o.Env...)
	said := &output{file: log, tally: s.Told}
	cmd.Stdout, cmd.Stderr = said, said
	if p.Process, err = proc.Start(cmd, proc.Options{DeathSignal: syscall.SIGKILL}); err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	go func() {
		<-p.Done()
		_ = log.Close()
		p.Redis.close()
	}()
	s.mu.Lock()
	s.processes = append(s.processes, p)
	s.mu.Unlock()
	if o.Ready > 0 {
		return p, p.waitReady(ctx, o.Ready)
	}
	return p, nil
}

// waitReady waits until the process says that it is ready.
func (p *Process) waitReady(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !p.IsReady(ctx) {
		select {
		case <-tick.C:
		case <-p.Done():
			return fmt.Errorf("%s has ended: %w; its log ends with:\n%s", p.Name, p.Err(), p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; its log ends with:\n%s", p.Name, context.Cause(ctx), p.Tail())
		}
	}
	return nil
}

// IsReady says whether the process is ready.
func (p *Process) IsReady(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Ops+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Tail is the end of the process's log.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.LogPath)
	if err != nil {
		return err.Error()
	}
	const enough = 3000
	return string(b[max(0, len(b)-enough):])
}

// Terminate tells the process to stop, waits, and kills it where it does not.
func (p *Process) Terminate(ctx context.Context, patience time.Duration) error {
	return p.Stop(ctx, proc.Step{Signal: syscall.SIGTERM, Wait: patience})
}

func (p *Process) kill(ctx context.Context) error { return p.Stop(ctx) }
