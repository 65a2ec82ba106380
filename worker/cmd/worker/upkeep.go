package main

import (
	"time"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/upkeep"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// trash is what purges records of every resource.
func (p *process) trash() upkeep.Trash {
	records := resource.Dependencies{
		Store: postgres.NewResources(p.base.Router), History: postgres.NewAudit(p.base.Router), Validator: validate.New(), Now: p.now,
	}
	trash := upkeep.Trash{Retention: p.cfg.TrashRetention, Now: p.now}
	for _, d := range catalog.All() {
		trash.Resources = append(trash.Resources, resource.NewService(d, records))
	}
	return trash
}

// expiries are what expires. Of a session it can be seen for a month that it has ended; what a job did is known for as
// long as the job may be retried by hand.
func (p *process) expiries(system *postgres.DB, engine *postgres.JobEngine) upkeep.Expiries {
	const day = 24 * time.Hour
	expired := postgres.NewExpired(system)
	return upkeep.Expiries{
		{Name: "idempotency_keys", Remove: expired.IdempotencyKeys},
		{Name: "sessions", Keep: 30 * day, Remove: expired.Sessions},
		{Name: "refresh_tokens", Keep: day, Remove: expired.RefreshTokens},
		{Name: "job_keys", Remove: engine.PruneKeys},
		{Name: "dead_jobs", Keep: p.cfg.DeadJobsRetention, Remove: engine.PruneDead},
		{Name: "reports", Keep: p.cfg.ReportsRetention, Remove: expired.Reports},
		{Name: "imports", Keep: p.cfg.DeadJobsRetention, Remove: expired.Imports},
		{Name: "job_effects", Keep: day, Remove: engine.PruneEffects},
	}
}
