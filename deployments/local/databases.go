package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/platform/devstack"
)

// database is the name of ours in a private PostgreSQL; in somebody else's, DATABASE_URL names it.
const database = "groundwork"

// startPostgres brings the database up and to this version's schema.
func (s *stack) startPostgres(ctx context.Context) error {
	s.adminURL = s.databaseURL
	if s.adminURL == "" {
		server, err := devstack.StartPostgres(ctx, devstack.Postgres{Dir: filepath.Join(s.dir, "postgres"), Log: s.out.say})
		if err != nil {
			return err
		}
		s.postgres = server
		if s.adminURL, err = createDatabase(ctx, server.AdminURL); err != nil {
			return err
		}
	}
	if err := migrations.EnsureRoles(ctx, s.adminURL, s.secrets.Passwords); err != nil {
		return s.blame("DATABASE_URL", s.databaseURL, err)
	}
	if err := migrations.Up(ctx, migrations.Config{URL: s.adminURL, Log: s.out.say}); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// blame names the variable that a connection came from, if it came from one.
func (s *stack) blame(variable, value string, err error) error {
	if value == "" {
		return err
	}
	return fmt.Errorf("%s: %w", variable, err)
}

// createDatabase makes our database in a private server and returns its administrator's URL.
func createDatabase(ctx context.Context, adminURL string) (string, error) {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return "", fmt.Errorf("connect to the private PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	const duplicateDatabase = "42P04"
	var problem *pgconn.PgError
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+database); err != nil && (!errors.As(err, &problem) || problem.Code != duplicateDatabase) {
		return "", fmt.Errorf("create the database: %w", err)
	}
	u, err := url.Parse(adminURL)
	if err != nil {
		return "", fmt.Errorf("read the private PostgreSQL's URL: %w", err)
	}
	u.Path = "/" + database
	return u.String(), nil
}

// asRole is a URL for the same database as another role. A user or password among the parameters would win over the one in
// front of the host.
func asRole(adminURL, role, password string) (string, error) {
	u, err := url.Parse(adminURL)
	if err != nil {
		return "", errors.New("DATABASE_URL is not a URL")
	}
	q := u.Query()
	for _, name := range []string{"user", "password", "passfile", "sslcert", "sslkey", "sslpassword"} {
		q.Del(name)
	}
	// A server that is reached through a Unix socket has its directory among the parameters, which reads better plain.
	u.RawQuery = strings.ReplaceAll(q.Encode(), "%2F", "/")
	u.User = url.UserPassword(role, password)
	return u.String(), nil
}

// startRedis brings Redis up, or its stand-in.
func (s *stack) startRedis(ctx context.Context) error {
	s.redisURLOfRun = s.redisURL
	if s.redisURL != "" {
		return nil
	}
	server, err := devstack.StartRedis(ctx, devstack.Redis{Dir: filepath.Join(s.dir, "redis"), Log: s.out.say})
	if err != nil {
		return err
	}
	s.redis, s.redisURLOfRun = server, server.URL
	if !server.Real {
		s.out.say("there is no redis-server on this machine: a stand-in inside this process takes its place, and forgets everything when it stops")
	}
	return nil
}
