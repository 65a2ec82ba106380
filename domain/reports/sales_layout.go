package reports

import (
	"fmt"
	"slices"
)

// laySalesOut lays the figures of a day's orders out: all orders first, then each currency.
func laySalesOut(s Sales, d *Document) {
	d.Sections = []Section{{Figures: []Figure{
		counted(ordersLabel, s.Orders),
		counted("New customers", s.NewCustomers),
		{Label: "Open orders", Value: CountOf(s.OpenOrders), Notes: []Note{{Text: "placed, not shipped yet"}}},
		{Label: "Overdue orders", Value: CountOf(s.OverdueOrders), Notes: []Note{{Text: fmt.Sprintf("unpaid for %d days", OverdueAfter)}}},
	}}}
	if len(s.Currencies) == 0 {
		d.Sections[0].Intro = fmt.Sprintf("No order was placed in the %d days up to this one, and none is open.", salesDays)
	}
	for i := range s.Currencies {
		d.Sections = append(d.Sections, s.Currencies[i].section())
	}
	if len(s.Currencies) == 1 { // its orders are all that there were, which is said above
		only := &d.Sections[1]
		only.Figures = slices.DeleteFunc(only.Figures, func(f Figure) bool { return f.Label == ordersLabel })
	}
	d.Footer = append(d.Footer,
		"An order counts on the day on which it was placed, unless it was cancelled. A new customer is one whose first order was placed on the day.")
}

const ordersLabel = "Orders"

// counted is a number of things, compared.
func counted(label string, c Compared) Figure {
	return Figure{Label: label, Value: CountOf(c.Value), Notes: []Note{
		note(c.Value, c.DayBefore, dayBefore, CountOf),
		note(c.Value, c.WeekBefore, weekBefore, CountOf),
	}}
}

// What a day is compared with.
const dayBefore, weekBefore = "day before", "week before"

func note(now, before int64, against string, cell func(int64) Cell) Note {
	switch {
	case now == before:
		return Note{Text: "same as the " + against}
	case before == 0:
		return Note{Text: "none the " + against}
	case now > before:
		return Note{Change: change(now, before), Text: "vs " + against + " (" + cell(before).String() + ")", Trend: 1}
	default:
		return Note{Change: change(now, before), Text: "vs " + against + " (" + cell(before).String() + ")", Trend: -1}
	}
}

// section is all about one currency.
func (c *CurrencySales) section() Section {
	money := func(cents int64) Cell { return MoneyOf(cents, c.Currency) }
	s := Section{Title: "Sales in " + c.Currency}
	if c.IsCapped {
		s.Intro = "A sum is larger than can be shown; the largest number that can be is in its place."
	}
	s.Figures = []Figure{
		{Label: "Revenue", Value: money(c.RevenueCents.Value), Notes: []Note{
			note(c.RevenueCents.Value, c.RevenueCents.DayBefore, dayBefore, money),
			note(c.RevenueCents.Value, c.RevenueCents.WeekBefore, weekBefore, money),
		}},
		counted(ordersLabel, c.Orders),
		c.averageFigure(money),
		{Label: "Open", Value: money(c.Open.TotalCents), Notes: []Note{{Text: inOrders(c.Open.Orders)}}},
		{Label: "Overdue", Value: money(c.Overdue.TotalCents), Notes: []Note{{Text: inOrders(c.Overdue.Orders)}}},
	}
	chart := &Chart{Title: fmt.Sprintf("Revenue by day, %s", c.Currency), Unit: money(0)}
	byDay := Table{
		Title: fmt.Sprintf("The last %d days", len(c.Days)), Columns: []string{"Day", "Orders", "Revenue", "Average"}, MailRows: week,
		PartTitle: "The last 7 days",
	}
	for i, d := range c.Days {
		chart.Bars = append(chart.Bars, Bar{
			Label: d.Day.Brief(), Long: d.Day.Short(), Value: money(d.RevenueCents), IsMarked: i == len(c.Days)-1,
		})
		last := c.Days[len(c.Days)-1-i]
		byDay.Rows = append(byDay.Rows, []Cell{
			TextOf(last.Day.Short()), CountOf(last.Orders), money(last.RevenueCents), optional(average(last.RevenueCents, last.Orders), money),
		})
	}
	best := Table{
		Title: fmt.Sprintf("Best customers of the last %d days", len(c.Days)), Columns: []string{"Customer", "Orders", "Revenue"}, MailRows: 5,
		PartTitle: fmt.Sprintf("The five best customers of the last %d days", len(c.Days)),
		Empty:     "Nobody ordered anything.",
	}
	for _, b := range c.BestCustomers {
		best.Rows = append(best.Rows, []Cell{TextOf(b.Name), CountOf(b.Orders), money(b.RevenueCents)})
	}
	s.Chart, s.Tables = chart, []Table{best, byDay}
	return s
}

func (c *CurrencySales) averageFigure(money func(int64) Cell) Figure {
	f := Figure{Label: "Average order", Value: optional(c.AverageCents.Value, money)}
	if c.AverageCents.Value == nil {
		f.Notes = []Note{{Text: "there was no order"}}
		return f
	}
	for _, against := range []struct {
		before *int64
		text   string
	}{{c.AverageCents.DayBefore, dayBefore}, {c.AverageCents.WeekBefore, weekBefore}} {
		if against.before == nil {
			f.Notes = append(f.Notes, Note{Text: "no order the " + against.text})
			continue
		}
		f.Notes = append(f.Notes, note(*c.AverageCents.Value, *against.before, against.text, money))
	}
	return f
}

func optional(n *int64, cell func(int64) Cell) Cell {
	if n == nil {
		return Cell{Kind: NoCell}
	}
	return cell(*n)
}

func inOrders(n int64) string {
	if n == 1 {
		return "in 1 order"
	}
	return "in " + CountOf(n).String() + " orders"
}
