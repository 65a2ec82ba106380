package jobs_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/backfills"
	domain "github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
	"github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

func TestBackfill(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	s.Exec(t, `insert into customers (tenant_id, id, version, created_at, updated_at, name)
		select $1, gen_random_uuid(), 1, now(), now(), 'c' from generate_series(1, 30)`, s.TenantID(t).String())
	db := s.Open(t, postgres.Config{URL: s.WorkerURL})
	store, err := postgres.NewBackfills(db, []postgres.Backfill{{
		Definition: backfills.Definition{Name: "customers-version", Summary: "raises versions"}, Table: "customers",
		Change: "update customers c set version = c.version + 1 from batch b where c.tenant_id = $1 and c.id = b.id",
	}})
	require.NoError(t, err)
	service := backfills.NewService(store, postgres.NewJobs(postgres.Shared{DB: db}, nil), time.Now)
	require.NoError(t, service.Start(t.Context(), "customers-version"))
	handler := jobs.Backfill(service, time.Now)
	var progress domain.Progress
	run := func(args string) (*domain.Run, error) {
		r := &domain.Run{
			Job: domain.Job{Tenant: tenancy.SystemTenant, Args: json.RawMessage(args)}, Scope: tenancy.AsSystem(tenancy.SystemTenant, ""),
			Report: func(p domain.Progress) { progress = p },
		}
		return r, handler.Run(t.Context(), r)
	}
	r, err := run(`{"name": "customers-version"}`)
	require.NoError(t, err)
	assert.EqualValues(t, 30, progress.Done)
	var done backfills.Run
	require.NoError(t, json.Unmarshal(r.Result(), &done))
	assert.Equal(t, backfills.Done, done.State)
	assert.EqualValues(t, 30, done.Changed)

	// One of another version waits for a worker of that version.
	_, err = run(`{"name": "of-the-next-version"}`)
	state, at := domain.Decide(handler.Kind, err, 1, 20, time.Now())
	assert.Equal(t, domain.Retrying, state)
	assert.WithinDuration(t, time.Now().Add(time.Minute), at, 10*time.Second)
}
