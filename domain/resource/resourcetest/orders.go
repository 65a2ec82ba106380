package resourcetest

import (
	"bytes"
	"cmp"
	"slices"
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

// made is how many records the suite asks Make for.
const made = 30

// testMake holds Make to what the other tests need of it, so that none of them proves less than it says.
func testMake(t *testing.T, s Subject) {
	t.Helper()
	for i := range s.Definition.Fields {
		f := &s.Definition.Fields[i]
		if isBase(f.Name) {
			continue
		}
		nulls, values := 0, map[string]int{}
		for n := range made {
			v := f.Value(s.Make(n))
			if v == nil {
				nulls++
				continue
			}
			values[asJSON(t, v)]++
		}
		most := 0
		for _, times := range values {
			most = max(most, times)
		}
		if f.Nullable {
			assert.Positive(t, nulls, "Make never leaves %s null", f.Name)
		}
		if f.Filter || f.Sort || f.Unique {
			assert.Greater(t, len(values), 1, "Make gives %s one value only", f.Name)
		}
		if f.Unique {
			assert.Equal(t, 1, most, "Make gives %s the same value twice, which is unique", f.Name)
		}
		if f.Sort && !f.Unique {
			assert.Greater(t, most, 1, "Make never gives %s the same value twice", f.Name)
		}
	}
}

// compare orders two values of a field as lists do: NULL first, which equals empty text.
func compare(f *resource.Field, a, b any) int {
	if f.Kind == resource.Text {
		x, _ := a.(string)
		y, _ := b.(string)
		return strings.Compare(x, y)
	}
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch x := a.(type) {
	case int64:
		y, _ := b.(int64)
		return cmp.Compare(x, y)
	case time.Time:
		y, _ := b.(time.Time)
		return x.Compare(y)
	case tenancy.ID:
		y, _ := b.(tenancy.ID)
		return bytes.Compare(x[:], y[:])
	default:
		panic("a sortable field of a kind that the suite cannot order: " + f.Kind)
	}
}

// ordered are the records in the order of a sort parameter.
func (s *stand) ordered(t *testing.T, records []resource.Entity, sort string) []resource.Entity {
	t.Helper()
	names := strings.Split(sort, ",")
	if last := names[len(names)-1]; strings.TrimPrefix(last, "-") != "id" {
		id := "id"
		if strings.HasPrefix(last, "-") {
			id = "-id"
		}
		names = append(names, id)
	}
	list := slices.Clone(records)
	slices.SortFunc(list, func(a, b resource.Entity) int {
		for _, name := range names {
			name, desc := strings.CutPrefix(name, "-")
			f := s.Definition.Field(name)
			if c := compare(f, f.Value(a), f.Value(b)); c != 0 {
				if desc {
					return -c
				}
				return c
			}
		}
		return 0
	})
	return list
}

// sorts are the orders by each field, in both directions, and by it and one of the next two in all four; and one order by
// several fields.
func (s *stand) sorts() (single, several []string) {
	var names, mixed []string
	for i := range s.Definition.Fields {
		if s.Definition.Fields[i].Sort {
			names = append(names, s.Definition.Fields[i].Name)
		}
	}
	for i, name := range names {
		single = append(single, name, "-"+name)
		for next := 1; next <= 2 && next < len(names); next++ {
			other := names[(i+next)%len(names)]
			several = append(several, name+","+other, name+",-"+other, "-"+name+","+other, "-"+name+",-"+other)
		}
		if i%2 == 1 {
			name = "-" + name
		}
		mixed = append(mixed, name)
	}
	return single, append(several, strings.Join(mixed[1:min(5, len(mixed))], ","))
}

func testOrders(t *testing.T, s *stand) {
	t.Helper()
	records := s.fill(t, s.a, made)
	s.fill(t, s.b, 5)
	assert.Equal(t, ids(s.ordered(t, records, defaultSort(s.Definition))), s.walk(t, nil, 7), "the order of no order")
	single, several := s.sorts()
	for _, sort := range append(single, several...) {
		want := ids(s.ordered(t, records, sort))
		params := map[string]string{"sort": sort}
		require.Equal(t, want, ids(s.list(t, s.a, params, page.Request{Limit: page.MaxLimit}).Items), "sort=%s in one page", sort)
		require.Equal(t, want, s.walk(t, params, 8), "sort=%s in pages", sort)
		require.Equal(t, want[:24], s.walkBack(t, params, 8), "sort=%s in pages backwards", sort)
	}
	for limit := 1; limit <= made+1; limit += 1 + limit/6 {
		want := ids(s.ordered(t, records, "-updated_at"))
		require.Equal(t, want, s.walk(t, map[string]string{"sort": "-updated_at"}, limit), "pages of %d", limit)
	}
}

func defaultSort(d *resource.Definition) string {
	var names []string
	for _, s := range d.DefaultSort {
		name := s.Field.Name
		if s.Desc {
			name = "-" + name
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// walk follows a list from its first page to its last.
func (s *stand) walk(t *testing.T, params map[string]string, limit int) []string {
	t.Helper()
	var seen []string
	request := page.Request{Limit: limit}
	for {
		p := s.list(t, s.a, params, request)
		require.LessOrEqual(t, len(p.Items), limit)
		require.Equal(t, len(request.After) == 0, len(p.Prev) == 0, "only the first page has none before it")
		seen = append(seen, ids(p.Items)...)
		require.LessOrEqual(t, len(seen), 10*made, "the list has no end")
		if p.Next == nil {
			return seen
		}
		require.Len(t, p.Items, limit, "only the last page is short")
		request.After = p.Next
	}
}

// walkBack goes to the last page, and from there returns all that stands before it.
func (s *stand) walkBack(t *testing.T, params map[string]string, limit int) []string {
	t.Helper()
	request := page.Request{Limit: limit}
	p := s.list(t, s.a, params, request)
	for p.Next != nil {
		request.After = p.Next
		p = s.list(t, s.a, params, request)
	}
	var seen []string
	for p.Prev != nil {
		next := p
		p = s.list(t, s.a, params, page.Request{Limit: limit, After: p.Prev, Backward: true})
		seen = append(ids(p.Items), seen...)
		require.LessOrEqual(t, len(seen), 10*made, "the list has no beginning")
		onward := s.list(t, s.a, params, page.Request{Limit: limit, After: p.Next})
		require.Equal(t, ids(next.Items), ids(onward.Items), "the page after the page before")
	}
	return seen
}

// testMeanwhile walks lists while records come and go: what was there throughout is seen once, in order.
func testMeanwhile(t *testing.T, s *stand) {
	t.Helper()
	single, several := s.sorts()
	for _, sort := range append(single, several[len(several)-2:]...) {
		scope := s.Tenant(t)
		s.a = scope
		var records []resource.Entity
		for n := range made / 2 {
			if n%3 == 0 {
				s.clock.tick()
			}
			records = append(records, s.create(t, scope, n))
		}
		passing := map[string]bool{} // every third goes away before the walk ends
		for i, id := range ids(s.ordered(t, records, sort)) {
			passing[id] = i%3 == 2
		}
		var want []string
		for _, id := range ids(s.ordered(t, records, sort)) {
			if !passing[id] {
				want = append(want, id)
			}
		}
		var seen []string
		request := page.Request{Limit: 3}
		for n := made / 2; ; n++ {
			p := s.list(t, scope, map[string]string{"sort": sort}, request)
			for _, id := range ids(p.Items) {
				if vanishing, known := passing[id]; known && !vanishing {
					seen = append(seen, id)
				}
			}
			if p.Next == nil {
				break
			}
			request.After = p.Next
			// The record that the cursor stands at goes, if it is one of those; and a new one comes.
			if last := p.Items[len(p.Items)-1]; passing[last.Head().ID.String()] {
				s.delete(t, scope, last.Head().ID)
			}
			if n < made {
				s.create(t, scope, n)
			}
		}
		require.Equal(t, want, seen, "sort=%s", sort)
	}
}

func testLimits(t *testing.T, s *stand) {
	t.Helper()
	const many = page.MaxLimit + 2
	for n := range many {
		s.create(t, s.a, n)
	}
	for limit, want := range map[int]int{-1: page.DefaultLimit, 0: page.DefaultLimit, 1: 1, page.MaxLimit: page.MaxLimit, many: page.MaxLimit} {
		q := s.parse(t, nil)
		q.Limit = limit
		p, err := s.service.List(t.Context(), s.a, q)
		require.NoError(t, err)
		assert.Len(t, p.Items, want, "a limit of %d", limit)
		assert.NotNil(t, p.Next)
		assert.Nil(t, p.Prev)
	}
	empty := s.list(t, s.b, nil, page.Request{})
	assert.Empty(t, empty.Items)
	assert.Nil(t, empty.Next)
	assert.Nil(t, empty.Prev)
	for name, position := range map[string]page.Position{
		"too long": {"1", "2", "3", "4"}, "no id": {"x"}, "a number": {1.0}, "null": {nil},
	} {
		q := s.parse(t, map[string]string{"sort": "id"})
		q.After = position
		_, err := s.service.List(t.Context(), s.a, q)
		require.Error(t, err, name)
		requireFault(t, err, fault.Malformed, "invalid_cursor")
	}
}
