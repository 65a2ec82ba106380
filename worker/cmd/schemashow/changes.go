package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/backfills"
	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

//go:embed sql/*.sql
var files embed.FS

// change is one of the five, as its files and the backfill that follows them.
type change struct {
	name     string
	files    []string
	backfill string
}

func changes() []change {
	return []change{
		{name: "a column with a default", files: []string{"9001_channel.sql"}},
		{name: "an index", files: []string{"9002_channel_index.sql"}},
		{name: "a foreign key", files: []string{"9003_referred_by.sql", "9004_referred_by_valid.sql"}},
		{name: "NOT NULL", files: []string{"9005_segment.sql", "9006_segment_valid.sql", "9007_segment_not_null.sql"}},
		{name: "a column split in two", files: []string{"9008_split_name.sql"}, backfill: "customers-split-name"},
	}
}

// splitName is the backfill of the last change.
func splitName() postgres.Backfill {
	return postgres.Backfill{
		Definition: backfills.Definition{Name: "customers-split-name", Summary: "splits names into given and family names", PerSecond: 20_000},
		Table:      "customers",
		Change: `update customers c set given_name = split_part(c.name, ' ', 1), family_name = substr(c.name, length(split_part(c.name, ' ', 1)) + 2)
			from batch b where c.tenant_id = $1 and c.id = b.id and c.given_name is null`,
	}
}

// change makes the changes, one after the other, under load, and beside a report that reads the table again and again.
func (s *show) change(ctx context.Context) (*results, error) {
	r := &results{before: machineLoad()}
	migrationsDir := filepath.Join(s.dir, "migrations")
	if err := os.CopyFS(migrationsDir, os.DirFS(filepath.Join(s.root, "migrations", "sql"))); err != nil {
		return nil, fmt.Errorf("copy the product's migrations: %w", err)
	}
	s.load = s.startLoad(ctx)
	defer s.load.end()
	reading, stop := context.WithCancel(ctx)
	read := make(chan error, 1)
	go func() { read <- s.report(reading) }()
	defer stop()
	err := s.measure(ctx, r, "no change, to compare with", func(ctx context.Context) error { return sleep(ctx, s.calm) })
	for _, c := range changes() {
		if err != nil {
			return r, err
		}
		err = s.measure(ctx, r, c.name, func(ctx context.Context) error { return s.apply(ctx, migrationsDir, c) })
	}
	r.after = machineLoad()
	if err != nil {
		return r, err
	}
	stop()
	if err := <-read; err != nil {
		return r, err
	}
	return r, s.check(ctx)
}

func (s *show) measure(ctx context.Context, r *results, name string, act func(context.Context) error) error {
	p := &phase{name: name}
	s.load.begin(p)
	began := time.Now()
	err := act(ctx)
	p.took = time.Since(began)
	if err != nil {
		r.phases = append(r.phases, p)
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := sleep(ctx, 2*time.Second); err != nil { // what waits yet counts, too
		return err
	}
	s.load.begin(nil)
	s.say("%s: %s; %d requests, %d failed, worst %s", name, p.took.Round(time.Millisecond), p.requests, p.failed, p.worst().Round(time.Millisecond))
	r.phases = append(r.phases, p)
	return nil
}

func (s *show) apply(ctx context.Context, dir string, c change) error {
	for _, name := range c.files {
		text, err := fs.ReadFile(files, "sql/"+name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
		log := func(format string, args ...any) { s.say("  "+format, args...) }
		if err := migrations.Up(ctx, migrations.Config{URL: s.stand.RoleURL("groundwork_migrator"), Files: os.DirFS(dir), Log: log}); err != nil {
			return err
		}
	}
	if c.backfill == "" {
		return nil
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: s.stand.RoleURL("groundwork_worker"), MaxConnections: 2, Now: time.Now})
	if err != nil {
		return err
	}
	defer db.Close()
	store, err := postgres.NewBackfills(db, []postgres.Backfill{splitName()})
	if err != nil {
		return err
	}
	service := backfills.NewService(store, postgres.NewJobs(postgres.Shared{DB: db}, nil), time.Now)
	if err := service.Start(ctx, c.backfill); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.fillFor)
	defer cancel()
	told := time.Now()
	done, err := service.Work(ctx, c.backfill, func(r backfills.Run) {
		if time.Since(told) > 30*time.Second {
			s.say("  backfill: %d of %d rows", r.Looked, r.Expected)
			told = time.Now()
		}
	})
	if err == nil {
		s.say("  backfill: %d rows looked at, %d changed", done.Looked, done.Changed)
	}
	return err
}

// report reads the table in transactions of a second, with a second between them, as reports do: a change of the schema
// has to wait for each.
func (s *show) report(ctx context.Context) error {
	conn, err := s.stand.Admin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		_, err := conn.Exec(ctx, "begin; select count(*) from (select from customers limit 1000) few; select pg_sleep(1); commit")
		if err == nil {
			err = sleep(ctx, time.Second)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
}

// check looks whether the changes have become true.
func (s *show) check(ctx context.Context) error {
	conn, err := s.stand.Admin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var wrong []string
	err = conn.QueryRow(ctx, `select array_remove(array[
		case when exists (select from customers where given_name is null or channel is null) then 'a row has no value' end,
		case when not (select bool_and(indisvalid) from pg_index where indrelid = 'customers'::regclass) then 'an index is invalid' end,
		case when not (select bool_and(convalidated) from pg_constraint where conrelid = 'customers'::regclass) then 'a constraint is not valid' end,
		case when not (select attnotnull from pg_attribute where attrelid = 'customers'::regclass and attname = 'segment') then 'segment may be null' end], null)`).
		Scan(&wrong)
	if err == nil && len(wrong) > 0 {
		err = errors.New(strings.Join(wrong, ", "))
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
