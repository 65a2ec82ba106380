package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pgbench sends the hand-written handler's SQL straight to PostgreSQL, prepared: what the database alone can do.
type pgbench struct {
	work    *work
	program string
	env     []string
	port    string
}

func newPgbench(w *work) (*pgbench, error) {
	program, err := exec.LookPath("pgbench")
	if err != nil {
		return nil, errors.New("it is not on PATH")
	}
	u, err := url.Parse(w.adminURL(manyTenants))
	if err != nil {
		return nil, fmt.Errorf("the URL: %w", err)
	}
	password, _ := u.User.Password()
	return &pgbench{
		work: w, program: program, port: u.Port(),
		env: append(os.Environ(), "PGPASSWORD="+password, "PGUSER="+u.User.Username(), "PGHOST="+u.Hostname(), "PGDATABASE="+manyTenants),
	}, nil
}

// run takes one measurement: pgbench's own latencies, and its own count over the time that they took.
func (p *pgbench) run(ctx context.Context, k kind) (sample, error) {
	dir, err := os.MkdirTemp(p.work.dir, "pgbench-")
	if err != nil {
		return sample{}, fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	script := filepath.Join(dir, "script.sql")
	if err := os.WriteFile(script, []byte(k.script), 0o600); err != nil {
		return sample{}, fmt.Errorf("write the script: %w", err)
	}
	// pgbench measures in whole seconds, and has no warm-up: its first second is left out below.
	seconds := max(1, int(p.work.duration.Round(time.Second)/time.Second)) + 1
	cmd := exec.CommandContext(ctx, p.program, //nolint:gosec // ours
		"--no-vacuum", "--protocol=prepared", "--client="+strconv.Itoa(p.work.clients), "--jobs=2", "--time="+strconv.Itoa(seconds),
		"--file="+script, "--log", "--log-prefix="+filepath.Join(dir, "log"), "--port="+p.port)
	cmd.Env = p.env
	if said, err := cmd.CombinedOutput(); err != nil {
		return sample{}, fmt.Errorf("pgbench: %w\n%s", err, said)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "log.*"))
	if err != nil || len(logs) == 0 {
		return sample{}, errors.New("pgbench left no log")
	}
	var done []transaction
	for _, path := range logs {
		more, err := readTransactions(path)
		if err != nil {
			return sample{}, err
		}
		done = append(done, more...)
	}
	return sumUp(done)
}

// transaction is a line of pgbench's log: when it ended, and how long it took.
type transaction struct {
	ended time.Time
	took  time.Duration
}

func readTransactions(path string) ([]transaction, error) {
	f, err := os.Open(path) //nolint:gosec // pgbench wrote it for us
	if err != nil {
		return nil, fmt.Errorf("read pgbench's log: %w", err)
	}
	defer f.Close()
	var all []transaction
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// client, number, microseconds, script, second, microsecond of the second
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 {
			return nil, fmt.Errorf("pgbench's log says %q", lines.Text())
		}
		took, err := strconv.ParseInt(fields[2], 10, 64)
		second, errSecond := strconv.ParseInt(fields[4], 10, 64)
		micros, errMicros := strconv.ParseInt(fields[5], 10, 64)
		if err := errors.Join(err, errSecond, errMicros); err != nil {
			return nil, fmt.Errorf("pgbench's log says %q", lines.Text())
		}
		all = append(all, transaction{ended: time.Unix(second, micros*1000), took: time.Duration(took) * time.Microsecond})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read pgbench's log: %w", err)
	}
	return all, nil
}

func sumUp(done []transaction) (sample, error) {
	if len(done) == 0 {
		return sample{}, errors.New("pgbench did nothing")
	}
	first, last := done[0].ended, done[0].ended
	for _, t := range done {
		if t.ended.Before(first) {
			first = t.ended
		}
		if t.ended.After(last) {
			last = t.ended
		}
	}
	from := first.Add(time.Second)
	if !from.Before(last) {
		from = first
	}
	var latencies []time.Duration
	for _, t := range done {
		if t.ended.After(from) {
			latencies = append(latencies, t.took)
		}
	}
	return summarize(latencies, last.Sub(from)), nil
}
