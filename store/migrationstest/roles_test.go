package migrationstest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/platform/devstack"
)

// newCluster is one in which the roles do not exist yet.
func newCluster(tb testing.TB) string {
	tb.Helper()
	server, err := devstack.StartPostgres(tb.Context(), devstack.Postgres{Ephemeral: true})
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, server.Stop(context.WithoutCancel(tb.Context()))) })
	return server.AdminURL
}

// newManagedDatabase belongs to an administrator such as a managed service gives: no superuser, CREATEROLE.
func newManagedDatabase(tb testing.TB, cluster, name string) string {
	tb.Helper()
	execute(tb, cluster, `DO $$ BEGIN CREATE ROLE managed LOGIN CREATEROLE CREATEDB PASSWORD 'it''s "quoted" \ $1 %s';
		EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	execute(tb, cluster, "CREATE DATABASE "+name+" OWNER managed")
	return as(tb, in(tb, cluster, name), "managed")
}

func TestEnsureRoles_as_a_managed_administrator(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t)
	one, two := newManagedDatabase(t, cluster, "one"), newManagedDatabase(t, cluster, "two")

	// The first calls race, from two databases of the cluster.
	var group errgroup.Group
	for _, address := range []string{one, two, one, two, one, two} {
		group.Go(func() error { return migrations.EnsureRoles(t.Context(), address, passwords()) })
	}
	require.NoError(t, group.Wait())

	t.Run("the roles have no more power than they need", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, []string{
			"groundwork_app | t | t", "groundwork_migrator | t | f", "groundwork_owner | f | t", "groundwork_reporting | t | t",
			"groundwork_search | f | t", "groundwork_system | t | t", "groundwork_worker | t | t",
		}, ask(t, cluster, `SELECT rolname, rolcanlogin, rolinherit FROM pg_roles WHERE rolname LIKE 'groundwork%'
			AND NOT (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication) ORDER BY 1`))
	})

	t.Run("a second call changes nothing and keeps what an operator tuned", func(t *testing.T) {
		t.Parallel()
		execute(t, cluster, `ALTER ROLE groundwork_system SET statement_timeout = '7s'`)
		const state = `SELECT rolname || xmin::text FROM pg_authid UNION ALL SELECT setrole || xmin::text FROM pg_db_role_setting
			UNION ALL SELECT member || xmin::text FROM pg_auth_members UNION ALL SELECT datname || xmin::text FROM pg_database
			UNION ALL SELECT nspname || xmin::text FROM pg_namespace WHERE nspname = 'public' ORDER BY 1`
		before := ask(t, in(t, cluster, "one"), state)
		require.NoError(t, migrations.EnsureRoles(t.Context(), one, nil))
		assert.Equal(t, before, ask(t, in(t, cluster, "one"), state))
		assert.Equal(t, []string{"7s"}, ask(t, as(t, one, "groundwork_system"), `SHOW statement_timeout`))
	})

	t.Run("passwords are kept as SCRAM verifiers", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, []string{"5"}, ask(t, cluster, `SELECT count(*) FROM pg_authid WHERE rolname LIKE 'groundwork%' AND rolpassword LIKE 'SCRAM-SHA-256$4096:%'`))
	})

	t.Run("the administrator and the migrator may both migrate", func(t *testing.T) {
		t.Parallel()
		cfg := config(t, one, nil)
		require.NoError(t, migrations.Up(t.Context(), cfg))
		require.NoError(t, migrations.Down(t.Context(), cfg, 0))
		cfg.URL = two
		require.NoError(t, migrations.Up(t.Context(), cfg))
		assert.Equal(t, []string{"groundwork_owner"}, ask(t, in(t, cluster, "two"), `SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'`))
	})
}

func TestEnsureRoles_limits_what_the_login_roles_may(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	require.NoError(t, migrations.Up(t.Context(), config(t, address, nil)))

	for role, timeouts := range map[string][3]string{
		"groundwork_migrator":  {"0", "5s", "5min"},
		"groundwork_app":       {"30s", "10s", "30s"},
		"groundwork_worker":    {"5min", "30s", "1min"},
		"groundwork_system":    {"1min", "10s", "30s"},
		"groundwork_reporting": {"10min", "10s", "1min"},
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, as(t, address, role))
			var got [3]string
			require.NoError(t, conn.QueryRow(t.Context(), `SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
				current_setting('idle_in_transaction_session_timeout')`).Scan(&got[0], &got[1], &got[2]))
			assert.Equal(t, timeouts, got)

			refused := map[string]string{
				`CREATE TABLE public.mine (id int)`: "42501", `CREATE TEMP TABLE mine (id int)`: "42501", `CREATE SCHEMA mine`: "42501",
				`TRUNCATE customers`: "42501", `CREATE ROLE mine`: "42501",
			}
			if role == "groundwork_reporting" {
				for statement := range refused {
					refused[statement] = "25006" // read only, before anything else is asked
				}
				refused[`SET transaction_read_only = off; DELETE FROM customers`] = "42501"
			}
			if role != "groundwork_migrator" {
				refused[`SET ROLE groundwork_owner`] = "42501"
			}
			for statement, code := range refused {
				_, err := conn.Exec(t.Context(), statement, pgx.QueryExecModeSimpleProtocol)
				require.ErrorContains(t, err, code, statement)
			}
		})
	}
}

func TestEnsureRoles_refuses(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t)
	require.NoError(t, migrations.EnsureRoles(t.Context(), cluster, nil))

	for name, given := range map[string]map[string]string{
		"a password for a role that does not log in": {"groundwork_owner": "secret"},
		"a password for a role of somebody else":     {"postgres": "secret"},
		"an empty password":                          {"groundwork_app": ""},
		"a password outside ASCII":                   {"groundwork_app": "pässword"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := migrations.EnsureRoles(t.Context(), cluster, given)
			require.Error(t, err)
			for role, secret := range given {
				require.ErrorContains(t, err, role)
				if secret != "" {
					assert.NotContains(t, err.Error(), secret)
				}
			}
		})
	}

	t.Run("an administrator who does not own the database", func(t *testing.T) {
		t.Parallel()
		execute(t, cluster, "CREATE DATABASE foreign_one")
		address := newManagedDatabase(t, cluster, "own")
		require.ErrorContains(t, migrations.EnsureRoles(t.Context(), in(t, address, "foreign_one"), nil), "own")
	})

	// The cases above and below share the roles: these change them, one after the other.
	for _, step := range []struct{ name, spoil, mend, want string }{
		{"a role with BYPASSRLS", `ALTER ROLE groundwork_worker BYPASSRLS`, `ALTER ROLE groundwork_worker NOBYPASSRLS`, "groundwork_worker: the role exists and is"},
		{"an application that may become the owner", `GRANT groundwork_owner TO groundwork_app`, `REVOKE groundwork_owner FROM groundwork_app`, "groundwork_app is a member of groundwork_owner"},
	} {
		execute(t, cluster, step.spoil)
		err := migrations.EnsureRoles(t.Context(), cluster, nil)
		require.ErrorContains(t, err, step.want, step.name)
		execute(t, cluster, step.mend)
		require.NoError(t, migrations.EnsureRoles(t.Context(), cluster, nil), step.name)
	}
}
