package main

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/scheduler/internal/survey"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// topTenants is how many tenants each measure of use shows.
const topTenants = 10

// sources are whom the survey asks.
func sources(base *backend.Backend) []survey.Source {
	asked := postgres.NewSurvey(base.DB)
	return []survey.Source{
		{Name: "database", Every: 15 * time.Second, Ask: func(ctx context.Context) ([]survey.Figure, error) { return database(ctx, asked) }},
		{Name: "tables", Every: time.Minute, Ask: func(ctx context.Context) ([]survey.Figure, error) { return tables(ctx, asked) }},
		{Name: "redis", Every: 15 * time.Second, Ask: func(ctx context.Context) ([]survey.Figure, error) {
			i, err := base.Redis.Info(ctx)
			return []survey.Figure{
				figure(survey.RedisUsedBytes, i.UsedBytes), figure(survey.RedisMaxBytes, i.MaxBytes), figure(survey.RedisClients, i.Clients),
				figure(survey.RedisCommands, i.Commands), figure(survey.RedisEvicted, i.Evicted), figure(survey.RedisRejected, i.Rejected),
			}, err
		}},
		{Name: "webhook endpoints", Every: time.Minute, Ask: func(ctx context.Context) (figures []survey.Figure, err error) {
			counts, err := asked.Endpoints(ctx)
			for _, c := range counts {
				figures = append(figures, figure(survey.WebhookEndpoints, c.Endpoints, c.State))
			}
			return figures, err
		}},
		{Name: "tenants", Every: time.Minute, Ask: func(ctx context.Context) (figures []survey.Figure, err error) {
			uses, err := asked.TopTenants(ctx, topTenants)
			for _, u := range uses {
				figures = append(figures, figure(survey.TenantUse, u.Amount, u.Measure, u.Tenant.String()))
			}
			return figures, err
		}},
	}
}

func figure(metric string, value int64, labels ...string) survey.Figure {
	return survey.Figure{Metric: metric, Value: float64(value), Labels: labels}
}

func database(ctx context.Context, asked *postgres.Survey) ([]survey.Figure, error) {
	d, err := asked.Database(ctx)
	return []survey.Figure{
		figure(survey.DatabaseBytes, d.Bytes),
		figure(survey.DatabaseConnections, d.Connections), figure(survey.DatabaseConnectionsMax, d.ConnectionsMax),
		figure(survey.DatabaseTransactions, d.Commits, "commit"), figure(survey.DatabaseTransactions, d.Rollbacks, "rollback"),
		figure(survey.DatabaseBlocks, d.BlocksHit, "hit"), figure(survey.DatabaseBlocks, d.BlocksRead, "read"),
		figure(survey.DatabaseDeadlocks, d.Deadlocks), figure(survey.DatabaseTempBytes, d.TempBytes),
	}, err
}

func tables(ctx context.Context, asked *postgres.Survey) (figures []survey.Figure, err error) {
	all, err := asked.Tables(ctx)
	for _, t := range all {
		figures = append(figures, figure(survey.TableBytes, t.Bytes, t.Table),
			figure(survey.TableRows, t.Rows, t.Table, "live"), figure(survey.TableRows, t.Dead, t.Table, "dead"))
	}
	return figures, err
}
