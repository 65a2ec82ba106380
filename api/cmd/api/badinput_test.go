package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestBadBodies(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	key := s.signUp(t).key(t, "customers:read", "customers:write")
	long := strings.Repeat("x", 300)
	tests := map[string]struct {
		body     string
		status   int
		code     string
		pointers []string
	}{
		"nothing":          {"", 400, "malformed_json", []string{}},
		"broken":           {`{"name":`, 400, "malformed_json", []string{}},
		"a_list":           {`[{"name":"a"}]`, 400, "malformed_json", []string{}},
		"two_documents":    {`{"name":"a"}{"name":"b"}`, 400, "malformed_json", []string{}},
		"invalid_utf8":     {"{\"name\":\"a\xff\"}", 400, "malformed_json", []string{}},
		"too_deep":         {`{"name":"a","custom":` + strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50) + "}", 400, "malformed_json", []string{}},
		"a_million_deep":   {strings.Repeat("[", 1_000_000), 400, "malformed_json", []string{}},
		"duplicate_keys":   {`{"name":"a","name":"b"}`, 400, "duplicate_key", []string{"/name"}},
		"nul":              {`{"name":"a\u0000"}`, 422, "validation_failed", []string{"/name"}},
		"nul_in_custom":    {`{"name":"a","custom":{"k":"a\u0000"}}`, 422, "validation_failed", []string{"/custom/k"}},
		"wrong_types":      {`{"name":1,"tags":"a","custom":[]}`, 422, "validation_failed", []string{"/name", "/tags", "/custom"}},
		"unknown_field":    {`{"name":"a","nickname":"b"}`, 422, "validation_failed", []string{"/nickname"}},
		"read_only_field":  {`{"name":"a","id":"` + tenancy.NewID().String() + `","version":9}`, 422, "validation_failed", []string{"/id", "/version"}},
		"another_tenant":   {`{"name":"a","tenant_id":"` + tenancy.NewID().String() + `"}`, 422, "validation_failed", []string{"/tenant_id"}},
		"missing":          {`{}`, 422, "validation_failed", []string{"/name"}},
		"blank":            {`{"name":"  \t "}`, 422, "validation_failed", []string{"/name"}},
		"null":             {`{"name":null}`, 422, "validation_failed", []string{"/name"}},
		"too_long":         {`{"name":"` + long + `","code":"` + long + `"}`, 422, "validation_failed", []string{"/code", "/name"}},
		"not_an_email":     {`{"name":"a","email":"nobody"}`, 422, "validation_failed", []string{"/email"}},
		"control_letters":  {`{"name":"a\u0007b"}`, 422, "validation_failed", []string{"/name"}},
		"tag_twice":        {`{"name":"a","tags":["x","x"]}`, 422, "validation_failed", []string{"/tags"}},
		"blank_tag":        {`{"name":"a","tags":["x"," "]}`, 422, "validation_failed", []string{"/tags/1"}},
		"too_many_tags":    {`{"name":"a","tags":["` + strings.Join(strings.Fields(strings.Repeat("t ", 51)), `","`) + `"]}`, 422, "validation_failed", []string{"/tags"}},
		"absurd_number":    {`{"name":"a","custom":{"n":1e999999}}`, 422, "validation_failed", []string{"/custom/n"}},
		"vanishing_number": {`{"name":"a","custom":{"n":1e-999999}}`, 422, "validation_failed", []string{"/custom/n"}},
		"number_too_long":  {`{"name":"a","custom":{"n":` + strings.Repeat("9", 400) + `}}`, 422, "validation_failed", []string{"/custom/n"}},
		"over_a_megabyte":  {`{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "body_too_large", []string{}},
		"lone_surrogate":   {`{"name":"\ud800"}`, 201, "", nil},
		"emoji_and_quotes": {`{"name":"O'Brien \"✓\" 👍🏽 \\ % _"}`, 201, "", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.status == http.StatusCreated {
				key.must(t, tt.status, http.MethodPost, "/customers", tt.body)
				return
			}
			a := key.refused(t, tt.status, tt.code, http.MethodPost, "/customers", tt.body)
			assert.ElementsMatch(t, tt.pointers, a.pointers(), a.raw)
		})
	}
	t.Run("a_custom_object_comes_back_as_it_was_sent", func(t *testing.T) {
		t.Parallel()
		a := key.must(t, http.StatusCreated, http.MethodPost, "/customers",
			`{"name":"a","custom":{"big":12345678901234567890,"small":1.10,"deep":{"list":[1,"two",null,{"x":false}]}}}`)
		assert.Contains(t, a.raw, `"big":12345678901234567890`)
		b := key.must(t, http.StatusOK, http.MethodGet, "/customers/"+a.text("id"), nil)
		assert.Contains(t, b.raw, `12345678901234567890`)
		assert.JSONEq(t, `[1,"two",null,{"x":false}]`, b.raw[strings.Index(b.raw, `"list":`)+7:strings.LastIndex(b.raw, `]`)+1])
	})
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	key := s.signUp(t).key(t, "customers:read", "customers:write")
	for _, contentType := range []string{"", "text/plain", "application/xml", "application/json; charset=latin1", ";;", "multipart/form-data"} {
		key.with("Content-Type", contentType).refused(t, 415, "unsupported_media_type", http.MethodPost, "/customers", `{"name":"a"}`)
	}
	id := key.with("Content-Type", "Application/JSON; charset=UTF-8").
		must(t, 201, http.MethodPost, "/customers", `{"name":"a"}`).text("id")
	key.with("Content-Type", "application/merge-patch+json").refused(t, 415, "unsupported_media_type", http.MethodPost, "/customers", `{"name":"a"}`)
	key.with("Content-Type", "application/json").must(t, 200, http.MethodPatch, "/customers/"+id, `{"name":"b"}`)
	key.with("Content-Type", "application/json-patch+json").refused(t, 415, "unsupported_media_type", http.MethodPatch, "/customers/"+id, `[]`)
}

func TestMethodsAndPaths(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	key := s.signUp(t).key(t, "*")
	a := key.refused(t, 405, "method_not_allowed", http.MethodPut, "/customers", `{}`)
	assert.ElementsMatch(t, []string{"GET", "POST"}, strings.Split(a.header.Get("Allow"), ", "))
	a = key.refused(t, 405, "method_not_allowed", http.MethodPost, "/customers/"+tenancy.NewID().String(), `{}`)
	assert.ElementsMatch(t, []string{"GET", "PATCH", "DELETE"}, strings.Split(a.header.Get("Allow"), ", "))
	for _, path := range []string{"/nothing", "/customers/", "//", "//api", "//api/v2/customers", "//api/v1/../v1/customers", "/customers/x/y/z"} {
		key.refused(t, 404, "no_such_route", http.MethodGet, path, nil)
	}
	for _, id := range []string{"1", "x", "%00", "%ff", "{" + tenancy.NewID().String() + "}", strings.Repeat("a", 3000), "' OR 1=1--", "..%2f..%2fetc"} {
		a := key.do(t, http.MethodGet, "/customers/"+strings.NewReplacer(" ", "%20", "'", "%27").Replace(id), nil)
		assert.Contains(t, []int{400, 404}, a.status, id)
		assert.Contains(t, []string{"invalid_id", "no_such_route"}, a.text("code"), id)
	}
	id := tenancy.NewID().String()
	key.refused(t, 404, "customer.not_found", http.MethodGet, "/customers/"+id, nil)
	key.refused(t, 404, "customer.not_found", http.MethodGet, "/customers/"+strings.ToUpper(id), nil)
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	key := s.signUp(t).key(t, "customers:read", "customers:write")
	id := key.must(t, 201, http.MethodPost, "/customers", `{"name":"a"}`).text("id")
	for query, pointer := range map[string]string{
		"limit=0": "limit", "limit=101": "limit", "limit=ten": "limit", "limit=1e1": "limit", "limit=99999999999999999999": "limit",
		"limit=1&limit=2": "limit", "sort=": "sort", "sort=email": "sort", "sort=name,name": "sort", "sort=-": "sort",
		"nope=1": "nope", "name[like]=a": "name[like]", "name[=a": "name[", "name[gte]=a": "name[gte]", "tags=a": "tags",
		"custom=a": "custom", "custom.=a": "custom.", "created_at=yesterday": "created_at",
		"created_at[gte]=2026-13-01": "created_at[gte]", "created_at[gte]=-1-01-01T00:00:00Z": "created_at[gte]",
		"created_at[gte]=99999-01-01T00:00:00Z": "created_at[gte]", "id=1": "id", "code[null]=maybe": "code[null]",
		"trashed=yes": "trashed", "fields=secret": "fields", "tenant_id=" + tenancy.NewID().String(): "tenant_id",
		"name=%00": "name", "name=%ff": "name", "name=" + strings.Repeat("x", 1001): "name",
		"id=" + strings.Repeat(tenancy.NewID().String()+",", 101) + id: "id",
	} {
		a := key.refused(t, 400, "invalid_query", http.MethodGet, "/customers?"+query, nil)
		assert.Equal(t, []string{pointer}, a.pointers(), query)
	}
	for path, name := range map[string]string{
		"GET /customers/" + id + "?expand=orders": "expand", "DELETE /customers/" + id + "?force=1": "force",
		"GET /audit-events?x=1": "x", "GET /customers/" + id + "/history?sort=at": "sort",
	} {
		method, path, _ := strings.Cut(path, " ")
		a := s.signUp(t).key(t, "*").refused(t, 400, "invalid_query", method, path, nil)
		assert.Equal(t, []string{name}, a.pointers(), path)
	}
	for _, hostile := range []string{`'`, `''; drop table customers; --`, `\`, `%`, `_`, `a"b`, "$1", "{a,b}", "\u202e"} {
		key.must(t, 200, http.MethodGet, "/customers?name="+escape(hostile), nil)
		key.must(t, 200, http.MethodGet, "/customers?tags[any]="+escape(hostile), nil)
		key.must(t, 200, http.MethodGet, "/customers?custom."+escape(hostile)+"="+escape(hostile), nil)
	}
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[s[i]>>4])+string("0123456789abcdef"[s[i]&15])))
	}
	return b.String()
}

func TestCursors(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o, other := s.signUp(t), s.signUp(t)
	key, stranger := o.key(t, "*"), other.key(t, "*")
	for _, c := range []*client{key, stranger} {
		for _, name := range []string{"a", "b", "c"} {
			c.must(t, 201, http.MethodPost, "/customers", map[string]string{"name": name})
		}
	}
	first := key.must(t, 200, http.MethodGet, "/customers?limit=1&sort=name", nil)
	cursor := first.text("next_cursor")
	require.NotEmpty(t, cursor)
	assert.Contains(t, first.header.Get("Link"), `rel="next"`)
	assert.NotContains(t, cursor, "a\"", "what a cursor holds is sealed")

	second := key.must(t, 200, http.MethodGet, "/customers?limit=1&sort=name&cursor="+cursor, nil)
	assert.Equal(t, "b", second.text("data", 0, "name"))
	back := key.must(t, 200, http.MethodGet, "/customers?limit=1&sort=name&cursor="+second.text("prev_cursor"), nil)
	assert.Equal(t, "a", back.text("data", 0, "name"))
	assert.Nil(t, back.at("prev_cursor"))

	bad := func(c *client, query string) {
		a := c.refused(t, 400, "invalid_cursor", http.MethodGet, query, nil)
		assert.Equal(t, []string{"cursor"}, a.pointers())
	}
	bad(stranger, "/customers?limit=1&sort=name&cursor="+cursor)
	bad(key, "/customers?limit=1&sort=-name&cursor="+cursor)
	bad(key, "/customers?limit=1&sort=name&name=a&cursor="+cursor)
	bad(key, "/customers?limit=1&sort=name&trashed=with&cursor="+cursor)
	bad(key, "/audit-events?cursor="+cursor)
	bad(key, "/customers?cursor=x")
	bad(key, "/customers?cursor="+strings.Repeat("A", 9000))
	for i := range cursor {
		changed := []byte(cursor)
		if changed[i]++; changed[i] > 'z' || changed[i] == '[' || changed[i] == ':' {
			changed[i] = 'A'
		}
		bad(key, "/customers?limit=1&sort=name&cursor="+string(changed))
	}
}
