// Package backend opens what every process stands on: the database, Redis, and the checks that say whether both are fit
// to work with.
//
// Only the processes' cmd packages call it. It wires and checks; it decides nothing.
package backend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/ops"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
)

// Backend is what a process stands on.
type Backend struct {
	DB     *postgres.DB
	Redis  *redis.Client
	Router postgres.Router
	Sealer Sealer

	log *logrus.Logger
}

// slowStatement is from when on a statement is worth a line in the log.
const slowStatement = 500 * time.Millisecond

// Open connects to PostgreSQL, which must be there, and prepares Redis, which need not be.
func Open(ctx context.Context, cfg config.Common, log *logrus.Logger, registry prometheus.Registerer, now func() time.Time) (*Backend, error) {
	statements := metrics.NewStatements(registry)
	db, err := postgres.Open(ctx, postgres.Config{
		URL: cfg.DatabaseURL.Reveal(), MaxConnections: cfg.DatabaseMaxConnections, Now: now,
		Observe: func(_ context.Context, s postgres.Statement) {
			statements.Observe(s.Took.Seconds())
			if s.Took >= slowStatement {
				log.WithFields(logrus.Fields{"sql": s.SQL, "duration_ms": s.Took.Milliseconds()}).Warn("slow statement")
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	for _, d := range catalog.All() {
		if err := db.Register(d.New()); err != nil {
			return nil, errors.Join(fmt.Errorf("register %s: %w", d.Plural, err), db.Close())
		}
	}
	master, err := seal.New(cfg.MasterKey.Reveal())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("MASTER_KEY: %w", err), db.Close())
	}
	cache, err := redis.Open(redis.Config{URL: cfg.RedisURL.Reveal(), ClientName: "groundwork"})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare Redis: %w", err), db.Close())
	}
	metrics.RegisterPool(registry, "postgres", db.Stats)
	metrics.RegisterRedis(registry, "redis", cache.Connections)
	return &Backend{DB: db, Redis: cache, Router: postgres.Shared{DB: db}, Sealer: Sealer{master: master}, log: log}, nil
}

// Component closes the connections, after everything that uses them has stopped.
func (b *Backend) Component() lifecycle.Component {
	return lifecycle.Component{Name: "connections", Stop: func(context.Context) error {
		return errors.Join(b.DB.Close(), b.Redis.Close())
	}}
}

// Checks say whether the process is fit to work. Redis is not among them: it may be away.
func (b *Backend) Checks() []ops.Check {
	return []ops.Check{
		{Name: "database", Run: b.DB.Ping},
		{Name: "schema", Run: b.checkSchema},
	}
}

// checkSchema refuses a database that is older than the process.
func (b *Backend) checkSchema(ctx context.Context) error {
	applied, err := b.DB.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if latest := migrations.Latest(); applied < latest {
		return fmt.Errorf("the schema is at version %d and this process needs %d; run the migrations", applied, latest)
	}
	return nil
}

// Limiter returns the limiter that all replicas share, and that each goes on alone without Redis.
func (b *Backend) Limiter(registry prometheus.Registerer, now func() time.Time) (*redis.Failover, error) {
	local, err := limits.NewLocal(limits.LocalConfig{Clock: now})
	if err != nil {
		return nil, err
	}
	shared := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "groundwork_limiter_shared", Help: "1 while limits are shared through Redis, 0 while this process limits by itself.",
	})
	shared.Set(1)
	registry.MustRegister(shared)
	return redis.NewFailover(redis.FailoverConfig{
		Shared: redis.NewLimiter(redis.LimiterConfig{Client: b.Redis}), Local: local,
		OnChange: func(healthy bool, cause error) {
			if healthy {
				shared.Set(1)
				b.log.Info("Redis is back: limits are shared again")
				return
			}
			shared.Set(0)
			b.log.WithError(cause).Warn("Redis is away: this process limits by itself")
		},
	}), nil
}
