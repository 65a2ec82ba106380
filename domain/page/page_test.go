package page_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestNormalized(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]int{-1: 25, 0: 25, 1: 1, 25: 25, 100: 100, 101: 100} {
		r := page.Request{Limit: limit, After: page.Position{"x"}, Backward: true}
		assert.Equal(t, page.Request{Limit: want, After: page.Position{"x"}, Backward: true}, r.Normalized())
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	at := func(n int) page.Position {
		if n == 0 {
			return nil
		}
		return page.Position{strconv.Itoa(n)}
	}
	for name, c := range map[string]struct {
		rows       []int
		after      int
		backward   bool
		items      []int
		next, prev int // 0 for none
	}{
		"an empty list":                     {nil, 0, false, nil, 0, 0},
		"the only page":                     {[]int{1, 2, 3}, 0, false, []int{1, 2, 3}, 0, 0},
		"the first page":                    {[]int{1, 2, 3, 4}, 0, false, []int{1, 2, 3}, 3, 0},
		"a page between":                    {[]int{4, 5, 6, 7}, 3, false, []int{4, 5, 6}, 6, 4},
		"the last page":                     {[]int{4, 5}, 3, false, []int{4, 5}, 0, 4},
		"nothing is left":                   {nil, 3, false, nil, 0, 0},
		"the first page, backwards":         {[]int{3, 2, 1}, 4, true, []int{1, 2, 3}, 3, 0},
		"a page between, backwards":         {[]int{6, 5, 4, 3}, 7, true, []int{4, 5, 6}, 6, 4},
		"a short first page, backwards":     {[]int{1}, 2, true, []int{1}, 1, 0},
		"nothing is left before, backwards": {nil, 2, true, []int{}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given := slices.Clone(c.rows)
			p := page.Of(given, page.Request{Limit: 3, After: at(c.after), Backward: c.backward}, at)
			assert.Equal(t, page.Page[int]{Items: c.items, Next: at(c.next), Prev: at(c.prev)}, p)
			assert.Equal(t, c.rows, given, "the rows stay as they were given")
		})
	}
}

func TestPosition(t *testing.T) {
	t.Parallel()
	id := tenancy.NewID()
	found, err := page.Position{"x", nil, id.String()}.ID()
	require.NoError(t, err)
	assert.Equal(t, id, found)
	for _, p := range []page.Position{nil, {}, {nil}, {1.0}, {"x"}, {id.String(), nil}, {id}} {
		_, err := p.ID()
		require.True(t, fault.Is(err, "invalid_cursor"), "%v: %v", p, err)
		assert.Equal(t, fault.Malformed, fault.KindOf(err))
	}
}
