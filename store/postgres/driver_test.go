package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestDriver_sets_the_tenant_in_the_statements_round_trip(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.Tenant(t)
	for _, mode := range modes() {
		db := s.open(t, Config{ExecMode: mode, MaxConnections: 1})
		read := func(ctx context.Context) string {
			var tenant sql.NullString
			require.NoError(t, raw(ctx, db, scope).Raw("select current_setting('app.tenant_id', true)").Row().Scan(&tenant))
			return tenant.String
		}
		read(t.Context()) // prepares
		ctx, stats := WithStats(t.Context())
		assert.Equal(t, scope.Tenant.String(), read(ctx))
		assert.EqualValues(t, 1, stats.Statements())
		assert.EqualValues(t, 1, stats.RoundTrips())

		var left string
		require.NoError(t, db.sql.QueryRowContext(t.Context(), "select current_setting('app.tenant_id', true)").Scan(&left))
		assert.Empty(t, left, "nothing of the tenant stays on the connection")

		err := raw(t.Context(), db, scope).Exec("select 1/0").Error
		require.Error(t, err)
		require.NoError(t, db.sql.QueryRowContext(t.Context(), "select current_setting('app.tenant_id', true)").Scan(&left))
		assert.Empty(t, left, "nor after an error")
	}
}

func TestDriver_begins_lazily_and_defers(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.Tenant(t)
	for _, mode := range modes() {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			db := s.open(t, Config{ExecMode: mode, MaxConnections: 1})
			write := func(ctx context.Context, text string) error {
				return db.InTx(ctx, scope, func(ctx context.Context) error {
					tx := db.Scoped(ctx, scope)
					if err := tx.Create(&memo{ID: tenancy.NewID(), Text: text}).Error; err != nil {
						return err
					}
					for range 2 {
						if err := DeferCreate(tx, &memo{ID: tenancy.NewID(), Text: text}); err != nil {
							return err
						}
					}
					return nil
				})
			}
			require.NoError(t, write(t.Context(), "warm "+string(mode)))
			ctx, stats := WithStats(t.Context())
			require.NoError(t, write(ctx, "counted "+string(mode)))
			assert.EqualValues(t, 3, stats.Statements())
			assert.EqualValues(t, 2, stats.RoundTrips(), "begin, setup and insert; then both deferred and commit")
			var n int64
			require.NoError(t, db.Scoped(t.Context(), scope).Model(&memo{}).Where("text = ?", "counted "+string(mode)).Count(&n).Error)
			assert.EqualValues(t, 3, n)
		})
	}
	t.Run("a transaction without a statement sends nothing", func(t *testing.T) {
		t.Parallel()
		ctx, stats := WithStats(t.Context())
		require.NoError(t, s.App.InTx(ctx, scope, func(context.Context) error { return nil }))
		err := s.App.InTx(ctx, scope, func(context.Context) error { return assert.AnError })
		require.ErrorIs(t, err, assert.AnError)
		assert.Zero(t, stats.RoundTrips())
	})
	t.Run("all deferred is one round trip", func(t *testing.T) {
		t.Parallel()
		db := s.open(t, Config{MaxConnections: 1})
		for i := range 2 {
			ctx, stats := WithStats(t.Context())
			require.NoError(t, db.InTx(ctx, scope, func(ctx context.Context) error {
				return DeferCreate(db.Scoped(ctx, scope), &memo{ID: tenancy.NewID(), Text: "x"})
			}))
			if i > 0 {
				assert.EqualValues(t, 1, stats.RoundTrips())
			}
		}
	})
	t.Run("a deferred statement that fails fails the commit and undoes all", func(t *testing.T) {
		t.Parallel()
		id := tenancy.NewID()
		err := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
			tx := s.App.Scoped(ctx, scope)
			if err := tx.Create(&memo{ID: id, Text: "undone"}).Error; err != nil {
				return err
			}
			return DeferCreate(tx, &memo{ID: id, Text: "the same again"})
		})
		assert.Equal(t, "23505", sqlState(err))
		var n int64
		require.NoError(t, s.App.Scoped(t.Context(), scope).Model(&memo{}).Where("id = ?", id).Count(&n).Error)
		assert.Zero(t, n)
	})
	t.Run("only a transaction defers", func(t *testing.T) {
		t.Parallel()
		require.ErrorIs(t, Defer(s.App.Scoped(t.Context(), scope), "select 1"), errNotInTx)
	})
}

func TestDriver_refuses_to_call_a_rollback_a_commit(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.Tenant(t)
	db := s.open(t, Config{MaxConnections: 1})
	id := tenancy.NewID()
	err := db.InTx(t.Context(), scope, func(ctx context.Context) error {
		tx := raw(ctx, db, scope)
		if err := db.Scoped(ctx, scope).Create(&memo{ID: id, Text: "lost"}).Error; err != nil {
			return err
		}
		_ = tx.Exec("select 1/0").Error // the caller overlooks it
		return nil
	})
	require.ErrorIs(t, err, errNoCommit)

	// The same where the server alone knows: the client is made to forget the failure.
	tx, err := db.sql.BeginTx(withSession(t.Context(), tenantSession(scope)), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "do $$ begin begin perform 1/0; exception when others then null; end; end $$")
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "rollback")
	require.NoError(t, err)
	require.NoError(t, tx.Rollback())

	var n int64
	require.NoError(t, db.Scoped(t.Context(), scope).Model(&memo{}).Where("id = ?", id).Count(&n).Error, "the connection is sound")
	assert.Zero(t, n)
	assert.Equal(t, 1, db.Stats().OpenConnections)
}

func TestDriver_honours_transaction_options(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.Tenant(t)
	show := func(options *sql.TxOptions, setting string) (value string) {
		require.NoError(t, s.App.InTxWith(t.Context(), scope, options, func(ctx context.Context) error {
			return raw(ctx, s.App, scope).Raw("select current_setting(?)", setting).Row().Scan(&value)
		}))
		return value
	}
	assert.Equal(t, "serializable", show(&sql.TxOptions{Isolation: sql.LevelSerializable}, "transaction_isolation"))
	assert.Equal(t, "repeatable read", show(&sql.TxOptions{Isolation: sql.LevelRepeatableRead}, "transaction_isolation"))
	assert.Equal(t, "read committed", show(nil, "transaction_isolation"))
	assert.Equal(t, "on", show(&sql.TxOptions{ReadOnly: true}, "transaction_read_only"))
	err := s.App.InTxWith(t.Context(), scope, &sql.TxOptions{Isolation: sql.LevelLinearizable}, func(context.Context) error { return nil })
	require.Error(t, err)
}

func TestDriver_survives_cancellation(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.Tenant(t)
	db := s.open(t, Config{MaxConnections: 1})
	running := func() bool {
		var n int
		require.NoError(t, s.Bare.sql.QueryRowContext(t.Context(),
			"select count(*) from pg_stat_activity where datname = current_database() and usename = 'groundwork_app' "+
				"and state = 'active' and query like '%pg_sleep%'").Scan(&n))
		return n > 0
	}
	cancelWhenRunning := func(cancel context.CancelFunc) {
		defer cancel()
		assert.Eventually(t, running, waitFor, tick)
	}
	check := func() {
		t.Helper()
		assert.Eventually(t, func() bool { return !running() }, waitFor/3, tick, "the server stops as well, before the role's 30 s are over")
		var tenant string
		require.NoError(t, raw(t.Context(), db, scope).Raw("select current_setting('app.tenant_id')").Row().Scan(&tenant))
		assert.Equal(t, scope.Tenant.String(), tenant)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go cancelWhenRunning(cancel)
	err := raw(ctx, db, scope).Exec("select pg_sleep(60)").Error
	require.ErrorIs(t, err, context.Canceled)
	check()

	ctx, cancel = context.WithCancel(t.Context())
	go cancelWhenRunning(cancel)
	err = db.InTx(ctx, scope, func(ctx context.Context) error {
		if err := db.Scoped(ctx, scope).Create(&memo{ID: tenancy.NewID(), Text: "cancelled"}).Error; err != nil {
			return err
		}
		return raw(ctx, db, scope).Exec("select pg_sleep(60)").Error
	})
	require.ErrorIs(t, err, context.Canceled)
	check()

	ctx, cancel = context.WithCancel(t.Context())
	err = db.InTx(ctx, scope, func(ctx context.Context) error {
		if err := db.Scoped(ctx, scope).Create(&memo{ID: tenancy.NewID(), Text: "cancelled"}).Error; err != nil {
			return err
		}
		cancel()
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	check()
	var n int64
	require.NoError(t, db.Scoped(t.Context(), scope).Model(&memo{}).Where("text = 'cancelled'").Count(&n).Error)
	assert.Zero(t, n)

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, db.Scoped(ctx, scope).Find(&[]memo{}).Error, context.Canceled)
	check()
}

func TestDriver_replaces_connections_that_the_server_closed(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.Tenant(t)
	db := s.open(t, Config{MaxConnections: 3})
	var group errgroup.Group
	for range 3 {
		group.Go(func() error { return raw(t.Context(), db, scope).Exec("select pg_sleep(0.05)").Error })
	}
	require.NoError(t, group.Wait())
	for round := range 3 {
		s.Exec(t, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = 'groundwork_app'")
		assert.Eventually(t, func() bool {
			var n int
			require.NoError(t, s.Bare.sql.QueryRowContext(t.Context(),
				"select count(*) from pg_stat_activity where datname = current_database() and usename = 'groundwork_app'").Scan(&n))
			return n == 0
		}, waitFor, tick)
		require.NoErrorf(t, db.InTx(t.Context(), scope, func(ctx context.Context) error {
			return db.Scoped(ctx, scope).Create(&memo{ID: tenancy.NewID(), Text: "x"}).Error
		}), "round %d", round)
	}
}

func TestDriver_remakes_plans_that_a_migration_made_stale(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.system(t)
	s.seed(t, scope, "p")
	db := s.open(t, Config{MaxConnections: 1})
	star := func() error { return raw(t.Context(), db, scope).Exec("select * from projects").Error }
	count := func() (rows int, err error) {
		r, err := raw(t.Context(), db, scope).Raw("select * from projects").Rows()
		if err != nil {
			return 0, err
		}
		defer r.Close()
		for r.Next() {
			rows++
		}
		return rows, r.Err()
	}
	require.NoError(t, star())
	_, err := count()
	require.NoError(t, err)
	require.NoError(t, db.Scoped(t.Context(), scope).Find(&[]project{}).Error)

	s.Exec(t, "alter table projects add column colour text")
	require.NoError(t, db.Scoped(t.Context(), scope).Find(&[]project{}).Error, "columns are named")
	require.NoError(t, star())
	n, err := count()
	require.NoError(t, err)
	assert.Equal(t, 1, n)

	s.Exec(t, "alter table projects drop column colour")
	require.NoError(t, db.InTx(t.Context(), scope, func(ctx context.Context) error {
		return raw(ctx, db, scope).Exec("select * from projects").Error
	}))

	conn, err := db.sql.Conn(t.Context())
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), "deallocate all")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, db.Scoped(t.Context(), scope).Find(&[]project{}).Error, "after the server forgot its statements")
}

func TestDriver_reads_columns_that_changed_their_type(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := newSample(t)
			scope := s.system(t)
			s.seed(t, scope, "p")
			db := s.open(t, Config{MaxConnections: 1, ExecMode: mode})
			points := func() (points any) {
				require.NoError(t, raw(t.Context(), db, scope).Raw("select points from tasks where points > ?", 1).Row().Scan(&points))
				return points
			}
			assert.Equal(t, int64(2), points())
			s.Exec(t, "alter table tasks alter column points type int4")
			assert.Equal(t, int64(2), points())
			s.Exec(t, "alter table tasks alter column points type numeric")
			assert.Equal(t, "2", points())
			s.Exec(t, "alter table tasks add column more int")
			star := func() int {
				rows, err := raw(t.Context(), db, scope).Raw("select * from tasks").Rows()
				require.NoError(t, err)
				defer rows.Close()
				columns, err := rows.Columns()
				require.NoError(t, err)
				for rows.Next() {
					continue
				}
				require.NoError(t, rows.Err())
				return len(columns)
			}
			before := star()
			s.Exec(t, "alter table tasks drop column more")
			assert.Equal(t, before-1, star())
		})
	}
}

func TestDriver_keeps_few_plans(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	db := s.open(t, Config{MaxConnections: 1})
	for i := range maxPlans + 50 {
		var n int
		require.NoError(t, db.sql.QueryRowContext(t.Context(), fmt.Sprintf("select %d + $1::int", i), 1).Scan(&n))
		require.Equal(t, i+1, n)
	}
	var kept int
	require.NoError(t, db.sql.QueryRowContext(t.Context(), "select count(*) from pg_prepared_statements").Scan(&kept))
	assert.LessOrEqual(t, kept, maxPlans+1)
	assert.Greater(t, kept, maxPlans/2)
}

func TestDriver_refuses(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	_, err := s.App.sql.PrepareContext(t.Context(), "select 1") //nolint:sqlclosecheck // refused
	require.ErrorIs(t, err, errPrepare)
	_, err = s.App.sql.ExecContext(t.Context(), "select $1::int8", "not a number")
	require.Error(t, err)
	_, err = s.App.sql.ExecContext(t.Context(), "select $1::int8", struct{ X int }{1})
	require.Error(t, err, "a value that cannot be encoded")
	_, err = s.App.sql.ExecContext(t.Context(), "select $1::int8")
	require.Error(t, err, "too few arguments")
	_, err = s.App.sql.ExecContext(t.Context(), "select 1; select 2")
	require.Error(t, err, "two statements")
	assert.Equal(t, 1, s.App.Stats().OpenConnections, "none of it costs the connection")
}
