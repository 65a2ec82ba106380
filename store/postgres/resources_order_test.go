package postgres_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/orders"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/resource/resourcetest"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// orderSubject makes drafts and cancelled orders: others can neither be deleted nor changed in what was agreed.
func orderSubject() resourcetest.Subject {
	at := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	made := func(n int) *orders.Order {
		o := &orders.Order{
			Number: fmt.Sprintf("N-%d", n), Currency: []string{"EUR", "JPY"}[n%2], Tags: tags(n),
			Custom: map[string]any{"color": color(n), "level": n % 4, "paid": n%2 == 0},
			Lines:  []orders.Line{{SKU: "A", Quantity: int64(n%5 + 1), UnitPriceCents: 1999, DiscountBP: 333}},
		}
		if n%2 == 0 {
			o.Lines = append(o.Lines, orders.Line{SKU: "B", Description: "free", Quantity: 1})
		}
		if n%3 == 2 {
			cancelled := at.Add(time.Duration(n) * time.Hour)
			o.Status, o.CancelledAt = orders.Cancelled, &cancelled
			if n%2 == 0 {
				placed := at.AddDate(0, 0, n%4)
				o.PlacedAt = &placed
			}
		}
		o.Normalize()
		return o
	}
	in := func(status orders.Status) func() resource.Entity {
		return func() resource.Entity {
			o := made(0)
			o.Number, o.Status, o.PlacedAt = "", status, nil
			if status != orders.Draft {
				o.PlacedAt = &at
			}
			if status == orders.Paid {
				o.PaidAt = &at
			}
			return o
		}
	}
	return resourcetest.Subject{
		Referred: map[string]func(n int) resource.Entity{
			"customer_id": func(n int) resource.Entity { return &customers.Customer{Name: fmt.Sprintf("Referred %d", n)} },
		},
		Acts: map[string]resourcetest.Trial{
			"place": {Can: in(orders.Draft), Cannot: in(orders.Placed)},
			"pay":   {Can: in(orders.Placed), Cannot: in(orders.Draft)},
			"ship":  {Can: in(orders.Paid), Cannot: in(orders.Placed)},
			"cancel": {Can: in(orders.Paid), Cannot: func() resource.Entity {
				o, _ := in(orders.Paid)().(*orders.Order)
				o.Status, o.ShippedAt = orders.Shipped, &at
				return o
			}},
		},
		Make: func(n int) resource.Entity { return made(n) },
		Change: func(e resource.Entity, n int) {
			o, _ := e.(*orders.Order)
			o.Tags = append(tags(n), fmt.Sprintf("changed %d", n))
			o.Custom["changed"] = json.Number(fmt.Sprint(n))
			if o.Status == orders.Draft {
				o.Note = fmt.Sprintf("Change %d", n)
				o.Lines[0].Quantity += int64(n) + 1
			}
		},
		Invalid: func() map[string]resource.Entity {
			broken := map[string]resource.Entity{}
			for pointer, spoil := range map[string]func(*orders.Order){
				"/customer_id":      func(o *orders.Order) { o.CustomerID = tenancy.NewID() }, // the database's to say
				"/lines":            func(o *orders.Order) { o.Lines = nil },
				"/lines/0/quantity": func(o *orders.Order) { o.Lines[0].Quantity = 0 },
				"/currency":         func(o *orders.Order) { o.Currency = "XXX" },
				"/placed_at":        func(o *orders.Order) { o.Status = orders.Placed },
			} {
				o := made(60)
				spoil(o)
				broken[pointer] = o
			}
			return broken
		},
	}
}
