package devstack

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// ErrNoRedis says that there is no redis-server on this machine and nothing but a real one would do.
var ErrNoRedis = errors.New("there is no redis-server on this machine: install it " +
	"(sudo apt-get install redis-server, brew install redis, sudo dnf install redis), or set REDIS_URL to a server of your own")

// Redis says how to run a private Redis.
type Redis struct {
	// Dir keeps the data (an append-only file, synced every second) and the password. "" is for tests: nothing is
	// written anywhere, and the data goes with the server.
	Dir string
	// Program is the server's path; "" means redis-server, or valkey-server, on PATH.
	Program string
	// Port to listen on, as a test of a restart needs it; 0 means the port of last time if it is free, else a free one.
	Port int
	// Password of the server; "" means the one of last time, else a random one.
	Password string
	// RequireReal refuses the stand-in with ErrNoRedis where there is no redis-server.
	RequireReal bool
	// Log is told what was mended or does not go as it should; nil drops it.
	Log func(format string, args ...any)

	// standIn takes the stand-in even where there is a redis-server.
	standIn bool
}

// RedisServer is a Redis that runs.
type RedisServer struct {
	// URL connects to it: redis://:password@127.0.0.1:port/0.
	URL string
	// Real is false where miniredis stands in, inside this process: its data is gone with the process, and it knows not
	// everything that Redis does.
	Real bool

	process *proc.Process
	standIn *miniredis.Miniredis
	lock    *proc.FileLock
	said    *lastWords
	clock   chan struct{}
	stop    sync.Once
	stopped error
}

// StartRedis brings up a private Redis on a port of 127.0.0.1, with a password, and returns when it answers. Where there is no
// redis-server, miniredis stands in.
//
// The error is a *proc.HeldError where another living process runs a Redis over Dir.
func StartRedis(ctx context.Context, r Redis) (*RedisServer, error) {
	if r.Log == nil {
		r.Log = func(string, ...any) {}
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil && r.Program == "" && !r.standIn {
			r.Program = path
		}
	}
	if r.Program == "" && r.RequireReal {
		return nil, ErrNoRedis
	}
	s := &RedisServer{}
	if r.Dir != "" {
		if err := r.open(s); err != nil {
			return nil, err
		}
	}
	if r.Password == "" {
		r.Password = rand.Text()
	}
	var err error
	if r.Program == "" {
		err = s.startStandIn(ctx, &r)
	} else {
		err = s.startReal(ctx, &r)
	}
	if err != nil {
		return nil, errors.Join(err, s.unlock())
	}
	return s, nil
}

// open makes the directory, locks it, and learns what the last run used.
func (r *Redis) open(s *RedisServer) error {
	dir, err := filepath.Abs(r.Dir)
	if err != nil {
		return fmt.Errorf("find Redis's directory: %w", err)
	}
	r.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make Redis's directory: %w", err)
	}
	if s.lock, err = proc.Lock(filepath.Join(dir, "lock")); err != nil {
		return err
	}
	path := filepath.Join(dir, "password")
	kept, err := os.ReadFile(path) //nolint:gosec // below the directory that we were given
	if err == nil && r.Password == "" {
		r.Password = strings.TrimSpace(string(kept))
	}
	if r.Password == "" {
		r.Password = rand.Text()
	}
	if string(kept) == r.Password+"\n" {
		return nil
	}
	if err := WriteFile(path, []byte(r.Password+"\n"), 0o600); err != nil {
		return errors.Join(fmt.Errorf("keep Redis's password: %w", err), s.unlock())
	}
	return nil
}

func (s *RedisServer) startStandIn(ctx context.Context, r *Redis) error {
	port, err := freeOr(ctx, r.Port)
	if err != nil {
		return err
	}
	s.standIn = miniredis.NewMiniRedis()
	s.standIn.RequireAuth(r.Password)
	if err := s.standIn.StartAddr(proc.Local(port)); err != nil {
		return fmt.Errorf("start the stand-in for Redis: %w", err)
	}
	// Time stands still in miniredis unless somebody moves it, and nothing would ever expire.
	s.clock = make(chan struct{})
	go func() {
		const step = 100 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		for {
			select {
			case <-s.clock:
				return
			case <-tick.C:
				s.standIn.FastForward(step)
			}
		}
	}()
	s.URL = redisURL(r.Password, port)
	return nil
}

func (s *RedisServer) startReal(ctx context.Context, r *Redis) error {
	if r.Dir != "" {
		if err := r.endLeftover(ctx); err != nil {
			return err
		}
	}
	s.Real = true
	wanted := r.Port
	if wanted == 0 {
		wanted = r.lastPort(ctx)
	}
	isMended := false
	for try := 1; ; try++ {
		port, err := freeOr(ctx, wanted)
		if err != nil {
			return err
		}
		err = s.launch(ctx, r, port)
		if err == nil {
			s.URL = redisURL(r.Password, port)
			return r.note(s.process.Pid, port)
		}
		said := s.said.String()
		switch {
		case ctx.Err() != nil || try == 5:
			return err
		case strings.Contains(said, "Address already in use") && r.Port == 0:
			wanted = 0
		case r.Dir != "" && !isMended && (strings.Contains(said, "append only file") || strings.Contains(said, "AOF")):
			// What is in Redis may be lost at any moment by design; a file that is broken is put aside, not mended.
			isMended = true
			if err := r.putAside(); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// launch starts the server once and waits until it answers. Its settings go in by its standard input, since arguments
// can be read by everyone.
func (s *RedisServer) launch(ctx context.Context, r *Redis, port int) error {
	settings := []string{
		"bind 127.0.0.1", "port " + strconv.Itoa(port), "requirepass " + r.Password, "daemonize no", "save \"\"",
		"loglevel notice", "databases 16", "maxmemory-policy noeviction",
	}
	if r.Dir == "" {
		settings = append(settings, "appendonly no")
	} else {
		settings = append(settings, "dir "+strconv.Quote(r.Dir), "appendonly yes", "appendfsync everysec")
	}
	s.said = &lastWords{}
	//nolint:gosec // the program is redis-server, or what the caller names
	cmd := exec.CommandContext(context.WithoutCancel(ctx), r.Program, "-")
	cmd.Dir = "/"
	cmd.Stdin = strings.NewReader(strings.Join(settings, "\n") + "\n")
	cmd.Stdout, cmd.Stderr = s.said, s.said
	p, err := proc.Start(cmd, proc.Options{DeathSignal: syscall.SIGTERM})
	if err != nil {
		return fmt.Errorf("start Redis: %w", err)
	}
	isUp := proc.Poll(ctx, 30*time.Second, func() bool { return hasEnded(p) || pings(ctx, port, r.Password) })
	if isUp && !hasEnded(p) {
		s.process = p
		return nil
	}
	why := errors.New("it does not answer")
	if hasEnded(p) {
		why = p.Err()
	}
	err = errors.Join(why, p.Stop(ctx, redisSteps()...))
	return fmt.Errorf("start Redis: %w\nIts last words:\n%s", err, lastLines(s.said.String(), 8))
}

func redisSteps() []proc.Step { return []proc.Step{{Signal: syscall.SIGTERM, Wait: 10 * time.Second}} }

// pings says whether the server takes the password and is done loading.
func pings(ctx context.Context, port int, password string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", proc.Local(port))
	if err != nil {
		return false
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok && conn.SetDeadline(deadline) != nil {
		return false
	}
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\nPING\r\n", password); err != nil {
		return false
	}
	answers := bufio.NewReader(conn)
	auth, err := answers.ReadString('\n')
	if err != nil || !strings.HasPrefix(auth, "+OK") {
		return false
	}
	pong, err := answers.ReadString('\n')
	return err == nil && strings.HasPrefix(pong, "+PONG")
}

// Done is closed when the server has ended, whether asked to or not; it is nil for the stand-in.
func (s *RedisServer) Done() <-chan struct{} {
	if s.process == nil {
		return nil
	}
	return s.process.Done()
}

// Err says why a server that is Done ended, with its last log lines.
func (s *RedisServer) Err() error {
	if s.process == nil {
		return nil
	}
	why := s.process.Err()
	if why == nil {
		why = errors.New("without an error")
	}
	return fmt.Errorf("Redis has ended: %w\nIts last words:\n%s", why, lastLines(s.said.String(), 8))
}

// Pid is the server's process, for tests of faults that pause or kill it; 0 for the stand-in.
func (s *RedisServer) Pid() int {
	if s.process == nil {
		return 0
	}
	return s.process.Pid
}

// Stop ends the server and waits until it is gone. It may be called more than once.
func (s *RedisServer) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		if s.standIn != nil {
			close(s.clock)
			s.standIn.Close()
		}
		if s.process != nil {
			s.stopped = s.process.Stop(ctx, redisSteps()...)
		}
		s.stopped = errors.Join(s.stopped, s.unlock())
	})
	return s.stopped
}

func (s *RedisServer) unlock() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Unlock()
}

func redisURL(password string, port int) string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", password), Host: proc.Local(port), Path: "/0"}
	return u.String()
}

func freeOr(ctx context.Context, port int) (int, error) {
	if port != 0 {
		return port, nil
	}
	return proc.FreePort(ctx)
}
