package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// program is one of the product's processes.
type program struct {
	name string
	// source is its main package, from the repository's root; its last part is name.
	source string
	// role is what it is in the database.
	role string
	// system gives it SYSTEM_DATABASE_URL, for sweeps across tenants.
	system bool
	args   []string
	// ops is the variable with the address of its health.
	ops string
	// origins are the addresses that others use, by their key in stack.json.
	origins map[string]string
}

// programs are the product's processes, in the order in which they are shown.
func programs() []program {
	return []program{
		{
			name: "api", source: "./api/cmd/api", role: "groundwork_app", ops: "API_OPS_ADDR",
			origins: map[string]string{"api": "API_ADDR"},
		},
		{
			name: "worker", source: "./worker/cmd/worker", role: "groundwork_worker", system: true, args: []string{"--intake"},
			ops: "WORKER_OPS_ADDR", origins: map[string]string{"intake": "INTAKE_ADDR"},
		},
		{name: "scheduler", source: "./scheduler/cmd/scheduler", role: "groundwork_system", system: true, ops: "SCHEDULER_OPS_ADDR"},
	}
}

// listensOn are the addresses that the programs will listen on.
func (s settings) listensOn() []address {
	var used []address
	for _, p := range s.programs {
		for _, variable := range p.origins {
			used = append(used, s.addresses[variable])
		}
		used = append(used, s.addresses[p.ops])
	}
	if s.smtpURL == "" {
		used = append(used, s.addresses[mailAddress])
	}
	return used
}

// build compiles the programs into LOCAL_DIR/bin; where nothing has changed, that takes a moment only.
func (s *stack) build(ctx context.Context) error {
	bin := filepath.Join(s.dir, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return fmt.Errorf("build the processes: %w", err)
	}
	args := []string{"build", "-o", bin + string(filepath.Separator)}
	for _, p := range s.programs {
		args = append(args, p.source)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "go", args...) //nolint:gosec // the arguments are ours
	cmd.Dir = s.root
	cmd.Env = s.environment(map[string]string{"GOWORK": filepath.Join(s.root, "go.work")})
	cmd.Stdout, cmd.Stderr = &said, &said
	builder, err := proc.Start(cmd, proc.Options{DeathSignal: syscall.SIGKILL})
	if err != nil {
		return fmt.Errorf("build the processes: %w", err)
	}
	select {
	case <-ctx.Done():
		return errors.Join(ctx.Err(), builder.Stop(ctx)) // at once, with the compilers that it runs
	case <-builder.Done():
	}
	if err := builder.Err(); err != nil {
		return fmt.Errorf("build the processes: %w\n%s", err, said.Bytes())
	}
	return nil
}

// child is a program that runs.
type child struct {
	program

	process *proc.Process
	output  *output
	logPath string
}

// start starts a program, with its output on the terminal and in a file.
func (s *stack) start(ctx context.Context, p program) (*child, error) {
	env, err := s.environmentOf(p)
	if err != nil {
		return nil, err
	}
	logPath := filepath.Join(s.dir, "logs", p.name+".log")
	log, err := openLog(logPath)
	if err != nil {
		return nil, err
	}
	c := &child{program: p, output: newOutput(s.out, p.name, log), logPath: logPath}
	// It is ended by us or with us, not by the context that it was started under.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(s.dir, "bin", p.name), p.args...) //nolint:gosec // built by us
	cmd.Dir, cmd.Env = s.root, env
	cmd.Stdout, cmd.Stderr = c.output, c.output
	cmd.WaitDelay = time.Second
	if c.process, err = proc.Start(cmd, proc.Options{DeathSignal: syscall.SIGKILL}); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return c, nil
}

func (s *stack) environmentOf(p program) ([]string, error) {
	own := map[string]string{
		"ENVIRONMENT": "development",
		"REDIS_URL":   s.redisURLOfRun,
		"MASTER_KEY":  s.secrets.MasterKey,
	}
	if s.variables["FILES_DIR"] == "" {
		own["FILES_DIR"] = filepath.Join(s.dir, "files")
	}
	for variable, a := range s.addresses {
		own[variable] = a.String()
	}
	if s.variables["PUBLIC_URL"] == "" {
		own["PUBLIC_URL"] = s.addresses["API_ADDR"].origin()
	}
	maps.Copy(own, s.mailVariables())
	if s.variables["WEBHOOK_ALLOW"] == "" {
		own["WEBHOOK_ALLOW"] = "127.0.0.0/8" // receivers on this machine
	}
	if s.variables["SHUTDOWN_DELAY"] == "" {
		own["SHUTDOWN_DELAY"] = "0s" // there is no balancer to wait for
	}
	if s.variables["INTAKE_URL"] == "" {
		own["INTAKE_URL"] = s.addresses["INTAKE_ADDR"].origin()
	}
	roles := map[string]string{"DATABASE_URL": p.role}
	if p.system {
		roles["SYSTEM_DATABASE_URL"] = "groundwork_system"
	}
	for variable, role := range roles {
		var err error
		if own[variable], err = asRole(cmp.Or(s.poolerURL, s.adminURL), role, s.secrets.Passwords[role]); err != nil {
			return nil, err
		}
	}
	return s.environment(own), nil
}

// openLog opens a log to append to. One that has grown large makes room and stays as <name>.old.
func openLog(path string) (*os.File, error) {
	const enough = 32 << 20
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Size() > enough {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, fmt.Errorf("open a log: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // below LOCAL_DIR
	if err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}
	return f, nil
}

// died says how a child ended that should not have.
func (c *child) died() error {
	how := "without an error"
	if err := c.process.Err(); err != nil {
		how = err.Error()
	}
	return fmt.Errorf("the %s has ended (%s). Its last lines:\n%s\nIts log is %s", c.name, how, indent(c.output.last()), c.logPath)
}

// awaitReady waits until the process says that it is ready, or ends, or takes too long.
func (c *child) awaitReady(ctx context.Context, at address, atMost time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, isReady := askReady(ctx, client, at.origin()+"/readyz")
		if isReady {
			// A stranger may have taken the port since it was looked at; the child ends then.
			holder, isKnown := proc.PortHolder(at.port)
			if !isKnown || holder.Pid == c.process.Pid {
				return nil
			}
			answer = fmt.Sprintf("%s is answered by another process: %s", at.origin(), holder.Command())
		}
		select {
		case <-c.process.Done():
			return c.died()
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return context.Cause(ctx)
			}
			return fmt.Errorf("the %s is not ready after %s: %s\nIts last lines:\n%s\nIts log is %s",
				c.name, atMost, answer, indent(c.output.last()), c.logPath)
		case <-tick.C:
		}
	}
}

func askReady(ctx context.Context, client *http.Client, address string) (answer string, isReady bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err.Error(), false
	}
	response, err := client.Do(request)
	if err != nil {
		return err.Error(), false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return err.Error(), false
	}
	return strings.TrimSpace(string(body)), response.StatusCode == http.StatusOK
}

// noted is a child as the next run finds it, should this one be killed.
type noted struct {
	Name string `json:"name"`
	proc.Identity
}

const processesFile = "processes.json"

func (s *stack) noteProcesses() error {
	list := make([]noted, 0, len(s.children))
	for _, c := range s.children {
		if id, ok := proc.Identify(c.process.Pid); ok {
			list = append(list, noted{c.name, id})
		}
	}
	b, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("note the processes: %w", err)
	}
	if err := devstack.WriteFile(filepath.Join(s.dir, processesFile), b, 0o600); err != nil {
		return fmt.Errorf("note the processes: %w", err)
	}
	return nil
}

// endLeftovers ends what a run that was killed has left; a process that was given the same number since is not touched.
func (s *stack) endLeftovers(ctx context.Context) error {
	path := filepath.Join(s.dir, processesFile)
	b, err := os.ReadFile(path) //nolint:gosec // below LOCAL_DIR
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for what an earlier run left: %w", err)
	}
	var list []noted
	if err := json.Unmarshal(b, &list); err != nil {
		s.out.say("%s cannot be read and is ignored", path)
	}
	for _, n := range list {
		if !n.IsAlive() {
			continue
		}
		s.out.say("ending the %s (process %d) that an earlier run left", n.Name, n.Pid)
		if err := n.End(ctx, proc.Step{Signal: syscall.SIGTERM, Wait: 2 * time.Second}); err != nil {
			return err
		}
	}
	return os.Remove(path) //nolint:wrapcheck // the path is in it
}
