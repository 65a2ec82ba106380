package orders_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/orders"
)

// exact is a line's total by numbers that cannot overflow: quantity × price × share, plus a half, floored.
func exact(line orders.Line) *big.Int {
	n := new(big.Int).Mul(big.NewInt(line.Quantity), big.NewInt(line.UnitPriceCents))
	n.Mul(n, big.NewInt(10_000-line.DiscountBP))
	n.Add(n, big.NewInt(5_000))
	return n.Div(n, big.NewInt(10_000))
}

// FuzzTotals compares the totals of two lines, and of their order, with exact arithmetic.
func FuzzTotals(f *testing.F) {
	f.Add(uint64(3), uint64(333), uint64(500), uint64(1), uint64(1), uint64(5000))
	f.Add(uint64(1), uint64(math.MaxInt64), uint64(0), uint64(1), uint64(1), uint64(0))
	f.Add(uint64(2), uint64(math.MaxInt64), uint64(5000), uint64(1), uint64(0), uint64(10000))
	f.Add(uint64(1_000_000_000), uint64(math.MaxInt64), uint64(9999), uint64(1_000_000_000), uint64(9_223_372_036), uint64(0))
	f.Add(uint64(1_000_000_000), uint64(9_223_372_037), uint64(1), uint64(1), uint64(2), uint64(2500))
	f.Fuzz(func(t *testing.T, q1, p1, d1, q2, p2, d2 uint64) {
		// Whatever the tags let through.
		line := func(sku string, quantity, price, discount uint64) orders.Line {
			return orders.Line{
				SKU: sku, Quantity: int64((quantity-1)%1_000_000_000 + 1), UnitPriceCents: int64(price & math.MaxInt64),
				DiscountBP: int64(discount % 10_001),
			}
		}
		lines := []orders.Line{line("A", q1, p1, d1), line("B", q2, p2, d2)}
		o := &orders.Order{Status: orders.Draft, Lines: lines}
		o.Normalize()
		sum := new(big.Int)
		var want []string
		for i, line := range o.Lines {
			total := exact(line)
			sum.Add(sum, total)
			if total.IsInt64() {
				require.Equal(t, total.Int64(), line.TotalCents, "%+v", line)
				continue
			}
			want = append(want, []string{"/lines/0", "/lines/1"}[i])
		}
		if sum.IsInt64() {
			require.Equal(t, sum.Int64(), o.TotalCents)
		} else if want == nil {
			want = []string{"/lines"}
		}
		var found []string
		for _, v := range o.Check() {
			assert.Equal(t, "overflow", v.Code)
			found = append(found, v.Pointer)
		}
		require.Equal(t, want, found, "%+v", o.Lines)
	})
}
