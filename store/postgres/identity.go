package postgres

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/users"
)

// Identity keeps the control plane: users, tenants, members, invitations, sessions and API keys. It implements the Store
// of each of their packages, one file for each. Its SQL is written out, since it locks and joins by hand; each statement
// names the tenant or the user that it is about, and row level security stands behind it.
type Identity struct {
	db *DB
	// queue takes the mails that changes call for.
	queue jobs.Queue
}

// NewIdentity returns the control plane in a database.
func NewIdentity(db *DB) *Identity { return &Identity{db: db, queue: NewJobs(Shared{DB: db}, nil)} }

// WithQueue has the mails that changes call for taken by a queue, such as one that wakes the dispatcher. They are
// enqueued in the changes' own transactions.
func (i *Identity) WithQueue(queue jobs.Queue) *Identity { return &Identity{db: i.db, queue: queue} }

// managed is the session in which a scope's actor, whose access is checked, has the control plane open: for what a
// tenant does to rows that its own policies do not reach.
func managed(scope tenancy.Scope) *session {
	s := tenantSession(scope)
	s.control = true
	return s
}

// scanner is a row that is read.
type scanner interface{ Scan(dest ...any) error }

// one reads the row that a query returns; found is false where it returns none.
func one[T any](tx *gorm.DB, read func(scanner) (T, error), query string, args ...any) (value T, found bool, err error) {
	if tx.Error != nil {
		return value, false, tx.Error
	}
	value, err = read(tx.Statement.ConnPool.QueryRowContext(tx.Statement.Context, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return value, false, nil
	}
	return value, err == nil, err
}

// all reads the rows that a query returns.
func all[T any](tx *gorm.DB, read func(scanner) (T, error), query string, args ...any) (values []T, err error) {
	if tx.Error != nil {
		return nil, tx.Error
	}
	rows, err := tx.Statement.ConnPool.QueryContext(tx.Statement.Context, query, args...)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		value, err := read(rows)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, rows.Err()
}

// affect runs a statement and says how many rows it changed.
func affect(tx *gorm.DB, query string, args ...any) (int64, error) {
	if tx.Error != nil {
		return 0, tx.Error
	}
	result, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, query, args...)
	if err != nil {
		return 0, fmt.Errorf("execute: %w", err)
	}
	return result.RowsAffected()
}

// tellAct writes an audit entry into the transaction; it goes with its commit.
func tellAct(
	tx *gorm.DB, scope tenancy.Scope, now time.Time, action, resource string, id tenancy.ID, version int64,
	changes ...audit.Change,
) error {
	entry := audit.Entry{
		ID: tenancy.NewID(), At: now, ActorKind: scope.Actor.Kind, RequestID: scope.RequestID,
		Action: action, Resource: resource, ResourceID: id, Version: version, Changes: changes,
	}
	if changes == nil {
		entry.Changes = []audit.Change{}
	}
	if !scope.Actor.ID.IsZero() {
		entry.ActorID = &scope.Actor.ID
	}
	return tellAudit(tx, scope, entry)
}

// actsIn is the scope that a user's own act, such as a sign-in, is noted under.
func actsIn(tenant, user tenancy.ID, requestID string) tenancy.Scope {
	return tenancy.Scope{
		Tenant: tenant, RequestID: requestID, Actor: tenancy.Actor{Kind: tenancy.User, ID: user},
	}
}

// nullable is an id as an argument; NULL where it is zero.
func nullable(id tenancy.ID) any {
	if id.IsZero() {
		return nil
	}
	return id
}

// keyset is a page of a list in the order of ids, as SQL: "id > $n order by id limit m".
type keyset struct {
	// after is the id that the page follows; nil for the first page.
	after *tenancy.ID
	// compare and order are operator and direction.
	compare, order string
	// limit has one row more than was asked for, by which the end is known.
	limit int
}

// oldestFirst is a page of a list in ascending order.
func oldestFirst(request page.Request) (keyset, error) {
	k := keyset{compare: ">", order: "asc"}
	if request.Backward {
		k = keyset{compare: "<", order: "desc"}
	}
	return k.of(request)
}

// newestFirst is a page of a list in descending order.
func newestFirst(request page.Request) (keyset, error) {
	k := keyset{compare: "<", order: "desc"}
	if request.Backward {
		k = keyset{compare: ">", order: "asc"}
	}
	return k.of(request)
}

func (k keyset) of(request page.Request) (keyset, error) {
	k.limit = request.Limit + 1
	if len(request.After) == 0 {
		return k, nil
	}
	text, _ := request.After[len(request.After)-1].(string)
	id, err := tenancy.ParseID(text)
	if err != nil {
		return keyset{}, fault.New(fault.Malformed, "invalid_cursor",
			"The cursor does not fit this list; start again without it.").Because(err)
	}
	k.after = &id
	return k, nil
}

// sql is the condition on the id column, whose value is the numbered parameter, the order and the limit.
func (k keyset) sql(column, parameter string) string {
	return fmt.Sprintf(" and (%[2]s::uuid is null or %[1]s %[3]s %[2]s::uuid) order by %[1]s %[4]s limit %[5]d",
		column, parameter, k.compare, k.order, k.limit)
}

const (
	userColumns = "u.id, u.email, u.name, u.password_hash, u.state, u.email_verified_at, u.version, " +
		"u.created_at, u.updated_at"
	tenantColumns = "t.id, t.name, t.state, t.time_zone, t.version, t.created_at, t.updated_at"
	// ownSession is what must be true of the session s and the user u who acts through it.
	ownSession = "s.user_id = u.id and s.revoked_at is null and s.expires_at > now() and u.state = 'active'"
)

func userFields(u *users.User) []any {
	return []any{
		&u.ID, &u.Email, &u.Name, &u.PasswordHash, &u.State, &u.EmailVerifiedAt, &u.Version, &u.CreatedAt, &u.UpdatedAt,
	}
}

func readUser(row scanner) (u users.User, err error) { return u, row.Scan(userFields(&u)...) }

func tenantFields(t *tenants.Tenant) []any {
	return []any{&t.ID, &t.Name, &t.State, &t.TimeZone, &t.Version, &t.CreatedAt, &t.UpdatedAt}
}

func readTenant(row scanner) (t tenants.Tenant, err error) { return t, row.Scan(tenantFields(&t)...) }

// readAccess reads userColumns, tenantColumns, and a membership's role and version.
func readAccess(row scanner) (a sessions.Access, err error) {
	fields := append(userFields(&a.User), tenantFields(&a.Tenant)...)
	return a, row.Scan(append(fields, &a.Role, &a.Version)...)
}

func notFound(code, what string) error {
	return fault.New(fault.NotFound, code, "There is no such "+what+".")
}
