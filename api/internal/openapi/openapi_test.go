package openapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/api/internal/openapi"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Boat has a field of every kind.
type Boat struct {
	resource.Base
	Name     string         `json:"name"     validate:"notblank,max=80,printable"    api:"filter,sort" doc:"What is painted on her." example:"Argo"`
	Number   string         `json:"number"   validate:"required,max=20"              api:"filter,unique,sequence"`
	Kind     string         `json:"kind"     validate:"oneof=sail motor"             api:"filter"`
	Flag     *string        `json:"flag"     validate:"omitempty,len=2"              api:"filter"`
	Length   int64          `json:"length"   validate:"min=1,max=500"                api:"filter,sort"`
	IsAfloat bool           `json:"afloat"   api:"filter"`
	Launched *time.Time     `json:"launched" api:"filter,sort"`
	OwnerID  *tenancy.ID    `json:"owner_id" api:"filter"`
	Total    int64          `json:"total_cents" api:"readonly"`
	Tags     []string       `json:"tags"     validate:"max=5,unique,dive,max=10"     api:"filter" gorm:"serializer:text_list"`
	Crew     []Sailor       `json:"crew"     validate:"min=1,max=9,dive"             api:"plain" gorm:"serializer:json"`
	Custom   map[string]any `json:"custom"   validate:"max=10"                       api:"filter" gorm:"serializer:json"`
}

type Sailor struct {
	Name string `json:"name" validate:"required,max=40"`
	Rank int64  `json:"rank" validate:"gt=0,lt=10"`
	Pay  int64  `json:"pay"  api:"readonly"`
}

func boats() *resource.Definition {
	return resource.Define[Boat](resource.Options{Name: "boat", Plural: "boats", DefaultSort: "-length"})
}

func table() openapi.Table {
	d := boats()
	boat := d.New()
	return openapi.Table{
		Title: "Boats", Version: "1.2.3", Base: "/v1",
		Capabilities: map[string]openapi.Capability{"harbour": {Name: "Harbour", Description: "Where boats lie."}},
		Routes: []openapi.Route{
			{Method: http.MethodGet, Path: "/boats", Access: openapi.Tenant, Permission: "boats:read", Summary: "List boats", Status: 200, Answer: boat, List: true, Filters: true, Resource: d},
			{Method: http.MethodPost, Path: "/boats", Access: openapi.Tenant, Permission: "boats:write", Summary: "Create a boat", Status: 201, Body: boat, Answer: boat, Resource: d},
			{Method: http.MethodGet, Path: "/boats/{id}", Access: openapi.Tenant, Summary: "Read a boat", Status: 200, Answer: boat, Params: []string{"fields", "trashed", "expand"}, Resource: d},
			{Method: http.MethodPatch, Path: "/boats/{id}", Access: openapi.Tenant, Summary: "Change a boat", Status: 200, Body: boat, Patch: true, Answer: boat, Resource: d},
			{Method: http.MethodDelete, Path: "/boats/{id}", Access: openapi.Tenant, Summary: "Delete a boat", Status: 204, Resource: d},
			{Method: http.MethodPost, Path: "/boats/bulk", Access: openapi.Tenant, Summary: "Do much", Status: 200, Body: struct{}{}, Answer: struct{}{}, MaxBody: 8 << 20, Resource: d},
			{Method: http.MethodPost, Path: "/boats/{id}/launch", Access: openapi.Tenant, Summary: "Launch a boat", Status: 200, Answer: boat, Resource: d},
			{Method: http.MethodPost, Path: "/harbour/enter", Summary: "Enter the harbour", Status: 200, Body: Sailor{}, Answer: Sailor{}, Secret: true},
			{Method: http.MethodGet, Path: "/harbour", Access: openapi.Session, Summary: "See the harbour", Status: 200, Answer: Sailor{}, Params: []string{"berth", "pier_id"}},
		},
	}
}

func built(t *testing.T) (*openapi.Document, map[string]any) {
	t.Helper()
	d := openapi.Build(table())
	data, err := d.JSON()
	require.NoError(t, err)
	var tree map[string]any
	require.NoError(t, json.Unmarshal(data, &tree))
	return d, tree
}

func TestBuild(t *testing.T) {
	t.Parallel()
	d, tree := built(t)

	t.Run("fits the OpenAPI Initiative's own schema", func(t *testing.T) {
		t.Parallel()
		raw, err := os.ReadFile("testdata/openapi-3.1.schema.json")
		require.NoError(t, err)
		official, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		require.NoError(t, err)
		c := jsonschema.NewCompiler()
		require.NoError(t, c.AddResource("openapi.json", official))
		schema, err := c.Compile("openapi.json")
		require.NoError(t, err)
		require.NoError(t, schema.Validate(tree))
		tree := map[string]any{"openapi": "3.1.1", "paths": map[string]any{}}
		require.Error(t, schema.Validate(tree), "a document without info does not fit")
	})
	t.Run("is the same every time", func(t *testing.T) {
		t.Parallel()
		first, err := d.JSON()
		require.NoError(t, err)
		for range 5 {
			again, err := openapi.Build(table()).JSON()
			require.NoError(t, err)
			require.Equal(t, string(first), string(again))
		}
	})
	t.Run("names operations by path and method", func(t *testing.T) {
		t.Parallel()
		ids := map[string]string{}
		for _, path := range d.Paths.Keys() {
			item := d.Paths.Get(path)
			for _, method := range item.Keys() {
				ids[method+" "+path] = item.Get(method).ID
			}
		}
		assert.Equal(t, map[string]string{
			"get /v1/boats": "boats_list", "post /v1/boats": "boats_create", "get /v1/boats/{id}": "boats_get",
			"patch /v1/boats/{id}": "boats_update", "delete /v1/boats/{id}": "boats_delete", "post /v1/boats/bulk": "boats_bulk",
			"post /v1/boats/{id}/launch": "boats_launch", "post /v1/harbour/enter": "harbour_enter", "get /v1/harbour": "harbour_get",
			"get /healthz": "service_health", "get /.well-known/jwks.json": "service_keys", "get /openapi.json": "service_openapi",
		}, ids)
	})
	t.Run("refuses two operations of one name", func(t *testing.T) {
		t.Parallel()
		twice := table()
		twice.Routes = append(twice.Routes, twice.Routes[0])
		assert.PanicsWithValue(t, "openapi: GET /boats and GET /boats would both be called boats_list", func() { openapi.Build(twice) })
	})
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	d, _ := built(t)
	schema := func(t *testing.T, name string) string {
		t.Helper()
		require.True(t, d.Components.Schemas.Has(name), "%s in %v", name, d.Components.Schemas.Keys())
		data, err := json.Marshal(d.Components.Schemas.Get(name))
		require.NoError(t, err)
		return string(data)
	}
	for _, test := range []struct{ name, schema, pointer, want string }{
		{"an answer has all fields", "Boat", "required", `["id","version","created_at","updated_at","deleted_at","name","number","kind","flag","length","afloat","launched","owner_id","total_cents","tags","crew","custom"]`},
		{"what is sent has what cannot be left out", "BoatInput", "required", `["name","kind","length","crew"]`},
		{"what is sent has no field of the server's", "BoatInput", "additionalProperties", `false`},
		{"a patch requires nothing", "BoatPatch", "required", `null`},
		{"a doc tag describes", "Boat", "properties/name/description", `"What is painted on her."`},
		{"an example tag shows", "Boat", "properties/name/examples", `["Argo"]`},
		{"a pointer may be null", "Boat", "properties/flag/type", `["string","null"]`},
		{"text is not null", "Boat", "properties/name/type", `"string"`},
		{"oneof is an enum", "BoatInput", "properties/kind/enum", `["sail","motor"]`},
		{"len bounds both ways", "BoatInput", "properties/flag/minLength", `2`},
		{"max bounds a number", "BoatInput", "properties/length/maximum", `500`},
		{"gt excludes", "SailorInput", "properties/rank/exclusiveMinimum", `0`},
		{"dive is about items", "BoatInput", "properties/tags/items/maxLength", `10`},
		{"unique items", "BoatInput", "properties/tags/uniqueItems", `true`},
		{"a list may be null where it may be empty", "BoatInput", "properties/tags/type", `["array","null"]`},
		{"a list may not be null where it may not be empty", "BoatInput", "properties/crew/type", `"array"`},
		{"items that are sent have no read-only fields", "SailorInput", "properties/pay", `null`},
		{"items that are answered have", "Sailor", "properties/pay/type", `"integer"`},
		{"a sequence says so", "BoatInput", "properties/number/description", `"Given in turn where it is left out."`},
		{"a bulk goes by unique fields", "BoatBulkInput", "properties/by/enum", `["number",null]`},
		{"a bulk is bounded", "BoatBulkInput", "properties/items/maxItems", `1000`},
		{"a page has its records", "BoatPage", "properties/data/items/$ref", `"#/components/schemas/Boat"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			assert.JSONEq(t, test.want, at(t, schema(t, test.schema), test.pointer))
		})
	}
}

// at returns the JSON at a path, null where there is none.
func at(t *testing.T, document, path string) string {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal([]byte(document), &v))
	for key := range strings.SplitSeq(path, "/") {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

func TestParameters(t *testing.T) {
	t.Parallel()
	d, _ := built(t)
	names := func(path, method string) []string {
		item := d.Paths.Get(path)
		var names []string
		for _, p := range item.Get(method).Parameters {
			if p.Ref != "" {
				p = d.Components.Parameters.Get(openapi.RefName(p.Ref))
			}
			names = append(names, p.Name)
		}
		return names
	}
	assert.Equal(t, []string{
		"id", "id[ne]", "created_at", "created_at[ne]", "created_at[gt]", "created_at[gte]", "created_at[lt]", "created_at[lte]",
		"updated_at", "updated_at[ne]", "updated_at[gt]", "updated_at[gte]", "updated_at[lt]", "updated_at[lte]",
		"deleted_at", "deleted_at[ne]", "deleted_at[gt]", "deleted_at[gte]", "deleted_at[lt]", "deleted_at[lte]", "deleted_at[null]",
		"name", "name[ne]", "number", "number[ne]", "kind", "kind[ne]", "flag", "flag[ne]", "flag[null]",
		"length", "length[ne]", "length[gt]", "length[gte]", "length[lt]", "length[lte]", "afloat",
		"launched", "launched[ne]", "launched[gt]", "launched[gte]", "launched[lt]", "launched[lte]", "launched[null]",
		"owner_id", "owner_id[ne]", "owner_id[null]", "tags[any]", "tags[all]", "custom",
		"limit", "cursor", "sort", "fields", "trashed",
	}, names("/v1/boats", "get"), "a list takes every filter of the definition")
	assert.Equal(t, []string{"id", "fields", "trashed", "If-None-Match"}, names("/v1/boats/{id}", "get"), "a boat refers to nothing")
	assert.Equal(t, []string{"id", "If-Match"}, names("/v1/boats/{id}", "patch"))
	assert.Equal(t, []string{"id", "If-Match"}, names("/v1/boats/{id}", "delete"))
	assert.Equal(t, []string{"id", "If-Match", "Idempotency-Key"}, names("/v1/boats/{id}/launch", "post"))
	assert.Equal(t, []string{"berth", "pier_id"}, names("/v1/harbour", "get"))
}

func TestResponses(t *testing.T) {
	t.Parallel()
	d, _ := built(t)
	statuses := func(path, method string) []string {
		item := d.Paths.Get(path)
		return item.Get(method).Responses.Keys()
	}
	assert.Equal(t, []string{"200", "400", "401", "403", "429", "500", "503"}, statuses("/v1/boats", "get"))
	assert.Equal(t, []string{"200", "304", "400", "401", "403", "404", "429", "500", "503"}, statuses("/v1/boats/{id}", "get"))
	assert.Equal(t, []string{"200", "400", "401", "403", "404", "409", "412", "413", "415", "422", "429", "500", "503"}, statuses("/v1/boats/{id}", "patch"))
	assert.Equal(t, []string{"204", "400", "401", "403", "404", "409", "412", "429", "500", "503"}, statuses("/v1/boats/{id}", "delete"))
	assert.Contains(t, statuses("/v1/boats/bulk", "post"), "207")
	assert.Equal(t, []string{"200", "304", "500"}, statuses("/openapi.json", "get"))

	harbour, boats := d.Paths.Get("/v1/harbour"), d.Paths.Get("/v1/boats")
	enter := d.Paths.Get("/v1/harbour/enter")
	assert.Equal(t, []map[string][]string{{"accessToken": {}}}, harbour.Get("get").Security)
	assert.Equal(t, []map[string][]string{{"accessToken": {}}, {"apiKey": {}}}, boats.Get("get").Security)
	assert.Empty(t, enter.Get("post").Security)
	assert.Equal(t, "boats:read", boats.Get("get").Permission)
}

// Every example is a value of the schema that it stands beside.
func TestExamples(t *testing.T) {
	t.Parallel()
	_, tree := built(t)
	checkExamples(t, tree)
}

func checkExamples(t *testing.T, tree map[string]any) {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	require.NoError(t, c.AddResource("api.json", tree))
	checked := 0
	var walk func(node any, at string)
	walk = func(node any, at string) {
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
					walk(value, at+"/"+escape(key))
				}
			}
		case []any:
			for i, value := range node {
				walk(value, at+"/"+strconv.Itoa(i))
			}
		}
	}
	walk(tree["components"], "/components")
	walk(tree["paths"], "/paths")
	assert.Greater(t, checked, 20)
}

func escape(key string) string {
	var b bytes.Buffer
	for _, r := range key {
		switch r {
		case '~':
			b.WriteString("~0")
		case '/':
			b.WriteString("~1")
		case '{':
			b.WriteString("%7B")
		case '}':
			b.WriteString("%7D")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
