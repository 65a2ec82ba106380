// Package reportstest has reports to lay out and print: an ordinary one, and those that are hard to lay out.
package reportstest

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Day is the day of all of them.
const Day = "2026-11-24"

// Cases are the documents by their names.
func Cases(tb testing.TB) map[string]reports.Document {
	tb.Helper()
	kind := reports.SalesKind(nil)
	day, err := reports.ParseDay(Day)
	if err != nil {
		tb.Fatal(err)
	}
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		tb.Fatal(err)
	}
	period := reports.NewPeriod(day, kind.Days, zone)
	document := func(organization string, s reports.Sales, version int64, changes []reports.Change) reports.Document {
		s.Day, s.TimeZone = day, period.ZoneName
		data, err := json.Marshal(s)
		if err != nil {
			tb.Fatal(err)
		}
		d, err := kind.Document(reports.Report{Data: data, Head: reports.Head{
			Kind: kind.Name, Day: day, Version: version, TimeZone: period.ZoneName, AsOf: period.End().Add(6 * time.Hour), Changes: changes,
		}}, organization)
		if err != nil {
			tb.Fatal(err)
		}
		return d
	}
	usual := sales(period, currency{"EUR", 48_500, 5}, currency{"USD", 21_300, 2})
	vast := sales(period, currency{"EUR", 912_345_678_901, 1234}, currency{"JPY", 5_000_000, 3}, currency{"KWD", 1_234_567, 1})
	for i := range vast.Currencies[0].BestCustomers {
		vast.Currencies[0].BestCustomers[i].Name = []string{
			"Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft mit beschränkter Haftung und Compagnie",
			"株式会社サンプル", "Ελληνική Εταιρεία", "=HYPERLINK(\"http://evil.example\")", "شركة المثال", "<script>alert(1)</script>",
			"Win a prize at www.evil.example", "Ω", "ООО «Пример»", "a\u202eb",
		}[i%10]
	}
	var currencies []currency
	for i, code := range []string{"EUR", "USD", "GBP", "CHF", "JPY", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "BRL"} {
		currencies = append(currencies, currency{code, int64(50_000 / (i + 1)), 6})
	}
	many := sales(period, currencies...)
	quiet := sales(period, currency{"EUR", 48_500, 5})
	c := &quiet.Currencies[0]
	c.Days[len(c.Days)-1] = reports.SalesDay{Day: day}
	c.Orders.Value, c.RevenueCents.Value, c.AverageCents.Value = 0, 0, nil
	quiet.Orders.Value, quiet.NewCustomers.Value = 0, 0
	return map[string]reports.Document{
		"usual": document("Northwind Traders", usual, 1, nil),
		"revised": document("Northwind Traders", usual, 2, []reports.Change{
			{Figure: "Orders", From: "6", To: "7"},
			{Figure: "EUR: revenue", From: "2,300.00", To: "2,411.20"},
			{Figure: "EUR: revenue from Ernst Handel (0198…)", To: "1,200.00"},
		}),
		"empty": document("A company that has just begun", reports.Sales{}, 1, nil),
		"quiet": document("Northwind Traders", quiet, 1, nil),
		"vast":  document("Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft & Söhne <b>GmbH</b>", vast, 1, nil),
		"many":  document("World Trade", many, 1, nil),
	}
}

// currency is what was sold in one: a typical order, and how many a day.
type currency struct {
	code   string
	cents  int64
	orders int
}

// sales are figures that look like those of a business: busier in the middle of the week, and none on some Sundays.
func sales(period reports.Period, currencies ...currency) reports.Sales {
	s := reports.Sales{
		Orders: reports.Compared{Value: 7, DayBefore: 6, WeekBefore: 9}, NewCustomers: reports.Compared{Value: 2, DayBefore: 2, WeekBefore: 0},
		OpenOrders: 23, OverdueOrders: 4,
	}
	names := []string{
		"Ernst Handel", "QUICK-Stop", "Save-a-lot Markets", "Rattlesnake Canyon Grocery", "Hungry Owl All-Night Grocers",
		"Berglunds snabbköp", "Königlich Essen", "Folk och fä HB", "Mère Paillarde", "Bottom-Dollar Markets",
	}
	for _, of := range currencies {
		c := reports.CurrencySales{
			Currency: of.code, Open: reports.Amount{Orders: 18, TotalCents: 9 * of.cents}, Overdue: reports.Amount{Orders: 1, TotalCents: of.cents},
		}
		for i, day := range period.Days {
			weekday := day.Begin(time.UTC).Weekday()
			wave := 1 + 0.6*math.Sin(float64(i)*1.7)
			orders := int64(float64(of.orders) * wave)
			if weekday == time.Sunday {
				orders = 0
			}
			c.Days = append(c.Days, reports.SalesDay{Day: day, Orders: orders, RevenueCents: orders * of.cents * int64(90+i) / 100})
		}
		last := len(c.Days) - 1
		at := func(back int) reports.SalesDay { return c.Days[last-back] }
		c.Orders = reports.Compared{Value: at(0).Orders, DayBefore: at(1).Orders, WeekBefore: at(7).Orders}
		c.RevenueCents = reports.Compared{Value: at(0).RevenueCents, DayBefore: at(1).RevenueCents, WeekBefore: at(7).RevenueCents}
		c.AverageCents = reports.ComparedAverage{Value: mean(at(0)), DayBefore: mean(at(1)), WeekBefore: mean(at(7))}
		for i, name := range names {
			id := tenancy.MustParseID(fmt.Sprintf("01980c2e-5d0b-7c3a-9a57-0f6c1f5f7d%02d", i))
			c.BestCustomers = append(c.BestCustomers, reports.BestCustomer{
				CustomerID: id, Name: name, Orders: int64(14 - i), RevenueCents: int64(14-i) * of.cents,
			})
		}
		s.Currencies = append(s.Currencies, c)
	}
	return s
}

func mean(d reports.SalesDay) *int64 {
	if d.Orders == 0 {
		return nil
	}
	m := d.RevenueCents / d.Orders
	return &m
}
