package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/api/internal/httpapi"
	"github.com/groundwork-saas/groundwork/api/internal/openapi/openapitest"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

// stack is the whole API over a database of the test's own, without Redis.
type stack struct {
	*databasetest.Database

	api      *httpapi.API
	process  *process
	base     *backend.Process
	handler  http.Handler
	url      string
	registry *prometheus.Registry
	logs     *safeBuffer
	filesDir string
	// ahead is how far the API's clock is ahead of the real one, in nanoseconds.
	ahead atomic.Int64
}

// password is good enough for the policy, and of nobody.
const password = "correct horse battery staple"

func newStack(t *testing.T, change ...func(*settings)) *stack {
	t.Helper()
	s := &stack{Database: databasetest.New(t), registry: metrics.New("api"), logs: &safeBuffer{}, filesDir: filepath.Join(t.TempDir(), "files")}
	masterKey, err := seal.NewMasterKey()
	require.NoError(t, err)
	var cfg settings
	require.NoError(t, config.Load(&cfg, nil, []string{
		"DATABASE_URL=" + s.AppURL, "REDIS_URL=redis://127.0.0.1:1", "MASTER_KEY=" + masterKey,
		"FILES_DIR=" + s.filesDir, "RATE_LIMIT_ADDRESS=100000/1s", "RATE_LIMIT_ACCOUNT=1000/1s", "DATABASE_MAX_CONNECTIONS=12",
		"WEBHOOK_ALLOW=127.0.0.1:9",
	}))
	for _, c := range change {
		c(&cfg)
	}
	s.base = &backend.Process{Log: logging.New(logging.Config{Output: s.logs, Process: "api"}), Registry: s.registry, Now: s.now}
	s.base.Backend, err = backend.Open(t.Context(), cfg.Common, s.base.Log, s.registry, s.now)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.base.Component().Stop(t.Context())) })
	s.start(t, cfg)
	return s
}

func (s *stack) start(t *testing.T, cfg settings) {
	t.Helper()
	local, err := limits.NewLocal(limits.LocalConfig{Clock: s.now})
	require.NoError(t, err)
	s.process, err = wire(t.Context(), cfg, s.base, local)
	require.NoError(t, err)
	t.Cleanup(s.process.bells.Close)
	s.api = s.process.api
	s.handler, err = s.api.Handler()
	require.NoError(t, err)
	server := httptest.NewServer(openapitest.Validate(t, s.handler))
	t.Cleanup(server.Close)
	s.url = server.URL
}

func (s *stack) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

func (s *stack) advance(d time.Duration) { s.ahead.Add(int64(d)) }

// client calls the API with a credential.
type client struct {
	stack  *stack
	token  string
	header http.Header
}

func (s *stack) anonymous() *client { return &client{stack: s} }

// as is a client with a credential.
func (s *stack) as(token string) *client { return &client{stack: s, token: token} }

func (c *client) with(name, value string) *client {
	h := c.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set(name, value)
	return &client{stack: c.stack, token: c.token, header: h}
}

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

// do calls a path under the API's base, or under the origin where it begins with //; body is JSON text, or a value that is written as JSON, or nil.
func (c *client) do(tb testing.TB, method, path string, body any) answer {
	tb.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		require.NoError(tb, err)
		reader = bytes.NewReader(data)
	}
	target := c.stack.url + httpapi.Base + path
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		target = c.stack.url + "/" + rest
	}
	request, err := http.NewRequestWithContext(tb.Context(), method, target, reader)
	require.NoError(tb, err)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			request.Header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	maps.Copy(request.Header, c.header)
	response, err := http.DefaultClient.Do(request)
	require.NoError(tb, err)
	defer func() { assert.NoError(tb, response.Body.Close()) }()
	data, err := io.ReadAll(response.Body)
	require.NoError(tb, err)
	a := answer{status: response.StatusCode, header: response.Header, raw: string(data)}
	if len(data) > 0 {
		require.NoError(tb, json.Unmarshal(data, &a.body), "every body is a JSON object: %s", data)
	}
	return a
}

// must is do, and requires the status.
func (c *client) must(tb testing.TB, status int, method, path string, body any) answer {
	tb.Helper()
	a := c.do(tb, method, path, body)
	require.Equal(tb, status, a.status, "%s %s answered %s", method, path, a.raw)
	return a
}

// refused is do, and requires a problem with the status and code.
func (c *client) refused(tb testing.TB, status int, code, method, path string, body any) answer {
	tb.Helper()
	a := c.must(tb, status, method, path, body)
	require.Equal(tb, "application/problem+json", a.header.Get("Content-Type"))
	require.Equal(tb, code, a.text("code"), "%s %s answered %s", method, path, a.raw)
	require.NotEmpty(tb, a.text("detail"))
	require.Equal(tb, a.header.Get("X-Request-Id"), a.text("request_id"))
	return a
}

// at follows keys and returns what is there.
func (a answer) at(path ...any) any {
	var v any = a.body
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				return nil
			}
			v = l[step]
		}
	}
	return v
}

// count is how many a list holds.
func (a answer) count() int {
	list, _ := a.at("data").([]any)
	return len(list)
}

func (a answer) text(path ...any) string {
	s, _ := a.at(path...).(string)
	return s
}

// pointers are where a problem's errors stand.
func (a answer) pointers() []string {
	list, _ := a.at("errors").([]any)
	pointers := make([]string, len(list))
	for i := range list {
		pointers[i] = a.text("errors", i, "pointer")
	}
	return pointers
}

// owner is somebody with an organization of their own.
type owner struct {
	*client

	email, tenant, user, refresh string
}

var people atomic.Int64

// signUp makes a user and their organization.
func (s *stack) signUp(tb testing.TB) owner {
	tb.Helper()
	email := fmt.Sprintf("owner%d@example.com", people.Add(1))
	a := s.anonymous().must(tb, http.StatusCreated, http.MethodPost, "/auth/signup",
		map[string]any{"name": "Olive Owner", "email": email, "password": password, "organization": "Acme"})
	return s.ownerOf(a, email)
}

// ownerOf is whoever has signed up or in with the answer.
func (s *stack) ownerOf(a answer, email string) owner {
	return owner{
		client: s.as(a.text("access_token")), email: email,
		tenant: a.text("tenant", "id"), user: a.text("user", "id"), refresh: a.text("refresh_token"),
	}
}

// join makes somebody new a member of the organization.
func (o owner) join(tb testing.TB, role string) owner {
	tb.Helper()
	email := fmt.Sprintf("joined%d@example.com", people.Add(1))
	token := o.must(tb, http.StatusCreated, http.MethodPost, "/invitations", map[string]string{"email": email, "role": role}).text("token")
	a := o.stack.anonymous().must(tb, http.StatusOK, http.MethodPost, "/invitations/accept", map[string]string{"token": token, "name": "Joined", "password": password})
	return o.stack.ownerOf(a, email)
}

// suspend suspends an organization.
func (s *stack) suspend(tb testing.TB, tenant string) {
	tb.Helper()
	s.Exec(tb, "update tenants set state = 'suspended' where id = $1", tenant)
}

// key makes an API key and returns a client that uses it.
func (o owner) key(tb testing.TB, scopes ...string) *client {
	tb.Helper()
	a := o.must(tb, http.StatusCreated, http.MethodPost, "/api-keys", map[string]any{"name": "test", "scopes": scopes})
	return o.stack.as(a.text("key"))
}
