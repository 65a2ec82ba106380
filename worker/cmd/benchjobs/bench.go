package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
	"github.com/groundwork-saas/groundwork/worker/cmd/internal/stand"
)

// bench is a run.
type bench struct {
	options
	*stand.Stand

	began   time.Time
	admin   *pgx.Conn
	db      *postgres.DB
	client  *redis.Client
	bells   *redis.Bells
	queue   *postgres.Jobs
	tenants []tenancy.ID
	report  report

	schedulers []*stand.Process
}

// tenantCount is how many tenants the jobs of a throughput measurement belong to.
const tenantCount = 20

func run(ctx context.Context, args []string) (err error) {
	o, err := readOptions(args)
	if err != nil {
		return err
	}
	dir, remove, err := stand.Scratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	b := &bench{options: o, began: time.Now()}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, b.close(closing))
	}()
	if err := b.open(ctx, dir); err != nil {
		return err
	}
	b.report.loadBefore = load()
	if o.endurance > 0 {
		err = b.endure(ctx)
	} else {
		err = b.measure(ctx)
	}
	b.report.loadAfter = load()
	table := b.report.markdown(b)
	fmt.Fprint(os.Stdout, table)
	if o.out != "" {
		err = errors.Join(err, os.WriteFile(filepath.Clean(o.out), []byte(table), 0o600))
	}
	return err
}

func (b *bench) open(ctx context.Context, dir string) (err error) {
	if b.Stand, err = stand.New(ctx, stand.Config{Dir: dir, Say: b.say}); err != nil {
		return err
	}
	if b.admin, err = b.Admin(ctx); err != nil {
		return err
	}
	if b.db, err = postgres.Open(ctx, postgres.Config{URL: b.RoleURL("groundwork_app"), MaxConnections: 20}); err != nil {
		return err
	}
	if b.client, err = redis.Open(redis.Config{URL: b.RedisURL()}); err != nil {
		return err
	}
	b.bells = redis.NewBells(b.client) //nolint:contextcheck // they end with close
	b.queue = postgres.NewJobs(postgres.Shared{DB: b.db}, b.bells.Wake)
	b.tenants, err = b.newTenants(ctx, tenantCount)
	return err
}

func (b *bench) close(ctx context.Context) error {
	var err error
	if b.bells != nil {
		b.bells.Close()
		err = errors.Join(b.client.Close(), b.db.Close())
	}
	if b.admin != nil {
		err = errors.Join(err, b.admin.Close(ctx))
	}
	if b.Stand != nil {
		err = errors.Join(err, b.Close(ctx))
	}
	return err
}

func (b *bench) newTenants(ctx context.Context, n int) ([]tenancy.ID, error) {
	ids, texts := make([]tenancy.ID, n), make([]string, n)
	for i := range ids {
		ids[i] = tenancy.NewID()
		texts[i] = ids[i].String()
	}
	_, err := b.admin.Exec(ctx, `insert into tenants (id, name, created_at, updated_at)
		select unnest($1::text[])::uuid, 'Bench', now(), now()`, texts)
	if err != nil {
		return nil, fmt.Errorf("make tenants: %w", err)
	}
	return ids, nil
}

// measure measures everything, without and with a backlog.
func (b *bench) measure(ctx context.Context) error {
	if len(b.rivals) > 0 {
		if err := b.measureRivals(ctx); err != nil {
			return err
		}
	}
	if err := b.section(ctx, "empty tables"); err != nil || b.onlyEmpty {
		return err
	}
	if err := b.fill(ctx); err != nil {
		return err
	}
	return b.section(ctx, "beside "+thousands(b.finished)+" jobs that have ended and "+thousands(b.pending)+" that wait")
}

// section is one column of the table.
func (b *bench) section(ctx context.Context, name string) error {
	b.say("measuring: %s", name)
	f := &figures{name: name}
	b.report.sections = append(b.report.sections, f)
	for _, step := range []struct {
		part string // "" is always done
		do   func(context.Context, *figures) error
	}{
		{"enqueue", b.enqueueing},
		{"", b.startSchedulers},
		{"process", b.processing},
		{"idle", b.idling},
		{"flood", b.flooding},
		{"", b.stopSchedulers},
	} {
		if step.part != "" && !slices.Contains(b.only, step.part) {
			continue
		}
		if err := step.do(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) startSchedulers(ctx context.Context, _ *figures) error {
	for n := range 2 {
		p, err := b.StartScheduler(ctx, stand.Options{
			Name: fmt.Sprintf("scheduler-%d", n+1), Env: []string{"LOG_LEVEL=" + b.logging}, Ready: time.Minute,
		})
		if err != nil {
			return err
		}
		b.schedulers = append(b.schedulers, p)
	}
	return nil
}

func (b *bench) stopSchedulers(ctx context.Context, f *figures) error {
	f.schedulerPeak, _ = memory(b.schedulers[0].Pid, "VmHWM")
	for _, p := range b.schedulers {
		if err := p.Terminate(ctx, 20*time.Second); err != nil {
			return err
		}
	}
	b.schedulers = nil
	return nil
}

func (b *bench) startWorker(ctx context.Context, workers int) (*stand.Process, error) {
	return b.StartWorker(ctx, stand.Options{
		Name: "worker", Args: []string{"--queues", fmt.Sprintf("default=%d", workers)}, Env: []string{"LOG_LEVEL=" + b.logging}, Ready: time.Minute,
	})
}

// clear removes the jobs of the default queue that have not ended, as no user would: what a measurement leaves behind.
func (b *bench) clear(ctx context.Context) error {
	if _, err := b.admin.Exec(ctx, "delete from jobs where queue = 'default'"); err != nil {
		return fmt.Errorf("clear the jobs: %w", err)
	}
	if _, err := b.admin.Exec(ctx, "vacuum jobs"); err != nil {
		return fmt.Errorf("clear the jobs: %w", err)
	}
	_, err := b.Redis("FLUSHALL")
	return err
}

// say tells whoever waits what is going on.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// load is what the machine had to do lately.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(data))
	return fields[0] + " over 1 minute, " + fields[2] + " over 15"
}
