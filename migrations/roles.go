package migrations

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// role is one of the roles that the product's policies and grants name. None is a superuser, has BYPASSRLS or may make
// roles, so that all of it works on a managed database, whose administrator has none of that to give.
type role struct {
	name  string
	login bool
	// inherits is false for the migrator, who has the owner's rights only while it is the owner (SET ROLE).
	inherits bool
	// defaults are given to a role that has no value of its own: an operator's other value is kept.
	defaults map[string]string
	// fixed are given whatever the role had.
	fixed map[string]string
}

func roles() []role {
	return []role{
		{name: Owner, inherits: true},
		// Owns the functions that search a tenant's rows past row level security, which filter by tenant themselves.
		{name: "groundwork_search", inherits: true},
		{name: "groundwork_migrator", login: true, defaults: map[string]string{
			"lock_timeout": "5s", "idle_in_transaction_session_timeout": "5min",
		}},
		{name: "groundwork_app", login: true, inherits: true, defaults: map[string]string{
			"statement_timeout": "30s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "30s",
		}},
		{name: "groundwork_worker", login: true, inherits: true, defaults: map[string]string{
			"statement_timeout": "5min", "lock_timeout": "30s", "idle_in_transaction_session_timeout": "1min",
		}},
		{name: "groundwork_system", login: true, inherits: true, defaults: map[string]string{
			"statement_timeout": "1min", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "30s",
		}},
		{name: "groundwork_reporting", login: true, inherits: true, defaults: map[string]string{
			"statement_timeout": "10min", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "1min",
		}, fixed: map[string]string{"default_transaction_read_only": "on"}},
	}
}

// LoginRoles are the names of the roles that can be given a password.
func LoginRoles() []string {
	var names []string
	for _, r := range roles() {
		if r.login {
			names = append(names, r.name)
		}
	}
	return names
}

// EnsureRoles makes the roles in the cluster and gives them their rights on the database of adminURL: who may connect,
// who may create, that nobody else may create or make temporary tables. passwords are those of login roles, by name;
// a role without one keeps what it has. Only their SCRAM verifiers are sent.
//
// The administrator owns the database and has CREATEROLE; it need not be a superuser. The call is idempotent, changes
// only what differs, and may race with itself, from this or another database of the cluster. It refuses roles that
// exist with more power than they should have. Rights on the database are not copied by CREATE DATABASE … TEMPLATE:
// call it for each database.
func EnsureRoles(ctx context.Context, adminURL string, passwords map[string]string) error {
	if adminURL == "" {
		return errors.New("the database URL is empty")
	}
	verifiers, err := verifiersOf(passwords)
	if err != nil {
		return err
	}
	config, err := pgx.ParseConfig(adminURL)
	if err != nil {
		return fmt.Errorf("parse the database URL: %w", err)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	setDefault(config.RuntimeParams, "application_name", "groundwork-migrate")
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect as the administrator: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// Roles belong to the cluster and advisory locks to a database: those who come by another database are met with
	// another try.
	for attempt := 0; ; attempt++ {
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			return (&provisioner{tx: tx, verifiers: verifiers}).run(ctx)
		})
		if attempt == 20 || !isCode(err, internalError, duplicateObject, uniqueViolation, deadlockDetected, serializationFailure) || !pause(ctx, attempt) {
			break
		}
	}
	if isCode(err, insufficientRights) {
		return fmt.Errorf("prepare the roles: %w (the administrator needs CREATEROLE and to own the database and its schema public)", err)
	}
	if err != nil {
		return fmt.Errorf("prepare the roles: %w", err)
	}
	return nil
}

func verifiersOf(passwords map[string]string) (map[string]string, error) {
	verifiers := make(map[string]string, len(passwords))
	for _, name := range slices.Sorted(maps.Keys(passwords)) {
		if !slices.Contains(LoginRoles(), name) {
			return nil, fmt.Errorf("%q is not a role that logs in: those are %s", name, strings.Join(LoginRoles(), ", "))
		}
		verifier, err := scramVerifier(passwords[name])
		if err != nil {
			return nil, fmt.Errorf("the password of %s: %w", name, err)
		}
		verifiers[name] = verifier
	}
	return verifiers, nil
}

// provisioner does the work of EnsureRoles in one transaction.
type provisioner struct {
	tx        pgx.Tx
	verifiers map[string]string
	version   int // of the server, such as 150018
	admin     string
	super     bool
	database  string
}

func (p *provisioner) run(ctx context.Context) error {
	if _, err := p.tx.Exec(ctx, `SET LOCAL lock_timeout = '30s'`); err != nil {
		return fmt.Errorf("set the lock time-out: %w", err)
	}
	if _, err := p.tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, rolesKey); err != nil {
		return fmt.Errorf("take the lock: %w", err)
	}
	err := p.tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_user, rolsuper, current_database()
		FROM pg_roles WHERE rolname = current_user`).Scan(&p.version, &p.admin, &p.super, &p.database)
	if err != nil {
		return fmt.Errorf("look up the administrator: %w", err)
	}
	if p.version < 150000 {
		return fmt.Errorf("PostgreSQL 15 or newer is needed, this is %d.%d", p.version/10000, p.version%10000)
	}
	for _, r := range roles() {
		if err := p.role(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	for _, step := range []func(context.Context) error{p.memberships, p.databaseRights, p.schemaRights, p.check} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *provisioner) role(ctx context.Context, r role) error {
	var has struct {
		login, inherits, powerful bool
		config                    []string
	}
	name := pgx.Identifier{r.name}.Sanitize()
	err := p.tx.QueryRow(ctx, `SELECT rolcanlogin, rolinherit, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication, rolconfig
		FROM pg_roles WHERE rolname = $1`, r.name).Scan(&has.login, &has.inherits, &has.powerful, &has.config)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		if err := p.exec(ctx, "CREATE ROLE "+name+" "+attributes(r)); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("look it up: %w", err)
	case has.powerful:
		return errors.New("the role exists and is SUPERUSER, BYPASSRLS, CREATEROLE, CREATEDB or REPLICATION: it may be none of them")
	case has.login != r.login || has.inherits != r.inherits:
		if err := p.exec(ctx, "ALTER ROLE "+name+" "+attributes(r)); err != nil {
			return err
		}
	}
	for _, setting := range slices.Sorted(maps.Keys(r.defaults)) {
		if !slices.ContainsFunc(has.config, func(entry string) bool { return strings.HasPrefix(entry, setting+"=") }) {
			if err := p.exec(ctx, "ALTER ROLE "+name+" SET "+setting+" = "+literal(r.defaults[setting])); err != nil {
				return err
			}
		}
	}
	for _, setting := range slices.Sorted(maps.Keys(r.fixed)) {
		if !slices.Contains(has.config, setting+"="+r.fixed[setting]) {
			if err := p.exec(ctx, "ALTER ROLE "+name+" SET "+setting+" = "+literal(r.fixed[setting])); err != nil {
				return err
			}
		}
	}
	if verifier, given := p.verifiers[r.name]; given {
		return p.exec(ctx, "ALTER ROLE "+name+" PASSWORD "+literal(verifier))
	}
	return nil
}

func attributes(r role) string {
	login, inherit := "NOLOGIN", "NOINHERIT"
	if r.login {
		login = "LOGIN"
	}
	if r.inherits {
		inherit = "INHERIT"
	}
	return login + " " + inherit
}

// memberships let the migrator and the administrator become the owner, and the owner do as it likes with what the search
// role owns.
func (p *provisioner) memberships(ctx context.Context) error {
	wanted := []membership{{"groundwork_migrator", Owner, false}, {Owner, "groundwork_search", true}}
	if !p.super {
		wanted = append(wanted, membership{p.admin, Owner, false})
	}
	for _, m := range wanted {
		// From PostgreSQL 16 on a membership itself says what it allows: the administrator's, who made the role, allows
		// no SET. Before, it allowed SET always, and what the member inherits is said by its own INHERIT.
		needs, options := "MEMBER", ""
		if p.version >= 160000 {
			needs, options = "SET", " WITH INHERIT FALSE, SET TRUE"
		}
		if m.inherits {
			needs, options = "USAGE", strings.Replace(options, "FALSE", "TRUE", 1)
		}
		var is bool
		if err := p.tx.QueryRow(ctx, `SELECT pg_has_role($1::name, $2::name, $3)`, m.member, m.of, needs).Scan(&is); err != nil {
			return fmt.Errorf("look up whether %s may become %s: %w", m.member, m.of, err)
		}
		if is {
			continue
		}
		if err := p.exec(ctx, "GRANT "+ident(m.of)+" TO "+ident(m.member)+options); err != nil {
			return fmt.Errorf("let %s become %s: %w", m.member, m.of, err)
		}
	}
	return nil
}

// membership lets a role become another, and where it inherits have the other's rights without that.
type membership struct {
	member, of string
	inherits   bool
}

func (p *provisioner) databaseRights(ctx context.Context) error {
	has, err := p.rights(ctx, `SELECT (aclexplode(coalesce(datacl, acldefault('d', datdba)))).* FROM pg_database WHERE datname = current_database()`)
	if err != nil {
		return err
	}
	database := ident(p.database)
	if has[right{"", "TEMPORARY"}] {
		if err := p.exec(ctx, "REVOKE TEMPORARY ON DATABASE "+database+" FROM PUBLIC"); err != nil {
			return err
		}
	}
	for _, name := range LoginRoles() {
		if !has[right{name, "CONNECT"}] {
			if err := p.exec(ctx, "GRANT CONNECT ON DATABASE "+database+" TO "+ident(name)); err != nil {
				return err
			}
		}
	}
	if !has[right{Owner, "CREATE"}] {
		return p.exec(ctx, "GRANT CREATE ON DATABASE "+database+" TO "+ident(Owner)) // for schemas and trusted extensions
	}
	return nil
}

func (p *provisioner) schemaRights(ctx context.Context) error {
	has, err := p.rights(ctx, `SELECT (aclexplode(coalesce(nspacl, acldefault('n', nspowner)))).* FROM pg_namespace WHERE nspname = 'public'`)
	if err != nil {
		return err
	}
	if has[right{"", "CREATE"}] {
		if err := p.exec(ctx, "REVOKE CREATE ON SCHEMA public FROM PUBLIC"); err != nil {
			return err
		}
	}
	for _, r := range roles() {
		if r.name != Owner && !has[right{r.name, "USAGE"}] {
			if err := p.exec(ctx, "GRANT USAGE ON SCHEMA public TO "+ident(r.name)); err != nil {
				return err
			}
		}
	}
	if !has[right{Owner, "CREATE"}] {
		// With the grant option: a migration lends CREATE to the search role while it gives it a function.
		return p.exec(ctx, "GRANT USAGE, CREATE ON SCHEMA public TO "+ident(Owner)+" WITH GRANT OPTION")
	}
	return nil
}

// right is a privilege of a role, of everybody where the role is empty.
type right struct{ role, privilege string }

func (p *provisioner) rights(ctx context.Context, exploded string) (map[right]bool, error) {
	rows, err := p.tx.Query(ctx, `SELECT CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee) END, privilege_type FROM (`+exploded+`) acl`)
	if err != nil {
		return nil, fmt.Errorf("read who has which rights: %w", err)
	}
	found := map[right]bool{}
	var r right
	if _, err := pgx.ForEachRow(rows, []any{&r.role, &r.privilege}, func() error { found[r] = true; return nil }); err != nil {
		return nil, fmt.Errorf("read who has which rights: %w", err)
	}
	return found, nil
}

// check reads back what the statements before it did: GRANT and REVOKE by somebody who is not entitled to them only
// warn, and a role may have been given more elsewhere.
func (p *provisioner) check(ctx context.Context) error {
	for _, name := range LoginRoles() {
		if name == "groundwork_migrator" {
			continue
		}
		var isOwner bool
		if err := p.tx.QueryRow(ctx, `SELECT pg_has_role($1::name, $2::name, 'MEMBER')`, name, Owner).Scan(&isOwner); err != nil {
			return fmt.Errorf("check the rights: %w", err)
		}
		if isOwner {
			return fmt.Errorf("%s is a member of %s, whom row level security lets see every tenant: revoke it", name, Owner)
		}
	}
	var canCreate, temporary, create bool
	err := p.tx.QueryRow(ctx, `SELECT has_schema_privilege($1::name, 'public', 'CREATE') AND has_database_privilege($1::name, current_database(), 'CREATE'),
		bool_or(has_database_privilege(rolname, current_database(), 'TEMPORARY')), bool_or(has_schema_privilege(rolname, 'public', 'CREATE'))
		FROM pg_roles WHERE rolname = ANY ($2)`, Owner, LoginRoles()).Scan(&canCreate, &temporary, &create)
	if err != nil {
		return fmt.Errorf("check the rights: %w", err)
	}
	if !canCreate || temporary || create {
		return fmt.Errorf("%s may not change the rights on database %s and its schema public: connect as their owner", p.admin, p.database)
	}
	return nil
}

func (p *provisioner) exec(ctx context.Context, statement string) error {
	if _, err := p.tx.Exec(ctx, statement); err != nil {
		act, _, _ := strings.Cut(statement, " PASSWORD ")
		return fmt.Errorf("%s: %w", act, err)
	}
	return nil
}

func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
