package main

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

type noArgs struct {
	ID string `json:"id"`
}

// Kind names the kind.
func (noArgs) Kind() string { return "nothing" }

type noWorker struct {
	river.WorkerDefaults[noArgs]

	run func()
}

// Work does nothing.
func (w *noWorker) Work(context.Context, *river.Job[noArgs]) error {
	w.run()
	return nil
}

// runRiver measures River, tuned: its default cool-down between two fetches bounds its throughput.
func runRiver(p plan) (f figures, err error) {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return f, err
	}
	config.MaxConns = 20
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return f, err
	}
	defer pool.Close()
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return f, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return f, err
	}
	var done atomic.Int64
	started := make(chan time.Time, 1)
	probing := atomic.Bool{}
	workers := river.NewWorkers()
	river.AddWorker(workers, &noWorker{run: func() {
		if probing.Load() {
			started <- time.Now()
		}
		done.Add(1)
	}})
	client, err := river.NewClient(driver, &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: p.workers}},
		FetchCooldown:     time.Millisecond,
		FetchPollInterval: 50 * time.Millisecond,
		Workers:           workers,
		Logger:            slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return f, err
	}
	// In a transaction of the caller's, since that is what is compared.
	enqueue := func() error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			_, err := client.InsertTx(ctx, tx, noArgs{ID: "1"}, nil)
			return err
		})
	}
	if f.EnqueueOne, err = rate(p.jobs/10, 1, enqueue); err != nil {
		return f, err
	}
	if f.EnqueueMany, err = rate(p.jobs/5, enqueuers, enqueue); err != nil {
		return f, err
	}
	many := make([]river.InsertManyParams, 1000)
	for i := range many {
		many[i].Args = noArgs{ID: "1"}
	}
	for range p.jobs / len(many) {
		if _, err := client.InsertManyFast(ctx, many); err != nil {
			return f, err
		}
	}
	waiting := int64(p.jobs/10) + int64(p.jobs/5/enqueuers*enqueuers) + int64(p.jobs/len(many)*len(many))
	began := time.Now()
	if err := client.Start(ctx); err != nil {
		return f, err
	}
	defer func() { _ = client.Stop(ctx) }()
	for done.Load() < waiting {
		time.Sleep(time.Millisecond)
	}
	f.Process = float64(waiting) / time.Since(began).Seconds()
	probing.Store(true)
	f.IdleP50, f.IdleP99, err = probe(p.probes, 200*time.Millisecond, enqueue, started)
	return f, err
}
