package reports

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// DailySales is the name of the report of a day's orders.
const DailySales = "daily_sales"

const (
	// salesDays is how many days its figures go back.
	salesDays = 30
	// bestCustomers is how many customers it names for each currency.
	bestCustomers = 10
	// OverdueAfter is for how many days an order may be unpaid after the day on which it was placed.
	OverdueAfter = 30
)

// Sales are the figures of a day's orders. An order counts on the day on which it was placed, unless it was cancelled.
// Money is added up by currency.
type Sales struct {
	Day          Day      `json:"day"`
	TimeZone     string   `json:"time_zone"`
	Orders       Compared `json:"orders"`
	NewCustomers Compared `json:"new_customers"`
	// Open orders were placed and neither shipped nor cancelled when the day ended; Overdue ones were not paid either,
	// OverdueAfter days after they were placed.
	OpenOrders    int64           `json:"open_orders"`
	OverdueOrders int64           `json:"overdue_orders"`
	Currencies    []CurrencySales `json:"currencies"`
}

// Compared is a number of the day, of the day before, and of the same day of the week before.
type Compared struct {
	Value      int64 `json:"value"`
	DayBefore  int64 `json:"day_before"`
	WeekBefore int64 `json:"week_before"`
}

// ComparedAverage is an average; nil where there was nothing to take it of.
type ComparedAverage struct {
	Value      *int64 `json:"value"`
	DayBefore  *int64 `json:"day_before"`
	WeekBefore *int64 `json:"week_before"`
}

// CurrencySales are the figures of the orders in one currency, in its minor units.
type CurrencySales struct {
	Currency      string          `json:"currency"`
	RevenueCents  Compared        `json:"revenue_cents"`
	Orders        Compared        `json:"orders"`
	AverageCents  ComparedAverage `json:"average_cents"`
	Open          Amount          `json:"open"`
	Overdue       Amount          `json:"overdue"`
	Days          []SalesDay      `json:"days"`
	BestCustomers []BestCustomer  `json:"best_customers"`
	// IsCapped says that a sum is larger than can be written down; what is written is the largest that can.
	IsCapped bool `json:"is_capped,omitempty"`
}

// Amount is some orders and what they come to.
type Amount struct {
	Orders     int64 `json:"orders"`
	TotalCents int64 `json:"total_cents"`
}

// SalesDay is one of the days up to the report's.
type SalesDay struct {
	Day          Day   `json:"day"`
	Orders       int64 `json:"orders"`
	RevenueCents int64 `json:"revenue_cents"`
}

// BestCustomer is one of those who ordered most in the days up to the report's.
type BestCustomer struct {
	CustomerID   tenancy.ID `json:"customer_id"`
	Name         string     `json:"name"`
	Orders       int64      `json:"orders"`
	RevenueCents int64      `json:"revenue_cents"`
}

// SalesRows are what a store adds up for a period.
type SalesRows struct {
	// AsOf is the moment as of which all of it was read.
	AsOf time.Time
	Days []SalesRow
	// Customers are the best ones of each currency, the best first.
	Customers []CustomerRow
	Open      []OpenRow
	// NewCustomers are those whose first order was placed on the day, the day before and the week before, by the index of
	// the day in the period.
	NewCustomers map[int]int64
}

// SalesRow is a day's orders in a currency. Day is an index of the period's days.
type SalesRow struct {
	Currency string
	Day      int
	Amount
	IsCapped bool
}

// CustomerRow is a customer's orders in a currency.
type CustomerRow struct {
	Currency string
	BestCustomer
	IsCapped bool
}

// OpenRow is the open orders in a currency, and those among them that are overdue.
type OpenRow struct {
	Currency      string
	Open, Overdue Amount
	IsCapped      bool
}

// SalesReader adds up orders.
type SalesReader interface {
	// ReadSales adds up the orders of the period's days, all as of one moment. overdueBefore is when an order was placed
	// at the latest that is overdue if it is unpaid; best is how many customers are wanted of each currency.
	ReadSales(ctx context.Context, scope tenancy.Scope, period Period, overdueBefore time.Time, best int) (SalesRows, error)
}

// SalesKind declares the report of a day's orders.
func SalesKind(reader SalesReader) Kind {
	return Declare(Declaration[Sales]{
		Name: DailySales, Title: "Daily sales", Days: salesDays,
		Read: func(ctx context.Context, scope tenancy.Scope, period Period) (Sales, time.Time, error) {
			overdue := period.Day().Add(1 - OverdueAfter).Begin(period.Zone)
			rows, err := reader.ReadSales(ctx, scope, period, overdue, bestCustomers)
			if err != nil {
				return Sales{}, time.Time{}, err
			}
			return salesOf(period, rows), rows.AsOf, nil
		},
		Facts: salesFacts, LayOut: laySalesOut, Late: lateSales,
	})
}

// salesOf puts the figures together. Currencies come in the order of how many orders there were in them.
func salesOf(period Period, rows SalesRows) Sales {
	s := Sales{Day: period.Day(), TimeZone: period.ZoneName, Currencies: []CurrencySales{}}
	at := map[string]int{}
	of := func(currency string) *CurrencySales {
		i, known := at[currency]
		if !known {
			i = len(s.Currencies)
			at[currency] = i
			c := CurrencySales{Currency: currency, Days: make([]SalesDay, len(period.Days)), BestCustomers: []BestCustomer{}}
			for d, day := range period.Days {
				c.Days[d].Day = day
			}
			s.Currencies = append(s.Currencies, c)
		}
		return &s.Currencies[i]
	}
	orders := make([]int64, len(period.Days))
	for _, row := range rows.Days {
		c := of(row.Currency)
		c.Days[row.Day].Orders, c.Days[row.Day].RevenueCents = row.Orders, row.TotalCents
		c.IsCapped = c.IsCapped || row.IsCapped
		orders[row.Day] += row.Orders
	}
	for _, row := range rows.Customers {
		c := of(row.Currency)
		c.BestCustomers, c.IsCapped = append(c.BestCustomers, row.BestCustomer), c.IsCapped || row.IsCapped
	}
	for _, row := range rows.Open {
		c := of(row.Currency)
		c.Open, c.Overdue, c.IsCapped = row.Open, row.Overdue, c.IsCapped || row.IsCapped
		s.OpenOrders, s.OverdueOrders = s.OpenOrders+row.Open.Orders, s.OverdueOrders+row.Overdue.Orders
	}
	s.Orders = compared(len(orders), func(day int) int64 { return orders[day] })
	s.NewCustomers = compared(len(orders), func(day int) int64 { return rows.NewCustomers[day] })
	for i := range s.Currencies {
		s.Currencies[i].compare()
	}
	slices.SortFunc(s.Currencies, func(a, b CurrencySales) int {
		return cmp.Or(cmp.Compare(b.total(), a.total()), cmp.Compare(a.Currency, b.Currency))
	})
	return s
}

// compared takes the values of the last day, the one before and the one a week before.
func compared(days int, of func(day int) int64) Compared {
	last := days - 1
	return Compared{Value: of(last), DayBefore: of(last - 1), WeekBefore: of(last - week)}
}

const week = 7

func (c *CurrencySales) compare() {
	c.Orders = compared(len(c.Days), func(day int) int64 { return c.Days[day].Orders })
	c.RevenueCents = compared(len(c.Days), func(day int) int64 { return c.Days[day].RevenueCents })
	c.AverageCents = ComparedAverage{
		Value:      average(c.RevenueCents.Value, c.Orders.Value),
		DayBefore:  average(c.RevenueCents.DayBefore, c.Orders.DayBefore),
		WeekBefore: average(c.RevenueCents.WeekBefore, c.Orders.WeekBefore),
	}
}

// total is how many orders there were in the currency.
func (c *CurrencySales) total() (orders int64) {
	for _, d := range c.Days {
		orders += d.Orders
	}
	return orders
}

// salesFacts are the figures by which two versions differ. Those of the day come first.
func salesFacts(s Sales) []Fact {
	facts := []Fact{
		{"Time zone", TextOf(s.TimeZone)},
		{"Orders", CountOf(s.Orders.Value)},
		{"New customers", CountOf(s.NewCustomers.Value)},
		{"Open orders", CountOf(s.OpenOrders)},
		{"Overdue orders", CountOf(s.OverdueOrders)},
		{"New customers on the day before", CountOf(s.NewCustomers.DayBefore)},
		{"New customers a week before", CountOf(s.NewCustomers.WeekBefore)},
	}
	for _, c := range s.Currencies {
		add := func(label string, value Cell) { facts = append(facts, Fact{c.Currency + ": " + label, value}) }
		add("revenue", MoneyOf(c.RevenueCents.Value, c.Currency))
		add("orders", CountOf(c.Orders.Value))
		add("open orders", CountOf(c.Open.Orders))
		add("open", MoneyOf(c.Open.TotalCents, c.Currency))
		add("overdue orders", CountOf(c.Overdue.Orders))
		add("overdue", MoneyOf(c.Overdue.TotalCents, c.Currency))
	}
	for _, c := range s.Currencies {
		for i := len(c.Days) - 2; i >= 0; i-- {
			day := c.Days[i]
			facts = append(
				facts,
				Fact{c.Currency + ": revenue of " + day.Day.Short(), MoneyOf(day.RevenueCents, c.Currency)},
				Fact{c.Currency + ": orders of " + day.Day.Short(), CountOf(day.Orders)},
			)
		}
		named := map[string]int{}
		for _, best := range c.BestCustomers {
			named[best.Name]++
		}
		for _, best := range c.BestCustomers {
			name := best.Name
			if named[name] > 1 { // the end of the id tells them apart
				name += " (…" + best.CustomerID.String()[30:] + ")"
			}
			facts = append(
				facts,
				Fact{c.Currency + ": revenue from " + name, MoneyOf(best.RevenueCents, c.Currency)},
				Fact{c.Currency + ": orders of " + name, CountOf(best.Orders)},
			)
		}
	}
	return facts
}

// lateSales are the days of which the report of the day before knew less.
func lateSales(now, before Sales) []Day {
	type key struct {
		currency string
		day      Day
	}
	was, is := map[key]SalesDay{}, map[key]SalesDay{}
	in := func(s Sales, into map[key]SalesDay) {
		for _, c := range s.Currencies {
			for _, d := range c.Days {
				into[key{c.Currency, d.Day}] = d
			}
		}
	}
	in(now, is)
	in(before, was)
	first := now.Day.Add(1 - salesDays)
	late := map[Day]bool{}
	for k, d := range is {
		if k.day.Before(now.Day) && d != zeroed(was[k], k.day) {
			late[k.day] = true
		}
	}
	for k, d := range was {
		if !k.day.Before(first) && d != zeroed(is[k], k.day) {
			late[k.day] = true
		}
	}
	days := make([]Day, 0, len(late))
	for day := range late {
		days = append(days, day)
	}
	slices.SortFunc(days, func(a, b Day) int { return a.utc.Compare(b.utc) })
	return days
}

// zeroed is a day of which nothing was said as one on which nothing happened.
func zeroed(d SalesDay, day Day) SalesDay {
	d.Day = day
	return d
}
