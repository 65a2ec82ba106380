package postgres

import (
	"context"
	"errors"
	"hash/fnv"
	"strconv"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// errNoTenant is what a statement on a tenant's table gets where no tenant was named. It is a bug of the caller.
var errNoTenant = errors.New("postgres: a tenant's table was asked for without a tenant")

// session is what the connection is set to for a statement or a transaction: the tenant, the actor whose access is
// checked, and whether the control plane is open. It is made once for a scope, travels in the context, and never
// changes, so that statements share its encoded arguments.
type session struct {
	tenant  tenancy.ID // zero: no tenant
	control bool
	checks  bool // the actor is a user or a key, whose access is checked
	// system says that the statement is the job engine's own, which goes across tenants: its role is groundwork_system.
	system bool
	// indexed has statements planned by indexes and nested loops whatever the statistics say.
	indexed bool
	// hasty has a commit not wait until it is on the disk.
	hasty bool

	// arguments are those of the setup statement, in text: tenant, then the actor's four, then the fence's key.
	arguments [][]byte
}

// keepToIndexes are the targets of a select after which a transaction's statements are planned by indexes.
const keepToIndexes = "set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), " +
	"set_config('enable_mergejoin', 'off', true)"

// setup is which parts a setup statement has, as a bit set.
type setup uint8

const (
	setupTenant setup = 1 << iota
	setupControl
	setupCheck
	setupFence
	setupIndexed
	setupHasty
	setupCount
)

type sessionKey struct{}

func sessionOf(ctx context.Context) *session {
	if ctx == nil {
		return nil
	}
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

func withSession(ctx context.Context, s *session) context.Context {
	return context.WithValue(ctx, sessionKey{}, s)
}

// tenantSession is the session of a scope. The system's own access is not checked.
func tenantSession(scope tenancy.Scope) *session {
	s := &session{tenant: scope.Tenant, checks: scope.Actor.Kind != tenancy.System}
	if scope.Tenant.IsZero() {
		return s
	}
	s.arguments = make([][]byte, 0, 6)
	s.arguments = append(s.arguments, []byte(scope.Tenant.String()))
	if s.checks {
		s.arguments = append(s.arguments,
			[]byte(scope.Actor.Kind), textID(scope.Actor.ID), textID(scope.Actor.Session),
			strconv.AppendInt(nil, scope.Actor.Version, 10))
	}
	s.arguments = append(s.arguments, strconv.AppendInt(nil, fenceKey(scope.Tenant), 10))
	return s
}

// controlSession opens the control plane, and beside it a tenant's tables where a tenant is given.
func controlSession(tenant *tenancy.ID) *session {
	if tenant == nil {
		return &session{control: true}
	}
	s := tenantSession(tenancy.AsSystem(*tenant, ""))
	s.control = true
	return s
}

// engineSession is the session of the job engine, across tenants. A queue's table is empty at one moment and long at the
// next: a plan that was made while it was empty reads all of it ever after, so that these statements are kept to
// indexes.
func engineSession() *session { return &session{control: true, system: true, indexed: true} }

// hastySession is engineSession for the steps on a job's way that are as good as not taken where PostgreSQL dies before
// they are on the disk: handing over, claiming, extending a lease. They wait for no disk. What comes later and does wait,
// such as a job's end, takes them to the disk with it, so that an end is never kept without its claim. A claim that is
// lost leaves two workers with the same attempt: the first of them that ends it has it, and the other is refused.
func hastySession() *session {
	return &session{control: true, system: true, indexed: true, hasty: true}
}

// operatorSession is the session of what operators ask about all tenants' jobs, planned as the statistics say.
func operatorSession() *session { return &session{control: true, system: true} }

func (s *session) hasTenant() bool { return s != nil && !s.tenant.IsZero() }

// setup says which setup statement precedes a statement that reads, or one that writes.
//
//nolint:revive // a statement writes or does not
func (s *session) setup(writes bool) setup {
	var parts setup
	if s == nil {
		return parts
	}
	if !s.tenant.IsZero() {
		parts |= setupTenant
		if s.checks {
			parts |= setupCheck
		}
		if writes {
			parts |= setupFence
		}
	}
	if s.control {
		parts |= setupControl
	}
	if s.indexed {
		parts |= setupIndexed
	}
	if s.hasty {
		parts |= setupHasty
	}
	return parts
}

func (s *session) argumentsOf(parts setup) [][]byte {
	if parts&setupTenant == 0 {
		return nil
	}
	if parts&setupFence == 0 {
		return s.arguments[:len(s.arguments)-1]
	}
	return s.arguments
}

// sql is the setup statement. The targets of a select are evaluated from left to right, so the access check sees the
// tenant that was set before it.
func (parts setup) sql() string {
	if parts == 0 {
		return ""
	}
	text, n := "select ", 0
	add := func(target string) {
		if n > 0 {
			text += ", "
		}
		text += target
		n++
	}
	fence := "$2"
	if parts&setupTenant != 0 {
		add("set_config('app.tenant_id', $1, true)")
	}
	if parts&setupControl != 0 {
		add("set_config('app.control', 'on', true)")
	}
	if parts&setupIndexed != 0 {
		add(keepToIndexes)
	}
	if parts&setupHasty != 0 {
		add("set_config('synchronous_commit', 'off', true)")
	}
	if parts&setupCheck != 0 {
		add("check_access($2::text, $3::uuid, $4::uuid, $5::bigint)")
		fence = "$6"
	}
	if parts&setupFence != 0 {
		add("pg_advisory_xact_lock_shared(" + fence + "::bigint)")
	}
	return text
}

// sees says whether a statement of session other may run in a transaction that session s opened: one of the same
// tenant, or, where the control plane is open, of any.
func (s *session) sees(other *session) bool {
	if other == nil || s == other {
		return true
	}
	return s != nil && (s.control || s.tenant == other.tenant && !other.control)
}

// textID is the id as a parameter in text; NULL where there is none.
func textID(id tenancy.ID) []byte {
	if id.IsZero() {
		return nil
	}
	return []byte(id.String())
}

// fenceKey is the advisory lock that every write of a tenant holds, shared. Whoever moves the tenant takes it alone,
// which waits for the writes under way and keeps new ones out.
func fenceKey(tenant tenancy.ID) int64 {
	return LockKey("tenant", tenant[:]...)
}

// LockKey is the key of an advisory lock on one thing of a kind: LockKey("idempotency", digest...).
func LockKey(kind string, name ...byte) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(name)
	return int64(h.Sum64()) //nolint:gosec // all 64 bits are the key, the sign among them
}
