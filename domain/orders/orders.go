// Package orders owns what a tenant sells. It is part of the sample business, which a product team replaces.
//
// An order is a draft until it is placed; then it is paid and shipped, or cancelled on the way. Its lines belong to it
// and its total is computed from them. The rules are methods on the order; nothing here reads a clock or a store.
package orders

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Status is where an order stands.
type Status string

// The states of an order: draft → placed → paid → shipped; cancelled from any but shipped.
const (
	Draft     Status = "draft"
	Placed    Status = "placed"
	Paid      Status = "paid"
	Shipped   Status = "shipped"
	Cancelled Status = "cancelled"
)

// Order is what a customer wants.
type Order struct {
	resource.Base
	CustomerID tenancy.ID `json:"customer_id" validate:"required" api:"filter" gorm:"type:uuid"`
	// Number is given in turn where it is left out.
	Number   string `json:"number"   validate:"required,max=40,printable" api:"filter,unique,search,sequence"`
	Currency string `json:"currency" validate:"required,currency"         api:"filter,scan"`
	// Status and the times of its steps are moved by acts; what is history comes in with them.
	Status      Status     `json:"status"       validate:"oneof=draft placed paid shipped cancelled" api:"filter,backfill"`
	PlacedAt    *time.Time `json:"placed_at"    api:"filter,sort,backfill"`
	PaidAt      *time.Time `json:"paid_at"      api:"backfill"`
	ShippedAt   *time.Time `json:"shipped_at"   api:"backfill"`
	CancelledAt *time.Time `json:"cancelled_at" api:"backfill"`
	Note        string     `json:"note"         validate:"max=2000,printable=lines"                  api:"search"`
	// TotalCents is the sum of the lines, in minor units of the currency.
	TotalCents int64          `json:"total_cents" api:"filter,sort,readonly"`
	Lines      []Line         `json:"lines"  validate:"min=1,max=500,dive"                        api:"plain"       gorm:"serializer:json"`
	Tags       []string       `json:"tags"   validate:"max=50,unique,dive,notblank,max=64,printable" api:"filter" gorm:"serializer:text_list"`
	Custom     map[string]any `json:"custom" validate:"max=100"                                   api:"filter" gorm:"serializer:json"`
}

// Line is one thing that is ordered.
type Line struct {
	SKU         string `json:"sku"         validate:"notblank,max=64,printable"`
	Description string `json:"description" validate:"max=500,printable"`
	Quantity    int64  `json:"quantity"    validate:"min=1,max=1000000000"`
	// UnitPriceCents is in minor units of the order's currency.
	UnitPriceCents int64 `json:"unit_price_cents" validate:"min=0"`
	// DiscountBP is in basis points: 1500 is 15 %.
	DiscountBP int64 `json:"discount_bp" validate:"min=0,max=10000"`
	// TotalCents is quantity × price less the discount, rounded half up to the cent.
	TotalCents int64 `json:"total_cents" api:"readonly"`
}

// Definition declares the resource.
func Definition() *resource.Definition {
	return resource.Define[Order](resource.Options{
		Name: "order", Plural: "orders", Example: example(),
		References: map[string]*resource.Definition{"customer_id": customers.Definition()},
		Acts: []resource.Act{
			resource.ActOf("place", "placed", (*Order).Place),
			resource.ActOf("pay", "paid", (*Order).Pay),
			resource.ActOf("ship", "shipped", (*Order).Ship),
			resource.ActOf("cancel", "cancelled", (*Order).Cancel),
		},
	})
}

func example() *Order {
	return &Order{
		CustomerID: tenancy.MustParseID("01980c2e-5d0b-7c3a-9a57-0f6c1f5f7d11"), Number: "1042", Currency: "EUR", Status: Draft,
		Note: "Leave at the gate.", TotalCents: 15660,
		Lines: []Line{{
			SKU: "CHAI-20", Description: "Chai, 20 bags", Quantity: 12, UnitPriceCents: 1450, DiscountBP: 1000, TotalCents: 15660,
		}},
		Tags: []string{"spring"}, Custom: map[string]any{"channel": "phone"},
	}
}

// Place makes a draft binding.
func (o *Order) Place(now time.Time) error {
	return o.step(Placed, &o.PlacedAt, now, Draft)
}

// Pay records that a placed order was paid.
func (o *Order) Pay(now time.Time) error {
	return o.step(Paid, &o.PaidAt, now, Placed)
}

// Ship records that a paid order has left.
func (o *Order) Ship(now time.Time) error {
	return o.step(Shipped, &o.ShippedAt, now, Paid)
}

// Cancel ends an order that has not been shipped.
func (o *Order) Cancel(now time.Time) error {
	return o.step(Cancelled, &o.CancelledAt, now, Draft, Placed, Paid)
}

func (o *Order) step(to Status, at **time.Time, now time.Time, from ...Status) error {
	if slices.Contains(from, o.Status) {
		o.Status, *at = to, &now
		return nil
	}
	names := make([]string, len(from))
	for i, s := range from {
		names[i] = string(s)
	}
	return fault.New(fault.Conflict, "order.wrong_state", fmt.Sprintf("The order is %s and cannot become %s; only one that is %s can.",
		o.Status, to, strings.Join(names, " or ")))
}

// Normalize trims, fills in what a new order begins with, and computes the totals.
func (o *Order) Normalize() {
	o.Number = strings.TrimSpace(o.Number)
	o.Currency = strings.ToUpper(strings.TrimSpace(o.Currency))
	if o.Status == "" {
		o.Status = Draft
	}
	o.TotalCents = 0
	for i := range o.Lines {
		line := &o.Lines[i]
		line.SKU = strings.TrimSpace(line.SKU)
		line.TotalCents = line.total()
		o.TotalCents = add(o.TotalCents, line.TotalCents)
	}
}

// overflows stands for a total that an int64 cannot hold; Check reports it.
const overflows = -1

// total is the line's, rounded half up; overflows where it does not fit, 0 where a rule of the line's tags is broken.
func (l *Line) total() int64 {
	if l.Quantity < 0 || l.Quantity > maxQuantity || l.UnitPriceCents < 0 || l.DiscountBP < 0 || l.DiscountBP > whole {
		return 0
	}
	// The share of the quantity that is paid is below 2⁴⁴, so that its product with a price fits into 128 bits.
	paid := uint64(l.Quantity) * uint64(whole-l.DiscountBP) //nolint:gosec // neither is negative
	high, low := bits.Mul64(paid, uint64(l.UnitPriceCents))
	low, carry := bits.Add64(low, whole/2, 0)
	high += carry
	if high >= whole {
		return overflows
	}
	total, _ := bits.Div64(high, low, whole)
	if total > math.MaxInt64 {
		return overflows
	}
	return int64(total)
}

const (
	maxQuantity = 1_000_000_000
	whole       = 10_000 // basis points
)

func add(a, b int64) int64 {
	if a == overflows || b == overflows || a > math.MaxInt64-b {
		return overflows
	}
	return a + b
}

// Check reports what the tags cannot: totals that are too large, and a history that does not add up.
func (o *Order) Check() []fault.Violation {
	const most = "more than 9,223,372,036,854,775,807 cents"
	var found []fault.Violation
	bad := func(pointer, code, detail string) {
		found = append(found, fault.Violation{Pointer: pointer, Code: code, Detail: detail})
	}
	for i := range o.Lines {
		if o.Lines[i].TotalCents == overflows {
			bad(fmt.Sprintf("/lines/%d", i), "overflow", "comes to "+most)
		}
	}
	if o.TotalCents == overflows && len(found) == 0 {
		bad("/lines", "overflow", "come together to "+most)
	}
	for _, step := range []struct {
		pointer            string
		at                 *time.Time
		required, possible []Status
	}{
		{"/placed_at", o.PlacedAt, []Status{Placed, Paid, Shipped}, []Status{Placed, Paid, Shipped, Cancelled}},
		{"/paid_at", o.PaidAt, []Status{Paid}, []Status{Paid, Shipped, Cancelled}},
		{"/shipped_at", o.ShippedAt, []Status{Shipped}, []Status{Shipped}},
		{"/cancelled_at", o.CancelledAt, []Status{Cancelled}, []Status{Cancelled}},
	} {
		switch {
		case step.at == nil && slices.Contains(step.required, o.Status):
			bad(step.pointer, "required", "is required of an order that is "+string(o.Status))
		case step.at != nil && isStatus(o.Status) && !slices.Contains(step.possible, o.Status):
			bad(step.pointer, "state", "is of a step that an order has not gone that is "+string(o.Status))
		}
	}
	return found
}

// isStatus leaves unknown ones to the rule of the tag.
func isStatus(s Status) bool {
	return slices.Contains([]Status{Draft, Placed, Paid, Shipped, Cancelled}, s)
}

// MayBecome guards an order that is binding: what was agreed does not change. The note may until the order is shipped or
// cancelled, tags and custom fields even then.
func (o *Order) MayBecome(entity resource.Entity) error {
	after, ok := entity.(*Order)
	if !ok || o.Status == Draft {
		return nil
	}
	agreed := o.CustomerID == after.CustomerID && o.Number == after.Number && o.Currency == after.Currency &&
		o.TotalCents == after.TotalCents && slices.Equal(o.Lines, after.Lines)
	isDone := o.Status == Shipped || o.Status == Cancelled
	if agreed && (!isDone || o.Note == after.Note) {
		return nil
	}
	open := "the note, tags and custom fields"
	if isDone {
		open = "tags and custom fields"
	}
	return fault.New(fault.Conflict, "order.not_changeable",
		fmt.Sprintf("The order is %s: what was agreed cannot be changed any more, only %s can.", o.Status, open))
}

// MayBeDeleted lets go of drafts and of what was cancelled; the rest is business that happened.
func (o *Order) MayBeDeleted() error {
	if o.Status == Draft || o.Status == Cancelled {
		return nil
	}
	return fault.New(fault.Conflict, "order.not_deletable",
		fmt.Sprintf("The order is %s; only drafts and cancelled orders can be deleted.", o.Status))
}
