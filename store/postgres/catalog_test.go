package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/store/databasetest"
	"github.com/groundwork-saas/groundwork/store/sqltest"
)

// untenanted are the tables that belong to nobody: the migrations' own record.
const untenanted = "goose_db_version"

// rule is a query for what breaks it.
type rule struct{ name, query string }

// rules are what the catalog must show. Tables means those of tenants: $1 are the control plane's, $2 the one that
// belongs to nobody. A partition is reached through its parent only.
func rules() []rule {
	const tables = `with all_tables as (
		select c.oid, c.relname::text as name, c.relispartition as partition, c.relrowsecurity as rls, c.relforcerowsecurity as forced
		from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> $2
	), control as (select * from all_tables where name = any($1)),
	tenants as (select * from all_tables where name <> all($1) and not partition),
	tenant_column as (
		select t.oid, t.name, a.attnum, a.attnotnull, a.atttypid from all_tables t
		join pg_attribute a on a.attrelid = t.oid and a.attname = 'tenant_id' and not a.attisdropped
	), logins (role) as (values ('groundwork_app'), ('groundwork_worker'), ('groundwork_system'), ('groundwork_reporting'))
	`
	return []rule{
		{"a table has neither a tenant_id nor a place in the control plane", tables + `
			select name from tenants where oid not in (select oid from tenant_column)`},
		{"a tenant_id may be null, or is no uuid", tables + `
			select c.name from tenant_column c join tenants t using (oid) where not c.attnotnull or c.atttypid <> 'uuid'::regtype`},
		{"row level security is not on and forced", tables + `select name from all_tables where not rls or not forced`},
		{"the owner has no policy, and migrations would see no rows", tables + `
			select name from all_tables t where not exists (select from pg_policies p where p.schemaname = 'public'
				and p.tablename = t.name and p.roles = '{groundwork_owner}' and p.cmd = 'ALL' and p.qual = 'true' and p.with_check = 'true')`},
		{"app and worker are not held to the tenant, in reading and in writing", tables + `
			select name from tenants t where not exists (select from pg_policies p where p.schemaname = 'public'
				and p.tablename = t.name and p.roles @> '{groundwork_app,groundwork_worker}' and p.cmd = 'ALL'
				and p.qual like '(tenant_id = %app.tenant_id%' and p.with_check like '(tenant_id = %app.tenant_id%')`},
		{"a policy lets app, worker, reporting or everybody past the tenant", tables + `
			select p.tablename || '.' || p.policyname from pg_policies p join tenants t on t.name = p.tablename
			where p.schemaname = 'public' and p.roles && '{groundwork_app,groundwork_worker,groundwork_reporting,public}'
				and (coalesce(p.qual, 'true') not like '(tenant_id = %' and p.cmd <> 'INSERT'
					or p.cmd <> 'SELECT' and p.cmd <> 'DELETE' and coalesce(p.with_check, p.qual) not like '(tenant_id = %')`},
		{"a partition has a policy for others than the owner, or a grant", tables + `
			select t.name || ' ' || p.policyname from all_tables t join pg_policies p on p.tablename = t.name
			where t.partition and p.roles <> '{groundwork_owner}'
			union all select t.name || ' ' || l.role from all_tables t, logins l
			where t.partition and has_table_privilege(l.role, t.oid, 'SELECT, INSERT, UPDATE, DELETE')`},
		{"a table of the control plane is not closed by its policy", tables + `
			select name from control t where not exists (select from pg_policies p where p.schemaname = 'public'
				and p.tablename = t.name and p.policyname = 'control' and p.cmd = 'ALL'
				and p.qual like '%app.control%on%' and p.with_check like '%app.control%on%')`},
		{"a policy opens a table of the control plane to everybody", tables + `
			select p.tablename || '.' || p.policyname from pg_policies p join control t on t.name = p.tablename
			where p.roles <> '{groundwork_owner}' and (coalesce(p.qual, 'true') = 'true' and p.cmd <> 'INSERT'
				or coalesce(p.with_check, p.qual) = 'true'
				or p.qual not like '%app.control%' and p.qual not like '%current_tenant()%' and p.qual not like '%app.tenant_id%')`},
		{"a primary key or unique index does not begin with the tenant", tables + `
			select i.indexrelid::regclass::text from pg_index i join tenants t on t.oid = i.indrelid
			left join tenant_column c on c.oid = t.oid where i.indisunique and i.indkey[0] is distinct from c.attnum`},
		{"a table has no primary key", tables + `
			select name from tenants t where not exists (select from pg_index i where i.indrelid = t.oid and i.indisprimary)`},
		{"a foreign key does not contain the tenant", tables + `
			select f.conrelid::regclass || '.' || f.conname from pg_constraint f join tenants t on t.oid = f.conrelid
			left join tenant_column here on here.oid = f.conrelid left join tenant_column there on there.oid = f.confrelid
			where f.contype = 'f' and not exists (select from generate_subscripts(f.conkey, 1) i
				where f.conkey[i] = here.attnum and f.confkey[i] = there.attnum)`},
		{"a foreign key with the tenant sets null", tables + `
			select f.conrelid::regclass || '.' || f.conname from pg_constraint f join tenants t on t.oid = f.conrelid
			where f.contype = 'f' and (f.confdeltype in ('n', 'd') or f.confupdtype in ('n', 'd'))`},
		{"a role has power over row level security", `
			select rolname::text from pg_roles where rolname like 'groundwork%'
				and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication) and ($1::text[] is null or $2 <> '')`},
		{"a login role is, or may become, the owner", `
			select r.rolname::text from pg_roles r where r.rolname like 'groundwork%' and r.rolcanlogin
				and r.rolname <> 'groundwork_migrator' and pg_has_role(r.oid, 'groundwork_owner', 'MEMBER') and ($1::text[] is null or $2 <> '')`},
		{"a materialized view copies rows past row level security", `
			select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'm' and ($1::text[] is null or $2 <> '')`},
		{"a view runs as its owner", `
			select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'v'
				and not coalesce(reloptions, '{}') && '{security_invoker=true,security_invoker=on,security_invoker=1}' and ($1::text[] is null or $2 <> '')`},
		{"somebody but the owner may truncate, make triggers or refer", tables + `
			select t.name || ' ' || a.privilege_type from all_tables t join pg_class c on c.oid = t.oid, aclexplode(c.relacl) a
			where a.privilege_type in ('TRUNCATE', 'TRIGGER', 'REFERENCES') and a.grantee <> c.relowner
			union all select t.name || ' to everybody' from all_tables t join pg_class c on c.oid = t.oid, aclexplode(c.relacl) a
			where a.grantee = 0`},
		{"somebody but the owner owns a table", tables + `
			select t.name from all_tables t join pg_class c on c.oid = t.oid where c.relowner <> 'groundwork_owner'::regrole`},
		{"a function runs as its owner with a search_path of the caller's", `
			select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace and prosecdef
				and not exists (select from unnest(proconfig) s where s ~ '^search_path=pg_catalog.*, pg_temp$') and ($1::text[] is null or $2 <> '')`},
		{"a function that runs as its owner is open to everybody", `
			select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace and prosecdef
				and has_function_privilege('public', oid, 'EXECUTE') and ($1::text[] is null or $2 <> '')`},
		{"a function of the search role makes up SQL, writes, or is none that runs as its owner", `
			select p.oid::regprocedure::text from pg_proc p join pg_language l on l.oid = p.prolang
			where p.proowner = 'groundwork_search'::regrole and (not p.prosecdef or p.provolatile = 'v' or p.prosrc ~* '\mexecute\M'
				or l.lanname not in ('sql', 'plpgsql')) and ($1::text[] is null or $2 <> '')`},
		{"a function of the search role is open to others than app and worker", `
			select p.oid::regprocedure || ' ' || a.grantee::regrole from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
			where p.proowner = 'groundwork_search'::regrole and ($1::text[] is null or $2 <> '')
				and a.grantee not in ('groundwork_search'::regrole, 'groundwork_app'::regrole, 'groundwork_worker'::regrole)`},
		{"the search role may do more than see by what rows are found", `
			select c.relname || '.' || a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
			where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v') and ($1::text[] is null or $2 <> '')
				and (has_column_privilege('groundwork_search', c.oid, a.attnum, 'SELECT') and a.attname not in ('tenant_id', 'id', 'search_terms')
					or has_column_privilege('groundwork_search', c.oid, a.attnum, 'INSERT, UPDATE, REFERENCES'))`},
		{"a login role may make tables, or temporary ones that hide the real ones", tables + `
			select role from logins where has_schema_privilege(role, 'public', 'CREATE')
				or has_database_privilege(role, current_database(), 'TEMPORARY, CREATE')`},
		{"a rule rewrites statements on a table", tables + `
			select r.rulename::text from pg_rewrite r join all_tables t on t.oid = r.ev_class`},
	}
}

// offences are what breaks the rules, by the rule.
func offences(t *testing.T, conn *pgx.Conn) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	for _, r := range rules() {
		rows, err := conn.Query(t.Context(), r.query, pgx.QueryExecModeExec, sqltest.ControlTables(), untenanted)
		require.NoError(t, err, r.name)
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err, r.name)
		if len(names) > 0 {
			found[r.name] = names
		}
	}
	return found
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	d := databasetest.New(t)
	admin := d.Admin(t)
	assert.Empty(t, offences(t, admin))
	for _, table := range sqltest.ControlTables() {
		var exists bool
		require.NoError(t, admin.QueryRow(t.Context(), "select to_regclass('public.' || $1) is not null", table).Scan(&exists))
		assert.True(t, exists, "the list of the control plane's tables names %s, which does not exist", table)
	}
}

// Each rule finds what breaks it.
func TestCatalog_rules_can_be_broken(t *testing.T) {
	t.Parallel()
	d := databasetest.New(t)
	admin := d.Admin(t)
	_, err := admin.PgConn().Exec(t.Context(), `
		set role groundwork_owner;
		create table good (tenant_id uuid not null, id uuid not null, primary key (tenant_id, id));
		select protect_tenant_table('good');
		create table nobodys (id uuid primary key);
		create table nullable (tenant_id text, id uuid not null, unique (id));
		create table open_policy (tenant_id uuid not null, id uuid, primary key (tenant_id, id));
		select protect_tenant_table('open_policy');
		create policy everybody on open_policy for select to groundwork_app using (true);
		create table write_policy (tenant_id uuid not null, id uuid, primary key (tenant_id, id));
		select protect_tenant_table('write_policy');
		create policy careless on write_policy for insert to groundwork_app with check (true);
		create table references_good (tenant_id uuid not null, id uuid, good_id uuid, primary key (tenant_id, id),
			foreign key (tenant_id, good_id) references good on delete set null);
		create table keyless (tenant_id uuid not null);
		create unique index on good (id);
		alter table references_good add foreign key (good_id) references good (id);
		create policy anybody on users for select to groundwork_app using (true);
		drop policy control on sessions;
		create view careless as select * from good;
		create materialized view copy as select * from good;
		create function careless() returns int language sql security definer return 1;
		grant truncate on good to groundwork_app;
		grant select on events_default to groundwork_app;
		create rule careless as on delete to good do instead nothing;
		create function search_carelessly(q text) returns int language plpgsql security definer set search_path = pg_catalog, pg_temp
			as $$ begin execute q; return 1; end $$;
		grant create on schema public to groundwork_search;
		alter function search_carelessly owner to groundwork_search;
		revoke create on schema public from groundwork_search;
		grant select (tenant_id, good_id) on references_good to groundwork_search;
		reset role;
		create table not_the_owners (tenant_id uuid not null primary key);
		grant create on schema public to groundwork_app;`).ReadAll()
	require.NoError(t, err)
	found := offences(t, admin)
	for _, r := range rules() {
		if strings.Contains(r.name, "role has power") || strings.Contains(r.name, "may become") {
			continue // roles are shared by all tests of the cluster
		}
		assert.NotEmptyf(t, found[r.name], "nothing breaks the rule: %s", r.name)
	}
	for name, names := range found {
		assert.NotContains(t, names, "good", name)
	}
}
