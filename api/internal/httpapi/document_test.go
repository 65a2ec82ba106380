package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/api/internal/httpapi"
	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/platform/metrics"
)

// described is the API without anything behind it: enough to tell what it is.
func described(t *testing.T) (*httpapi.API, http.Handler) {
	t.Helper()
	var services []*resource.Service
	for _, d := range catalog.All() {
		services = append(services, resource.NewService(d, resource.Dependencies{}))
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	api := httpapi.New(httpapi.Config{}, httpapi.Dependencies{
		Resources: services, Now: time.Now, Log: log, Metrics: metrics.NewHTTP(prometheus.NewRegistry()),
		Tenants:         metrics.NewTenants(prometheus.NewRegistry(), time.Now),
		CountStatements: func(ctx context.Context) (context.Context, func() int64) { return ctx, func() int64 { return 0 } },
	})
	handler, err := api.Handler()
	require.NoError(t, err)
	return api, handler
}

func get(t *testing.T, handler http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestDocument(t *testing.T) {
	t.Parallel()
	api, handler := described(t)
	served := get(t, handler, "/openapi.json")
	require.Equal(t, http.StatusOK, served.Code)
	var document map[string]any
	require.NoError(t, json.Unmarshal(served.Body.Bytes(), &document))
	paths, _ := document["paths"].(map[string]any)

	t.Run("is served to caches", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "application/json", served.Header().Get("Content-Type"))
		assert.Equal(t, "public, max-age=300", served.Header().Get("Cache-Control"))
		assert.NotEmpty(t, served.Header().Get("ETag"))
	})
	t.Run("has every route of the table, and no other under the base", func(t *testing.T) {
		t.Parallel()
		var want, got []string
		for _, r := range api.Routes() {
			want = append(want, r.Method+" "+httpapi.Base+r.Template())
		}
		for path, item := range paths {
			operations, _ := item.(map[string]any)
			for method := range operations {
				if strings.HasPrefix(path, httpapi.Base) {
					got = append(got, strings.ToUpper(method)+" "+path)
				}
			}
		}
		assert.ElementsMatch(t, want, got)
	})
	t.Run("fits the OpenAPI Initiative's own schema", func(t *testing.T) {
		t.Parallel()
		raw, err := os.ReadFile("../openapi/testdata/openapi-3.1.schema.json")
		require.NoError(t, err)
		official, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		require.NoError(t, err)
		c := jsonschema.NewCompiler()
		require.NoError(t, c.AddResource("openapi.json", official))
		schema, err := c.Compile("openapi.json")
		require.NoError(t, err)
		assert.NoError(t, schema.Validate(document))
	})
	t.Run("has examples that fit their schemas", func(t *testing.T) {
		t.Parallel()
		c := jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft2020)
		c.AssertFormat()
		require.NoError(t, c.AddResource("api.json", document))
		checked := checkExamples(t, c, document["paths"], "/paths") + checkExamples(t, c, document["components"], "/components")
		assert.Greater(t, checked, 50)
	})
	t.Run("says who may call what", func(t *testing.T) {
		t.Parallel()
		for _, r := range api.Routes() {
			item, _ := paths[httpapi.Base+r.Template()].(map[string]any)
			operation, _ := item[strings.ToLower(r.Method)].(map[string]any)
			security, _ := operation["security"].([]any)
			want := map[httpapi.Access]int{httpapi.Public: 0, httpapi.Signed: 1, httpapi.Tenant: 2}[r.Access]
			assert.Len(t, security, want, "%s %s", r.Method, r.Path)
			permission, _ := operation["x-permission"].(string)
			assert.Equal(t, r.Permission, permission, "%s %s", r.Method, r.Path)
			description, _ := operation["description"].(string)
			assert.Contains(t, description, r.Permission)
		}
	})
}

// checkExamples validates every example below the node by the schema beside it, and returns how many there were.
func checkExamples(t *testing.T, c *jsonschema.Compiler, node any, at string) int {
	t.Helper()
	checked := 0
	switch node := node.(type) {
	case map[string]any:
		if example, ok := node["example"]; ok && node["schema"] != nil {
			schema, err := c.Compile("api.json#" + at + "/schema")
			require.NoError(t, err)
			assert.NoError(t, schema.Validate(example), "the example at %s", at)
			checked++
		}
		for key, value := range node {
			if key != "example" && key != "examples" {
				key = strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(key)
				checked += checkExamples(t, c, value, at+"/"+key)
			}
		}
	case []any:
		for i, value := range node {
			checked += checkExamples(t, c, value, at+"/"+strconv.Itoa(i))
		}
	}
	return checked
}

func TestReference(t *testing.T) {
	t.Parallel()
	api, handler := described(t)
	link := regexp.MustCompile(`(?:href|src)="(/[^"#]*)?(?:#([^"]*))?"`)
	// The pages are found as a reader finds them.
	pages, queue := map[string]string{}, []string{"/docs"}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		if _, seen := pages[path]; seen {
			continue
		}
		w := get(t, handler, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		pages[path] = w.Body.String()
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			continue
		}
		policy := w.Header().Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'")
		assert.NotContains(t, policy, "unsafe")
		for _, found := range link.FindAllStringSubmatch(pages[path], -1) {
			if found[1] != "" {
				queue = append(queue, found[1])
			}
		}
	}

	t.Run("has no link that leads nowhere", func(t *testing.T) {
		t.Parallel()
		for path, text := range pages {
			for _, found := range link.FindAllStringSubmatch(text, -1) {
				target := found[1]
				if target == "" {
					target = path
				}
				if found[2] != "" && strings.HasPrefix(path, "/docs") {
					assert.Contains(t, pages[target], `id="`+found[2]+`"`, "%s links to %s#%s", path, target, found[2])
				}
			}
		}
	})
	t.Run("needs no other host and no inline code", func(t *testing.T) {
		t.Parallel()
		foreign := regexp.MustCompile(`(?i)(?:src|href|action)="(?:https?:)?//|<style|\bstyle="|\bon[a-z]+="|<script>|@import|\burl\(["']?(?:https?:)?//`)
		for path, text := range pages {
			if path != "/openapi.json" {
				assert.Empty(t, foreign.FindAllString(text, -1), path)
			}
		}
	})
	t.Run("shows every operation once", func(t *testing.T) {
		t.Parallel()
		all := strings.Join(slices.Collect(valuesOf(pages)), "\n")
		operations := regexp.MustCompile(`<section class="operation" id="([a-z_]+)">`).FindAllStringSubmatch(all, -1)
		assert.Len(t, operations, len(api.Routes())+3)
	})
	t.Run("explains every code where a problem's type points", func(t *testing.T) {
		t.Parallel()
		for _, code := range []string{"validation_failed", "auth.required", "customer.not_found", "customer.email_taken", "order.not_found"} {
			assert.Contains(t, pages["/docs/errors"], `id="`+code+`"`)
		}
	})
	t.Run("has the page of errors as it is in the repository", func(t *testing.T) {
		t.Parallel()
		original, err := os.ReadFile("../../../docs/errors.md")
		require.NoError(t, err)
		embedded, err := os.ReadFile("../reference/errors.md")
		require.NoError(t, err)
		assert.Equal(t, string(original), string(embedded), "docs/errors.md has changed; run: cd api && go generate ./internal/reference")
	})
}

func valuesOf(pages map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for path, text := range pages {
			if strings.HasPrefix(path, "/docs") && !yield(text) {
				return
			}
		}
	}
}
