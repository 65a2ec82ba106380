package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// rival is what another engine did, as deployments/rivals prints it.
type rival struct {
	Engine      string  `json:"engine"`
	EnqueueOne  float64 `json:"enqueue_one"`
	EnqueueMany float64 `json:"enqueue_many"`
	Process     float64 `json:"process"`
	Workers     int     `json:"workers"`
	IdleP50     float64 `json:"idle_p50_ms"`
	IdleP99     float64 `json:"idle_p99_ms"`
}

// measureRivals measures the other engines over the same servers: River over a database of its own.
func (b *bench) measureRivals(ctx context.Context) error {
	workspace, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	if err != nil {
		return fmt.Errorf("find the repository: %w", err)
	}
	b.say("building the other engines")
	program := filepath.Join(b.Dir(), "rivals")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".") //nolint:gosec // ours
	build.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(workspace))), "deployments", "rivals")
	build.Env = append(os.Environ(), "GOWORK=off")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the other engines: %w\n%s", err, said)
	}
	database, err := b.NewDatabase(ctx, "river")
	if err != nil {
		return err
	}
	for _, engine := range b.rivals {
		for _, workers := range []int{50, 200} {
			r, err := b.rival(ctx, program, database, engine, workers)
			if err != nil {
				return err
			}
			b.say("%s, %d workers: %.0f jobs/s", engine, workers, r.Process)
			b.report.rivals = append(b.report.rivals, r)
		}
	}
	_, err = b.Redis("FLUSHALL")
	return err
}

func (b *bench) rival(ctx context.Context, program, database, engine string, workers int) (r rival, err error) {
	probes := b.probes
	if workers != 50 {
		probes = 2 // they were measured
	}
	if _, err := b.Redis("FLUSHALL"); err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // one that loses a job never ends
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-engine", engine, "-jobs", fmt.Sprint(b.jobs), "-workers", fmt.Sprint(workers), "-probes", fmt.Sprint(probes)) //nolint:gosec // built here
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "REDIS_URL=" + b.RedisURL(), "DATABASE_URL=" + database}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("measure %s: %w", engine, err)
	}
	// gocraft/work prints to the standard output, too.
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "{") {
			return r, json.Unmarshal([]byte(line), &r) //nolint:wrapcheck // it says what is wrong
		}
	}
	return r, fmt.Errorf("measure %s: it printed no figures", engine)
}
