package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/groundwork-saas/groundwork/migrations"
)

const usage = `migrate brings a Groundwork database to the version of this program.

Usage: migrate <command> [flags]

Commands:
  roles            make the PostgreSQL roles and give them their rights on the database (as an administrator)
  install          roles and then up, for a database that this program alone looks after
  up               apply every migration that the database lacks; replicas may run it at once
  down --to N      take back every migration above N; with ENVIRONMENT=production it asks for --yes
  status           list the migrations and when each was applied
  version          print the version of the schema in the database and in this program

Environment (each may also be given as NAME_FILE, the path of a file that holds the value):
  MIGRATE_DATABASE_URL         all but roles: the migrator's connection, not through a transaction pooler
  DATABASE_URL                 roles, install: the connection of an administrator who has CREATEROLE and owns the database
  MIGRATOR_DATABASE_PASSWORD   roles: password for groundwork_migrator; left as it is where unset
  APP_DATABASE_PASSWORD        roles: the same for groundwork_app
  WORKER_DATABASE_PASSWORD     roles: the same for groundwork_worker
  SYSTEM_DATABASE_PASSWORD     roles: the same for groundwork_system
  REPORTING_DATABASE_PASSWORD  roles: the same for groundwork_reporting
  MIGRATE_LOCK_TIMEOUT         up, down: how long a statement may wait for a table in use, before it steps back and
                               is tried again (default 200ms)
  MIGRATE_STATEMENT_TIMEOUT    up, down: how long a statement may run that others may have to wait for, before it is
                               cancelled and the migration has failed (default 1m)
  MIGRATE_PATIENCE             up, down: how long to try one migration again, and to wait for another process that
                               migrates (default 5m)
  ENVIRONMENT                  development (default) or production

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused in production without --yes.
`

// The exit codes, as the usage lists them.
const (
	done = iota
	failed
	wrongUsage
	refused
)

// errUsage is a mistake of the person who called; it is shown without wrapping.
var errUsage = errors.New("wrong usage")

// errRefused is a destructive command in production.
var errRefused = errors.New("refused")

// command is the program with what surrounds it.
type command struct {
	lookup   func(name string) (string, bool)
	out, err io.Writer
}

func (c command) run(ctx context.Context, args []string) int {
	err := c.dispatch(ctx, args)
	switch {
	case err == nil:
		return done
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(c.out, usage)
		return done
	}
	fmt.Fprintf(c.err, "migrate: %v\n", err)
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintln(c.err, "See migrate --help.")
		return wrongUsage
	case errors.Is(err, errRefused):
		return refused
	default:
		return failed
	}
}

func (c command) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: which command?", errUsage)
	}
	name, rest := args[0], args[1:]
	if name == "help" || name == "-h" || name == "-help" || name == "--help" {
		return flag.ErrHelp
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var act func(context.Context) error
	switch name {
	case "roles":
		act = c.roles
	case "install":
		act = c.install
	case "up":
		act = c.up
	case "down":
		to := flags.Int64("to", -1, "")
		yes := flags.Bool("yes", false, "")
		act = func(ctx context.Context) error { return c.down(ctx, *to, *yes) }
	case "status":
		act = c.status
	case "version":
		act = c.version
	default:
		return fmt.Errorf("%w: there is no command %q", errUsage, name)
	}
	if err := flags.Parse(rest); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w: %s: %w", errUsage, name, err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%w: %s does not take %q", errUsage, name, flags.Arg(0))
	}
	return act(ctx)
}

func (c command) roles(ctx context.Context) error {
	url, err := c.required("DATABASE_URL")
	if err != nil {
		return err
	}
	passwords := map[string]string{}
	for _, role := range migrations.LoginRoles() {
		password, given, err := c.value(strings.ToUpper(strings.TrimPrefix(role, "groundwork_")) + "_DATABASE_PASSWORD")
		if err != nil {
			return err
		}
		if given {
			passwords[role] = password
		}
	}
	if err := migrations.EnsureRoles(ctx, url, passwords); err != nil {
		return err
	}
	c.log("the roles are ready; passwords set: %d of %d", len(passwords), len(migrations.LoginRoles()))
	return nil
}

func (c command) install(ctx context.Context) error {
	if _, err := c.config(); err != nil { // before anything is changed
		return err
	}
	if err := c.roles(ctx); err != nil {
		return err
	}
	return c.up(ctx)
}

func (c command) up(ctx context.Context) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if err := migrations.Up(ctx, cfg); err != nil {
		return err
	}
	return c.version(ctx)
}

func (c command) down(ctx context.Context, to int64, yes bool) error {
	if to < 0 {
		return fmt.Errorf("%w: down needs --to N, the version to stay at; 0 takes everything back", errUsage)
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	environment, given, err := c.value("ENVIRONMENT")
	if err != nil {
		return err
	}
	switch {
	case given && environment != "production" && environment != "development":
		return fmt.Errorf("%w: ENVIRONMENT is %q: it is development or production", errUsage, environment)
	case environment == "production" && !yes:
		return fmt.Errorf("%w: down --to %d loses data for good, and ENVIRONMENT=production: say --yes if that is meant", errRefused, to)
	}
	if err := migrations.Down(ctx, cfg, to); err != nil {
		return err
	}
	return c.version(ctx)
}

func (c command) status(ctx context.Context) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	all, err := migrations.Status(ctx, cfg)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VERSION\tNAME\tAPPLIED AT (UTC)")
	for _, m := range all {
		name, at := m.Name, "pending"
		if name == "" {
			name = "(not in this program)"
		}
		if m.IsApplied() {
			at = m.AppliedAt.Format(time.DateTime)
		}
		fmt.Fprintf(table, "%d\t%s\t%s\n", m.Version, name, at)
	}
	return table.Flush()
}

func (c command) version(ctx context.Context) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	all, err := migrations.Status(ctx, cfg)
	if err != nil {
		return err
	}
	var applied int64
	for _, m := range all {
		if m.IsApplied() {
			applied = m.Version
		}
	}
	_, err = fmt.Fprintf(c.out, "database %d, program %d\n", applied, migrations.Latest())
	return err
}

func (c command) config() (migrations.Config, error) {
	url, err := c.required("MIGRATE_DATABASE_URL")
	if err != nil {
		return migrations.Config{}, err
	}
	lockTimeout, err := c.duration("MIGRATE_LOCK_TIMEOUT")
	if err != nil {
		return migrations.Config{}, err
	}
	statementTimeout, err := c.duration("MIGRATE_STATEMENT_TIMEOUT")
	if err != nil {
		return migrations.Config{}, err
	}
	patience, err := c.duration("MIGRATE_PATIENCE")
	return migrations.Config{
		URL: url, LockTimeout: lockTimeout, StatementTimeout: statementTimeout, Patience: patience, Log: c.log,
	}, err
}

func (c command) log(format string, args ...any) { fmt.Fprintf(c.err, format+"\n", args...) }

// value is the variable's, or that of the file which NAME_FILE names, without its last newline. An empty variable
// counts as unset, as a compose file leaves it.
func (c command) value(name string) (string, bool, error) {
	direct, _ := c.lookup(name)
	path, _ := c.lookup(name + "_FILE")
	switch {
	case direct != "" && path != "":
		return "", false, fmt.Errorf("%w: both %s and %s_FILE are set: which one is meant?", errUsage, name, name)
	case path == "":
		return direct, direct != "", nil
	}
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return "", false, fmt.Errorf("%s_FILE: %w", name, err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if text == "" {
		return "", false, fmt.Errorf("%s_FILE: %s is empty", name, path)
	}
	return text, true, nil
}

func (c command) required(name string) (string, error) {
	text, given, err := c.value(name)
	if err == nil && !given {
		err = fmt.Errorf("%w: %s is not set", errUsage, name)
	}
	return text, err
}

func (c command) duration(name string) (time.Duration, error) {
	text, given, err := c.value(name)
	if err != nil || !given {
		return 0, err
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%w: %s is %q: a time above 0 is needed, such as 30s or 5m", errUsage, name, text)
	}
	return d, nil
}
