package postgres_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/apikeys"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/platform/passwords"
	"github.com/groundwork-saas/groundwork/platform/secrets"
	"github.com/groundwork-saas/groundwork/platform/tokens"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

const goodPassword = "correct horse battery staple"

// world is the control plane of a test: every service over a database of its own.
type world struct {
	*storetest.Stack

	clock       *clock
	identity    *postgres.Identity
	sessions    *sessions.Service
	users       *users.Service
	tenants     *tenants.Service
	members     *members.Service
	invitations *members.Invitations
	keys        *apikeys.Service
	credentials *sessions.Credentials
	people      atomic.Int64
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	stack := storetest.New(tb)
	w := &world{Stack: stack, clock: &clock{}, identity: postgres.NewIdentity(stack.DB)}
	w.build(tb, w.identity, sessions.Config{})
	return w
}

// replica is another process over the same database, with caches of its own.
func (w *world) replica(tb testing.TB) *world {
	tb.Helper()
	r := &world{Stack: w.Stack, clock: w.clock, identity: w.identity}
	r.build(tb, w.identity, sessions.Config{})
	r.sessions.Tokens = w.sessions.Tokens
	return r
}

func (w *world) build(tb testing.TB, store *postgres.Identity, config sessions.Config) {
	tb.Helper()
	check, hashing := validate.New(), newPasswords(tb)
	roles := members.NewRoles([]string{"customers:read", "customers:write", "customers:delete", "orders:backfill"})
	secret := members.Secrets{New: secrets.Token, Check: secrets.Check, Hash: secrets.Hash}
	w.sessions = sessions.NewService(sessions.Needs{
		Store: store, Tokens: newTokens(tb, w.clock), Passwords: hashing, Secrets: secret, Roles: roles,
		Validate: check, Now: w.clock.Now,
	}, config)
	w.users = users.NewService(store, hashing, check, w.clock.Now)
	w.tenants = tenants.NewService(store, check, w.clock.Now)
	w.members = members.NewService(store, check, w.clock.Now)
	w.invitations = members.NewInvitations(store, secret, check, w.clock.Now)
	w.keys = apikeys.NewService(apikeys.Needs{Store: store, Secrets: secret, Roles: roles, Validate: check, Now: w.clock.Now})
	w.credentials = sessions.NewCredentials(w.sessions, w.keys)
}

// clock is the real time, moved on by hand.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// tokenRing issues and reads access tokens with one key.
type tokenRing struct{ ring *tokens.Ring }

func newTokens(tb testing.TB, c *clock) tokenRing {
	tb.Helper()
	key, err := tokens.NewKey()
	require.NoError(tb, err)
	key.State = tokens.Current
	ring, err := tokens.New(tokens.Config{Issuer: "test", Audience: "test", TTL: 10 * time.Minute, Now: c.Now}, []tokens.Key{key})
	require.NoError(tb, err)
	return tokenRing{ring: ring}
}

func (t tokenRing) Issue(_ context.Context, c sessions.Claims) (string, time.Duration, error) {
	token, err := t.ring.Sign(tokens.Claims{
		User: c.User, Tenant: c.Tenant, Session: c.Session, Role: c.Role, MembershipVersion: c.Version,
	})
	return token, 10 * time.Minute, err
}

func (t tokenRing) Read(_ context.Context, token string) (sessions.Claims, error) {
	c, err := t.ring.Verify(token)
	return sessions.Claims{
		User: c.User, Tenant: c.Tenant, Session: c.Session, Role: c.Role, Version: c.MembershipVersion,
	}, err
}

// signUp makes somebody with an organization of their own.
func (w *world) signUp(tb testing.TB) sessions.Grant {
	tb.Helper()
	n := w.people.Add(1)
	grant, err := w.sessions.SignUp(tb.Context(), client(), sessions.SignUp{
		Name: fmt.Sprintf("Person %d", n), Email: fmt.Sprintf("person%d@example.test", n), Password: goodPassword,
		Organization: fmt.Sprintf("Organization %d", n),
	})
	require.NoError(tb, err)
	return grant
}

// join makes somebody a member of the scope's tenant by an invitation, and returns what they got.
func (w *world) join(tb testing.TB, by tenancy.Scope, role string) sessions.Grant {
	tb.Helper()
	n := w.people.Add(1)
	_, token, err := w.invitations.Create(tb.Context(), by, members.InvitationInput{
		Email: fmt.Sprintf("person%d@example.test", n), Role: role,
	})
	require.NoError(tb, err)
	grant, err := w.sessions.Accept(tb.Context(), client(), nil, sessions.Acceptance{
		Token: token, Name: fmt.Sprintf("Person %d", n), Password: goodPassword,
	})
	require.NoError(tb, err)
	return grant
}

// scope is what the grant's access token stands for.
func (w *world) scope(tb testing.TB, grant sessions.Grant) tenancy.Scope {
	tb.Helper()
	scope, err := w.credentials.Authenticate(tb.Context(), grant.AccessToken)
	require.NoError(tb, err)
	return scope
}

// login signs the grant's user in anew.
func (w *world) login(tb testing.TB, grant sessions.Grant) sessions.Grant {
	tb.Helper()
	again, err := w.sessions.Login(tb.Context(), client(), sessions.Login{Email: grant.User.Email, Password: goodPassword})
	require.NoError(tb, err)
	return again
}

// actions are what the audit of a tenant tells, oldest first.
func (w *world) actions(tb testing.TB, tenant tenancy.ID) []string {
	tb.Helper()
	rows, err := w.Admin(tb).Query(tb.Context(), "select action from audit_events where tenant_id = $1 order by id", tenant.String())
	require.NoError(tb, err)
	defer rows.Close()
	var actions []string
	for rows.Next() {
		var action string
		require.NoError(tb, rows.Scan(&action))
		actions = append(actions, action)
	}
	require.NoError(tb, rows.Err())
	return actions
}

// text reads one value past row level security, as text.
func (w *world) text(tb testing.TB, query string, args ...any) string {
	tb.Helper()
	var value string
	require.NoError(tb, w.Admin(tb).QueryRow(tb.Context(), query, args...).Scan(&value))
	return value
}

func client() sessions.Client {
	return sessions.Client{UserAgent: "Tests/1.0", Address: "192.0.2.1", RequestID: "req-1"}
}

// requireFault fails unless err is a fault of the kind with the code.
func requireFault(tb testing.TB, err error, kind fault.Kind, code string) fault.Error {
	tb.Helper()
	f, ok := fault.As(err)
	require.True(tb, ok, "want the fault %s, got %v", code, err)
	assert.Equal(tb, kind, f.Kind, f.Code)
	require.Equal(tb, code, f.Code, err)
	return *f
}

// atOnce runs act so many times at the same time and returns what each returned.
func atOnce[T any](times int, act func(n int) (T, error)) (values []T, failures []error) {
	type outcome struct {
		value T
		err   error
	}
	start, done := make(chan struct{}), make(chan outcome, times)
	for n := range times {
		go func() {
			<-start
			value, err := act(n)
			done <- outcome{value, err}
		}()
	}
	close(start)
	for range times {
		if o := <-done; o.err != nil {
			failures = append(failures, o.err)
		} else {
			values = append(values, o.value)
		}
	}
	return values, failures
}

// newPasswords hash at little cost.
func newPasswords(tb testing.TB) hasher {
	tb.Helper()
	return hasher{passwords.New(passwords.Config{Time: 1, MemoryKiB: 256})}
}

// oldHash was made with parameters that are not in use any more.
func oldHash(tb testing.TB, password string) string {
	tb.Helper()
	hash, err := passwords.New(passwords.Config{Time: 1, MemoryKiB: 128}).Hash(tb.Context(), password)
	require.NoError(tb, err)
	return hash
}

// hasher is the platform's as the domain takes it.
type hasher struct{ *passwords.Hasher }

func (hasher) Check(password string, about ...string) string {
	return passwords.Check(password, about...)
}

func (h hasher) Verify(ctx context.Context, password, hash string) (ok, outdated bool, err error) {
	if hash == "" {
		return false, false, h.VerifyNothing(ctx, password)
	}
	return h.Hasher.Verify(ctx, password, hash)
}
