package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

// These run behind a real pgbouncer that has fewer connections to give than there are clients, so that each transaction
// finds itself on another one.

// sent is the URL with the mode that statements are sent in.
func sent(tb testing.TB, address string, mode ExecMode) string {
	tb.Helper()
	u, err := url.Parse(address)
	require.NoError(tb, err)
	q := u.Query()
	q.Set("default_query_exec_mode", string(mode))
	u.RawQuery = q.Encode()
	return u.String()
}

func TestPooler_is_refused_where_it_would_lose_statements(t *testing.T) {
	t.Parallel()
	d := databasetest.New(t)
	transactions := d.Through(t, databasetest.Pgbouncer{Mode: "transaction", Size: 2})
	refused := func(address string) {
		// A machine that stands still while it looks cannot tell, and lets it pass: it looks again.
		require.EventuallyWithT(t, func(looks *assert.CollectT) {
			db, err := Open(t.Context(), Config{URL: address})
			if err == nil {
				assert.NoError(t, db.Close())
			}
			require.ErrorIs(looks, err, errPooled)
			assert.ErrorContains(looks, err, "default_query_exec_mode=cache_describe")
		}, waitFor, tick)
	}
	refused(transactions.AppURL)
	for _, address := range []string{
		sent(t, transactions.AppURL, CacheDescribe),
		sent(t, transactions.SystemURL, Exec),
		d.Through(t, databasetest.Pgbouncer{Mode: "session", Size: 10}).AppURL,
		d.Through(t, databasetest.Pgbouncer{Mode: "session", Size: 1}).AppURL, // nothing can be told there
	} {
		db, err := Open(t.Context(), Config{URL: address})
		require.NoError(t, err)
		require.NoError(t, db.Ping(t.Context()))
		require.NoError(t, db.Close())
	}
	keeping := d.Through(t, databasetest.Pgbouncer{Mode: "transaction", Size: 2, Statements: 100}).AppURL
	if databasetest.PgbouncerKeepsStatements(t) {
		db, err := Open(t.Context(), Config{URL: keeping})
		require.NoError(t, err)
		require.NoError(t, db.Close())
	} else {
		refused(keeping)
	}
	_, err := Open(t.Context(), Config{URL: sent(t, d.AppURL, "simple_protocol")})
	require.ErrorContains(t, err, "is no mode; say cache_statement, cache_describe or exec")
}

// Past Open's look, statements get lost; what must not be is that one is run in the place of another.
func TestPooler_never_runs_one_statement_for_another(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	through := s.Through(t, databasetest.Pgbouncer{Mode: "transaction", Size: 3})
	db := s.open(t, Config{URL: through.AppURL, ExecMode: CacheStatement, MaxConnections: 8})
	var group errgroup.Group
	for worker := range 8 {
		group.Go(func() error {
			for i := range 200 {
				own := worker*1000 + i%3
				var got, back int
				err := db.sql.QueryRowContext(t.Context(), fmt.Sprintf("select %d, $1::int", own), i).Scan(&got, &back)
				if err == nil && (got != own || back != i) {
					return fmt.Errorf("asked for %d and %d, and got %d and %d", own, i, got, back)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}

func TestPooler_keeps_tenants_apart(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	through := s.Through(t, databasetest.Pgbouncer{Mode: "transaction", Size: 3})
	const clients, rounds = 8, 20
	for _, mode := range []ExecMode{CacheDescribe, Exec} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			db := s.open(t, Config{URL: sent(t, through.AppURL, mode), MaxConnections: clients})
			scopes := make([]tenancy.Scope, clients)
			for i := range scopes {
				scopes[i] = s.system(t)
			}
			group, ctx := errgroup.WithContext(t.Context())
			for _, scope := range scopes {
				group.Go(func() error {
					for i := range rounds {
						if err := writeMemos(ctx, db, scope, fmt.Sprint(i)); err != nil {
							return err
						}
						var seen []memo
						if err := db.Scoped(ctx, scope).Find(&seen).Error; err != nil {
							return err
						}
						if len(seen) != 2*(i+1) {
							return fmt.Errorf("a tenant that wrote %d memos sees %d", 2*(i+1), len(seen))
						}
					}
					return nil
				})
			}
			require.NoError(t, group.Wait())
			for range clients {
				var left sql.NullString
				require.NoError(t, db.sql.QueryRowContext(t.Context(), "select current_setting('app.tenant_id', true)").Scan(&left))
				assert.Empty(t, left.String, "nothing of a tenant stays on the pooler's connection")
			}
		})
	}
}

// writeMemos writes one memo at once and one that is deferred, in a transaction.
func writeMemos(ctx context.Context, db *DB, scope tenancy.Scope, text string) error {
	return db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := db.Scoped(ctx, scope)
		if err := tx.Create(&memo{ID: tenancy.NewID(), Text: text}).Error; err != nil {
			return err
		}
		return DeferCreate(tx, &memo{ID: tenancy.NewID(), Text: text})
	})
}

func TestPooler_holds_locks_to_the_end_of_the_transaction(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.system(t)
	through := s.Through(t, databasetest.Pgbouncer{Mode: "transaction", Size: 3})
	db := s.open(t, Config{URL: sent(t, through.AppURL, CacheDescribe)})
	try := func(ctx context.Context) (taken bool) {
		require.NoError(t, db.InTx(ctx, scope, func(ctx context.Context) (err error) {
			taken, err = TryLock(db.Scoped(ctx, scope), 42)
			return err
		}))
		return taken
	}
	require.NoError(t, db.InTx(t.Context(), scope, func(ctx context.Context) error {
		if err := Lock(db.Scoped(ctx, scope), 42); err != nil {
			return err
		}
		assert.False(t, try(t.Context()), "another connection has it") //nolint:contextcheck // it is another transaction
		return nil
	}))
	assert.True(t, try(t.Context()))
}

func TestPooler_carries_jobs(t *testing.T) {
	t.Parallel()
	s := &jobsSample{Database: databasetest.New(t), Woken: make(chan string, 1000)}
	through := s.Through(t, databasetest.Pgbouncer{Mode: "transaction", Size: 2})
	s.App, s.Worker = s.open(t, sent(t, through.AppURL, CacheDescribe)), s.open(t, sent(t, through.WorkerURL, CacheDescribe))
	s.System = s.open(t, sent(t, through.SystemURL, CacheDescribe))
	s.Jobs = NewJobs(Shared{DB: s.App}, nil)
	s.Engine = NewJobEngine(s.System, NewJobs(Shared{DB: s.Worker}, nil))
	const tenants, each = 4, 25
	var group errgroup.Group
	for range tenants {
		scope := s.scope(t)
		group.Go(func() error {
			for range each {
				if _, err := s.Jobs.Enqueue(t.Context(), scope, newJob1()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	refs, _ := s.pick(t, jobs.Default, tenants*each, tenancy.ID{})
	require.Len(t, refs, tenants*each)
	for _, ref := range refs {
		group.Go(func() error {
			claimed, _, err := s.Engine.Claim(t.Context(), "worker-1", []jobs.Ref{ref}, lease)
			if err != nil || len(claimed) != 1 {
				return fmt.Errorf("claim one job: %d, %w", len(claimed), err)
			}
			held, err := s.Engine.Settle(t.Context(), []jobs.Outcome{{Attempt: attemptOf(claimed[0]), State: jobs.Succeeded}})
			if err != nil || !held[0] {
				return fmt.Errorf("settle it: %v, %w", held, err)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	assert.Equal(t, tenants*each, value[int](t, s.Database, "select count(*) from jobs_finished where state = 'succeeded'"))
}
