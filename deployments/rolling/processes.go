package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/platform/devstack/mailsink"
	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
	"github.com/groundwork-saas/groundwork/platform/seal"
)

// The times that a process has. The delay is the product's own, for what is shown is that it suffices.
const (
	startPatience = time.Minute
	stopPatience  = 45 * time.Second
)

// processes are a stack of processes on this machine.
type processes struct {
	dir, root string
	from      string // the version that comes up first; "" where it is this one
	postgres  *devstack.Server
	redis     *devstack.RedisServer
	mails     *mailsink.Sink
	passwords map[string]string
	env       []string // of all processes
	https     int
	ports     ports
	names     []string
	programs  map[string]program
	running   map[string]*proc.Process
}

// ports are the same for each replica; the replicas differ by their addresses on the loopback interface, as machines do.
type ports struct{ api, apiOps, intake, intakeOps, workerOps, schedulerOps int }

// program is how a replica is started.
type program struct {
	file, ops string
	args, env []string
}

// hosts are the two replicas' addresses.
func hosts() [2]string { return [2]string{"127.0.0.2", "127.0.0.3"} }

// openProcesses brings the stack up. What it returns with an error is to be closed, too.
func openProcesses(ctx context.Context, received *receiver, from string) (_ site, err error) {
	caddy, err := exec.LookPath("caddy")
	if err != nil {
		return nil, errors.New("there is no caddy on this machine, which the rolling restart is shown behind: install it " +
			"(apt-get install caddy, brew install caddy, or https://caddyserver.com/docs/install) and try again")
	}
	p := &processes{from: from, programs: map[string]program{}, running: map[string]*proc.Process{}, passwords: map[string]string{}}
	if p.dir, err = os.MkdirTemp("", "groundwork-rolling-"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	if err := p.prepare(ctx); err != nil {
		return p, err
	}
	if err := p.startServers(ctx); err != nil {
		return p, err
	}
	if err := p.settle(ctx, received); err != nil {
		return p, err
	}
	for _, name := range p.names {
		if err := p.start(ctx, name); err != nil {
			return p, err
		}
	}
	if err := p.startCaddy(ctx, caddy); err != nil {
		return p, err
	}
	say("up: two of each process behind %s", p.origin())
	return p, nil
}

func (p *processes) origin() string { return "https://localhost:" + strconv.Itoa(p.https) }
func (p *processes) authority() string {
	return filepath.Join(p.dir, "caddy/pki/authorities/local/root.crt")
}
func (p *processes) replicas() []string { return p.names }

// prepare builds the programs, of the version that comes up first too.
func (p *processes) prepare(ctx context.Context) error {
	work, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	if err != nil || len(bytes.TrimSpace(work)) == 0 {
		return fmt.Errorf("find the repository: run this inside of it (%w)", err)
	}
	p.root = filepath.Dir(strings.TrimSpace(string(work)))
	programs := []string{"./api/cmd/api", "./worker/cmd/worker", "./scheduler/cmd/scheduler"}
	say("building the processes")
	if err := p.build(ctx, p.root, "bin", programs...); err != nil || p.from == "" {
		return err
	}
	say("building the processes of %s", p.from)
	source := filepath.Join(p.dir, "source")
	archive := filepath.Join(p.dir, "source.tar")
	if err := errors.Join(os.Mkdir(source, 0o700), tool(ctx, p.root, "git", "archive", "--output", archive, p.from)); err != nil {
		return err
	}
	if err := tool(ctx, source, "tar", "-xf", archive); err != nil {
		return err
	}
	return p.build(ctx, source, "before", append(programs, "./migrations/cmd/migrate")...)
}

// build compiles a repository's programs into a folder of ours.
func (p *processes) build(ctx context.Context, repository, into string, programs ...string) error {
	bin := filepath.Join(p.dir, into)
	if err := os.Mkdir(bin, 0o700); err != nil {
		return fmt.Errorf("build the processes: %w", err)
	}
	return tool(ctx, repository, "go", append([]string{"build", "-o", bin + string(filepath.Separator)}, programs...)...)
}

// tool runs a program that has nothing to say but errors.
func tool(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, args[0], err, said)
	}
	return nil
}

// startServers starts PostgreSQL, with the schema, Redis, and a server that takes mails.
func (p *processes) startServers(ctx context.Context) (err error) {
	p.postgres, err = devstack.StartPostgres(ctx, devstack.Postgres{
		Dir: filepath.Join(p.dir, "postgres"), Settings: map[string]string{"max_connections": "200"}, Log: say,
	})
	if err != nil {
		return err
	}
	p.redis, err = devstack.StartRedis(ctx, devstack.Redis{Dir: filepath.Join(p.dir, "redis"), Log: say})
	if err != nil {
		return err
	}
	p.mails, err = mailsink.Start(ctx, mailsink.Config{})
	if err != nil {
		return err
	}
	for _, role := range migrations.LoginRoles() {
		p.passwords[role] = rand.Text()
	}
	if err := migrations.EnsureRoles(ctx, p.postgres.AdminURL, p.passwords); err != nil {
		return err
	}
	if p.from == "" {
		return p.migrate(ctx)
	}
	up := exec.CommandContext(ctx, filepath.Join(p.dir, "before", "migrate"), "up") //nolint:gosec // built by us
	up.Env = []string{"MIGRATE_DATABASE_URL=" + p.postgres.AdminURL}
	if said, err := up.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate to %s: %w\n%s", p.from, err, said)
	}
	return nil
}

func (p *processes) migrate(ctx context.Context) error {
	return migrations.Up(ctx, migrations.Config{URL: p.postgres.AdminURL})
}

// advance brings the database, and each process that is started from now on, to this version.
func (p *processes) advance(ctx context.Context) error {
	if p.from == "" {
		return nil
	}
	began := time.Now()
	if err := p.migrate(ctx); err != nil {
		return err
	}
	say("the database is migrated from %s, in %.1f s", p.from, time.Since(began).Seconds())
	p.from = ""
	return nil
}

// settle chooses the ports and says how each replica is started.
func (p *processes) settle(ctx context.Context, received *receiver) error {
	for _, port := range []*int{
		&p.https, &p.ports.api, &p.ports.apiOps, &p.ports.intake, &p.ports.intakeOps,
		&p.ports.workerOps, &p.ports.schedulerOps,
	} {
		var err error
		if *port, err = freeEverywhere(ctx); err != nil {
			return err
		}
	}
	key, err := seal.NewMasterKey()
	if err != nil {
		return fmt.Errorf("make a master key: %w", err)
	}
	p.env = []string{
		"PATH=" + os.Getenv("PATH"), "TZ=UTC", "ENVIRONMENT=production", "REDIS_URL=" + p.redis.URL, "MASTER_KEY=" + key,
		"DATABASE_MAX_CONNECTIONS=10", "FILES_DIR=" + filepath.Join(p.dir, "files"), "PUBLIC_URL=" + p.origin(), "INTAKE_URL=" + p.origin(),
		"TRUSTED_PROXIES=127.0.0.1", "WEBHOOK_ALLOW=" + received.address,
		"SMTP_URL=" + p.mails.SMTPURL() + "?starttls=never", "MAIL_FROM=rolling@example.com", "APP_URL=" + p.origin(),
	}
	system := "SYSTEM_DATABASE_URL=" + p.as("groundwork_system")
	for n, host := range hosts() {
		number := strconv.Itoa(n + 1)
		p.add("api-"+number, "api", join(host, p.ports.apiOps), nil,
			"API_OPS_ADDR="+join(host, p.ports.apiOps), "API_ADDR="+join(host, p.ports.api), "DATABASE_URL="+p.as("groundwork_app"))
		p.add("intake-"+number, "worker", join(host, p.ports.intakeOps), []string{"--queues", "none", "--intake"},
			"WORKER_OPS_ADDR="+join(host, p.ports.intakeOps), "INTAKE_ADDR="+join(host, p.ports.intake), "DATABASE_URL="+p.as("groundwork_worker"))
		p.add("worker-"+number, "worker", join(host, p.ports.workerOps), nil,
			"WORKER_OPS_ADDR="+join(host, p.ports.workerOps), "DATABASE_URL="+p.as("groundwork_worker"), system)
		p.add("scheduler-"+number, "scheduler", join(host, p.ports.schedulerOps), nil,
			"SCHEDULER_OPS_ADDR="+join(host, p.ports.schedulerOps), "DATABASE_URL="+p.as("groundwork_system"))
	}
	return nil
}

func (p *processes) add(name, file, ops string, args []string, env ...string) {
	p.names = append(p.names, name)
	p.programs[name] = program{file: file, ops: ops, args: args, env: env}
}

func join(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// as is the database's URL for a role.
func (p *processes) as(role string) string {
	u, err := url.Parse(p.postgres.AdminURL)
	if err != nil {
		panic(err) // it is our own server's
	}
	u.User = url.UserPassword(role, p.passwords[role])
	return u.String()
}

// freeEverywhere is a port that is free at all addresses that we use.
func freeEverywhere(ctx context.Context) (int, error) {
	const tries = 50
	var last error
	for range tries {
		port, err := proc.FreePort(ctx)
		if err != nil {
			return 0, err
		}
		last = nil
		for _, host := range hosts() {
			last = errors.Join(last, proc.IsFree(ctx, join(host, port)))
		}
		if last == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a port that is free at %v, which Linux has by itself (elsewhere: ifconfig lo0 alias 127.0.0.2): %w", hosts(), last)
}

// start starts a replica and waits until it is ready.
func (p *processes) start(ctx context.Context, name string) error {
	this, version := p.programs[name], "bin"
	if p.from != "" {
		version = "before"
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(p.dir, version, this.file), this.args...) //nolint:gosec // built by us
	cmd.Env = append(p.env[:len(p.env):len(p.env)], this.env...)
	if err := p.run(ctx, name, cmd); err != nil {
		return err
	}
	return p.awaitReady(ctx, name, "http://"+this.ops+"/readyz")
}

// run starts a command whose output goes to a log of its name.
func (p *processes) run(ctx context.Context, name string, cmd *exec.Cmd) error {
	log, err := os.OpenFile(filepath.Join(p.dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // a name of our own
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", name, err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	started, err := proc.Start(cmd, proc.Options{DeathSignal: syscall.SIGKILL})
	if err != nil {
		return errors.Join(err, log.Close())
	}
	p.running[name] = started
	go func() {
		<-started.Done()
		_ = log.Close()
	}()
	return ctx.Err()
}

func (p *processes) awaitReady(ctx context.Context, name, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	asker := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return err
		}
		if response, err := asker.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.running[name].Done():
			return fmt.Errorf("%s has ended: %w; see %s.log", name, p.running[name].Err(), name)
		default:
		}
		if err := client.Pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("%s is not ready: %w; see %s.log", name, err, name)
		}
	}
}

// startCaddy starts the balancer with the file that a deployment has.
func (p *processes) startCaddy(ctx context.Context, caddy string) error {
	plain, err := proc.FreePort(ctx)
	if err != nil {
		return err
	}
	admin, err := proc.FreePort(ctx)
	if err != nil {
		return err
	}
	all := func(port int) string { return join(hosts()[0], port) + " " + join(hosts()[1], port) }
	cmd := exec.CommandContext(context.WithoutCancel(ctx), caddy, "run", "--adapter", "caddyfile", //nolint:gosec // found by us
		"--config", filepath.Join(p.root, "deployments/caddy/Caddyfile"))
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "XDG_DATA_HOME=" + p.dir, "XDG_CONFIG_HOME=" + p.dir,
		"SITE_ADDRESS=localhost:" + strconv.Itoa(p.https), "HTTP_PORT=" + strconv.Itoa(plain), "CADDY_ADMIN=" + proc.Local(admin),
		"API_UPSTREAMS=" + all(p.ports.api), "INTAKE_UPSTREAMS=" + all(p.ports.intake),
		"API_OPS_PORT=" + strconv.Itoa(p.ports.apiOps), "INTAKE_OPS_PORT=" + strconv.Itoa(p.ports.intakeOps),
	}
	if err := p.run(ctx, "caddy", cmd); err != nil {
		return err
	}
	if err := p.awaitReady(ctx, "caddy", "http://"+proc.Local(admin)+"/config/admin"); err != nil {
		return err
	}
	// It makes its certificates first.
	if !proc.Poll(ctx, startPatience, func() bool { return isUp(ctx, p) }) {
		return errors.New("the API is not reached through the balancer; see caddy.log")
	}
	return nil
}

// restart restarts a replica, which must end by itself and without an error.
func (p *processes) restart(ctx context.Context, name string) error {
	running := p.running[name]
	if err := running.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-running.Done():
	case <-time.After(stopPatience):
		return fmt.Errorf("it has not stopped within %s", stopPatience)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := running.Err(); err != nil {
		return fmt.Errorf("it stopped with an error: %w; see %s.log", err, name)
	}
	return p.start(ctx, name)
}

// close ends all of it, those first that use others, and removes the folder unless its logs say what went wrong.
func (p *processes) close(ctx context.Context, isWell bool) (err error) { //nolint:revive // whether the logs are of use
	ended := make(chan error, len(p.running))
	for _, running := range p.running {
		go func() { ended <- running.Stop(ctx, proc.Step{Signal: syscall.SIGTERM, Wait: stopPatience}) }()
	}
	for range p.running {
		err = errors.Join(err, <-ended)
	}
	if p.mails != nil {
		err = errors.Join(err, p.mails.Stop(ctx))
	}
	if p.redis != nil {
		err = errors.Join(err, p.redis.Stop(ctx))
	}
	if p.postgres != nil {
		err = errors.Join(err, p.postgres.Stop(ctx))
	}
	if err != nil || !isWell {
		say("logs are in %s", p.dir)
		return err
	}
	return os.RemoveAll(p.dir)
}
