package orders_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/orders"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

var (
	states = []orders.Status{orders.Draft, orders.Placed, orders.Paid, orders.Shipped, orders.Cancelled}
	day    = time.Date(1996, 7, 4, 12, 0, 0, 0, time.UTC)
)

// in is a good order in the state.
func in(state orders.Status) *orders.Order {
	o := &orders.Order{
		CustomerID: tenancy.NewID(), Number: "1", Currency: "EUR", Status: state,
		Lines: []orders.Line{{SKU: "A", Quantity: 2, UnitPriceCents: 50}},
	}
	at := slices.Index(states, state)
	for i, step := range []**time.Time{nil, &o.PlacedAt, &o.PaidAt, &o.ShippedAt} {
		if step != nil && i <= at && state != orders.Cancelled {
			*step = new(day.AddDate(0, 0, i))
		}
	}
	if state == orders.Cancelled {
		o.CancelledAt = new(day)
	}
	o.Normalize()
	return o
}

func requireConflict(t *testing.T, err error, code string, says ...string) {
	t.Helper()
	f, ok := fault.As(err)
	require.True(t, ok, "not a fault: %v", err)
	assert.Equal(t, fault.Conflict, f.Kind)
	assert.Equal(t, code, f.Code)
	for _, word := range says {
		assert.Contains(t, f.Detail, word)
	}
}

func TestActs(t *testing.T) {
	t.Parallel()
	now := day.AddDate(1, 0, 0)
	for name, act := range map[string]struct {
		do   func(*orders.Order, time.Time) error
		from []orders.Status
		to   orders.Status
		at   func(*orders.Order) *time.Time
	}{
		"place": {(*orders.Order).Place, states[:1], orders.Placed, func(o *orders.Order) *time.Time { return o.PlacedAt }},
		"pay":   {(*orders.Order).Pay, states[1:2], orders.Paid, func(o *orders.Order) *time.Time { return o.PaidAt }},
		"ship":  {(*orders.Order).Ship, states[2:3], orders.Shipped, func(o *orders.Order) *time.Time { return o.ShippedAt }},
		"cancel": {
			(*orders.Order).Cancel, states[:3], orders.Cancelled, func(o *orders.Order) *time.Time { return o.CancelledAt },
		},
	} {
		for _, state := range states {
			t.Run(name+"_from_"+string(state), func(t *testing.T) {
				t.Parallel()
				o, want := in(state), in(state)
				want.CustomerID = o.CustomerID
				err := act.do(o, now)
				if !slices.Contains(act.from, state) {
					requireConflict(t, err, "order.wrong_state", "is "+string(state), "become "+string(act.to), string(act.from[0]))
					assert.Equal(t, want, o, "a wrong step changes nothing")
					return
				}
				require.NoError(t, err)
				assert.Equal(t, act.to, o.Status)
				require.NotNil(t, act.at(o))
				assert.Equal(t, now, *act.at(o))
				assert.Empty(t, o.Check(), "what an act leaves behind adds up")
			})
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, state := range states {
		assert.Empty(t, in(state).Check(), state)
	}
	for name, tt := range map[string]struct {
		state   orders.Status
		change  func(*orders.Order)
		pointer string
		code    string
	}{
		"placed at no time":    {orders.Placed, func(o *orders.Order) { o.PlacedAt = nil }, "/placed_at", "required"},
		"paid at no time":      {orders.Paid, func(o *orders.Order) { o.PaidAt = nil }, "/paid_at", "required"},
		"paid, never placed":   {orders.Paid, func(o *orders.Order) { o.PlacedAt = nil }, "/placed_at", "required"},
		"shipped at no time":   {orders.Shipped, func(o *orders.Order) { o.ShippedAt = nil }, "/shipped_at", "required"},
		"cancelled at no time": {orders.Cancelled, func(o *orders.Order) { o.CancelledAt = nil }, "/cancelled_at", "required"},
		"a placed draft":       {orders.Draft, func(o *orders.Order) { o.PlacedAt = &day }, "/placed_at", "state"},
		"a cancelled draft":    {orders.Draft, func(o *orders.Order) { o.CancelledAt = &day }, "/cancelled_at", "state"},
		"placed and shipped":   {orders.Placed, func(o *orders.Order) { o.ShippedAt = &day }, "/shipped_at", "state"},
		"placed and paid":      {orders.Placed, func(o *orders.Order) { o.PaidAt = &day }, "/paid_at", "state"},
		"shipped, cancelled":   {orders.Shipped, func(o *orders.Order) { o.CancelledAt = &day }, "/cancelled_at", "state"},
		"cancelled, shipped":   {orders.Cancelled, func(o *orders.Order) { o.ShippedAt = &day }, "/shipped_at", "state"},
	} {
		o := in(tt.state)
		tt.change(o)
		found := o.Check()
		require.Len(t, found, 1, name)
		assert.Equal(t, tt.pointer, found[0].Pointer, name)
		assert.Equal(t, tt.code, found[0].Code, name)
		assert.Contains(t, found[0].Detail, string(tt.state), name)
	}

	t.Run("takes_a_history_with_steps_that_nobody_noted", func(t *testing.T) {
		t.Parallel()
		o := in(orders.Shipped)
		o.PaidAt = nil
		assert.Empty(t, o.Check())
		o = in(orders.Cancelled)
		o.PlacedAt, o.PaidAt = &day, &day
		assert.Empty(t, o.Check())
	})
	t.Run("leaves_an_unknown_state_to_its_tag", func(t *testing.T) {
		t.Parallel()
		o := in(orders.Paid)
		o.Status = "lost"
		assert.Empty(t, o.Check())
	})
	t.Run("names_the_lines_that_overflow", func(t *testing.T) {
		t.Parallel()
		o := in(orders.Draft)
		o.Lines = []orders.Line{
			{SKU: "A", Quantity: 2, UnitPriceCents: math.MaxInt64},
			{SKU: "B", Quantity: 1, UnitPriceCents: math.MaxInt64},
			{SKU: "C", Quantity: 3, UnitPriceCents: math.MaxInt64},
		}
		o.Normalize()
		found := o.Check()
		require.Len(t, found, 2)
		assert.Equal(t, []string{"/lines/0", "/lines/2"}, []string{found[0].Pointer, found[1].Pointer})
	})
	t.Run("names_all_lines_where_only_their_sum_overflows", func(t *testing.T) {
		t.Parallel()
		o := in(orders.Draft)
		o.Lines = []orders.Line{{SKU: "A", Quantity: 1, UnitPriceCents: math.MaxInt64}, {SKU: "B", Quantity: 1, UnitPriceCents: 0}}
		o.Normalize()
		assert.Empty(t, o.Check(), "the most that there is")
		assert.Equal(t, int64(math.MaxInt64), o.TotalCents)
		o.Lines[1].UnitPriceCents = 1
		o.Normalize()
		found := o.Check()
		require.Len(t, found, 1)
		assert.Equal(t, "/lines", found[0].Pointer)
	})
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	o := &orders.Order{Number: " 7 ", Currency: " eur", TotalCents: 99, Lines: []orders.Line{
		{SKU: " A ", Quantity: 3, UnitPriceCents: 333, DiscountBP: 500, TotalCents: 99},
		{SKU: "half a cent", Quantity: 1, UnitPriceCents: 1, DiscountBP: 5000},
		{SKU: "less than half", Quantity: 1, UnitPriceCents: 1, DiscountBP: 5001},
		{SKU: "for nothing", Quantity: 1_000_000_000, UnitPriceCents: math.MaxInt64, DiscountBP: 10000},
		{SKU: "against the rules", Quantity: -1, UnitPriceCents: 5},
	}}
	o.Normalize()
	assert.Equal(t, "7", o.Number)
	assert.Equal(t, "EUR", o.Currency)
	assert.Equal(t, orders.Draft, o.Status)
	assert.Equal(t, "A", o.Lines[0].SKU)
	var totals []int64
	for _, line := range o.Lines {
		totals = append(totals, line.TotalCents)
	}
	assert.Equal(t, []int64{949, 1, 0, 0, 0}, totals)
	assert.Equal(t, int64(950), o.TotalCents)
	again := *o
	again.Lines = slices.Clone(o.Lines)
	again.Normalize()
	assert.Equal(t, *o, again)
}

func TestMayBecome(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*orders.Order){
		"customer_id": func(o *orders.Order) { o.CustomerID = tenancy.NewID() },
		"number":      func(o *orders.Order) { o.Number = "2" },
		"currency":    func(o *orders.Order) { o.Currency = "USD" },
		"lines":       func(o *orders.Order) { o.Lines[0].Description = "another" },
		"note":        func(o *orders.Order) { o.Note = "another" },
		"tags":        func(o *orders.Order) { o.Tags = []string{"another"} },
		"custom":      func(o *orders.Order) { o.Custom = map[string]any{"another": true} },
	}
	always := []string{"tags", "custom"}
	open := map[orders.Status][]string{
		orders.Draft:     {"customer_id", "number", "currency", "lines", "note", "tags", "custom"},
		orders.Placed:    append(always, "note"),
		orders.Paid:      append(always, "note"),
		orders.Shipped:   always,
		orders.Cancelled: always,
	}
	for _, state := range states {
		for field, change := range changes {
			before := in(state)
			after := *before
			after.Lines = slices.Clone(before.Lines)
			change(&after)
			err := before.MayBecome(&after)
			if slices.Contains(open[state], field) {
				require.NoError(t, err, "%s of one that is %s", field, state)
				continue
			}
			requireConflict(t, err, "order.not_changeable", string(state), "tags")
			f, _ := fault.As(err)
			assert.Equal(t, slices.Contains(open[state], "note"), strings.Contains(f.Detail, "note"), "it says what can be changed")
		}
	}
}

func TestMayBeDeleted(t *testing.T) {
	t.Parallel()
	for _, state := range states {
		err := in(state).MayBeDeleted()
		if state == orders.Draft || state == orders.Cancelled {
			require.NoError(t, err)
			continue
		}
		requireConflict(t, err, "order.not_deletable", string(state))
	}
}
