package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func countMemos(t *testing.T, db *DB, scope tenancy.Scope) (n int64) {
	t.Helper()
	require.NoError(t, db.Scoped(t.Context(), scope).Model(&memo{}).Count(&n).Error)
	return n
}

func TestInTx(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	write := func(ctx context.Context, scope tenancy.Scope) error {
		return s.App.Scoped(ctx, scope).Create(&memo{ID: tenancy.NewID(), Text: "x"}).Error
	}
	t.Run("commits all or nothing", func(t *testing.T) {
		t.Parallel()
		scope := s.Tenant(t)
		err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
			return errors.Join(write(ctx, scope), write(ctx, scope))
		})
		require.NoError(t, err)
		assert.EqualValues(t, 2, countMemos(t, s.App, scope))
		err = s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
			return errors.Join(write(ctx, scope), assert.AnError)
		})
		require.ErrorIs(t, err, assert.AnError)
		assert.EqualValues(t, 2, countMemos(t, s.App, scope))
	})
	t.Run("joins the transaction around it", func(t *testing.T) {
		t.Parallel()
		scope := s.Tenant(t)
		err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
			err := s.App.InTx(ctx, scope, func(ctx context.Context) error { return write(ctx, scope) })
			return errors.Join(err, assert.AnError)
		})
		require.ErrorIs(t, err, assert.AnError)
		assert.Zero(t, countMemos(t, s.App, scope))
	})
	t.Run("undoes a part that failed, and what was in it, and goes on", func(t *testing.T) {
		t.Parallel()
		scope := s.Tenant(t)
		err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
			tx := s.App.Scoped(ctx, scope)
			id := tenancy.NewID()
			deferred := func(id tenancy.ID) error { return DeferCreate(tx, &memo{ID: id, Text: "x"}) }
			require.NoError(t, apart(tx, func() error { return deferred(id) }), "one is kept")
			require.ErrorIs(t, apart(tx, func() error {
				require.NoError(t, apart(tx, func() error { return write(ctx, scope) }))
				require.Error(t, apart(tx, func() error { return deferred(id) }), "the id is taken")
				require.NoError(t, apart(tx, func() error { return write(ctx, scope) }))
				return assert.AnError
			}), assert.AnError)
			require.ErrorIs(t, apart(tx, func() error { return errors.Join(deferred(tenancy.NewID()), assert.AnError) }), assert.AnError)
			return apart(tx, func() error { return write(ctx, scope) })
		})
		require.NoError(t, err)
		assert.EqualValues(t, 2, countMemos(t, s.App, scope))
	})
	t.Run("rolls back a panic and passes it on", func(t *testing.T) {
		t.Parallel()
		scope := s.Tenant(t)
		db := s.open(t, Config{})
		assert.PanicsWithValue(t, "boom", func() {
			_ = db.InTx(t.Context(), scope, func(ctx context.Context) error {
				if err := db.Scoped(ctx, scope).Create(&memo{ID: tenancy.NewID(), Text: "x"}).Error; err != nil {
					return err
				}
				panic("boom")
			})
		})
		assert.Zero(t, countMemos(t, db, scope))
		assert.Zero(t, db.Stats().InUse)
	})
	t.Run("needs a tenant", func(t *testing.T) {
		t.Parallel()
		err := s.App.InTx(t.Context(), tenancy.Scope{}, func(context.Context) error { return nil })
		require.ErrorIs(t, err, errNoTenant)
	})
	t.Run("another database's transaction is not joined", func(t *testing.T) {
		t.Parallel()
		scope := s.Tenant(t)
		second := s.open(t, Config{})
		err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
			if err := second.Scoped(ctx, scope).Create(&memo{ID: tenancy.NewID(), Text: "elsewhere"}).Error; err != nil {
				return err
			}
			return assert.AnError
		})
		require.ErrorIs(t, err, assert.AnError)
		assert.EqualValues(t, 1, countMemos(t, s.App, scope))
	})
}

// Two transactions take two rows in opposite order: one is told of the deadlock, and succeeds when it runs again.
func TestInTx_runs_again_after_a_deadlock(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.system(t)
	ids := []tenancy.ID{tenancy.NewID(), tenancy.NewID()}
	for _, id := range ids {
		require.NoError(t, s.App.Scoped(t.Context(), scope).Create(&memo{ID: id, Text: ""}).Error)
	}
	var (
		meet, done sync.WaitGroup
		runs       atomic.Int64
		failures   [2]error
	)
	meet.Add(2)
	for i := range 2 {
		done.Go(func() {
			first := true
			failures[i] = s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
				runs.Add(1)
				touch := func(id tenancy.ID) error {
					return s.App.Scoped(ctx, scope).Model(&memo{}).Where("id = ?", id).Update("text", gorm.Expr("text || 'x'")).Error
				}
				if err := touch(ids[i]); err != nil {
					return err
				}
				if first {
					first = false
					meet.Done()
					meet.Wait()
				}
				return touch(ids[1-i])
			})
		})
	}
	done.Wait()
	require.NoError(t, errors.Join(failures[:]...))
	assert.GreaterOrEqual(t, runs.Load(), int64(3))
	var texts []string
	require.NoError(t, s.App.Scoped(t.Context(), scope).Model(&memo{}).Pluck("text", &texts).Error)
	assert.Equal(t, []string{"xx", "xx"}, texts, "each ran once in effect")
}

func TestInTx_gives_up_in_the_end(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.system(t)
	runs := 0
	err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
		runs++
		return raw(ctx, s.App, scope).Exec("do $$ begin raise exception 'lost' using errcode = '40001'; end $$").Error
	})
	assert.Equal(t, maxAttempts, runs)
	assert.True(t, fault.Is(translate(err), "database.contention"))
}

// The fence: every write of a tenant holds the lock that a mover takes alone.
//
//nolint:contextcheck // what runs beside a transaction has a context without it
func TestFence_keeps_a_mover_and_a_tenants_writers_apart(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope, other := s.Tenant(t), s.Tenant(t)
	mover := s.Admin(t)
	tryMove := func(tenant tenancy.ID) (taken bool) {
		tx, err := mover.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
		require.NoError(t, tx.QueryRow(t.Context(), "select pg_try_advisory_xact_lock($1)", fenceKey(tenant)).Scan(&taken))
		return taken
	}
	err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
		if err := s.App.Scoped(ctx, scope).Find(&[]memo{}).Error; err != nil {
			return err
		}
		assert.False(t, tryMove(scope.Tenant))
		assert.True(t, tryMove(other.Tenant), "another tenant's mover does not wait")
		// Writers share it.
		return s.App.Scoped(t.Context(), scope).Create(&memo{ID: tenancy.NewID(), Text: "x"}).Error
	})
	require.NoError(t, err)
	assert.True(t, tryMove(scope.Tenant))

	moving, err := mover.Begin(t.Context())
	require.NoError(t, err)
	_, err = moving.Exec(t.Context(), "select pg_advisory_xact_lock($1)", fenceKey(scope.Tenant))
	require.NoError(t, err)
	require.NoError(t, s.App.Scoped(t.Context(), scope).Find(&[]memo{}).Error, "readers do not wait")
	waits := make(chan error, 1)
	go func() {
		waits <- s.App.Scoped(t.Context(), scope).Create(&memo{ID: tenancy.NewID(), Text: "late"}).Error
	}()
	assert.Eventually(t, func() bool {
		var waiting bool
		err := s.Bare.sql.QueryRowContext(t.Context(),
			"select exists (select from pg_locks where locktype = 'advisory' and not granted and database = "+
				"(select oid from pg_database where datname = current_database()))").Scan(&waiting)
		return err == nil && waiting
	}, waitFor, tick, "a writer outside a transaction waits")
	require.NoError(t, moving.Commit(t.Context()))
	require.NoError(t, <-waits)
}

//nolint:contextcheck // what runs beside a transaction has a context without it
func TestLocks(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.Tenant(t)
	key := LockKey("test", scope.Tenant[:]...)
	assert.NotEqual(t, key, LockKey("tests", scope.Tenant[:]...))
	err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
		tx := s.App.Scoped(ctx, scope)
		taken, err := TryLock(tx, key)
		if err != nil {
			return err
		}
		assert.True(t, taken)
		require.NoError(t, Lock(tx, key))
		require.NoError(t, LockShared(tx, key))
		return s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
			taken, err := TryLock(s.App.Scoped(ctx, scope), key)
			assert.False(t, taken)
			return err
		})
	})
	require.NoError(t, err)
	_, err = TryLock(s.App.Scoped(t.Context(), scope), key)
	require.ErrorIs(t, err, errNotInTx)
	require.ErrorIs(t, Lock(s.App.Scoped(t.Context(), scope), key), errNotInTx)
}

func TestDefer_keeps_values_as_they_were(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.system(t)
	owner, p := "before", project{Name: "p"}
	p.ID, p.Owner = tenancy.NewID(), &owner
	err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
		if err := DeferCreate(s.App.Scoped(ctx, scope), &p); err != nil {
			return err
		}
		owner = "after"
		return nil
	})
	require.NoError(t, err)
	var found project
	require.NoError(t, s.App.Scoped(t.Context(), scope).Take(&found).Error)
	assert.Equal(t, "before", *found.Owner)
}

func TestInTx_goes_on_after_a_savepoint(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.system(t)
	err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
		tx := s.App.Scoped(ctx, scope)
		id := tenancy.NewID()
		first := DeferCreate(tx, &memo{ID: id, Text: "kept"})
		saved := raw(ctx, s.App, scope).Exec("savepoint a").Error
		again := tx.Create(&memo{ID: id, Text: "twice"}).Error
		assert.Equal(t, "23505", sqlState(again))
		back := raw(ctx, s.App, scope).Exec("rollback to savepoint a").Error
		return errors.Join(first, saved, back, tx.Create(&memo{ID: tenancy.NewID(), Text: "kept"}).Error)
	})
	require.NoError(t, err)
	assert.EqualValues(t, 2, countMemos(t, s.App, scope))
}

func TestAfterCommit(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.system(t)
	var done []string
	act := func(ctx context.Context, name, text string) {
		s.App.AfterCommit(ctx, name, func() { done = append(done, text) })
	}
	act(t.Context(), "a", "outside")
	assert.Equal(t, []string{"outside"}, done)
	runs := 0
	err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
		err := s.App.InTx(ctx, scope, func(ctx context.Context) error {
			act(ctx, "a", "inner")
			return nil
		})
		require.NoError(t, err)
		act(ctx, "a", "the same again")
		act(ctx, "", "nameless")
		act(ctx, "", "nameless")
		assert.Len(t, done, 1, "not before the commit")
		if runs++; runs == 1 {
			return exec(raw(ctx, s.App, scope), "do $$ begin raise sqlstate '40001'; end $$")
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"outside", "inner", "nameless", "nameless"}, done)
	err = s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
		act(ctx, "b", "rolled back")
		return assert.AnError
	})
	require.ErrorIs(t, err, assert.AnError)
	err = s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
		act(ctx, "b", "failed to commit")
		return Defer(raw(ctx, s.App, scope), "select 1 / 0")
	})
	require.Error(t, err)
	assert.Len(t, done, 4)
}
