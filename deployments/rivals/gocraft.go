package main

import (
	"os"
	"sync/atomic"
	"time"

	"github.com/gocraft/work"
	"github.com/gomodule/redigo/redis"
)

type nothing struct{}

// gocraft measures gocraft/work as it comes.
func gocraft(p plan) (f figures, err error) {
	pool := &redis.Pool{MaxActive: p.workers + 20, MaxIdle: p.workers + 20, Wait: true, Dial: func() (redis.Conn, error) {
		return redis.DialURL(os.Getenv("REDIS_URL"))
	}}
	defer pool.Close()
	const namespace, name = "rival", "nothing"
	enqueuer := work.NewEnqueuer(namespace, pool)
	enqueue := func() error {
		_, err := enqueuer.Enqueue(name, work.Q{"id": "1"})
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
	workers := work.NewWorkerPool(nothing{}, uint(p.workers), namespace, pool)
	workers.Job(name, func(*work.Job) error {
		if probing.Load() {
			started <- time.Now()
		}
		done.Add(1)
		return nil
	})
	waiting := int64(p.jobs/5 + p.jobs/enqueuers*enqueuers)
	began := time.Now()
	workers.Start()
	defer workers.Stop()
	for done.Load() < waiting {
		time.Sleep(time.Millisecond)
	}
	f.Process = float64(waiting) / time.Since(began).Seconds()
	probing.Store(true)
	f.IdleP50, f.IdleP99, err = probe(min(p.probes, 10), 6*time.Second, enqueue, started) // it goes idle in steps up to 5 s
	return f, err
}
