package body_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/api/internal/body"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

type line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

type sample struct {
	resource.Base
	Name   string         `json:"name"   api:"plain"`
	Code   *string        `json:"code"   api:"plain"`
	Paid   bool           `json:"paid"   api:"plain"`
	Cents  int64          `json:"cents"  api:"plain"`
	At     *time.Time     `json:"at"     api:"plain"`
	Owner  *tenancy.ID    `json:"owner"  api:"plain"`
	Tags   []string       `json:"tags"   api:"plain"`
	Custom map[string]any `json:"custom" api:"plain"`
	State  string         `json:"state"  api:"readonly"`
	Lines  []line         `json:"lines"  api:"plain"`
}

func TestDecode(t *testing.T) {
	t.Parallel()

	t.Run("reads_every_kind", func(t *testing.T) {
		t.Parallel()
		var s sample
		require.NoError(t, body.Decode([]byte(`{"name":"Ann","code":null,"paid":true,"cents":-9007199254740993,
			"at":"2026-07-01T10:00:00.123456789+02:00","owner":"01890a5d-ac96-774b-bcce-b302099a8057","tags":["a","b"],
			"custom":{"n":12345678901234567890,"deep":{"x":[1,{"y":null}]}},"lines":[{"sku":"A","quantity":2}]}`), &s))
		assert.Equal(t, "Ann", s.Name)
		assert.Nil(t, s.Code)
		assert.True(t, s.Paid)
		assert.Equal(t, int64(-9007199254740993), s.Cents)
		assert.Equal(t, time.Date(2026, 7, 1, 8, 0, 0, 123456000, time.UTC), *s.At)
		assert.Equal(t, "01890a5d-ac96-774b-bcce-b302099a8057", s.Owner.String())
		assert.Equal(t, []line{{SKU: "A", Quantity: 2}}, s.Lines)
		custom, err := json.Marshal(s.Custom)
		require.NoError(t, err)
		assert.JSONEq(t, `{"n":12345678901234567890,"deep":{"x":[1,{"y":null}]}}`, string(custom))
		assert.Contains(t, string(custom), "12345678901234567890")
	})

	bad := map[string]struct {
		body, code string
		pointers   []string
	}{
		"empty":             {"", "malformed_json", nil},
		"white_space":       {" \n", "malformed_json", nil},
		"cut_off":           {`{"name":`, "malformed_json", nil},
		"trailing_comma":    {`{"name":"a",}`, "malformed_json", nil},
		"two_documents":     {`{} {}`, "malformed_json", nil},
		"not_an_object":     {`[]`, "malformed_json", nil},
		"invalid_utf8":      {"{\"name\":\"\xff\"}", "malformed_json", nil},
		"too_deep":          {`{"custom":` + strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40) + "}", "malformed_json", nil},
		"deep_list":         {`{"tags":` + strings.Repeat("[", 100000), "malformed_json", nil},
		"duplicate_key":     {`{"name":"a","name":"b"}`, "duplicate_key", []string{"/name"}},
		"duplicate_escaped": {`{"name":"a","n\u0061me":"b"}`, "duplicate_key", []string{"/name"}},
		"duplicate_deep":    {`{"custom":{"a/b":{"c~d":1,"c~d":2}}}`, "duplicate_key", []string{"/custom/a~1b/c~0d"}},
		"nul":               {`{"name":"a\u0000b"}`, "validation_failed", []string{"/name"}},
		"nul_in_key":        {`{"custom":{"\u0000":1}}`, "validation_failed", []string{"/custom/\x00"}},
		"huge_number":       {`{"custom":{"a":1e400}}`, "validation_failed", []string{"/custom/a"}},
		"unknown_field":     {`{"nickname":"a"}`, "validation_failed", []string{"/nickname"}},
		"unknown_in_line":   {`{"lines":[{"sku":"a"},{"qty":1}]}`, "validation_failed", []string{"/lines/1/qty"}},
		"case_matters":      {`{"Name":"a"}`, "validation_failed", []string{"/Name"}},
		"read_only":         {`{"id":"01890a5d-ac96-774b-bcce-b302099a8057","state":"x","version":3}`, "validation_failed", []string{"/id", "/state", "/version"}},
		"tenant_is_unknown": {`{"tenant_id":"01890a5d-ac96-774b-bcce-b302099a8057"}`, "validation_failed", []string{"/tenant_id"}},
		"all_at_once":       {`{"name":1,"paid":"yes","cents":1.5,"tags":{},"custom":[],"lines":[1]}`, "validation_failed", []string{"/name", "/paid", "/cents", "/tags", "/custom", "/lines/0"}},
		"null_where_needed": {`{"name":null}`, "validation_failed", []string{"/name"}},
		"integer_too_large": {`{"cents":9223372036854775808}`, "validation_failed", []string{"/cents"}},
		"integer_exponent":  {`{"cents":1e3}`, "validation_failed", []string{"/cents"}},
		"time_out_of_range": {`{"at":"0000-01-01T00:00:00Z"}`, "validation_failed", []string{"/at"}},
		"time_past_9999":    {`{"at":"9999-12-31T23:59:59-14:00"}`, "validation_failed", []string{"/at"}},
		"time_impossible":   {`{"at":"2026-02-30T00:00:00Z"}`, "validation_failed", []string{"/at"}},
		"bad_uuid":          {`{"owner":"{01890a5d-ac96-774b-bcce-b302099a8057}"}`, "validation_failed", []string{"/owner"}},
		"null_in_tags":      {`{"tags":["a",null]}`, "validation_failed", []string{"/tags/1"}},
	}
	for name, tt := range bad {
		t.Run("refuses_"+name, func(t *testing.T) {
			t.Parallel()
			f, ok := fault.As(body.Decode([]byte(tt.body), &sample{}))
			require.True(t, ok)
			assert.Equal(t, tt.code, f.Code)
			var pointers []string
			for _, v := range f.Violations {
				pointers = append(pointers, v.Pointer)
				assert.NotEmpty(t, v.Code)
				assert.NotEmpty(t, v.Detail)
			}
			assert.Equal(t, tt.pointers, pointers)
		})
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	code := "old"
	s := sample{Name: "Ann", Code: &code, Tags: []string{"a"}, Custom: map[string]any{
		"keep": "me", "drop": "me", "deep": map[string]any{"x": json.Number("1"), "y": "2"}, "was": "text",
	}}
	require.NoError(t, body.Merge([]byte(`{"code":null,"tags":["b","c"],
		"custom":{"drop":null,"deep":{"x":null,"z":true},"was":{"now":{"an":"object","nothing":null}}}}`), &s))
	assert.Equal(t, "Ann", s.Name, "what the patch does not name stays")
	assert.Nil(t, s.Code)
	assert.Equal(t, []string{"b", "c"}, s.Tags)
	custom, err := json.Marshal(s.Custom)
	require.NoError(t, err)
	assert.JSONEq(t, `{"keep":"me","deep":{"y":"2","z":true},"was":{"now":{"an":"object"}}}`, string(custom))
}

// FuzzMerge checks that no body makes the reader panic, that what it accepts is valid JSON in form, and that applying
// the same patch twice is applying it once.
func FuzzMerge(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a"}`, `{"custom":{"a":{"b":null}}}`, `{"lines":[{"sku":"a","quantity":1}]}`, `{"tags":["x"],"at":null}`,
		`{"a":1,"a":2}`, "{\"name\":\"\\ud800\"}", `{"cents":1e999}`, strings.Repeat(`[`, 64),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var once sample
		if err := body.Merge(data, &once); err != nil {
			_, ok := fault.As(err)
			require.True(t, ok, "an error is a fault: %v", err)
			return
		}
		require.True(t, json.Valid(data))
		first, err := json.Marshal(once)
		require.NoError(t, err)
		require.NoError(t, body.Merge(data, &once))
		second, err := json.Marshal(once)
		require.NoError(t, err)
		require.JSONEq(t, string(first), string(second))
	})
}
