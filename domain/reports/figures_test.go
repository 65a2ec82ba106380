package reports

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func aDay(t *testing.T, text string) Day {
	t.Helper()
	d, err := ParseDay(text)
	require.NoError(t, err)
	return d
}

func TestMoney(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Cell{
		"0.00": MoneyOf(0, "EUR"), "0.07": MoneyOf(7, "EUR"), "1,234,567,890.12": MoneyOf(123456789012, "EUR"), "1,234": MoneyOf(1234, "JPY"),
		"1.234": MoneyOf(1234, "KWD"), "\u22121,000.00": MoneyOf(-100000, "USD"), "92,233,720,368,547,758.07": MoneyOf(math.MaxInt64, "EUR"),
		"\u221292,233,720,368,547,758.08": MoneyOf(math.MinInt64, "EUR"), "999": CountOf(999), "1,000": CountOf(1000), "–": {Kind: NoCell},
	} {
		assert.Equal(t, want, c.String())
	}
	assert.Equal(t, "-0.07", MoneyOf(-7, "EUR").Plain())
	assert.Equal(t, "1234", MoneyOf(1234, "JPY").Plain())
	assert.Equal(t, "0.001", MoneyOf(1, "KWD").Plain())
	assert.Empty(t, Cell{Kind: NoCell}.Plain())
}

func TestChange(t *testing.T) {
	t.Parallel()
	for want, pair := range map[string][2]int64{
		"+12.5\u00a0%": {900, 800}, "\u221250.0\u00a0%": {1, 2}, "+>999\u00a0%": {100, 1}, "+<0.1\u00a0%": {100001, 100000},
		"\u2212100.0\u00a0%": {0, 5}, "+999.9\u00a0%": {109990, 10000},
	} {
		assert.Equal(t, want, change(pair[0], pair[1]))
	}
	assert.Equal(t, Note{Text: "same as the day before"}, note(3, 3, dayBefore, CountOf))
	assert.Equal(t, Note{Text: "none the day before"}, note(3, 0, dayBefore, CountOf))
}

func TestAverage(t *testing.T) {
	t.Parallel()
	assert.Nil(t, average(10, 0))
	assert.EqualValues(t, 4, *average(7, 2), "half is rounded up")
	assert.EqualValues(t, 3, *average(10, 3))
	assert.EqualValues(t, math.MaxInt64, *average(math.MaxInt64, 1))
}

func TestDay(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "2026-2-3", "2026-02-30", "20260203", "1899-12-31", "2026-02-03T00:00:00Z", "today"} {
		_, err := ParseDay(bad)
		require.Error(t, err, bad)
	}
	for zone, hours := range map[string]map[string]float64{
		"Europe/Berlin":       {"2026-03-29": 23, "2026-10-25": 25, "2026-11-24": 24},
		"Australia/Lord_Howe": {"2026-04-05": 24.5, "2026-10-04": 23.5},
		"America/Sao_Paulo":   {"2018-11-04": 23}, // midnight itself was left out
		"Pacific/Apia":        {"2011-12-29": 24, "2011-12-30": 0},
		"Asia/Kathmandu":      {"2026-11-24": 24},
	} {
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		for day, long := range hours {
			p := NewPeriod(aDay(t, day), 30, location)
			assert.InDelta(t, long, p.End().Sub(p.Start()).Hours(), 0, "%s in %s", day, zone)
			require.Len(t, p.Bounds, 31)
			for i := range p.Days {
				assert.False(t, p.Bounds[i+1].Before(p.Bounds[i]), "bounds are in order")
			}
		}
	}
}

// sampled are the figures of two days' orders in a currency.
func sampled(t *testing.T, day string, orders map[string]int64) Sales {
	t.Helper()
	period := NewPeriod(aDay(t, day), salesDays, time.UTC)
	rows := SalesRows{}
	for i, d := range period.Days {
		if n := orders[d.String()]; n > 0 {
			rows.Days = append(rows.Days, SalesRow{Currency: "EUR", Day: i, Amount: Amount{Orders: n, TotalCents: n * 100}})
		}
	}
	return salesOf(period, rows)
}

func TestLateSales(t *testing.T) {
	t.Parallel()
	before := sampled(t, "2026-11-23", map[string]int64{"2026-11-23": 2, "2026-11-20": 1, "2026-10-25": 5, "2026-11-10": 1})
	now := sampled(t, "2026-11-24", map[string]int64{"2026-11-24": 7, "2026-11-23": 3, "2026-11-20": 1, "2026-11-01": 1})
	assert.Equal(t, []Day{aDay(t, "2026-11-01"), aDay(t, "2026-11-10"), aDay(t, "2026-11-23")}, lateSales(now, before),
		"the first was not there, the second is gone, the third has changed; what is too old for one of them is not compared")
	assert.Empty(t, lateSales(now, sampled(t, "2026-11-23", map[string]int64{"2026-11-23": 3, "2026-11-20": 1, "2026-11-01": 1})))
	assert.Empty(t, lateSales(sampled(t, "2026-11-24", nil), sampled(t, "2026-11-23", nil)))
}

func TestSalesFacts(t *testing.T) {
	t.Parallel()
	twin := func(last string) BestCustomer {
		return BestCustomer{CustomerID: tenancy.MustParseID("01980c2e-5d0b-7c3a-9a57-0f6c1f5f7d" + last), Name: "Ada", Orders: 1, RevenueCents: 100}
	}
	s := sampled(t, "2026-11-24", map[string]int64{"2026-11-24": 2})
	s.Currencies[0].BestCustomers = []BestCustomer{twin("11"), twin("12")}
	seen := map[string]bool{}
	for _, f := range salesFacts(s) {
		assert.False(t, seen[f.Label], "%s stands twice", f.Label)
		seen[f.Label] = true
	}
	assert.Empty(t, differences(salesFacts(s), salesFacts(s)))
	other := sampled(t, "2026-11-24", map[string]int64{"2026-11-24": 3})
	changes := differences(salesFacts(s), salesFacts(other))
	assert.Equal(t, Change{Figure: "Orders", From: "2", To: "3"}, changes[0])
	assert.Contains(t, changes, Change{Figure: "EUR: revenue from Ada (…5f7d11)", From: "1.00"})
}

func TestScale(t *testing.T) {
	t.Parallel()
	for _, most := range []int64{0, 1, 2, 7, 99, 100, 101, 12345, math.MaxInt64 / 2, math.MaxInt64} {
		steps, step := scale(most)
		assert.Positive(t, step)
		assert.LessOrEqual(t, steps, 5)
		assert.GreaterOrEqual(t, float64(step)*float64(steps)*1.0001, float64(most), most)
	}
}
