package stand

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"syscall"

	redigo "github.com/gomodule/redigo/redis"

	"github.com/groundwork-saas/groundwork/platform/devstack"
)

func (s *Stand) startPostgres(ctx context.Context) error {
	server, err := devstack.StartPostgres(ctx, devstack.Postgres{
		Dir: filepath.Join(s.config.Dir, "postgres"), Settings: s.config.Postgres, Log: s.config.Say,
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.postgres = server
	return nil
}

// RestartPostgres stops PostgreSQL and starts it again at the same address: with SIGINT, its fast shutdown, or with
// SIGQUIT, its immediate one, after which it recovers as after a crash.
func (s *Stand) RestartPostgres(ctx context.Context, how syscall.Signal) error {
	s.mu.Lock()
	server := s.postgres
	s.mu.Unlock()
	before := server.AdminURL
	if err := syscall.Kill(server.Pid(), how); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	select {
	case <-server.Done():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	_ = server.Stop(ctx) // it has ended already, in the way that was asked for; this frees its directory
	if err := s.startPostgres(ctx); err != nil {
		return err
	}
	if s.postgres.AdminURL != before {
		return errors.New("PostgreSQL came back at another address: somebody took its port meanwhile")
	}
	return nil
}

// StartRedis starts Redis, empty, at the address where it was.
func (s *Stand) StartRedis(ctx context.Context) error {
	wanted := devstack.Redis{RequireReal: true}
	if at := s.whereRedisIs(); at != nil {
		port, err := strconv.Atoi(at.Port())
		if err != nil {
			return fmt.Errorf("read Redis's port: %w", err)
		}
		wanted.Port = port
		wanted.Password, _ = at.User.Password()
	}
	server, err := devstack.StartRedis(ctx, wanted)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.redis = server
	if s.redisAt, err = url.Parse(server.URL); err != nil {
		return errors.New("the address of Redis cannot be read")
	}
	return nil
}

func (s *Stand) whereRedisIs() *url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.redisAt
}

// KillRedis ends Redis at once, and all that is in it.
func (s *Stand) KillRedis(ctx context.Context) error {
	s.mu.Lock()
	server := s.redis
	s.mu.Unlock()
	if err := syscall.Kill(server.Pid(), syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill Redis: %w", err)
	}
	<-server.Done()
	_ = server.Stop(ctx) // it has ended already
	return nil
}

// Pids are the servers' processes.
func (s *Stand) Pids() (postgres, redis int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.postgres.Pid(), s.redis.Pid()
}

// RedisURL is Redis, directly.
func (s *Stand) RedisURL() string { return s.whereRedisIs().String() }

// Redis does one command, directly.
func (s *Stand) Redis(command string, args ...any) (any, error) {
	conn, err := redigo.DialURL(s.RedisURL())
	if err != nil {
		return nil, fmt.Errorf("connect to Redis: %w", err)
	}
	defer conn.Close()
	reply, err := conn.Do(command, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	return reply, nil
}
