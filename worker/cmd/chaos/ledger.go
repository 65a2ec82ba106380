package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// commit is what became of the transaction that enqueued a job.
type commit int

const (
	committed  commit = iota
	rolledBack        // the job must never run
	unknown           // PostgreSQL died meanwhile: at the end it is looked up
)

// entry is a job that was enqueued, or was to be.
type entry struct {
	kind   jobs.Kind
	commit commit
}

// ledger is what was promised, kept outside of everything that breaks.
type ledger struct {
	mu      sync.Mutex
	entries map[tenancy.ID]entry
}

func newLedger() *ledger { return &ledger{entries: map[tenancy.ID]entry{}} }

func (l *ledger) note(list []jobs.New, done []jobs.Enqueued, became commit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, job := range list {
		if became == committed && done[i].Existed {
			continue // its key was taken: nothing was promised
		}
		l.entries[job.ID] = entry{job.Kind, became}
	}
}

// count is how many jobs were noted.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// verdict is what the database has, held against the ledger.
type verdict struct {
	jobs, lost, doubled int
	// ends counts the jobs by kind and state.
	ends map[[2]string]int
	// again is how many jobs took more than one attempt.
	again int
	// rolledBack were never to run; unknown had an end of their transaction that nobody knew, of which kept were committed.
	rolledBack, unknown, kept int
	// calls reached somebody outside; repeats are those with a key that had come before.
	calls, repeats int
	// killed is how many workers a poisonous job took with it at most.
	killed int
	// notes say what is wrong, at most so many.
	notes []string
}

const mostNotes = 20

func (v *verdict) note(format string, args ...any) {
	if len(v.notes) < mostNotes {
		v.notes = append(v.notes, fmt.Sprintf(format, args...))
	}
}

// found is a job in the database.
type found struct {
	state   jobs.State
	attempt int
	copies  int
	effects int
	said    string
}

// audit reads the database and counts.
func (l *ledger) audit(ctx context.Context, admin *pgx.Conn, outside *receiver) (*verdict, error) {
	rows, err := read(ctx, admin)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v := &verdict{ends: map[[2]string]int{}}
	for id, e := range l.entries {
		f := rows[id]
		switch e.commit {
		case committed:
		case rolledBack:
			v.rolledBack++
			if f.copies > 0 || f.effects > 0 {
				v.doubled++
				v.note("%s %s was rolled back, and is %s with %d effects", e.kind.Name, id, f.state, f.effects)
			}
			continue
		case unknown:
			v.unknown++
			if f.copies == 0 && f.effects == 0 {
				continue // it was not committed
			}
			v.kept++
		}
		v.jobs++
		v.ends[[2]string{e.kind.Name, string(f.state)}]++
		if f.attempt > 1 {
			v.again++
		}
		v.judge(id, e.kind, f, outside)
	}
	return v, nil
}

// judge says whether a job that was committed has ended as its kind demands, with its effect.
func (v *verdict) judge(id tenancy.ID, kind jobs.Kind, f found, outside *receiver) {
	ended := f.state == jobs.Succeeded
	switch kind.Name {
	case (poison{}).JobKind().Name:
		ended = f.state == jobs.Dead
		v.killed = max(v.killed, f.attempt)
	case (doomed{}).JobKind().Name:
		ended = ended || f.state == jobs.Cancelled
	}
	due := 0
	if kind.Transactional && f.state == jobs.Succeeded {
		due = 1
	}
	isCall := kind.Name == (call{}).JobKind().Name
	calls := 0
	if isCall {
		calls = outside.of(id.String())
		v.calls += calls
		v.repeats += max(calls-1, 0)
	}
	switch {
	case f.copies > 1:
		v.doubled++
		v.note("%s %s stands in %d places", kind.Name, id, f.copies)
	case f.effects > due:
		v.doubled++
		v.note("%s %s is %s after %d attempts, with %d effects and not %d", kind.Name, id, f.state, f.attempt, f.effects, due)
	case f.copies == 0:
		v.lost++
		v.note("%s %s was committed and is nowhere", kind.Name, id)
	case !ended:
		v.lost++
		v.note("%s %s is %s after %d attempts: %s", kind.Name, id, f.state, f.attempt, f.said)
	case f.effects < due, isCall && calls == 0:
		v.lost++
		v.note("%s %s has succeeded without an effect", kind.Name, id)
	}
}

// read reads all jobs and effects.
func read(ctx context.Context, admin *pgx.Conn) (map[tenancy.ID]found, error) {
	all := map[tenancy.ID]found{}
	rows, err := admin.Query(ctx, `select id::text, state, attempt, coalesce(error, ''), 0 from jobs
		union all select id::text, state, attempt, coalesce(error, ''), 0 from jobs_finished
		union all select job_id::text, '', 0, '', count(*)::int from chaos_effects group by job_id`)
	if err != nil {
		return nil, fmt.Errorf("read what became of the jobs: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var text, state, said string
		var attempt, effects int
		if err := rows.Scan(&text, &state, &attempt, &said, &effects); err != nil {
			return nil, fmt.Errorf("read what became of the jobs: %w", err)
		}
		id, err := tenancy.ParseID(text)
		if err != nil {
			return nil, errors.New("an id in the database is none")
		}
		f := all[id]
		f.effects += effects
		if state != "" {
			f.state, f.attempt, f.said = jobs.State(state), attempt, said
			f.copies++
		}
		all[id] = f
	}
	return all, rows.Err()
}
