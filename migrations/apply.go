package migrations

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
)

// direction is the part of a file that is run, as goose marks it.
type direction string

const (
	up   direction = "Up"
	down direction = "Down"
)

// apply runs one migration, and again for as long as Patience lasts when it met a lock.
func (s *session) apply(ctx context.Context, f file, d direction, run func(context.Context) (*goose.MigrationResult, error)) error {
	patience, cancel := context.WithTimeout(ctx, s.cfg.Patience)
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := s.attempt(ctx, f, d, run)
		if err == nil {
			return nil
		}
		if !isCode(err, lockNotAvailable, deadlockDetected) {
			return err
		}
		holders := s.holders
		if holders == "" {
			holders = "somebody who has let go since"
		}
		s.cfg.Log("%v: attempt %d, stepping back; the table is used by %s", err, attempt+1, holders)
		if !pause(patience, attempt) {
			return fmt.Errorf("gave up after %d attempts; the table was used by %s: %w", attempt+1, holders, err)
		}
	}
}

func (s *session) attempt(ctx context.Context, f file, d direction, run func(context.Context) (*goose.MigrationResult, error)) error {
	if err := s.prepare(ctx, f); err != nil {
		return err
	}
	s.failed.sql, s.holders = "", ""
	var result *goose.MigrationResult
	err := s.watching(ctx, f, func() (err error) {
		result, err = run(ctx)
		return err
	})
	if err != nil {
		return locate(f, d, s.failed.sql, err)
	}
	s.cfg.Log("%s: %s (%s)", f.name, strings.ToLower(string(d)), result.Duration.Round(time.Millisecond))
	return nil
}

// prepare gives each attempt the same settings, whatever a migration before it has set, and removes the invalid
// indexes that an interrupted attempt of this migration has left behind.
func (s *session) prepare(ctx context.Context, f file) error {
	wait, run := max(s.cfg.LockTimeout, time.Millisecond), max(s.cfg.StatementTimeout, 0)
	if f.blocksNobody() {
		wait, run = max(wait, s.cfg.Patience), 0
	}
	var pid int
	err := s.db.QueryRowContext(ctx, `SELECT pg_backend_pid(), set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false),
		set_config('idle_in_transaction_session_timeout', '0', false)`, millis(wait), millis(run)).Scan(&pid, new(string), new(string), new(string))
	if err != nil {
		return fmt.Errorf("%s: set the time-outs: %w", f.name, err)
	}
	if pid != s.pid {
		return errPooled
	}
	if f.usesTransaction() {
		return nil
	}
	names, err := f.concurrentIndexes()
	if err != nil {
		return err
	}
	invalid, err := s.invalidIndexes(ctx, names)
	if err != nil {
		return fmt.Errorf("%s: look for invalid indexes: %w", f.name, err)
	}
	for _, index := range invalid {
		s.cfg.Log("%s: dropping the invalid index %s, which an interrupted attempt left behind", f.name, index)
		if _, err := s.db.ExecContext(ctx, `DROP INDEX CONCURRENTLY IF EXISTS `+index); err != nil {
			return fmt.Errorf("%s: drop the invalid index %s: %w", f.name, index, err)
		}
	}
	return nil
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// invalidIndexes are those of the names whose building was interrupted, quoted and qualified. Nobody builds them now:
// this session has the lock.
func (s *session) invalidIndexes(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	rows, err := s.db.QueryContext(ctx, `SELECT n.nspname, c.relname
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname = ANY (current_schemas(false)) AND c.relname = ANY ($1)`, names)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var schema, name string
		if err := rows.Scan(&schema, &name); err != nil {
			return nil, err
		}
		found = append(found, pgx.Identifier{schema, name}.Sanitize())
	}
	return found, rows.Err()
}

// StatementError is a migration that failed, and where.
type StatementError struct {
	// File is the migration's name, such as "0003_orders.sql".
	File string
	// Line in the file at which PostgreSQL found the fault, else at which the statement begins; 0 where the file
	// could not be read as a migration.
	Line int
	// Err is what PostgreSQL or the reader of the file said.
	Err error
}

// Error is "file:line: what was said", with PostgreSQL's detail and hint.
func (e *StatementError) Error() string {
	var text strings.Builder
	text.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&text, ":%d", e.Line)
	}
	text.WriteString(": ")
	var pg *pgconn.PgError
	if !errors.As(e.Err, &pg) {
		text.WriteString(e.Err.Error())
		return text.String()
	}
	fmt.Fprintf(&text, "%s (SQLSTATE %s)", pg.Message, pg.Code)
	if pg.Detail != "" {
		fmt.Fprintf(&text, "; %s", pg.Detail)
	}
	if pg.Hint != "" {
		fmt.Fprintf(&text, "; hint: %s", pg.Hint)
	}
	if pg.Code == queryCanceled && strings.Contains(pg.Message, "statement timeout") {
		text.WriteString("; it would have kept others waiting for longer: write it in the safe way (docs/migrations.md), or give it more time with MIGRATE_STATEMENT_TIMEOUT")
	}
	if pg.Where != "" {
		fmt.Fprintf(&text, "; in %s", pg.Where)
	}
	return text.String()
}

// Unwrap gives what PostgreSQL or the reader of the file said.
func (e *StatementError) Unwrap() error { return e.Err }

// locate finds the statement that failed in its file.
func locate(f file, d direction, statement string, err error) error {
	failure := &StatementError{File: f.name, Err: err}
	if partial := (*goose.PartialError)(nil); errors.As(err, &partial) {
		failure.Err = partial.Err
	}
	part := strings.Index(f.text, "+goose "+string(d))
	if part < 0 || statement == "" {
		return failure
	}
	start := strings.Index(f.text[part:], statement)
	if start < 0 {
		return failure // not the file's own: goose's record of the version
	}
	failure.Line = 1 + strings.Count(f.text[:part+start], "\n")
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Position > 0 {
		failure.Line += strings.Count(firstRunes(statement, int(pg.Position)-1), "\n")
	}
	return failure
}

func firstRunes(text string, n int) string {
	end := 0
	for ; n > 0 && end < len(text); n-- {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	return text[:end]
}

// failureTracer keeps the text of the statement that failed last: goose's error does not name it.
type failureTracer struct{ sql string }

type statementKey struct{}

// TraceQueryStart notes the statement.
func (t *failureTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, statementKey{}, data.SQL)
}

// TraceQueryEnd keeps the statement if it failed.
func (t *failureTracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if text, ok := ctx.Value(statementKey{}).(string); ok && data.Err != nil {
		t.sql = text
	}
}
