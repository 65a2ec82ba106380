package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// checkDirect makes sure that the lock is this connection's own. A pooler in transaction mode would hand the server's
// process that holds it to the next that asks, which is the observer.
func (s *session) checkDirect(ctx context.Context) error {
	if err := s.db.QueryRowContext(ctx, `SELECT pg_backend_pid()`).Scan(&s.pid); err != nil {
		return fmt.Errorf("ask for the server's process: %w", err)
	}
	var other int
	if err := s.observer.QueryRowContext(ctx, `SELECT pg_backend_pid()`).Scan(&other); err != nil {
		return fmt.Errorf("ask for the server's process: %w", err)
	}
	if other == s.pid {
		// What was set belongs to the pooler's connection, which others get next.
		_, err := s.db.ExecContext(ctx, `SELECT pg_advisory_unlock_all(), set_config('role', 'none', false), set_config('client_connection_check_interval', '0', false)`)
		return errors.Join(errPooled, err)
	}
	return nil
}

const (
	// longWait is how long a statement that blocks nobody waits before the log says for whom.
	longWait = 2 * time.Second
	// mostBetweenLooks bounds the time between two looks at who holds what: each look holds up all who lock for a moment.
	mostBetweenLooks = 5 * time.Second
)

// watching runs a migration and notes meanwhile whom its statements wait for.
func (s *session) watching(ctx context.Context, f file, run func() error) error {
	watch, stop := context.WithCancel(ctx)
	seen := make(chan string, 1)
	go func() {
		var last, told string
		began := time.Now() //nolint:forbidigo // how long something takes
		for wait := max(s.cfg.LockTimeout/3, time.Millisecond); sleep(watch, wait); wait = min(wait*5/4, mostBetweenLooks) {
			holders, err := s.blockers(watch)
			if err != nil || holders == "" {
				continue // it runs, or nobody can look: the migration itself goes on
			}
			last = holders
			if holders != told && time.Since(began) > max(longWait, 2*s.cfg.LockTimeout) {
				s.cfg.Log("%s: waiting for %s", f.name, holders)
				told = holders
			}
		}
		seen <- last
	}()
	err := run()
	stop()
	s.holders = <-seen
	return err
}

// blockers describes whom the session waits for; "" for nobody. Of others' sessions a role without pg_read_all_stats
// sees who they are, not what they do.
func (s *session) blockers(ctx context.Context) (string, error) {
	rows, err := s.observer.QueryContext(ctx, `
		SELECT format('pid %s (%s%s%s)', b.pid, coalesce(a.usename, 'a prepared transaction'), coalesce(', ' || nullif(a.application_name, ''), ''),
		  coalesce(', ' || a.state || ' for ' || date_trunc('second', clock_timestamp() - a.xact_start)::text || ': ' || left(regexp_replace(a.query, '\s+', ' ', 'g'), 80), ''))
		FROM unnest(pg_blocking_pids($1::int)) b (pid) LEFT JOIN pg_stat_activity a ON a.pid = b.pid GROUP BY 1 ORDER BY 1 LIMIT 5`, s.pid)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			return "", err
		}
		found = append(found, one)
	}
	return strings.Join(found, ", "), rows.Err()
}

// sleep is false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
