package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// summary says where everything is and what to try first.
func (s *stack) summary(took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nGroundwork is up (%.1f s).\n\n", took.Seconds())
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	api := s.addresses["API_ADDR"].origin()
	line("API", "%s", api)
	for _, p := range s.programs {
		for key, variable := range p.origins {
			if key != "api" {
				line(strings.ToUpper(key[:1])+key[1:], "%s", s.addresses[variable].origin())
			}
		}
	}
	if s.mails != nil {
		line("Mails", "%s (all that are sent are caught and shown there)", s.addresses[mailAddress].origin())
	} else {
		line("Mails", "are sent by yours, by SMTP_URL")
	}
	for _, p := range s.programs {
		line("Health", "%s/readyz (%s; also /metrics, /debug/pprof)", s.addresses[p.ops].origin(), p.name)
	}
	if s.postgres != nil {
		line("PostgreSQL", "psql '%s'", s.adminURL)
	} else {
		line("PostgreSQL", "yours, by DATABASE_URL")
	}
	switch {
	case s.redis == nil:
		line("Redis", "yours, by REDIS_URL")
	case s.redis.Real:
		line("Redis", "redis-cli -u %s", s.redis.URL)
	default:
		line("Redis", "a stand-in inside this process (no redis-server was found)")
	}
	line("Logs", "%s", s.shown("logs"))
	line("For scripts", "%s", s.shown(stackFile))
	line("Sign in", "%s with the password %s", s.secrets.Demo.Email, s.secrets.Demo.Password)
	_ = w.Flush() // into memory
	fmt.Fprintf(&b, `
Try

  curl %s/api/v1/customers -H 'Authorization: Bearer %s'

Ctrl-C stops everything; the data stays in %s.

`, api, s.secrets.Demo.APIKey, s.shown(""))
	return b.String()
}

// shown is a path below LOCAL_DIR, as short as it can be said from here.
func (s *stack) shown(name string) string {
	path := filepath.Join(s.dir, name)
	if dir, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(dir, path); err == nil && !strings.HasPrefix(relative, "..") {
			return relative
		}
	}
	return path
}
