package main

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

// runAsynq measures asynq as it comes.
func runAsynq(p plan) (f figures, err error) {
	at, err := asynq.ParseRedisURI(os.Getenv("REDIS_URL"))
	if err != nil {
		return f, err
	}
	client := asynq.NewClient(at)
	defer client.Close()
	const name = "nothing"
	enqueue := func() error {
		_, err := client.Enqueue(asynq.NewTask(name, []byte(`{"id":"1"}`)))
		return err
	}
	if f.EnqueueOne, err = rate(p.jobs/5, 1, enqueue); err != nil {
		return f, err
	}
	if f.EnqueueMany, err = rate(p.jobs, enqueuers, enqueue); err != nil {
		return f, err
	}
	var done atomic.Int64
	started := make(chan time.Time, 1)
	probing := atomic.Bool{}
	mux := asynq.NewServeMux()
	mux.HandleFunc(name, func(context.Context, *asynq.Task) error {
		if probing.Load() {
			started <- time.Now()
		}
		done.Add(1)
		return nil
	})
	server := asynq.NewServer(at, asynq.Config{Concurrency: p.workers, LogLevel: asynq.FatalLevel})
	waiting := int64(p.jobs/5 + p.jobs/enqueuers*enqueuers)
	began := time.Now()
	if err := server.Start(mux); err != nil {
		return f, err
	}
	defer server.Shutdown()
	for done.Load() < waiting {
		time.Sleep(time.Millisecond)
	}
	f.Process = float64(waiting) / time.Since(began).Seconds()
	probing.Store(true)
	f.IdleP50, f.IdleP99, err = probe(p.probes, 200*time.Millisecond, enqueue, started)
	return f, err
}
