package resource_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestParseQuery_search(t *testing.T) {
	t.Parallel()
	words := strings.Repeat("w ", 20)
	for value, want := range map[string]string{
		"red": "red", " Red  wine ": "Red  wine", "'": "'", "&": "&", "!a | b:* <-> c": "!a | b:* <-> c", `a\`: `a\`, "é東京": "é東京",
		words: strings.TrimSpace(words), "a-b/c": "a-b/c", strings.Repeat("x", 500): strings.Repeat("x", 500),
		strings.Repeat("😀", 500): strings.Repeat("😀", 500),
	} {
		q, err := parse(t, "q="+url.QueryEscape(value))
		require.NoError(t, err, value)
		assert.Equal(t, want, q.Search)
		assert.True(t, q.Ranked, "a search without an order is by rank")
		require.Len(t, q.Sort, 1)
		assert.Equal(t, "id", q.Sort[0].Field.Name)
		assert.True(t, q.Sort[0].Desc, "of equals the newest is the first")
	}
	q, err := parse(t, "q=red&sort=text&cents[gt]=1&trashed=with")
	require.NoError(t, err)
	assert.Equal(t, "red", q.Search)
	assert.False(t, q.Ranked, "the order that is asked for is the order")
	assert.Equal(t, "text", q.Sort[0].Field.Name)
	assert.Len(t, q.Filters, 1)
}

func TestParseQuery_refuses_a_search(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]struct{ code, detail string }{
		"":                                {"value", "says nothing to look for; leave it out"},
		" \t":                             {"value", "says nothing to look for"},
		strings.Repeat("w ", 21):          {"too_many", "has too many words; at most 20"},
		strings.Repeat("a-", 21):          {"too_many", "has too many words"},
		strings.Repeat("word ", 10_000):   {"value", "is too long; at most 500 characters"},
		strings.Repeat("x", 501):          {"value", "is too long"},
		strings.Repeat("é", 501):          {"value", "is too long"},
		strings.Repeat("\x00", 501):       {"value", "is too long"},
		"a\x00b":                          {"value", "is not UTF-8 text without NUL"},
		"a\xff":                           {"value", "is not UTF-8 text without NUL"},
		strings.Repeat("&", 499) + "\xc3": {"value", "is not UTF-8 text without NUL"},
	} {
		_, err := parse(t, "q="+url.QueryEscape(value))
		f, ok := fault.As(err)
		require.True(t, ok, "%q: %v", value, err)
		assert.Equal(t, fault.Malformed, f.Kind)
		require.Len(t, f.Violations, 1)
		assert.Equal(t, "q", f.Violations[0].Pointer)
		assert.Equal(t, want.code, f.Violations[0].Code, "%q", value)
		assert.Contains(t, f.Violations[0].Detail, want.detail, "%q", value)
	}
}

func TestParseQuery_searches_only_what_has_fields_for_it(t *testing.T) {
	t.Parallel()
	type silent struct {
		resource.Base

		Name string `json:"name" api:"filter"`
	}
	d := resource.Define[silent](resource.Options{Name: "silent", Plural: "silents"})
	assert.False(t, d.Searchable())
	assert.True(t, sampleDefinition().Searchable())
	_, err := d.ParseQuery(map[string][]string{"q": {"x"}})
	f, ok := fault.As(err)
	require.True(t, ok)
	require.Len(t, f.Violations, 1)
	assert.Equal(t, fault.Violation{
		Pointer: "q", Code: "unknown_parameter", Detail: "is not known here: no field of silents is searched",
	}, f.Violations[0])
}

func TestSearchFields_are_in_the_order_of_the_struct(t *testing.T) {
	t.Parallel()
	var names []string
	for _, f := range sampleDefinition().SearchFields() {
		names = append(names, f.Name)
	}
	assert.Equal(t, []string{"text", "tags"}, names)
}

func TestRankedPosition(t *testing.T) {
	t.Parallel()
	q, err := parse(t, "q=red")
	require.NoError(t, err)
	e := &sample{}
	e.ID = tenancy.MustParseID(anID)
	for _, rank := range []float32{0, 1e-20, 0.6079271, 3.4e38} {
		position := q.RankedPosition(resource.Ranked{Entity: e, Rank: &rank})
		require.Len(t, position, 2)
		assert.Equal(t, anID, position[1])
		values, err := q.ParsePosition(position)
		require.NoError(t, err)
		assert.Equal(t, []any{rank, e.ID}, values)
	}
	position := q.RankedPosition(resource.Ranked{Entity: e})
	assert.Equal(t, []any{nil, anID}, position, "without a rank")
	values, err := q.ParsePosition(position)
	require.NoError(t, err)
	assert.Equal(t, []any{nil, e.ID}, values)
	for _, wrong := range [][]any{
		nil,
		{},
		{nil},
		{anID},
		{"0.5", anID, nil},
		{0.5, anID},
		{"x", anID},
		{"", anID},
		{"NaN", anID},
		{"Inf", anID},
		{"1e39", anID},
		{"0.5", nil},
		{"0.5", "id"},
	} {
		_, err := q.ParsePosition(wrong)
		require.Error(t, err, wrong)
	}
}
