// Package stand brings the whole job engine up on this machine: PostgreSQL, Redis, real schedulers, and workers in
// processes of their own, which are the calling program started again.
//
// The programs that break the engine and that measure it call it, and their tests. It knows no fault and no kind of job;
// nothing of it is linked into a process of the product.
package stand

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/platform/seal"
)

// database is the name of the product's.
const database = "groundwork"

// Config is what New needs.
type Config struct {
	// Dir keeps the servers' data, the programs and the logs. It must be there.
	Dir string
	// Postgres are settings of the server, over devstack's.
	Postgres map[string]string
	// Schema are statements that are run as the owner of the tables, after the migrations.
	Schema []string
	// Say is told what takes time; nil for nobody.
	Say func(format string, args ...any)
}

// Stand is what runs.
type Stand struct {
	config    Config
	masterKey string
	passwords map[string]string
	scheduler string // the program's path
	// Told counts what workers' logs say became of attempts.
	Told *Tally

	mu        sync.Mutex
	postgres  *devstack.Server
	redis     *devstack.RedisServer
	redisAt   *url.URL
	processes []*Process
}

// New builds the scheduler, starts both servers and migrates. Where there is no redis-server the error is
// devstack.ErrNoRedis. Close it when done, also after an error.
func New(ctx context.Context, config Config) (*Stand, error) {
	if config.Say == nil {
		config.Say = func(string, ...any) {}
	}
	s := &Stand{config: config, passwords: map[string]string{}, Told: &Tally{}}
	if err := s.StartRedis(ctx); err != nil {
		return s, err
	}
	if err := s.build(ctx); err != nil {
		return s, err
	}
	if err := s.startPostgres(ctx); err != nil {
		return s, err
	}
	var err error
	if s.masterKey, err = seal.NewMasterKey(); err != nil {
		return s, fmt.Errorf("make a master key: %w", err)
	}
	for _, role := range migrations.LoginRoles() {
		s.passwords[role] = rand.Text()
	}
	return s, s.migrate(ctx)
}

// build builds the scheduler as it is in the repository.
func (s *Stand) build(ctx context.Context) error {
	workspace, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	if err != nil || len(bytes.TrimSpace(workspace)) == 0 {
		return fmt.Errorf("find the repository: run this inside of it (%w)", err)
	}
	s.config.Say("building the scheduler")
	s.scheduler = filepath.Join(s.config.Dir, "scheduler")
	build := exec.CommandContext(ctx, "go", "build", "-o", s.scheduler, "./scheduler/cmd/scheduler") //nolint:gosec // ours
	build.Dir = filepath.Dir(strings.TrimSpace(string(workspace)))
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the scheduler: %w\n%s", err, said)
	}
	return nil
}

func (s *Stand) migrate(ctx context.Context) error {
	s.config.Say("migrating")
	admin, err := pgx.Connect(ctx, s.postgres.AdminURL)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer admin.Close(context.WithoutCancel(ctx))
	if _, err := admin.Exec(ctx, "create database "+database); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	if err := migrations.EnsureRoles(ctx, s.AdminURL(), s.passwords); err != nil {
		return err
	}
	if err := migrations.Up(ctx, migrations.Config{URL: s.AdminURL()}); err != nil {
		return err
	}
	return s.Exec(ctx, append([]string{"set role " + migrations.Owner}, s.config.Schema...)...)
}

// Exec runs statements as the administrator, over one connection.
func (s *Stand) Exec(ctx context.Context, statements ...string) error {
	conn, err := s.Admin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// Admin opens a connection as the administrator, whom row level security does not bind.
func (s *Stand) Admin(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, s.AdminURL())
	if err != nil {
		return nil, fmt.Errorf("connect as the administrator: %w", err)
	}
	return conn, nil
}

// AdminURL is the product's database as the administrator.
func (s *Stand) AdminURL() string {
	u := s.parsed()
	return u.String()
}

// RoleURL is the product's database as one of its roles.
func (s *Stand) RoleURL(role string) string {
	u := s.parsed()
	u.User = url.UserPassword(role, s.passwords[role])
	return u.String()
}

// NewDatabase makes an empty database beside the product's, for a program that is measured against it, and answers its
// address as the administrator.
func (s *Stand) NewDatabase(ctx context.Context, name string) (string, error) {
	if err := s.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", err
	}
	u := s.parsed()
	u.Path = "/" + name
	return u.String(), nil
}

func (s *Stand) parsed() url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := url.Parse(s.postgres.AdminURL)
	if err != nil {
		panic(err) // devstack made it
	}
	u.Path = "/" + database
	return *u
}

// Dir is the folder that everything is in.
func (s *Stand) Dir() string { return s.config.Dir }

// Close ends all processes and both servers.
func (s *Stand) Close(ctx context.Context) error {
	s.mu.Lock()
	processes := s.processes
	s.processes = nil
	s.mu.Unlock()
	var err error
	for _, p := range processes {
		err = errors.Join(err, p.kill(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.redis != nil {
		err = errors.Join(err, s.redis.Stop(ctx))
	}
	if s.postgres != nil {
		err = errors.Join(err, s.postgres.Stop(ctx))
	}
	return err
}

// Scratch makes a folder for a stand. It lies where the PostgreSQL of an unprivileged user can be.
func Scratch() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp("", "groundwork-jobs-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder: %w", err)
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}
