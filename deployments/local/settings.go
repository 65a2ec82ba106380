package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// settings are what the environment says about a run.
type settings struct {
	// root is the repository.
	root string
	// dir is LOCAL_DIR, absolute.
	dir string
	// databaseURL is the administrator's of a PostgreSQL to use; "" means a private one.
	databaseURL string
	// poolerURL of a pooler in front of that PostgreSQL, which the processes connect through; "" means that they connect directly.
	poolerURL string
	// redisURL of a Redis to use; "" means a private one.
	redisURL string
	// smtpURL of a mail server to send by; "" means that mails are caught and shown.
	smtpURL string
	// addresses are where the processes listen, by variable.
	addresses map[string]address
	// variables are the environment, without what is set for each process.
	variables map[string]string
	programs  []program
}

func newSettings(ctx context.Context, environ []string, workDir string, programs []program) (settings, error) {
	s := settings{variables: make(map[string]string, len(environ)), programs: programs}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		s.variables[name] = value
	}
	var err error
	if s.root, err = findRoot(workDir); err != nil {
		return s, err
	}
	s.dir = s.variables["LOCAL_DIR"]
	if s.dir == "" {
		s.dir = ".local"
	}
	if !filepath.IsAbs(s.dir) {
		s.dir = filepath.Join(workDir, s.dir)
	}
	s.databaseURL, s.redisURL = s.variables["DATABASE_URL"], s.variables["REDIS_URL"]
	s.smtpURL, s.poolerURL = s.variables["SMTP_URL"], s.variables["POOLER_URL"]
	if err := errors.Join(
		checkURL("SMTP_URL", s.smtpURL, "smtp", "smtps"),
		checkURL("DATABASE_URL", s.databaseURL, "postgres", "postgresql"),
		checkURL("REDIS_URL", s.redisURL, "redis", "rediss"),
		checkURL("POOLER_URL", s.poolerURL, "postgres", "postgresql"),
	); err != nil {
		return s, err
	}
	if s.poolerURL != "" && s.databaseURL == "" {
		return s, errors.New("POOLER_URL needs DATABASE_URL: the address of the PostgreSQL behind it, which is migrated past the pooler")
	}
	if s.addresses, err = readAddresses(ctx, s.variables); err != nil {
		return s, err
	}
	// What is ours, or is given to each process on its own, is not passed on; nor is a file that would give it twice.
	for _, name := range []string{"LOCAL_DIR", "DATABASE_URL", "SYSTEM_DATABASE_URL", "MIGRATE_DATABASE_URL", "REDIS_URL", "POOLER_URL"} {
		delete(s.variables, name)
		delete(s.variables, name+"_FILE")
	}
	return s, nil
}

// environment is what a process is given: what we were given, and what is its own.
func (s settings) environment(own map[string]string) []string {
	all := maps.Clone(s.variables)
	maps.Copy(all, own)
	env := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, name+"="+all[name])
	}
	return env
}

// findRoot finds the repository from a directory in it.
func findRoot(dir string) (string, error) {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.work")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not inside the repository (there is no go.work above it): change into it and try again", dir)
		}
	}
}

func checkURL(name, value string, schemes ...string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || !slices.Contains(schemes, u.Scheme) {
		// The value may hold a password, and so may what the parser says about it.
		return fmt.Errorf("%s must be a URL that begins with %s://", name, schemes[0])
	}
	return nil
}
