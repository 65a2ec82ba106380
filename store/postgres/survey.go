package postgres

import (
	"context"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Survey is what a database says of itself and of its tenants, for operators' gauges. It needs the system's role; its
// statements read counters and catalogs, or one index, and no row of a tenant's business.
type Survey struct{ db *DB }

// NewSurvey returns the survey of a database that was opened as groundwork_system.
func NewSurvey(db *DB) *Survey { return &Survey{db: db} }

// DatabaseFigures is the database as PostgreSQL counts it. Counters begin anew when its statistics are reset.
type DatabaseFigures struct {
	Bytes                       int64
	Connections, ConnectionsMax int64
	Commits, Rollbacks          int64
	// BlocksHit and BlocksRead are the blocks that were found in its memory, and those that were asked of the system.
	BlocksHit, BlocksRead int64
	Deadlocks             int64
	// TempBytes is what sorts and hashes have written that did not fit into memory.
	TempBytes int64
}

// Database counts the database.
func (s *Survey) Database(ctx context.Context) (DatabaseFigures, error) {
	figures, _, err := one(s.db.with(ctx, operatorSession()), func(row scanner) (f DatabaseFigures, err error) {
		return f, row.Scan(&f.Bytes, &f.Connections, &f.ConnectionsMax, &f.Commits, &f.Rollbacks, &f.BlocksHit, &f.BlocksRead,
			&f.Deadlocks, &f.TempBytes)
	}, `select pg_database_size(d.datid), (select coalesce(sum(numbackends), 0)::bigint from pg_stat_database),
		current_setting('max_connections')::bigint, d.xact_commit, d.xact_rollback, d.blks_hit, d.blks_read, d.deadlocks, d.temp_bytes
		from pg_stat_database d where d.datname = current_database()`)
	return figures, translate(err)
}

// TableFigures is one table, all of its partitions together.
type TableFigures struct {
	Table string
	// Bytes is its size with indexes and what is stored beside it; Rows and Dead are estimates.
	Bytes, Rows, Dead int64
}

// Tables counts the tables of the product.
func (s *Survey) Tables(ctx context.Context) ([]TableFigures, error) {
	tables, err := all(s.db.with(ctx, operatorSession()), func(row scanner) (t TableFigures, err error) {
		return t, row.Scan(&t.Table, &t.Bytes, &t.Rows, &t.Dead)
	}, `select coalesce(i.inhparent::regclass::text, t.relname::text), sum(pg_total_relation_size(t.relid))::bigint,
		sum(t.n_live_tup)::bigint, sum(t.n_dead_tup)::bigint
		from pg_stat_user_tables t left join pg_inherits i on i.inhrelid = t.relid
		where t.schemaname = 'public' and not exists (select from pg_partitioned_table p where p.partrelid = t.relid)
		group by 1 order by 1`)
	return tables, translate(err)
}

// EndpointCount is how many webhook endpoints of all tenants are in a state: enabled, paused or disabled.
type EndpointCount struct {
	State     string
	Endpoints int64
}

// Endpoints counts the webhook endpoints that are not deleted.
func (s *Survey) Endpoints(ctx context.Context) ([]EndpointCount, error) {
	counts, err := all(s.db.with(ctx, operatorSession()), func(row scanner) (c EndpointCount, err error) {
		return c, row.Scan(&c.State, &c.Endpoints)
	}, `select s.state, count(e.id) from unnest('{enabled,paused,disabled}'::text[]) s(state)
		left join webhook_endpoints e on e.state = s.state and e.deleted_at is null group by s.state order by s.state`)
	return counts, translate(err)
}

// TenantUse is how much a tenant uses of something.
type TenantUse struct {
	// Measure is what is counted: jobs_waiting for a worker now, jobs_ended in the last five minutes, file_bytes that are
	// kept.
	Measure string
	Tenant  tenancy.ID
	Amount  int64
}

// TopTenants are the top of each measure, the greatest first; who uses nothing is not among them. Jobs that have ended are
// found by their id, which begins with the time that they were made at: those that took longer are left out.
func (s *Survey) TopTenants(ctx context.Context, top int) ([]TenantUse, error) {
	uses, err := all(s.db.with(ctx, operatorSession()), func(row scanner) (u TenantUse, err error) {
		return u, row.Scan(&u.Measure, &u.Tenant, &u.Amount)
	}, `with use (measure, tenant_id, amount) as (
		select 'jobs_ended', f.tenant_id, count(*) from jobs_finished f
			where f.id >= (select uuid7_floor(now() - interval '5 minutes')) group by f.tenant_id
		union all
		select 'jobs_waiting', j.tenant_id, count(*) from jobs j where j.state in ('pending', 'dispatched') group by j.tenant_id
		union all
		select 'file_bytes', u.tenant_id, u.bytes from file_usage u where u.bytes > 0)
		select n.measure, n.tenant_id, n.amount from (
			select u.*, row_number() over (partition by u.measure order by u.amount desc, u.tenant_id) as place from use u) n
		where n.place <= $1 order by n.measure, n.place`, top)
	return uses, translate(err)
}
