package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// office is what an operator does with the jobs of all organizations.
type office struct {
	engine *postgres.JobEngine
	now    func() time.Time
}

type officeSettings struct {
	identitySettings
	// SystemDatabaseURL sees the jobs of all organizations; what is done to one of them goes through the other.
	SystemDatabaseURL config.Secret `env:"SYSTEM_DATABASE_URL" required:"true" schemes:"postgres postgresql" help:"PostgreSQL, as groundwork_system."`
}

// withOffice opens the databases for as long as fn runs.
func (p program) withOffice(ctx context.Context, fn func(o office) error) error {
	var cfg officeSettings
	if err := p.settings(&cfg); err != nil {
		return err
	}
	return p.withDatabase(ctx, "SYSTEM_DATABASE_URL", cfg.SystemDatabaseURL, func(system *postgres.DB) error {
		return p.withDatabase(ctx, "DATABASE_URL", cfg.DatabaseURL, func(db *postgres.DB) error {
			engine := postgres.NewJobEngine(system, postgres.NewJobs(postgres.Shared{DB: db}, nil))
			if err := engine.CheckRole(ctx); err != nil {
				return fmt.Errorf("SYSTEM_DATABASE_URL: %w", err)
			}
			return fn(office{engine: engine, now: p.now})
		})
	})
}

// queueStats is a queue in numbers.
type queueStats struct {
	Queue     string `json:"queue"`
	Paused    bool   `json:"paused"`
	Scheduled int64  `json:"scheduled"`
	Pending   int64  `json:"pending"`
	Running   int64  `json:"running"`
	Retrying  int64  `json:"retrying"`
	Dead      int64  `json:"dead"`
	// OldestPending and OldestDead are how long the oldest one has been so, in seconds; null where there is none.
	OldestPending *float64 `json:"oldest_pending_seconds"`
	OldestDead    *float64 `json:"oldest_dead_seconds"`
}

// stats counts the jobs of one queue, or of all where it is "": those that there are and any that there were.
func (o office) stats(ctx context.Context, only string) ([]queueStats, error) {
	counts, err := o.engine.JobStats(ctx)
	if err != nil {
		return nil, err
	}
	paused, err := o.engine.PausedQueues(ctx)
	if err != nil {
		return nil, err
	}
	names := jobs.Queues()
	for _, c := range counts {
		if !slices.Contains(names, c.Queue) {
			names = append(names, c.Queue)
		}
	}
	var all []queueStats
	for _, name := range names {
		if only != "" && name != only {
			continue
		}
		q := queueStats{Queue: name, Paused: slices.Contains(paused, name)}
		for _, c := range counts {
			if c.Queue == name {
				q.add(c)
			}
		}
		all = append(all, q)
	}
	return all, nil
}

func (q *queueStats) add(c postgres.JobCount) {
	older := func(than *float64) *float64 {
		if seconds := c.Oldest.Seconds(); than == nil || seconds > *than {
			return &seconds
		}
		return than
	}
	switch c.State {
	case jobs.Scheduled:
		q.Scheduled += c.Jobs
	case jobs.Pending, jobs.Dispatched:
		q.Pending += c.Jobs
		q.OldestPending = older(q.OldestPending)
	case jobs.Running:
		q.Running += c.Jobs
	case jobs.Retrying:
		q.Retrying += c.Jobs
	case jobs.Dead:
		q.Dead += c.Jobs
		q.OldestDead = older(q.OldestDead)
	case jobs.Succeeded, jobs.Cancelled: // history, which is not counted
	}
}

// load is what a queue has to do.
func (o office) load(ctx context.Context, queue string) (progress, error) {
	all, err := o.stats(ctx, queue)
	if err != nil || len(all) == 0 {
		return progress{}, err
	}
	q := all[0]
	return progress{
		Queue: queue, Pending: q.Pending, Running: q.Running, Paused: q.Paused,
		Done: q.Running == 0 && (q.Paused || q.Pending == 0),
	}, nil
}

// list reads page after page until it has as many as were asked for.
func (o office) list(ctx context.Context, query postgres.OperatorQuery, limit int) ([]jobs.Job, error) {
	var found []jobs.Job
	for {
		query.Limit = min(limit-len(found), page.MaxLimit)
		rows, err := o.engine.ListAllJobs(ctx, query)
		if err != nil {
			return nil, err
		}
		p := page.Of(rows, query.Request, func(j jobs.Job) page.Position { return page.Position{j.ID.String()} })
		found = append(found, p.Items...)
		if len(found) >= limit || len(p.Next) == 0 {
			return found, nil
		}
		query.After = p.Next
	}
}

func (o office) find(ctx context.Context, id tenancy.ID) (jobs.Job, error) {
	return o.engine.FindAnyJob(ctx, id)
}

func (o office) retry(ctx context.Context, id tenancy.ID) (jobs.Job, error) {
	return o.engine.RetryAnyJob(ctx, id, o.now())
}

func (o office) cancel(ctx context.Context, id tenancy.ID) (jobs.Job, error) {
	return o.engine.CancelAnyJob(ctx, id, o.now())
}

func (o office) pause(ctx context.Context, queue string) error {
	return o.engine.PauseQueue(ctx, queue)
}

func (o office) resume(ctx context.Context, queue string) error {
	return o.engine.ResumeQueue(ctx, queue)
}
