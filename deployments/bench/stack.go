package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
	"github.com/groundwork-saas/groundwork/platform/seal"
)

// The databases: one of all tenants, and one that holds the large tenant alone.
const (
	manyTenants = "many"
	oneTenant   = "one"
)

// stack is what is measured.
type stack struct {
	options

	began     time.Time
	root      string
	postgres  *devstack.Server
	redis     *devstack.RedisServer
	passwords map[string]string
	masterKey string
	tenant    string // the large one
	token     string // of a user of the large tenant
	processes []*process
	readyIn   map[string][]time.Duration

	api, alone, rival *process
}

// process is a program that runs.
type process struct {
	*proc.Process

	name, addr, ops, logPath string
	readyIn                  time.Duration
}

func (s *stack) bringUp(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.makeDatabases(ctx); err != nil {
		return err
	}
	s.say("starting the processes")
	if err := s.timeStarts(ctx); err != nil {
		return err
	}
	var err error
	if s.api, err = s.startAPI(ctx, manyTenants); err != nil {
		return err
	}
	if s.alone, err = s.startAPI(ctx, oneTenant); err != nil {
		return err
	}
	s.rival, err = s.startRival(ctx)
	return err
}

// prepare builds the programs and starts the servers.
func (s *stack) prepare(ctx context.Context) error {
	root, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	if err != nil || len(bytes.TrimSpace(root)) == 0 {
		return fmt.Errorf("find the repository: run this inside of it (%w)", err)
	}
	s.root = filepath.Dir(strings.TrimSpace(string(root)))
	s.say("building the programs")
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(s.dir, "bin")+string(filepath.Separator), //nolint:gosec // ours
		"./api/cmd/api", "./worker/cmd/worker", "./scheduler/cmd/scheduler")
	build.Dir = s.root
	if err := os.MkdirAll(filepath.Join(s.dir, "bin"), 0o700); err != nil {
		return fmt.Errorf("build the programs: %w", err)
	}
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, said)
	}
	log := func(format string, args ...any) { s.say(format, args...) }
	s.postgres, err = devstack.StartPostgres(ctx, devstack.Postgres{Dir: filepath.Join(s.dir, "postgres"), Log: log})
	if err != nil {
		return err
	}
	s.redis, err = devstack.StartRedis(ctx, devstack.Redis{Dir: filepath.Join(s.dir, "redis"), RequireReal: true, Log: log})
	if err != nil {
		return err
	}
	if s.masterKey, err = seal.NewMasterKey(); err != nil {
		return fmt.Errorf("make a master key: %w", err)
	}
	s.passwords = map[string]string{}
	for _, role := range migrations.LoginRoles() {
		s.passwords[role] = rand.Text()
	}
	return nil
}

// makeDatabases migrates, signs the large tenant up, and loads the rows.
func (s *stack) makeDatabases(ctx context.Context) error {
	if err := s.execAll(ctx, "postgres", "CREATE DATABASE "+manyTenants); err != nil {
		return err
	}
	admin := s.adminURL(manyTenants)
	if err := migrations.EnsureRoles(ctx, admin, s.passwords); err != nil {
		return err
	}
	if err := migrations.Up(ctx, migrations.Config{URL: admin}); err != nil {
		return err
	}
	api, err := s.startAPI(ctx, manyTenants)
	if err != nil {
		return err
	}
	err = s.signUp(ctx, "http://"+api.addr)
	if err = errors.Join(err, s.end(ctx, api)); err != nil {
		return err
	}
	if err := s.execAll(ctx, "postgres", "CREATE DATABASE "+oneTenant+" TEMPLATE "+manyTenants); err != nil {
		return err
	}
	return s.load(ctx)
}

func (s *stack) signUp(ctx context.Context, origin string) error {
	c := client.Client{Origin: origin, HTTP: &http.Client{Timeout: 30 * time.Second}}
	session, err := c.SignUp(ctx, client.Account{Name: "Bench", Email: "bench@example.com", Password: rand.Text(), Organization: "Large"})
	s.tenant, s.token = session.Tenant.ID, session.AccessToken
	return err
}

// timeStarts starts each process a few times, beside the loaded database.
func (s *stack) timeStarts(ctx context.Context) error {
	s.readyIn = map[string][]time.Duration{}
	for range s.starts {
		for _, start := range []func(context.Context) (*process, error){
			func(ctx context.Context) (*process, error) { return s.startAPI(ctx, manyTenants) },
			func(ctx context.Context) (*process, error) {
				return s.start(ctx, "worker", "groundwork_worker", manyTenants, "INTAKE_ADDR", "WORKER_OPS_ADDR")
			},
			func(ctx context.Context) (*process, error) {
				return s.start(ctx, "scheduler", "groundwork_system", manyTenants, "", "SCHEDULER_OPS_ADDR")
			},
		} {
			p, err := start(ctx)
			if err != nil {
				return err
			}
			s.readyIn[p.name] = append(s.readyIn[p.name], p.readyIn)
			if err := s.end(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stack) startAPI(ctx context.Context, database string) (*process, error) {
	return s.start(ctx, "api", "groundwork_app", database, "API_ADDR", "API_OPS_ADDR")
}

// start starts one of the product's programs as production does, with limits that are asked and never reached.
func (s *stack) start(ctx context.Context, name, role, database, addr, ops string) (*process, error) {
	p := &process{name: name, logPath: filepath.Join(s.dir, name+"-"+database+".log")}
	env := []string{
		"ENVIRONMENT=production", "PATH=" + os.Getenv("PATH"),
		"DATABASE_URL=" + s.roleURL(database, role), "SYSTEM_DATABASE_URL=" + s.roleURL(database, "groundwork_system"),
		"REDIS_URL=" + s.redis.URL, "MASTER_KEY=" + s.masterKey, "ACCESS_TOKEN_TTL=1h", "PUBLIC_URL=http://bench.invalid",
		"RATE_LIMIT_TENANT=1000000000/1m", "RATE_LIMIT_KEY=1000000000/1m", "RATE_LIMIT_ADDRESS=1000000000/1m",
	}
	for variable, at := range map[string]*string{addr: &p.addr, ops: &p.ops} {
		if variable == "" {
			continue
		}
		port, err := proc.FreePort(ctx)
		if err != nil {
			return nil, err
		}
		*at = proc.Local(port)
		env = append(env, variable+"="+*at)
	}
	return p, s.launch(ctx, p, exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(s.dir, "bin", name)), env, "http://"+p.ops+"/readyz") //nolint:gosec // built here
}

// startRival starts this program again, as the hand-written handler.
func (s *stack) startRival(ctx context.Context) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	port, err := proc.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	p := &process{name: "hand-written", addr: proc.Local(port), logPath: filepath.Join(s.dir, "rival.log")}
	env := []string{
		"TZ=UTC", "RIVAL_ADDR=" + p.addr, "RIVAL_DATABASE_URL=" + s.adminURL(manyTenants), "RIVAL_TENANT=" + s.tenant,
	}
	return p, s.launch(ctx, p, exec.CommandContext(context.WithoutCancel(ctx), self, rivalArgument), env, "http://"+p.addr+"/readyz") //nolint:gosec // ourselves
}

// launch starts a command and waits until it says that it is ready.
func (s *stack) launch(ctx context.Context, p *process, cmd *exec.Cmd, env []string, ready string) error {
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start the %s: %w", p.name, err)
	}
	defer log.Close()
	cmd.Env, cmd.Stdout, cmd.Stderr = env, log, log
	began := time.Now()
	if p.Process, err = proc.Start(cmd, proc.Options{DeathSignal: syscall.SIGKILL}); err != nil {
		return fmt.Errorf("start the %s: %w", p.name, err)
	}
	s.processes = append(s.processes, p)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !isReady(ctx, ready) {
		select {
		case <-tick.C:
		case <-p.Done():
			return fmt.Errorf("the %s has ended: %w; its log ends with:\n%s", p.name, p.Err(), tail(p.logPath))
		case <-ctx.Done():
			return fmt.Errorf("the %s is not ready: %w; its log ends with:\n%s", p.name, context.Cause(ctx), tail(p.logPath))
		}
	}
	p.readyIn = time.Since(began)
	return nil
}

func isReady(ctx context.Context, address string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return false
	}
	fresh := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := fresh.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func tail(path string) string {
	b, err := os.ReadFile(path) //nolint:gosec // a log of ours
	if err != nil {
		return err.Error()
	}
	const enough = 2000
	return string(b[max(0, len(b)-enough):])
}

func (s *stack) end(ctx context.Context, p *process) error {
	return p.Stop(ctx, proc.Step{Signal: syscall.SIGTERM, Wait: 20 * time.Second})
}

func (s *stack) stop(ctx context.Context) error {
	var err error
	for _, p := range s.processes {
		err = errors.Join(err, s.end(ctx, p))
	}
	if s.redis != nil {
		err = errors.Join(err, s.redis.Stop(ctx))
	}
	if s.postgres != nil {
		err = errors.Join(err, s.postgres.Stop(ctx))
	}
	return err
}

func (s *stack) adminURL(database string) string {
	u, err := url.Parse(s.postgres.AdminURL)
	if err != nil {
		panic(err) // devstack made it
	}
	u.Path = "/" + database
	return u.String()
}

func (s *stack) roleURL(database, role string) string {
	u, err := url.Parse(s.adminURL(database))
	if err != nil {
		panic(err) // as above
	}
	u.User = url.UserPassword(role, s.passwords[role])
	return u.String()
}

// execAll runs statements as the administrator, one after the other.
func (s *stack) execAll(ctx context.Context, database string, statements ...string) error {
	conn, err := pgx.Connect(ctx, s.adminURL(database))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", database, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}
