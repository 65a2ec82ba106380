package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/platform/metrics"
)

// bare is an API with one public route of the test's own, whose logger has the hooks.
func bare(t *testing.T, route Route, hooks ...logrus.Hook) (http.Handler, *bytes.Buffer) {
	t.Helper()
	local, err := limits.NewLocal(limits.LocalConfig{Clock: time.Now})
	require.NoError(t, err)
	log := new(bytes.Buffer)
	logger := logging.New(logging.Config{Output: log})
	for _, hook := range hooks {
		logger.AddHook(hook)
	}
	a := &API{config: Config{RequestTimeout: 50 * time.Millisecond}, routes: []Route{route}, deps: Dependencies{
		Limiter: local, Log: logger, Metrics: metrics.NewHTTP(prometheus.NewRegistry()),
		Tenants: metrics.NewTenants(prometheus.NewRegistry(), time.Now), Now: time.Now,
		CountStatements: func(ctx context.Context) (context.Context, func() int64) { return ctx, func() int64 { return 0 } },
	}}
	handler, err := a.Handler()
	require.NoError(t, err)
	return handler, log
}

func ask(t *testing.T, handler http.Handler) (*httptest.ResponseRecorder, problem) {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, Base+"/test", nil))
	var p problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p), w.Body.String())
	return w, p
}

func TestPanic(t *testing.T) {
	t.Parallel()
	handler, log := bare(t, Route{Method: http.MethodGet, Path: "/test", Handle: func(*Call) error { panic("a secret of the inside") }})
	w, p := ask(t, handler)
	assert.Equal(t, http.StatusInternalServerError, w.Code)
	assert.Equal(t, "internal", p.Code)
	assert.NotContains(t, w.Body.String(), "inside")
	assert.Contains(t, log.String(), "a secret of the inside")
	assert.Contains(t, log.String(), "manners_test.go", "the stack is in the log")
	assert.Contains(t, log.String(), p.RequestID)
}

func TestRequestTimeout(t *testing.T) {
	t.Parallel()
	handler, _ := bare(t, Route{Method: http.MethodGet, Path: "/test", Handle: func(c *Call) error {
		<-c.Context().Done()
		return c.Context().Err()
	}})
	w, p := ask(t, handler)
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, "timeout", p.Code)
	assert.NotEmpty(t, w.Header().Get("Retry-After"))
}

// reversal is a sealer of the test's own: what is sealed begins with what it is bound to.
type reversal struct{}

func (reversal) Seal(plaintext, aad []byte) ([]byte, error) {
	return append(bytes.Clone(aad), plaintext...), nil
}

func (reversal) Open(sealed, aad []byte) ([]byte, error) {
	plain, ok := bytes.CutPrefix(sealed, aad)
	if !ok {
		return nil, http.ErrNoCookie
	}
	return plain, nil
}

// FuzzCursor checks that no text makes the reader of cursors panic or answer anything but a fault, and that what was
// sealed opens as it was.
func FuzzCursor(f *testing.F) {
	scope := tenancy.Scope{Tenant: tenancy.NewID()}
	cs := cursors{sealer: reversal{}}
	good, err := cs.seal(scope, "list", cursor{Position: page.Position{"a", nil, "b"}, Backward: true})
	require.NoError(f, err)
	for _, seed := range []string{"", "x", good, good + "A", good[:len(good)-1], "=", "....", "\x00\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var request page.Request
		err := cs.open(scope, "list", text, &request)
		if err != nil {
			_, refused := problemOf(err, "")
			require.Equal(t, "invalid_cursor", refused.Code)
			require.Empty(t, request.After)
			return
		}
		if text == good {
			require.Equal(t, page.Request{After: page.Position{"a", nil, "b"}, Backward: true}, request)
		}
	})
}
