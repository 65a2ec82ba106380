package resource_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
)

// FuzzParseQuery holds that no query string brings the parser down, that what is refused is a fault with a violation,
// and that what is accepted means the same when it is written out again.
func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{
		"", "limit=10&cursor=abc&sort=-text,at&trashed=only&fields=id", `text=a\,b,c\\&maybe[null]=true`, "tags[all]=a,b&is=true",
		"custom.a=3&custom.b[eq]=true,red&custom.c=%22x%22", "cents[gte]=-1&cents[lt]=9&count[ne]=3", "at[lte]=2026-02-28&grade=a,b",
		"id=" + anID + "&other_id[ne]=" + anID, "text[=1&]=2&.=3&custom.=4", "custom.a=1e5&custom.a=3]", "text=%ff&text=%00", "a&a&a",
		"q=red+wine&text=a", "q=%27+%26+%21+%3A%2A&sort=id", "q=%00&q=", "q=" + strings.Repeat("a+", 30),
	} {
		f.Add(seed)
	}
	d := sampleDefinition()
	f.Fuzz(func(t *testing.T, query string) {
		params, _ := url.ParseQuery(query) // what could be read is parsed
		q, err := d.ParseQuery(params)
		if err != nil {
			refused, ok := fault.As(err)
			require.True(t, ok)
			require.Equal(t, fault.Malformed, refused.Kind)
			require.NotEmpty(t, refused.Violations)
			for _, v := range refused.Violations {
				require.NotEmpty(t, v.Detail)
				require.LessOrEqual(t, len(v.Pointer), 64)
			}
			return
		}
		require.LessOrEqual(t, q.Limit, page.MaxLimit)
		require.Positive(t, q.Limit)
		require.Equal(t, "id", q.Sort[len(q.Sort)-1].Field.Name)
		require.LessOrEqual(t, utf8.RuneCountInString(q.Search), resource.MaxSearch)
		require.True(t, utf8.ValidString(q.Search))
		require.True(t, !q.Ranked || q.Search != "")
		for _, c := range q.Filters {
			require.Contains(t, c.Field.Operators(), c.Op)
			require.NotEmpty(t, c.Values)
			require.True(t, utf8.ValidString(c.Path))
		}
		again, err := d.ParseQuery(params)
		require.NoError(t, err)
		require.Equal(t, q, again)
		written, ok := write(q)
		if !ok {
			return
		}
		again, err = d.ParseQuery(written)
		require.NoError(t, err, written)
		require.Equal(t, q.Canonical, again.Canonical, written)
		require.Equal(t, q.Filters, again.Filters, written)
	})
}

// write is a query as parameters; ok is false where two of its filters would be one parameter.
func write(q resource.Query) (params map[string][]string, ok bool) {
	params = map[string][]string{}
	if q.Trash != resource.Live {
		params["trashed"] = []string{string(q.Trash)}
	}
	var order []string
	for _, s := range q.Sort {
		if name := s.Field.Name; s.Desc {
			order = append(order, "-"+name)
		} else {
			order = append(order, name)
		}
	}
	if q.Search != "" {
		params["q"] = []string{q.Search}
	}
	if !q.Ranked {
		params["sort"] = []string{strings.Join(order, ",")}
	}
	for _, f := range q.Filters {
		name := f.Field.Name
		if f.Field.Kind == resource.Object {
			name += "." + f.Path
		}
		name += "[" + string(f.Op) + "]"
		if params[name] != nil {
			return nil, false
		}
		texts := make([]string, len(f.Values))
		for i, v := range f.Values {
			text := fmt.Sprint(v)
			if at, isTime := v.(time.Time); isTime {
				text = at.Format(time.RFC3339Nano)
			}
			if f.Field.Kind == resource.Object {
				b, err := json.Marshal(v)
				if err != nil {
					panic(err)
				}
				text = string(b)
			}
			texts[i] = strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(text)
		}
		params[name] = []string{strings.Join(texts, ",")}
	}
	// With the id at its end an order may have one field more than a caller may name.
	return params, len(order) <= 5
}
