package main

import (
	"context"
	"fmt"
)

const (
	backlogColumns = "tenant_id, id, kind, queue, state, attempt, max_attempts, run_at, created_at, started_at, finished_at, " +
		"worker, cancel_requested, request_id, args, failures"
	backlogID = "(left(uuid7_floor(%s)::text, 24) || right(gen_random_uuid()::text, 12))::uuid"
)

// fill puts jobs that have ended, of the last day, and jobs that wait for a queue that nobody serves.
func (b *bench) fill(ctx context.Context) error {
	if err := b.fillFinished(ctx, b.finished); err != nil {
		return err
	}
	b.say("filling the tables: %s jobs that wait", thousands(b.pending))
	_, err := b.admin.Exec(ctx, fmt.Sprintf(`insert into jobs (tenant_id, id, kind, queue, state, lane, max_attempts, tries, run_at, created_at)
		select t.id, %s, 'bench.nothing', 'reports', 'pending', t.id, 20, 20, now(), now()
		from generate_series(1, %d) n join (select id, row_number() over () as place from tenants limit %d) t on t.place = 1 + n %% %d`,
		fmt.Sprintf(backlogID, "now()"), b.pending, tenantCount, tenantCount))
	if err == nil {
		_, err = b.admin.Exec(ctx, "vacuum analyze jobs")
	}
	if err != nil {
		return fmt.Errorf("fill the tables: %w", err)
	}
	return nil
}

// fillFinished puts jobs that have ended, spread over today.
func (b *bench) fillFinished(ctx context.Context, n int) error {
	b.say("filling the tables: %s jobs that have ended", thousands(n))
	today := fmt.Sprintf(backlogID, fmt.Sprintf("now() - (now() - date_trunc('day', now())) * (n::float8 / %d)", n+1))
	_, err := b.admin.Exec(ctx, fmt.Sprintf(`insert into jobs_finished (%s) select t.id, %s, 'bench.nothing', 'default', 'succeeded',
		1, 20, now(), now(), now(), now(), 'host/1234/ABCDEF', false, gen_random_uuid()::text, '{}', '[]'
		from generate_series(1, %d) n join (select id, row_number() over () as place from tenants limit %d) t on t.place = 1 + n %% %d`,
		backlogColumns, today, n, tenantCount, tenantCount))
	if err == nil {
		_, err = b.admin.Exec(ctx, "vacuum analyze jobs_finished")
	}
	if err != nil {
		return fmt.Errorf("fill the tables: %w", err)
	}
	return nil
}

// holdFuture gives many tenants a job each that is due tomorrow.
func (b *bench) holdFuture(ctx context.Context) error {
	ids, err := b.newTenants(ctx, b.future)
	if err != nil {
		return err
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	_, err = b.admin.Exec(ctx, `insert into jobs (tenant_id, id, kind, queue, state, lane, max_attempts, tries, run_at, created_at)
		select t.id, gen_random_uuid(), 'bench.nothing', 'default', 'scheduled', t.id, 20, 20, now() + interval '1 day', now()
		from unnest($1::text[]::uuid[]) as t (id)`, texts)
	if err == nil {
		_, err = b.admin.Exec(ctx, "analyze jobs")
	}
	if err != nil {
		return fmt.Errorf("hold future jobs: %w", err)
	}
	return nil
}
