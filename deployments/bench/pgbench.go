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

	"github.com/jackc/pgx/v5"
)

// pgbench sends the hand-written handler's SQL straight to PostgreSQL, prepared: what the database alone can do.
type pgbench struct {
	work    *work
	program string
	port    string
	env     []string // as the administrator
	// checkedEnv and access are as the API asks: its role, and the statement that it sends in front of each.
	checkedEnv []string
	access     string
}

func newPgbench(ctx context.Context, w *work) (*pgbench, error) {
	program, err := exec.LookPath("pgbench")
	if err != nil {
		return nil, errors.New("it is not on PATH")
	}
	u, err := url.Parse(w.adminURL(manyTenants))
	if err != nil {
		return nil, fmt.Errorf("the URL: %w", err)
	}
	password, _ := u.User.Password()
	env := func(role, password string) []string {
		return append(os.Environ(), "PGPASSWORD="+password, "PGUSER="+role, "PGHOST="+u.Hostname(), "PGDATABASE="+manyTenants)
	}
	p := &pgbench{
		work: w, program: program, port: u.Port(), env: env(u.User.Username(), password),
		checkedEnv: env("groundwork_app", w.passwords["groundwork_app"]),
	}
	conn, err := pgx.Connect(ctx, w.adminURL(manyTenants))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SELECT format('SELECT set_config(''app.tenant_id'', %L, true), check_access(''user'', %L, %L, %s);',
  m.tenant_id, m.user_id, s.id, m.version)
FROM memberships m JOIN sessions s ON s.user_id = m.user_id WHERE m.tenant_id = $1 LIMIT 1`, w.tenant).Scan(&p.access)
	if err != nil {
		return nil, fmt.Errorf("look the session up: %w", err)
	}
	return p, nil
}

// asTheAPI puts the tenant's setting and the access check in front of a script's statement, in its round trip.
func (p *pgbench) asTheAPI(script string) string {
	statement := strings.Index(script, "SELECT ")
	return script[:statement] + "\\startpipeline\n" + p.access + "\n" + script[statement:] + "\\endpipeline\n"
}

// run takes one measurement: pgbench's own latencies, and its own count over the time that they took.
func (p *pgbench) run(ctx context.Context, env []string, script string) (sample, error) {
	dir, err := os.MkdirTemp(p.work.dir, "pgbench-")
	if err != nil {
		return sample{}, fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "script.sql")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		return sample{}, fmt.Errorf("write the script: %w", err)
	}
	// pgbench measures in whole seconds, and has no warm-up: its first second is left out below.
	seconds := max(1, int(p.work.duration.Round(time.Second)/time.Second)) + 1
	cmd := exec.CommandContext(ctx, p.program, //nolint:gosec // ours
		"--no-vacuum", "--protocol=prepared", "--client="+strconv.Itoa(p.work.clients), "--jobs=2", "--time="+strconv.Itoa(seconds),
		"--file="+path, "--log", "--log-prefix="+filepath.Join(dir, "log"), "--port="+p.port)
	cmd.Env = env
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
