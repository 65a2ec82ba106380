package postgres

import (
	"context"
	"database/sql"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	driver "gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// What the tenant costs: 25 rows and one row as gorm reads them by itself, as this driver does with the tenant's setting
// and the access check in the same round trip, and in a transaction that sets the tenant by statements of its own.
//
//	go test ./postgres -run '^$' -bench .

type benchmark struct {
	s     *sample
	scope tenancy.Scope
	id    tenancy.ID
	plain *gorm.DB // the superuser's, with no scope: what gorm does by itself
}

func newBenchmark(b *testing.B) *benchmark {
	b.Helper()
	s := newSample(b)
	f := &benchmark{s: s, scope: s.Tenant(b)}
	p, live, _ := s.seed(b, f.scope, "p")
	f.id = live.ID
	s.Exec(b, `insert into tasks (tenant_id, id, project_id, title, points)
		select $1, gen_random_uuid(), $2, 'task ' || n, n from generate_series(1, 200) n`, f.scope.Tenant.String(), p.ID.String())
	s.Exec(b, "vacuum analyze")
	config, err := pgx.ParseConfig(s.AdminURL)
	require.NoError(b, err)
	pool := stdlib.OpenDB(*config)
	pool.SetMaxIdleConns(4)
	b.Cleanup(func() { require.NoError(b, pool.Close()) })
	f.plain, err = gorm.Open(driver.New(driver.Config{Conn: pool}), &gorm.Config{
		Logger: logger.Discard, SkipDefaultTransaction: true, QueryFields: true, DisableAutomaticPing: true,
	})
	require.NoError(b, err)
	return f
}

func BenchmarkPage(b *testing.B) {
	f := newBenchmark(b)
	page := func(tx *gorm.DB) error {
		var tasks []task
		return tx.Where("points > ?", 10).Order("created_at, id").Limit(25).Find(&tasks).Error
	}
	f.run(b, page)
}

func BenchmarkOne(b *testing.B) {
	f := newBenchmark(b)
	f.run(b, func(tx *gorm.DB) error {
		var t task
		return tx.Where("id = ?", f.id).Take(&t).Error
	})
}

func (f *benchmark) run(b *testing.B, read func(tx *gorm.DB) error) {
	b.Helper()
	ctx := b.Context()
	measure := func(name string, once func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := once(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	measure("gorm alone", func() error {
		return read(f.plain.WithContext(ctx).Where("tenant_id = ? AND deleted_at IS NULL", f.scope.Tenant))
	})
	system := tenancy.AsSystem(f.scope.Tenant, "")
	measure("scoped", func() error { return read(f.s.App.Scoped(ctx, system)) })
	measure("scoped, access checked", func() error { return read(f.s.App.Scoped(ctx, f.scope)) })
	measure("four trips", func() error {
		return f.plain.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec("select set_config('app.tenant_id', ?, true)", f.scope.Tenant.String()).Error; err != nil {
				return err
			}
			return read(tx.Where("tenant_id = ? AND deleted_at IS NULL", f.scope.Tenant))
		})
	})
}

func BenchmarkCreate(b *testing.B) {
	f := newBenchmark(b)
	ctx := b.Context()
	system := tenancy.AsSystem(f.scope.Tenant, "")
	fresh := func() *memo { return &memo{ID: tenancy.NewID(), Text: "text"} }
	b.Run("gorm alone", func(b *testing.B) {
		for b.Loop() {
			m := fresh()
			m.TenantID = f.scope.Tenant
			if err := f.plain.WithContext(ctx).Create(m).Error; err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("scoped", func(b *testing.B) {
		for b.Loop() {
			if err := f.s.App.Scoped(ctx, system).Create(fresh()).Error; err != nil {
				b.Fatal(err)
			}
		}
	})
	three := func(scope tenancy.Scope, create func(*gorm.DB, any) error) func(b *testing.B) {
		return func(b *testing.B) {
			b.Helper()
			for b.Loop() {
				err := f.s.App.InTx(ctx, scope, func(ctx context.Context) error {
					tx := f.s.App.Scoped(ctx, scope)
					for range 3 {
						if err := create(tx, fresh()); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	now := func(tx *gorm.DB, row any) error { return tx.Create(row).Error }
	b.Run("three in a transaction", three(f.scope, now))
	b.Run("three in a transaction, deferred", three(f.scope, DeferCreate))
	b.Run("three in a transaction, gorm alone", func(b *testing.B) {
		for b.Loop() {
			err := f.plain.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
				for range 3 {
					m := fresh()
					m.TenantID = f.scope.Tenant
					if err := tx.Create(m).Error; err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What the fence costs a transaction that writes.
func BenchmarkFence(b *testing.B) {
	f := newBenchmark(b)
	system := tenancy.AsSystem(f.scope.Tenant, "")
	for name, options := range map[string]*sql.TxOptions{"without (read only)": {ReadOnly: true}, "with": nil} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				err := f.s.App.InTxWith(b.Context(), system, options, func(ctx context.Context) error {
					var n int64
					return f.s.App.Scoped(ctx, system).Model(&memo{}).Where("text = ''").Limit(1).Count(&n).Error
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("by itself", func(b *testing.B) {
		key := fenceKey(f.scope.Tenant)
		for b.Loop() {
			if _, err := f.s.App.sql.ExecContext(b.Context(), "select pg_advisory_xact_lock_shared($1)", key); err != nil {
				b.Fatal(err)
			}
		}
	})
}
