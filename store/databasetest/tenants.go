package databasetest

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Tenant makes a tenant with an owner who is signed in, and returns the owner's scope.
func (d *Database) Tenant(tb testing.TB) tenancy.Scope {
	tb.Helper()
	return d.Member(tb, d.TenantID(tb), "owner")
}

// TenantID makes a tenant without members.
func (d *Database) TenantID(tb testing.TB) tenancy.ID {
	tb.Helper()
	id := tenancy.NewID()
	d.Exec(tb, `insert into tenants (id, name, created_at, updated_at) values ($1, 'Test', now(), now())`, id.String())
	return id
}

// Member makes a user with a role in the tenant, signs the user in, and returns the scope.
func (d *Database) Member(tb testing.TB, tenant tenancy.ID, role string) tenancy.Scope {
	tb.Helper()
	user, session := tenancy.NewID(), tenancy.NewID()
	d.Exec(tb, `with someone as (
			insert into users (id, email, name, password_hash, created_at, updated_at)
			values ($1::uuid, $1::uuid || '@example.test', 'Test', '', now(), now()) returning id
		), member as (
			insert into memberships (tenant_id, user_id, role, created_at, updated_at)
			select $2, id, $3, now(), now() from someone
		)
		insert into sessions (id, user_id, tenant_id, created_at, last_used_at, expires_at)
		select $4, id, $2, now(), now(), now() + interval '1 day' from someone`,
		user.String(), tenant.String(), role, session.String())
	return tenancy.Scope{
		Tenant: tenant,
		Actor:  tenancy.Actor{Kind: tenancy.User, ID: user, Session: session, Version: 1, Role: role},
	}
}

// TenantTables are the tables that have a tenant_id, the control plane's among them.
func (d *Database) TenantTables(tb testing.TB) []string {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), d.AdminURL)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	defer conn.Close(tb.Context())
	rows, err := conn.Query(tb.Context(), `select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
		where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attname = 'tenant_id'`)
	if err != nil {
		tb.Fatalf("list the tables: %v", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		tb.Fatalf("list the tables: %v", err)
	}
	return names
}
