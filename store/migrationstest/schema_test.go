package migrationstest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/migrations"
)

// schema describes everything in the schema public, but for goose's own table, by its definition, owner and rights.
func schema(tb testing.TB, address string) []string {
	tb.Helper()
	return ask(tb, address, `
	WITH relations AS (
	  SELECT c.* FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname !~ '^goose_db_version'
	)
	SELECT line FROM (
	  SELECT format('relation %s %s owner %s acl %s rls %s/%s persistence %s of %s %s', relkind, relname, relowner::regrole, relacl,
	    relrowsecurity, relforcerowsecurity, relpersistence, (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = relations.oid),
	    pg_get_expr(relpartbound, oid)) FROM relations
	  UNION ALL
	  SELECT format('column %s.%s %s %s not null %s default %s generated %s acl %s', r.relname, row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), a.attname,
	    format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated::text || a.attidentity::text, a.attacl)
	    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
	    LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum WHERE r.relkind IN ('r', 'p', 'v', 'm')
	  UNION ALL
	  SELECT format('constraint %s on %s %s valid %s', conname, conrelid::regclass, pg_get_constraintdef(oid), convalidated)
	    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conname !~ '^goose_db_version'
	  UNION ALL
	  SELECT format('index %s valid %s', pg_get_indexdef(indexrelid), indisvalid) FROM pg_index JOIN relations r ON r.oid = indrelid
	  UNION ALL
	  SELECT format('policy %s on %s for %s to %s permissive %s using %s check %s', policyname, tablename, cmd, roles, permissive, qual, with_check)
	    FROM pg_policies WHERE schemaname = 'public'
	  UNION ALL
	  SELECT format('trigger %s', pg_get_triggerdef(t.oid)) FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
	  UNION ALL
	  SELECT format('function owner %s acl %s %s', proowner::regrole, proacl, pg_get_functiondef(oid))
	    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
	  UNION ALL
	  SELECT format('type %s %s owner %s', typtype, typname, typowner::regrole)
	    FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e', 'r')
	) lines (line) ORDER BY line COLLATE "C"`)
}

// The migrations of the product: each can be taken back alone, and what comes of applying it again is the same.
func TestMigrations_down_and_up_again_leave_the_same_schema(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	cfg := config(t, address, nil)
	require.Empty(t, schema(t, address))
	require.NoError(t, migrations.Up(t.Context(), cfg))
	whole := schema(t, address)
	require.NotEmpty(t, whole)

	all, err := migrations.Status(t.Context(), cfg)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for i := len(all) - 1; i >= 0; i-- {
		var to int64
		if i > 0 {
			to = all[i-1].Version
		}
		require.NoError(t, migrations.Down(t.Context(), cfg, to), all[i].Name)
		if to == 0 {
			assert.Empty(t, schema(t, address), "the first migration's Down leaves something behind")
		}
		require.NoError(t, migrations.Up(t.Context(), cfg), all[i].Name)
		require.Equal(t, whole, schema(t, address), all[i].Name)
	}
}

func TestMigrations_belong_to_the_owner_and_are_closed_to_everybody_else(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	require.NoError(t, migrations.Up(t.Context(), config(t, address, nil)))
	assert.Empty(t, ask(t, address, `SELECT oid::regclass, relowner::regrole FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relowner <> 'groundwork_owner'::regrole`))
	assert.Empty(t, ask(t, address, `SELECT c.oid::regclass, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
		WHERE c.relnamespace = 'public'::regnamespace AND (a.grantee = 0 OR a.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES')
		AND a.grantee <> c.relowner)`))
	assert.Empty(t, ask(t, address, `SELECT oid::regprocedure FROM pg_proc p
		WHERE pronamespace = 'public'::regnamespace AND prosecdef AND has_function_privilege('public', oid, 'EXECUTE')`),
		"a SECURITY DEFINER function is open to everybody")
	assert.Empty(t, ask(t, address, `SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
		AND NOT EXISTS (SELECT FROM unnest(proconfig) setting WHERE setting LIKE 'search_path=%')`),
		"a SECURITY DEFINER function does not pin its search_path")
}

// Row level security is forced on the owner too: without a policy of its own a migration would see no rows, and its
// backfills and validations would do nothing, without an error.
func TestOwner_policy(t *testing.T) {
	t.Parallel()
	prepare := `-- +goose Up
CREATE TABLE parents (tenant_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (tenant_id, id));
SELECT protect_tenant_table('parents');
CREATE TABLE children (tenant_id uuid NOT NULL, id uuid NOT NULL, parent_id uuid, note text, PRIMARY KEY (tenant_id, id));
SELECT protect_tenant_table('children');
INSERT INTO children VALUES ('00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000003');
ALTER TABLE children ADD CONSTRAINT children_parent_fkey FOREIGN KEY (tenant_id, parent_id) REFERENCES parents NOT VALID;
-- +goose Down
DROP TABLE children, parents;
`
	validate := "-- +goose Up\nALTER TABLE children VALIDATE CONSTRAINT children_parent_fkey;\n-- +goose Down\n"
	backfill := "-- +goose Up\nUPDATE children SET note = 'filled';\n-- +goose Down\n"

	withProduct := func(t *testing.T, texts ...string) (string, migrations.Config) {
		t.Helper()
		all := product(t)
		for name, f := range files(texts...) {
			all["9"+name[1:]] = f
		}
		address := newDatabase(t)
		return address, config(t, address, all)
	}

	t.Run("VALIDATE CONSTRAINT sees an orphan", func(t *testing.T) {
		t.Parallel()
		_, cfg := withProduct(t, prepare, validate)
		var failure *migrations.StatementError
		require.ErrorAs(t, migrations.Up(t.Context(), cfg), &failure)
		assert.Equal(t, "9002_step.sql", failure.File)
		assert.ErrorContains(t, failure, "23503")
	})

	t.Run("a backfill reaches the rows of every tenant", func(t *testing.T) {
		t.Parallel()
		address, cfg := withProduct(t, prepare, backfill)
		require.NoError(t, migrations.Up(t.Context(), cfg))
		assert.Equal(t, []string{"filled"}, ask(t, address, `SELECT note FROM children`))
	})

	t.Run("without it both pass in silence", func(t *testing.T) {
		t.Parallel()
		address, cfg := withProduct(t, prepare+"", "-- +goose Up\nDROP POLICY owner ON children;\nDROP POLICY owner ON parents;\n-- +goose Down\n", validate, backfill)
		require.NoError(t, migrations.Up(t.Context(), cfg), "PostgreSQL has learnt to see the orphan: the trap is gone")
		assert.Equal(t, []string{""}, ask(t, address, `SELECT note FROM children`))
	})
}

// The search role owns functions that see past row level security: a migration makes it the owner of one by lending it
// CREATE for that moment.
func TestSearch_role_can_be_given_a_function(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	cfg := config(t, address, files(`-- +goose Up
CREATE FUNCTION find_things() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog RETURN 1;
GRANT CREATE ON SCHEMA public TO groundwork_search;
ALTER FUNCTION find_things OWNER TO groundwork_search;
REVOKE CREATE ON SCHEMA public FROM groundwork_search;
-- +goose Down
DROP FUNCTION find_things;
`))
	require.NoError(t, migrations.Up(t.Context(), cfg))
	assert.Equal(t, []string{"groundwork_search | f"}, ask(t, address, `SELECT proowner::regrole, has_schema_privilege('groundwork_search', 'public', 'CREATE')
		FROM pg_proc WHERE proname = 'find_things'`))
	require.NoError(t, migrations.Down(t.Context(), cfg, 0))
}
