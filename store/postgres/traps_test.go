package postgres

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

// What PostgreSQL does by default where tenants share tables, each with a test that the schema closes it. Those that
// are not here: the owner's policy (migrations), stale plans, settings that leak and a commit that rolls back
// (driver_test.go), the catalog (catalog_test.go).

func TestRowSecurity_holds_for_statements_by_hand(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	us, them := s.system(t), s.system(t)
	ours, _, _ := s.seed(t, us, "ours")
	theirs, _, _ := s.seed(t, them, "theirs")
	byHand := context.WithValue(withSession(t.Context(), tenantSession(us)), unrecordedKey{}, true)
	run := func(sql string, args ...any) (int64, error) {
		r, err := s.App.sql.ExecContext(byHand, sql, args...)
		if err != nil {
			return 0, err
		}
		return r.RowsAffected()
	}
	n, err := run("select * from projects")
	require.NoError(t, err)
	assert.EqualValues(t, 1, n)
	n, err = run("update projects set name = 'x' where id = $1", theirs.ID)
	require.NoError(t, err)
	assert.Zero(t, n)
	n, err = run("delete from projects where id = $1", theirs.ID)
	require.NoError(t, err)
	assert.Zero(t, n)

	_, err = run("update projects set tenant_id = $1 where id = $2", them.Tenant, ours.ID)
	assert.Equal(t, "42501", sqlState(err), "WITH CHECK")
	_, err = run("insert into memos (tenant_id, id, text) values ($1, $1, 'x')", them.Tenant)
	assert.Equal(t, "42501", sqlState(err), "WITH CHECK")
	_, err = run("insert into projects (tenant_id, id, name) values ($1, $2, 'stolen') on conflict (tenant_id, id) do update set name = 'stolen'",
		them.Tenant, theirs.ID)
	assert.Equal(t, "42501", sqlState(err), "ON CONFLICT")
	_, err = run("truncate projects")
	assert.Equal(t, "42501", sqlState(err), "TRUNCATE ignores row level security, so nobody may")
	_, err = run("create temp table projects (id int)")
	assert.Equal(t, "42501", sqlState(err), "a temporary table would hide the real one")
	_, err = run("set role groundwork_owner")
	assert.Equal(t, "42501", sqlState(err))
	_, err = run("alter table projects disable row level security")
	assert.Equal(t, "42501", sqlState(err))
	_, err = run("set row_security = off; select * from projects")
	require.Error(t, err)

	// The foreign key is composite: another tenant's project is not there.
	_, err = run("insert into tasks (tenant_id, id, project_id, title) values ($1, $2, $3, 'x')", us.Tenant, tenancy.NewID(), theirs.ID)
	assert.Equal(t, "23503", sqlState(err))
	// A unique value of another tenant's is free, and no error tells of it.
	_, err = run("insert into projects (tenant_id, id, name) values ($1, $2, 'theirs')", us.Tenant, tenancy.NewID())
	require.NoError(t, err)
}

// COPY FROM is not for tables with row level security; importing goes by other ways.
func TestRowSecurity_refuses_COPY_FROM(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	conn := databasetest.Connect(t, s.AppURL)
	_, err := conn.Exec(t.Context(), "copy memos from stdin")
	require.ErrorContains(t, err, "COPY FROM not supported with row-level security")
}

// A setting that was used once reads ” from then on, not NULL: the policies must take both for no tenant.
func TestRowSecurity_takes_an_empty_setting_for_no_tenant(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.system(t)
	s.seed(t, scope, "p")
	db := s.open(t, Config{MaxConnections: 1})
	visible := func() (n int) {
		require.NoError(t, db.sql.QueryRowContext(t.Context(), "select count(*) from projects").Scan(&n))
		return n
	}
	assert.Zero(t, visible(), "never set")
	require.NoError(t, db.Scoped(t.Context(), scope).Find(&[]project{}).Error)
	assert.Zero(t, visible(), "set and reverted")
}

// The reporting role reads one tenant at a time and writes nothing; the system role sees what sweeps are for only.
func TestRowSecurity_of_the_other_roles(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	us, them := s.system(t), s.system(t)
	s.seed(t, us, "ours")
	s.seed(t, them, "theirs")
	reporting := s.open(t, Config{URL: s.ReportingURL})
	ctx := withSession(t.Context(), &session{tenant: us.Tenant, arguments: tenantSession(us).arguments})
	var n int
	require.NoError(t, reporting.sql.QueryRowContext(ctx, "select count(*) from projects").Scan(&n))
	assert.Equal(t, 1, n)
	_, err := reporting.sql.ExecContext(ctx, "update projects set name = 'x'")
	assert.Contains(t, []string{"25006", "42501"}, sqlState(err))

	system := s.open(t, Config{URL: s.SystemURL})
	_, err = system.sql.ExecContext(t.Context(), "select * from projects")
	assert.Equal(t, "42501", sqlState(err))
	require.NoError(t, system.sql.QueryRowContext(t.Context(), "select count(*) from events").Scan(&n))
	worker := s.open(t, Config{URL: s.WorkerURL})
	require.NoError(t, worker.sql.QueryRowContext(withSession(t.Context(), tenantSession(them)), "select count(*) from projects").Scan(&n))
	assert.Equal(t, 1, n)
}
