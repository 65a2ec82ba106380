package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/ulule/limiter/v3"

	"github.com/groundwork-saas/groundwork/api/internal/httpapi"
	"github.com/groundwork-saas/groundwork/api/internal/identity"
	"github.com/groundwork-saas/groundwork/api/internal/openapi/openapitest"
	"github.com/groundwork-saas/groundwork/domain/accounts"
	"github.com/groundwork-saas/groundwork/domain/apikeys"
	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/signingkeys"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/passwords"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/platform/tokens"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

const goodPassword = "correct horse battery staple"

// site is the API over a database of its own, served over HTTP.
type site struct {
	*storetest.Stack

	URL     string
	API     *httpapi.API
	Tenants *tenants.Service
	Users   *users.Service
	Keyring *signingkeys.Keyring
	server  *httptest.Server
	log     *bytes.Buffer
	people  atomic.Int64
}

// siteConfig is what a test may choose; zero values are generous.
type siteConfig struct {
	httpapi.Config

	// Account limits the attempts on one account.
	Account limits.Rate
	// TokenTTL is how long access tokens last.
	TokenTTL time.Duration
}

func newSite(tb testing.TB, config siteConfig) *site {
	tb.Helper()
	plenty := limits.Rate{Limit: 1_000_000, Per: time.Minute}
	for _, rate := range []*limits.Rate{&config.TenantRate, &config.KeyRate, &config.AddressRate, &config.Account} {
		if *rate == (limits.Rate{}) {
			*rate = plenty
		}
	}
	if config.TokenTTL == 0 {
		config.TokenTTL = 10 * time.Minute
	}
	s := &site{Stack: storetest.New(tb), log: &bytes.Buffer{}}
	now := time.Now
	router := postgres.Shared{DB: s.DB}
	validator := validate.New()
	auditLog := postgres.NewAudit(router)
	var services []*resource.Service
	for _, d := range catalog.All() {
		require.NoError(tb, s.DB.Register(d.New()))
		services = append(services, resource.NewService(d, resource.Dependencies{
			Store: postgres.NewResources(router), History: auditLog, Validator: validator, Now: now,
		}))
	}
	sealing := newSealer(tb)
	ring, err := tokens.New(tokens.Config{Issuer: "test", Audience: "test", TTL: config.TokenTTL, Now: now}, nil)
	require.NoError(tb, err)
	s.Keyring = signingkeys.NewKeyring(postgres.NewSigningKeys(s.DB, sealing), identity.Replace(ring), now, signingkeys.Config{})
	require.NoError(tb, s.Keyring.Ensure(tb.Context()))

	store, roles := postgres.NewIdentity(s.DB), members.NewRoles(catalog.Permissions())
	hasher := identity.Passwords{Hasher: passwords.New(passwords.Config{Time: 1, MemoryKiB: 256})}
	keys := apikeys.NewService(apikeys.Needs{
		Store: store, Secrets: identity.Secrets(), Roles: roles, Validate: validator, Now: now,
	})
	signedIn := sessions.NewService(sessions.Needs{
		Store: store, Tokens: identity.NewTokens(ring, s.Keyring, config.TokenTTL), Passwords: hasher,
		Secrets: identity.Secrets(), Roles: roles, Validate: validator, Now: now,
	}, sessions.Config{})
	s.Tenants, s.Users = tenants.NewService(store, validator, now), users.NewService(store, hasher, validator, now)
	local, err := limits.NewLocal(limits.LocalConfig{Clock: now})
	require.NoError(tb, err)
	log := logrus.New()
	log.SetOutput(s.log)

	s.API = httpapi.New(config.Config, httpapi.Dependencies{
		Resources: services, Audit: audit.NewService(auditLog), Idempotency: postgres.NewIdempotency(router),
		Identity: httpapi.Identity{
			Credentials: sessions.NewCredentials(signedIn, keys), Sessions: signedIn, Users: s.Users, Tenants: s.Tenants,
			Accounts: accounts.NewService(accounts.Needs{
				Store: store, Secrets: identity.Secrets(), Passwords: hasher, Validate: validator, Now: now,
			}),
			Members:     members.NewService(store, validator, now),
			Invitations: members.NewInvitations(store, identity.Secrets(), validator, now),
			Keys:        keys, Roles: roles, KeySet: ring.JWKS,
			Account: limiter.New(redis.NewStore(redis.StoreConfig{Engine: local, Name: "account", Clock: now}), redis.RateOf(config.Account)),
		},
		Limiter: local, Sealer: sealing, Log: log, Metrics: metrics.NewHTTP(prometheus.NewRegistry()), Tenants: metrics.NewTenants(prometheus.NewRegistry(), now), Now: now,
		CountStatements: func(ctx context.Context) (context.Context, func() int64) {
			ctx, stats := postgres.WithStats(ctx)
			return ctx, stats.Statements
		},
	})
	handler, err := s.API.Handler()
	require.NoError(tb, err)
	s.server = httptest.NewServer(openapitest.Validate(tb, handler))
	tb.Cleanup(s.server.Close)
	s.URL = s.server.URL
	return s
}

type sealer struct{ *seal.Sealer }

func newSealer(tb testing.TB) sealer {
	tb.Helper()
	master, err := seal.NewMasterKey()
	require.NoError(tb, err)
	inner, err := seal.New(master)
	require.NoError(tb, err)
	return sealer{inner}
}

func (s sealer) Seal(plain, binding []byte) ([]byte, error) {
	return s.Sealer.Seal(plain, seal.AAD{Table: "-", Column: "-", Row: string(binding)})
}

func (s sealer) Open(sealed, binding []byte) ([]byte, error) {
	return s.Sealer.Open(sealed, seal.AAD{Table: "-", Column: "-", Row: string(binding)})
}

// reply is an answer, read to its end.
type reply struct {
	tb     testing.TB
	Status int
	Header http.Header
	Body   []byte
}

// call sends a request with a credential, "" for none, and a body, nil for none. Headers are pairs of name and value.
func (s *site) call(tb testing.TB, method, path, token string, body any, headers ...string) reply {
	tb.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = bytes.NewReader([]byte(b))
	default:
		data, err := json.Marshal(b)
		require.NoError(tb, err)
		reader = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(tb.Context(), method, s.URL+path, reader)
	require.NoError(tb, err)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(tb, err)
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	require.NoError(tb, err)
	return reply{tb: tb, Status: response.StatusCode, Header: response.Header, Body: data}
}

// want fails unless the answer has the status, and returns it.
func (r reply) want(status int) reply {
	r.tb.Helper()
	require.Equal(r.tb, status, r.Status, "%s", r.Body)
	return r
}

// problem fails unless the answer is a problem with the status and the code.
func (r reply) problem(status int, code string) reply {
	r.tb.Helper()
	r.want(status)
	assert.Equal(r.tb, "application/problem+json", r.Header.Get("Content-Type"))
	require.Equal(r.tb, code, r.text("code"), "%s", r.Body)
	return r
}

// value is what stands at a path of keys and indexes in the JSON body.
func (r reply) value(path ...any) any {
	r.tb.Helper()
	var v any
	require.NoError(r.tb, json.Unmarshal(r.Body, &v), "%s", r.Body)
	for _, step := range path {
		switch at := v.(type) {
		case map[string]any:
			key, _ := step.(string)
			require.Contains(r.tb, at, key, "%s", r.Body)
			v = at[key]
		case []any:
			n, _ := step.(int)
			require.Less(r.tb, n, len(at), "%s", r.Body)
			v = at[n]
		default:
			require.Fail(r.tb, "no such place", "%v in %s", path, r.Body)
		}
	}
	return v
}

func (r reply) text(path ...any) string {
	r.tb.Helper()
	s, ok := r.value(path...).(string)
	require.True(r.tb, ok, "%v is no text in %s", path, r.Body)
	return s
}

func (r reply) count() int {
	r.tb.Helper()
	data, _ := r.value("data").([]any)
	return len(data)
}

// account is somebody who is signed in.
type account struct {
	Email, User, Tenant, Access, Refresh string
}

func accountOf(r reply, email string) account {
	r.tb.Helper()
	return account{
		Email: email, User: r.text("user", "id"), Tenant: r.text("tenant", "id"),
		Access: r.text("access_token"), Refresh: r.text("refresh_token"),
	}
}

// signUp makes somebody with an organization of their own.
func (s *site) signUp(tb testing.TB) account {
	tb.Helper()
	n := s.people.Add(1)
	email := fmt.Sprintf("person%d@example.test", n)
	return accountOf(s.call(tb, http.MethodPost, "/api/v1/auth/signup", "", map[string]any{
		"name": fmt.Sprintf("Person %d", n), "email": email, "password": goodPassword, "organization": fmt.Sprintf("Org %d", n),
	}).want(http.StatusCreated), email)
}

// join makes somebody new a member of an organization.
func (s *site) join(tb testing.TB, by account, role string) account {
	tb.Helper()
	email := fmt.Sprintf("person%d@example.test", s.people.Add(1))
	token := s.call(tb, http.MethodPost, "/api/v1/invitations", by.Access, map[string]any{"email": email, "role": role}).
		want(http.StatusCreated).text("token")
	return accountOf(s.call(tb, http.MethodPost, "/api/v1/invitations/accept", "", map[string]any{
		"token": token, "name": "Joined", "password": goodPassword,
	}).want(http.StatusOK), email)
}

// key makes an API key.
func (s *site) key(tb testing.TB, by account, scopes ...string) (id, token string) {
	tb.Helper()
	r := s.call(tb, http.MethodPost, "/api/v1/api-keys", by.Access, map[string]any{"name": "Key", "scopes": scopes}).
		want(http.StatusCreated)
	return r.text("id"), r.text("key")
}

func (s *site) suspend(tb testing.TB, tenant string) {
	tb.Helper()
	_, err := s.Tenants.Suspend(tb.Context(), tenancy.MustParseID(tenant), "op-1")
	require.NoError(tb, err)
}
