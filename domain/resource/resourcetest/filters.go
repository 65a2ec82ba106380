package resourcetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// filter is one condition as a caller writes it, and what it means.
type filter struct {
	param, value string
	keeps        func(e resource.Entity) bool
}

// noKey is a key that no object has.
const noKey = "no such key"

func testFilters(t *testing.T, s *stand) {
	t.Helper()
	records := s.fill(t, s.a, made)
	s.fill(t, s.b, 6)
	trashed := slices.Clone(records[:4])
	for i := range trashed {
		s.clock.tick()
		s.delete(t, s.a, trashed[i].Head().ID)
		gone, err := s.service.Find(t.Context(), s.a, trashed[i].Head().ID, resource.TrashOnly)
		require.NoError(t, err)
		records[i] = gone
	}
	all := s.filters(t, records)
	require.NotEmpty(t, all)
	check := func(filters ...filter) {
		t.Helper()
		params := map[string]string{"sort": "id", "trashed": "with"}
		for _, f := range filters {
			if _, twice := params[f.param]; twice {
				return
			}
			params[f.param] = f.value
		}
		want := []string{}
		for _, e := range records {
			if !slices.ContainsFunc(filters, func(f filter) bool { return !f.keeps(e) }) {
				want = append(want, e.Head().ID.String())
			}
		}
		require.Equal(t, want, ids(s.list(t, s.a, params, page.Request{Limit: page.MaxLimit}).Items), "%v", params)
	}
	kept := map[string]bool{}
	for i, f := range all {
		check(f)
		check(f, all[(i+7)%len(all)])
		check(f, all[(i+len(all)/2)%len(all)], all[(i+11)%len(all)])
		if !strings.HasSuffix(f.param, noKey) {
			kept[f.param] = kept[f.param] || slices.ContainsFunc(records, f.keeps)
		}
	}
	for param, some := range kept {
		assert.True(t, some, "no record of Make is kept by %s, so that the filter is not proved", param)
	}

	f := all[len(all)-1]
	want := []string{}
	for _, e := range s.ordered(t, records[4:], "-created_at") {
		if f.keeps(e) {
			want = append(want, e.Head().ID.String())
		}
	}
	assert.Equal(t, want, append([]string{}, s.walk(t, map[string]string{"sort": "-created_at", f.param: f.value}, 2)...),
		"a filtered list in pages")
}

// filters are conditions with every operator on every field.
func (s *stand) filters(t *testing.T, records []resource.Entity) []filter {
	t.Helper()
	var all []filter
	for i := range s.Definition.Fields {
		f := &s.Definition.Fields[i]
		if !f.Filter {
			continue
		}
		var values []any
		for _, e := range records {
			if v := f.Value(e); v != nil {
				values = append(values, v)
			}
		}
		require.NotEmpty(t, values, "Make never gives %s a value", f.Name)
		for _, op := range f.Operators() {
			found := filtersBy(f, op, values)
			require.NotEmpty(t, found, "the suite has no filter %s[%s]; Make needs more kinds of values", f.Name, op)
			all = append(all, found...)
		}
	}
	return all
}

func filtersBy(f *resource.Field, op resource.Op, values []any) []filter {
	param := fmt.Sprintf("%s[%s]", f.Name, op)
	v, w := values[len(values)/2], values[len(values)-1]
	holds := func(test func(value any) bool) func(resource.Entity) bool {
		return func(e resource.Entity) bool { return test(f.Value(e)) }
	}
	switch {
	case f.Kind == resource.Object:
		return objectFilters(f, values)
	case f.Kind == resource.TextList:
		return listFilters(f, op, values)
	case op == resource.Eq:
		return []filter{
			{f.Name, text(v), holds(func(x any) bool { return equal(x, v) })},
			{param, text(w), holds(func(x any) bool { return equal(x, w) })},
			{f.Name, text(v) + "," + text(w), holds(func(x any) bool { return equal(x, v) || equal(x, w) })},
		}
	case op == resource.Ne:
		return []filter{{param, text(v), holds(func(x any) bool { return !equal(x, v) })}}
	case op == resource.Null:
		return []filter{
			{param, "true", holds(func(x any) bool { return x == nil })},
			{param, "false", holds(func(x any) bool { return x != nil })},
		}
	}
	within := map[resource.Op]func(order int) bool{
		resource.Gt: func(o int) bool { return o > 0 }, resource.Gte: func(o int) bool { return o >= 0 },
		resource.Lt: func(o int) bool { return o < 0 }, resource.Lte: func(o int) bool { return o <= 0 },
	}[op]
	if within == nil {
		panic("the suite does not know the operator " + op)
	}
	values = slices.Clone(values)
	slices.SortFunc(values, func(a, b any) int { return compare(f, a, b) })
	var found []filter
	for _, bound := range []any{values[0], values[len(values)/2], values[len(values)-1]} {
		found = append(found, filter{param, text(bound), holds(func(x any) bool { return x != nil && within(compare(f, x, bound)) })})
	}
	return found
}

func equal(a, b any) bool {
	if x, ok := a.(time.Time); ok {
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	}
	return a == b
}

func listFilters(f *resource.Field, op resource.Op, values []any) []filter {
	var found []filter
	add := func(items ...string) {
		texts := make([]string, len(items))
		for i, item := range items {
			texts[i] = text(item)
		}
		found = append(found, filter{f.Name + "[" + string(op) + "]", strings.Join(texts, ","), func(e resource.Entity) bool {
			list, _ := f.Value(e).([]string)
			in := func(item string) bool { return slices.Contains(list, item) }
			if op == resource.Any {
				return slices.ContainsFunc(items, in)
			}
			return !slices.ContainsFunc(items, func(item string) bool { return !in(item) })
		}})
	}
	for _, v := range values {
		if list, _ := v.([]string); len(list) > 1 {
			add(list[0])
			add(list[0], list[1])
			add(list[0], "nobody's")
			break
		}
	}
	return found
}

// objectFilters looks for each kind of value inside of the objects, by its key.
func objectFilters(f *resource.Field, values []any) []filter {
	var found []filter
	seen := map[string]bool{}
	var key string
	var texts, others []string
	for _, v := range values {
		object, _ := v.(map[string]any)
		for name, inner := range object {
			b, err := json.Marshal(inner)
			if err != nil {
				panic(err)
			}
			kind := ""
			switch inner.(type) {
			case string:
				kind, key = "a string", name
				texts, others = append(texts, escape(string(b))), append(others, string(b))
			case bool:
				kind = "a boolean"
			case json.Number, float64, int, int64:
				kind = "a number"
			}
			if kind == "" || seen[kind] {
				continue
			}
			seen[kind] = true
			found = append(found, filter{f.Name + "." + name, escape(string(b)), hasInside(f, name, string(b))})
			if s, ok := inner.(string); ok && !json.Valid([]byte(s)) {
				found = append(found, filter{f.Name + "." + name, escape(s), hasInside(f, name, string(b))})
			}
		}
	}
	if len(seen) < 3 || len(texts) < 2 {
		return nil // testFilters says what Make needs
	}
	last := len(texts) - 1
	return append(found,
		filter{f.Name + "." + key, texts[0] + "," + texts[last], hasInside(f, key, others[0], others[last])},
		filter{f.Name + "." + noKey, "1", func(resource.Entity) bool { return false }},
	)
}

func hasInside(f *resource.Field, key string, jsons ...string) func(resource.Entity) bool {
	return func(e resource.Entity) bool {
		object, _ := f.Value(e).(map[string]any)
		inner, ok := object[key]
		b, err := json.Marshal(inner)
		return ok && err == nil && slices.Contains(jsons, string(b))
	}
}

// text is a value as it stands in a parameter.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return escape(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case tenancy.ID:
		return v.String()
	default:
		return fmt.Sprint(v)
	}
}

func escape(s string) string { return strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(s) }

// testTrash reads the three views, filtered and in an order.
func testTrash(t *testing.T, s *stand) {
	t.Helper()
	records := s.fill(t, s.a, 12)
	for i := range records {
		if i%3 == 0 {
			s.delete(t, s.a, records[i].Head().ID)
			gone, err := s.service.Find(t.Context(), s.a, records[i].Head().ID, resource.TrashOnly)
			require.NoError(t, err)
			records[i] = gone
		}
	}
	for view, keeps := range map[string]func(e resource.Entity) bool{
		"":     func(e resource.Entity) bool { return e.Head().DeletedAt == nil },
		"with": func(resource.Entity) bool { return true },
		"only": func(e resource.Entity) bool { return e.Head().DeletedAt != nil },
	} {
		params := map[string]string{"sort": "-updated_at"}
		if view != "" {
			params["trashed"] = view
		}
		want := slices.DeleteFunc(s.ordered(t, records, "-updated_at"), func(e resource.Entity) bool { return !keeps(e) })
		assert.Equal(t, ids(want), s.walk(t, params, 3), "trashed=%s", view)
		params["id"] = records[0].Head().ID.String() + "," + records[1].Head().ID.String()
		assert.Equal(t, keeps(records[0]), slices.Contains(s.walk(t, params, 3), records[0].Head().ID.String()))
		assert.Equal(t, keeps(records[1]), slices.Contains(s.walk(t, params, 3), records[1].Head().ID.String()))
	}
}
