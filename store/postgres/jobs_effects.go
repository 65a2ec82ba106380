package postgres

import (
	"context"
	"encoding/json"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// FindEffect returns what a step of a job left.
func (s *Jobs) FindEffect(ctx context.Context, ref jobs.Ref, step string) (json.RawMessage, bool, error) {
	db, err := s.router.For(ctx, ref.Tenant)
	if err != nil {
		return nil, false, err
	}
	outcome, found, err := one(db.Scoped(ctx, tenancy.AsSystem(ref.Tenant, "")),
		func(row scanner) (data []byte, err error) { return data, row.Scan(&data) },
		"select e.outcome from job_effects e where e.tenant_id = $1 and e.job_id = $2 and e.step = $3",
		ref.Tenant, ref.ID, storableKey(step))
	return outcome, found, translate(err)
}

// RecordEffect notes that a step was done; a second time changes nothing.
func (s *Jobs) RecordEffect(ctx context.Context, ref jobs.Ref, step string, outcome json.RawMessage) error {
	db, err := s.router.For(ctx, ref.Tenant)
	if err != nil {
		return err
	}
	_, err = affect(db.Scoped(ctx, tenancy.AsSystem(ref.Tenant, "")),
		"insert into job_effects (tenant_id, job_id, step, outcome) values ($1, $2, $3, $4::json) on conflict do nothing",
		ref.Tenant, ref.ID, storableKey(step), storableJSON(outcome))
	return translate(err)
}
