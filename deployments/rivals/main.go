// Command rivals measures other job engines on the work that ours is measured on: bare gocraft/work, asynq and River,
// each enqueuing and processing jobs that do nothing, and starting one on an idle worker.
//
// The bench of jobs builds and runs it beside ours. It is a module of its own, outside the workspace, so that what it
// measures is no dependency of the product.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// figures are what one engine did, as a line of JSON.
type figures struct {
	Engine string `json:"engine"`
	// EnqueueOne and EnqueueMany are jobs a second, with one connection and with sixteen.
	EnqueueOne  float64 `json:"enqueue_one"`
	EnqueueMany float64 `json:"enqueue_many"`
	// Process is jobs a second with so many workers.
	Process float64 `json:"process"`
	Workers int     `json:"workers"`
	// IdleP50 and IdleP99 are milliseconds from the enqueuing to the start on an idle worker.
	IdleP50 float64 `json:"idle_p50_ms"`
	IdleP99 float64 `json:"idle_p99_ms"`
}

// plan is how much is done.
type plan struct {
	jobs, workers, probes int
}

const enqueuers = 16

func main() {
	var p plan
	engine := flag.String("engine", "", "gocraft, asynq or river")
	flag.IntVar(&p.jobs, "jobs", 50_000, "jobs to process")
	flag.IntVar(&p.workers, "workers", 50, "workers")
	flag.IntVar(&p.probes, "probes", 50, "starts on an idle worker")
	flag.Parse()
	engines := map[string]func(plan) (figures, error){"gocraft": gocraft, "asynq": runAsynq, "river": runRiver}
	run, ok := engines[*engine]
	if !ok {
		fmt.Fprintln(os.Stderr, "rivals: say -engine gocraft, asynq or river")
		os.Exit(2)
	}
	f, err := run(p)
	if err == nil {
		f.Engine, f.Workers = *engine, p.workers
		err = json.NewEncoder(os.Stdout).Encode(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rivals:", err)
		os.Exit(1)
	}
}

// rate is how many a second n are, done by some at once.
func rate(n, atOnce int, do func() error) (float64, error) {
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	began := time.Now()
	for range atOnce {
		all.Go(func() {
			for range n / atOnce {
				if err := do(); err != nil {
					mu.Lock()
					first = err
					mu.Unlock()
					return
				}
			}
		})
	}
	all.Wait()
	return float64(n/atOnce*atOnce) / time.Since(began).Seconds(), first
}

// probe measures starts on an idle worker: started receives when a job has begun. Between two the worker is left alone
// for so long that it has nothing left to do.
func probe(n int, pause time.Duration, enqueue func() error, started <-chan time.Time) (p50, p99 float64, err error) {
	var took []float64
	for range n {
		time.Sleep(pause)
		began := time.Now()
		if err := enqueue(); err != nil {
			return 0, 0, err
		}
		select {
		case at := <-started:
			took = append(took, float64(at.Sub(began).Microseconds())/1000)
		case <-time.After(30 * time.Second):
			return 0, 0, fmt.Errorf("a job did not start in 30 s")
		}
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100], nil
}
