package openapitest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/api/internal/openapi/openapitest"
)

const document = `{
 "openapi": "3.1.1", "info": {"title": "Boats", "version": "1"},
 "paths": {
  "/boats": {
   "get": {
    "security": [{"token": []}],
    "parameters": [
     {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}},
     {"name": "kind", "in": "query", "style": "form", "explode": false, "schema": {"type": "array", "items": {"type": "string", "enum": ["sail", "motor"]}}},
     {"name": "afloat", "in": "query", "schema": {"type": "boolean"}},
     {"name": "custom", "in": "query", "style": "form", "explode": true, "schema": {"type": "object", "patternProperties": {"^custom\\..+$": {"type": "string", "maxLength": 5}}, "additionalProperties": true}},
     {"$ref": "#/components/parameters/Fields"}
    ],
    "responses": {"200": {"description": "", "headers": {"Count": {"schema": {"type": "integer"}}}, "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Boat"}}}}},
     "400": {"$ref": "#/components/responses/Bad"}}
   },
   "post": {
    "security": [],
    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/BoatInput"}}}},
    "responses": {"201": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Boat"}}}}, "204": {"description": ""}, "400": {"$ref": "#/components/responses/Bad"}}
   }
  },
  "/boats/{id}": {"get": {"security": [],
    "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}}, {"name": "X-Key", "in": "header", "required": true, "schema": {"type": "string"}}],
    "responses": {"204": {"description": ""}, "400": {"$ref": "#/components/responses/Bad"}}}}
 },
 "components": {
  "parameters": {"Fields": {"name": "fields", "in": "query", "schema": {"type": "string"}}},
  "responses": {"Bad": {"description": "", "content": {"application/problem+json": {"schema": {"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}}}}}},
  "schemas": {
   "Boat": {"type": "object", "required": ["name", "length"], "properties": {"name": {"type": "string"}, "length": {"type": "integer"}}},
   "BoatInput": {"type": "object", "required": ["name"], "additionalProperties": false, "properties": {"name": {"type": "string", "minLength": 1}}}
  }
 }
}`

// reported is a test that notes its failures.
type reported struct {
	testing.TB

	failures []string
}

func (r *reported) Helper() {}

func (r *reported) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// script answers what a test wants to have answered.
type script struct {
	status      int
	contentType string
	header      map[string]string
	body        string
}

func TestValidate(t *testing.T) {
	t.Parallel()
	boat := script{200, "application/json", nil, `[{"name": "Argo", "length": 30}]`}
	bad := script{400, "application/problem+json", nil, `{"code": "bad"}`}
	const token = "Authorization: Bearer x"
	for _, test := range []struct {
		name, request, header, body string
		answer                      script
		want                        string // part of the failure; "" for none
	}{
		{"what fits", "GET /boats?limit=3&kind=sail,motor&afloat=true&custom.color=red", token, "", boat, ""},
		{"a described failure", "GET /boats?limit=many", "", "", bad, ""},
		{"what is not there", "GET /ships", "", "", script{404, "application/problem+json", nil, `{}`}, ""},
		{"a method that is not taken", "PUT /boats", "", "", script{405, "", map[string]string{"Allow": "GET"}, ""}, ""},
		{"pages for people", "GET /docs/boats", "", "", script{200, "text/html", nil, "<p>"}, ""},
		{"an accepted body", "POST /boats", "", `{"name": "Argo"}`, script{201, "application/json", nil, `{"name": "Argo", "length": 30}`}, ""},
		{"fields that were asked for", "GET /boats?fields=name", token, "", script{200, "application/json", nil, `[{"name": "Argo"}]`}, ""},
		{"no body where none is described", "POST /boats", "", `{"name": "Argo"}`, script{204, "", nil, ""}, ""},

		{"an operation that is not described", "GET /ships", "", "", script{200, "application/json", nil, `{}`}, "the operation is not described"},
		{"a method that is not described", "PUT /boats", "", "", script{200, "application/json", nil, `{}`}, "the operation is not described"},
		{"a status that is not described", "GET /boats", token, "", script{418, "", nil, ""}, "the status is not described"},
		{"a header that is not described", "GET /boats", token, "", script{200, "application/json", map[string]string{"X-Secret": "1"}, boat.body}, "the header X-Secret is not described"},
		{"a header of another type", "GET /boats", token, "", script{200, "application/json", map[string]string{"Count": "many"}, boat.body}, "the header Count"},
		{"another content type", "GET /boats", token, "", script{200, "text/plain", nil, boat.body}, `the type "text/plain" of the answer is not described`},
		{"a field that is missing", "GET /boats", token, "", script{200, "application/json", nil, `[{"name": "Argo"}]`}, "missing property 'length'"},
		{"a field that is not described", "GET /boats", token, "", script{200, "application/json", nil, `[{"name": "Argo", "length": 30, "tons": 3}]`}, "additional properties 'tons' not allowed"},
		{"a field that was asked for and is not described", "GET /boats?fields=name", token, "", script{200, "application/json", nil, `[{"tons": 3}]`}, "additional properties 'tons' not allowed"},
		{"a value of another type", "GET /boats", token, "", script{200, "application/json", nil, `[{"name": "Argo", "length": "30"}]`}, "got string, want integer"},
		{"an answer that is no JSON", "GET /boats", token, "", script{200, "application/json", nil, `[{`}, "is no JSON"},
		{"a body where none is described", "POST /boats", "", `{"name": "Argo"}`, script{204, "", nil, "{}"}, "the answer has a body"},
		{"a failure of another form", "GET /boats", token, "", script{400, "application/problem+json", nil, `{}`}, "missing property 'code'"},
		{"nobody is let in", "GET /boats", "", "", boat, "accepted without a credential"},
		{"a parameter that is not described", "GET /boats?color=red", token, "", boat, "the parameter color was accepted and is not described"},
		{"a parameter beyond its bounds", "GET /boats?limit=101", token, "", boat, "the parameter limit was accepted"},
		{"a parameter of another type", "GET /boats?afloat=maybe", token, "", boat, "the parameter afloat was accepted"},
		{"one of several values", "GET /boats?kind=sail,steam", token, "", boat, "the parameter kind was accepted"},
		{"a member of an object beyond its bounds", "GET /boats?custom.color=vermilion", token, "", boat, "the parameter custom was accepted"},
		{"a path parameter of another form", "GET /boats/7", "X-Key: 1", "", script{204, "", nil, ""}, "the parameter id was accepted"},
		{"a header that is required", "GET /boats/01980c2e-5d0b-7c3a-9a57-0f6c1f5f7d11", "", "", script{204, "", nil, ""}, "without the parameter X-Key"},
		{"an accepted body that does not fit", "POST /boats", "", `{"name": ""}`, script{204, "", nil, ""}, "the accepted request: "},
		{"an accepted body with an unknown field", "POST /boats", "", `{"name": "Argo", "tons": 3}`, script{204, "", nil, ""}, "additional properties 'tons' not allowed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			watch := &reported{TB: t}
			handler := openapitest.Validate(watch, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/openapi.json" {
					_, _ = io.WriteString(w, document)
					return
				}
				_, err := io.Copy(io.Discard, r.Body)
				assert.NoError(t, err)
				for name, value := range test.answer.header {
					w.Header().Set(name, value)
				}
				if test.answer.contentType != "" {
					w.Header().Set("Content-Type", test.answer.contentType)
				}
				w.WriteHeader(test.answer.status)
				_, _ = io.WriteString(w, test.answer.body)
			}))
			method, target, _ := strings.Cut(test.request, " ")
			request := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(test.body))
			if name, value, ok := strings.Cut(test.header, ": "); ok {
				request.Header.Set(name, value)
			}
			if test.body != "" {
				request.Header.Set("Content-Type", "application/json")
			}
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, request)
			assert.Equal(t, test.answer.status, recorder.Code)
			assert.Equal(t, test.answer.body, recorder.Body.String(), "the answer passes through")
			if test.want == "" {
				assert.Empty(t, watch.failures)
				return
			}
			require.NotEmpty(t, watch.failures)
			assert.Contains(t, strings.Join(watch.failures, "\n"), test.want)
		})
	}
}
