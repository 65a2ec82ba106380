package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// size is how much the tables take at some moment, in bytes.
type size struct {
	after                    string
	jobs, finished, database int64
	rate                     string
}

// endure puts very many jobs through, a tenth at a time, and then has the days dropped on which they ended.
func (b *bench) endure(ctx context.Context) error {
	if err := b.note(ctx, "0 jobs", ""); err != nil {
		return err
	}
	if b.ended > 0 {
		if err := b.fillFinished(ctx, b.ended); err != nil {
			return err
		}
		if err := b.note(ctx, thousands(b.ended)+" jobs put there by SQL", ""); err != nil {
			return err
		}
	}
	if err := b.startSchedulers(ctx, nil); err != nil {
		return err
	}
	worker, err := b.startWorker(ctx, 200)
	if err != nil {
		return err
	}
	const rounds = 10
	// So much is enqueued ahead of what has run.
	const ahead = 100_000
	each := b.endurance / rounds
	enqueued := 0
	for round := range rounds {
		began := time.Now()
		for enqueued < (round+1)*each {
			n := min(ahead/2, (round+1)*each-enqueued)
			if _, err := b.rate(ctx, n, 1, 500); err != nil {
				return err
			}
			enqueued += n
			if err := b.untilRun(ctx, worker, enqueued-ahead/2); err != nil {
				return err
			}
		}
		if err := b.untilRun(ctx, worker, enqueued); err != nil {
			return err
		}
		rate := float64(each) / time.Since(began).Seconds()
		b.say("%s jobs went through, %.0f a second", thousands(enqueued), rate)
		if err := b.note(ctx, thousands(b.ended+enqueued)+" jobs", thousands(int(rate))); err != nil {
			return err
		}
	}
	if err := errors.Join(worker.Terminate(ctx, 20*time.Second), b.stopSchedulers(ctx, &figures{})); err != nil {
		return err
	}
	began := time.Now()
	// As if three days had passed, and ended jobs were kept for one.
	var made, dropped int
	if err := b.admin.QueryRow(ctx, "select made, dropped from maintain_finished_jobs(interval '-2 days')").Scan(&made, &dropped); err != nil {
		return fmt.Errorf("drop the ended jobs: %w", err)
	}
	b.say("%d partitions were dropped in %s", dropped, time.Since(began).Round(time.Millisecond))
	return b.note(ctx, fmt.Sprintf("%d days dropped, in %s", dropped, time.Since(began).Round(time.Millisecond)), "")
}

func (b *bench) note(ctx context.Context, after, rate string) error {
	s := size{after: after, rate: rate}
	err := b.admin.QueryRow(ctx, `select pg_total_relation_size('jobs'), pg_database_size(current_database()),
		(select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint from pg_inherits where inhparent = 'jobs_finished'::regclass)`).
		Scan(&s.jobs, &s.database, &s.finished)
	if err != nil {
		return fmt.Errorf("measure the tables: %w", err)
	}
	b.report.sizes = append(b.report.sizes, s)
	return nil
}
