package resource_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

const anID = "0199b3c4-1111-7abc-8def-0123456789ab"

func parse(t *testing.T, query string) (resource.Query, error) {
	t.Helper()
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	return sampleDefinition().ParseQuery(values)
}

func TestParseQuery(t *testing.T) {
	t.Parallel()
	t.Run("reads values of every kind", func(t *testing.T) {
		t.Parallel()
		day := time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC)
		for query, want := range map[string]struct {
			op     resource.Op
			path   string
			values []any
		}{
			"text=":                              {resource.Eq, "", []any{""}},
			"text=a,b":                           {resource.Eq, "", []any{"a", "b"}},
			`text=a\,b,c\\,d\e`:                  {resource.Eq, "", []any{"a,b", `c\`, `d\e`}},
			"text[eq]=true":                      {resource.Eq, "", []any{"true"}},
			"text[ne]=x%20y":                     {resource.Ne, "", []any{"x y"}},
			"maybe[null]=true":                   {resource.Null, "", []any{true}},
			"maybe[null]=false":                  {resource.Null, "", []any{false}},
			"grade=a,b":                          {resource.Eq, "", []any{"a", "b"}},
			"count=-9223372036854775808":         {resource.Eq, "", []any{int64(-9223372036854775808)}},
			"cents[gte]=007":                     {resource.Gte, "", []any{int64(7)}},
			"is=false":                           {resource.Eq, "", []any{false}},
			"at[lt]=2026-02-28":                  {resource.Lt, "", []any{day}},
			"at[gt]=2026-02-28T02:00:00%2B02:00": {resource.Gt, "", []any{day}},
			"other_id=" + strings.ToUpper(anID):  {resource.Eq, "", []any{tenancy.MustParseID(anID)}},
			"tags[any]=a,b":                      {resource.Any, "", []any{"a", "b"}},
			"tags[all]=3":                        {resource.All, "", []any{"3"}},
			"custom.a=3":                         {resource.Eq, "a", []any{json.Number("3")}},
			"custom.a=true,red":                  {resource.Eq, "a", []any{true, "red"}},
			`custom.a="3"`:                       {resource.Eq, "a", []any{"3"}},
			"custom.a.b=3":                       {resource.Eq, "a.b", []any{json.Number("3")}},
			"custom.a=3]":                        {resource.Eq, "a", []any{"3]"}},
			"custom.a=3 4":                       {resource.Eq, "a", []any{"3 4"}},
			"custom.a=null":                      {resource.Eq, "a", []any{"null"}},
			`custom.a={}`:                        {resource.Eq, "a", []any{"{}"}},
			"deleted_at[null]=false":             {resource.Null, "", []any{false}},
		} {
			q, err := parse(t, query)
			require.NoError(t, err, query)
			require.Len(t, q.Filters, 1, query)
			f := q.Filters[0]
			assert.Equal(t, want.op, f.Op, query)
			assert.Equal(t, want.path, f.Path, query)
			assert.Equal(t, want.values, f.Values, query)
			assert.NotEmpty(t, q.Canonical, query)
		}
	})

	t.Run("reads orders, views, fields and pages", func(t *testing.T) {
		t.Parallel()
		order := func(q resource.Query) string {
			var names []string
			for _, s := range q.Sort {
				names = append(names, fmt.Sprintf("%s %t", s.Field.Name, s.Desc))
			}
			return strings.Join(names, ", ")
		}
		for query, want := range map[string]string{
			"":                                    "id true",
			"sort=text":                           "text false, id false",
			"sort=-text":                          "text true, id true",
			"sort=text,-at":                       "text false, at true, id true",
			"sort=text,-id":                       "text false, id true",
			"sort=id,-text":                       "id false",
			"sort=text,-id,cents,-at":             "text false, id true",
			"sort=text,count,cents,at,created_at": "text false, count false, cents false, at false, created_at false, id false",
		} {
			q, err := parse(t, query)
			require.NoError(t, err, query)
			assert.Equal(t, want, order(q), query)
		}
		q, err := parse(t, "limit=100&cursor=abc&trashed=only&fields=text,id,text")
		require.NoError(t, err)
		assert.Equal(t, 100, q.Limit)
		assert.Equal(t, "abc", q.Cursor)
		assert.Equal(t, resource.TrashOnly, q.Trash)
		assert.Equal(t, []string{"text", "id"}, q.Fields)
		q, err = parse(t, "")
		require.NoError(t, err)
		assert.Equal(t, page.DefaultLimit, q.Limit)
		assert.Equal(t, resource.Live, q.Trash)
		assert.Nil(t, q.Fields)
	})
}

func TestParseQuery_refuses(t *testing.T) {
	t.Parallel()
	var crowd []string
	for i := range 21 {
		crowd = append(crowd, fmt.Sprintf("custom.k%d=1", i))
	}
	long := strings.Repeat("x", 1001)
	for query, want := range map[string]struct{ pointer, code, detail string }{
		"nope=1":                            {"nope", "unknown_parameter", "is not known here; filters are: id, created_at, updated_at, deleted_at, text"},
		"=1":                                {"", "unknown_parameter", "is not known here"},
		"plain=1":                           {"plain", "unknown_parameter", "is not known here"},
		"version=1":                         {"version", "unknown_parameter", "is not known here"},
		"tenant_id=" + anID:                 {"tenant_id", "unknown_parameter", "is not known here"},
		"Text=1":                            {"Text", "unknown_parameter", "is not known here"},
		"text%3Bdrop=1":                     {"text;drop", "unknown_parameter", "is not known here"},
		"text[eq=1":                         {"text[eq", "unknown_parameter", "is not written as field[operator]"},
		"text[eq]x=1":                       {"text[eq]x", "unknown_parameter", "is not written as field[operator]"},
		"text[]=1":                          {"text[]", "operator", `has no operator ""; those of text are: eq, ne`},
		"text[gt]=1":                        {"text[gt]", "operator", `has no operator "gt"`},
		"text[null]=true":                   {"text[null]", "operator", `has no operator "null"`},
		"text[[eq]]=1":                      {"text[[eq]]", "operator", `has no operator "[eq]"`},
		"text['%3B --]=1":                   {"text['; --]", "operator", `has no operator "'; --"`},
		"is[ne]=true":                       {"is[ne]", "operator", `has no operator "ne"; those of is are: eq`},
		"tags=a":                            {"tags", "operator", `has no operator "eq"; those of tags are: any, all`},
		"custom.a[gt]=1":                    {"custom.a[gt]", "operator", `has no operator "gt"`},
		"custom=1":                          {"custom", "unknown_parameter", "is not written as custom.key"},
		"custom.=1":                         {"custom.", "unknown_parameter", "is not written as custom.key"},
		"text.a=1":                          {"text.a", "unknown_parameter", "is not written as text"},
		"custom.a%00b=1":                    {"custom.a\x00b", "value", "is not UTF-8 text without NUL"},
		"custom.%ff=1":                      {"custom.\xff", "value", "is not UTF-8 text without NUL"},
		"custom." + long + "=1":             {"custom." + long[:53] + "…", "value", "too long"},
		`custom.a="%5Cu0000"`:               {"custom.a", "value", "is not UTF-8 text without NUL"},
		"custom.a=1e301":                    {"custom.a", "value", "is a number out of range"},
		"custom.a=-9e999999999":             {"custom.a", "value", "is a number out of range"},
		"custom.a=1e-999999":                {"custom.a", "value", "is a number out of range"},
		"custom.a=0E-99999999999999999999":  {"custom.a", "value", "is a number out of range"},
		"text=%00":                          {"text", "value", "is not UTF-8 text without NUL"},
		"text=%c3%28":                       {"text", "value", "is not UTF-8 text without NUL"},
		"text=" + long:                      {"text", "value", "has a value that is too long; at most 1000 characters"},
		"text=" + strings.Repeat(",", 100):  {"text", "too_many", "has too many values; at most 100"},
		"text[ne]=a,b":                      {"text[ne]", "value", `takes one value; write a comma inside a value as \,`},
		"count[gt]=1,2":                     {"count[gt]", "value", "takes one value"},
		"maybe[null]=1":                     {"maybe[null]", "value", "must be true or false"},
		"maybe[null]=":                      {"maybe[null]", "value", "must be true or false"},
		"grade=c":                           {"grade", "value", `has no value "c"; one of: a, b`},
		"grade=a,":                          {"grade", "value", `has no value ""; one of: a, b`},
		"count=9223372036854775808":         {"count", "value", `"9223372036854775808" is not a whole number of 64 bits`},
		"count=1.0":                         {"count", "value", "is not a whole number"},
		"count=1e3":                         {"count", "value", "is not a whole number"},
		"count=":                            {"count", "value", "is not a whole number"},
		"count=0x10":                        {"count", "value", "is not a whole number"},
		"count=" + strings.Repeat("9", 900): {"count", "value", `"` + strings.Repeat("9", 60) + `…" is not a whole number`},
		"is=1":                              {"is", "value", "must be true or false"},
		"is=TRUE":                           {"is", "value", "must be true or false"},
		"at=yesterday":                      {"at", "value", "is not an RFC 3339 time; write it as 2006-01-02T15:04:05Z or 2006-01-02"},
		"at=2026-02-30":                     {"at", "value", "is not an RFC 3339 time"},
		"at=2026-02-28T25:00:00Z":           {"at", "value", "is not an RFC 3339 time"},
		"at=2026-02-28T10:00:00":            {"at", "value", "is not an RFC 3339 time"},
		"at=10000-01-01":                    {"at", "value", "is not an RFC 3339 time"},
		"at=0000-12-31":                     {"at", "value", "outside of the years 0001 to 9999"},
		"at=9999-12-31T23:59:59-01:00":      {"at", "value", "outside of the years 0001 to 9999"},
		"at=infinity":                       {"at", "value", "is not an RFC 3339 time"},
		"id=1":                              {"id", "value", `"1" is not a UUID`},
		"id={" + anID[1:35] + "}":           {"id", "value", "is not a UUID"},
		"other_id=" + anID + "%00":          {"other_id", "value", "is not UTF-8 text without NUL"},
		"sort=":                             {"sort", "sort", `cannot sort by ""; one or more of: id, created_at, updated_at, text, count, cents, at`},
		"sort=-":                            {"sort", "sort", `cannot sort by ""`},
		"sort=--text":                       {"sort", "sort", `cannot sort by "-text"`},
		"sort=maybe":                        {"sort", "sort", `cannot sort by "maybe"`},
		"sort=text desc":                    {"sort", "sort", `cannot sort by "text desc"`},
		"sort=text,":                        {"sort", "sort", `cannot sort by ""`},
		"sort=text,-text":                   {"sort", "sort", `names "text" twice`},
		"sort=text,count,cents,at,created_at,updated_at": {"sort", "sort", "names too many fields; at most 5"},
		"sort=" + long:               {"sort", "sort", `cannot sort by "` + long[:60] + `…"`},
		"limit=0":                    {"limit", "limit", "must be a whole number from 1 to 100"},
		"limit=101":                  {"limit", "limit", "must be a whole number from 1 to 100"},
		"limit=-1":                   {"limit", "limit", "must be a whole number from 1 to 100"},
		"limit=ten":                  {"limit", "limit", "must be a whole number from 1 to 100"},
		"limit=99999999999999999999": {"limit", "limit", "must be a whole number from 1 to 100"},
		"trashed=":                   {"trashed", "trashed", "must be with or only"},
		"trashed=true":               {"trashed", "trashed", "must be with or only"},
		"fields=":                    {"fields", "fields", `there is no field ""; the fields are: id, version, created_at`},
		"fields=text,secret":         {"fields", "fields", `there is no field "secret"`},
		"limit=1&limit=2":            {"limit", "repeated", "is given more than once"},
		"text=a&text=b":              {"text", "repeated", "is given more than once"},
		strings.Join(crowd, "&"):     {"filters", "too_many", "are too many; at most 20"},
	} {
		_, err := parse(t, query)
		f, ok := fault.As(err)
		require.True(t, ok, "%q: %v", query, err)
		assert.Equal(t, fault.Malformed, f.Kind, query)
		assert.Equal(t, "invalid_query", f.Code, query)
		require.Len(t, f.Violations, 1, query)
		v := f.Violations[0]
		assert.Equal(t, want.pointer, v.Pointer, query)
		assert.Equal(t, want.code, v.Code, query)
		assert.Contains(t, v.Detail, want.detail, query)
		assert.Less(t, len(v.Detail), 400, query)
	}

	_, err := parse(t, "limit=0&nope=1&count=x&sort=z")
	f, _ := fault.As(err)
	require.NotNil(t, f)
	assert.Len(t, f.Violations, 4, "all mistakes at once")
	_, err = parse(t, strings.Join(crowd[:20], "&")+"&sort=id&limit=3&trashed=with&fields=id&cursor=x")
	require.NoError(t, err, "twenty filters are not too many")
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	canonical := func(query string) string {
		q, err := parse(t, query)
		require.NoError(t, err)
		return q.Canonical
	}
	for _, same := range [][2]string{
		{"", "sort=-id"},
		{"text=a", "text[eq]=a"},
		{"text=a&count=1", "count=01&text=a"},
		{"limit=3", "limit=4&fields=id&cursor=c"},
		{"at=2026-02-28", "at=2026-02-28T01:00:00%2B01:00"},
		{"sort=text", "sort=text,id,-at"},
		{"custom.a=1&custom.a.b=2", "custom.a[eq]=1&custom.a.b=2"},
	} {
		assert.Equal(t, canonical(same[0]), canonical(same[1]), same)
	}
	different := map[string]string{}
	for _, query := range []string{
		"", "sort=id", "sort=text", "sort=-text", "sort=text,-id", "trashed=with", "trashed=only", "text=a", "text=b", "text=a,b",
		`text=a\,b`, "text[ne]=a", "maybe=a", "text=a&maybe=a", "custom.a=1", `custom.a="1"`, "custom.b=1", "custom.a=true", `custom.a="true"`,
		`text=a"f"count`, "tags[any]=a", "tags[all]=a", "q=a", "q=b", "q=a&sort=-id", "q=a&text=a",
	} {
		c := canonical(query)
		assert.Empty(t, different[c], "%q and %q are told apart", query, different[c])
		different[c] = query + " "
	}
}

func TestPosition(t *testing.T) {
	t.Parallel()
	q, err := parse(t, "sort=text,-at,cents,count")
	require.NoError(t, err)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("", 3600))
	e := &sample{Text: strings.Repeat("é", 1000), At: &at, Count: -3}
	e.ID = tenancy.MustParseID(anID)
	position := q.Position(e)
	assert.Equal(t, []any{e.Text, "2026-01-02T02:04:05.000006Z", nil, "-3", anID}, position)
	values, err := q.ParsePosition(position)
	require.NoError(t, err)
	assert.Equal(t, []any{e.Text, at.UTC(), nil, int64(-3), e.ID}, values)
	for _, wrong := range [][]any{
		nil,
		position[:4],
		append(position, nil),
		{nil, nil, nil, "1", anID},
		{"", nil, nil, nil, anID},
		{"", nil, nil, "1", nil},
		{"", "now", nil, "1", anID},
		{"", nil, "1.5", "1", anID},
		{"", nil, nil, "1", "id"},
		{1.0, nil, nil, "1", anID},
	} {
		_, err := q.ParsePosition(wrong)
		require.Error(t, err, wrong)
	}
}
