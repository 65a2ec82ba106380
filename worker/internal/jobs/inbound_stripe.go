package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/orders"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// payments moves orders as Stripe tells of their payments. It is part of the sample business, which a product team
// replaces. An event finds its order by metadata.order_id. Events come twice and in any order: an order that is already
// where an event would move it stays there, and one that was cancelled stays cancelled.
type payments struct{ orders *resource.Service }

// stripeObject is what is read of the objects in Stripe's events (https://docs.stripe.com/api/events/object).
type stripeObject struct {
	ID       string            `json:"id"`
	Currency string            `json:"currency"`
	Metadata map[string]string `json:"metadata"`
	// Created is when the object came to be, in seconds.
	Created int64 `json:"created"`
	// PaymentStatus and AmountTotal are a checkout session's.
	PaymentStatus string `json:"payment_status"`
	AmountTotal   int64  `json:"amount_total"`
	// AmountPaid is an invoice's.
	AmountPaid int64 `json:"amount_paid"`
	// AmountRefunded and Refunded are a charge's: all that was given back so far, and whether that is all.
	AmountRefunded int64 `json:"amount_refunded"`
	Refunded       bool  `json:"refunded"`
}

// objectOf reads the event's object, and which order it is about.
func objectOf(e inbound.Event) (stripeObject, tenancy.ID, error) {
	var content struct {
		Data struct {
			Object stripeObject `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(e.Body, &content); err != nil {
		return stripeObject{}, tenancy.ID{}, inbound.Refuse("The body is not an event as Stripe sends it.")
	}
	named := content.Data.Object.Metadata["order_id"]
	if named == "" {
		return stripeObject{}, tenancy.ID{}, inbound.Skip("It names no order: metadata.order_id is not set.")
	}
	id, err := tenancy.ParseID(named)
	if err != nil {
		return stripeObject{}, tenancy.ID{}, inbound.Refuse("metadata.order_id is not the id of an order.")
	}
	return content.Data.Object, id, nil
}

// checkout records that a session was paid. One whose payment is still under way is told of again when it has succeeded.
func (p payments) checkout(ctx context.Context, scope tenancy.Scope, e inbound.Event) error {
	object, id, err := objectOf(e)
	if err != nil {
		return err
	}
	if object.PaymentStatus == "unpaid" {
		return inbound.Skip("The payment is still under way; another event tells when it has succeeded.")
	}
	return p.pay(ctx, scope, id, object, object.AmountTotal)
}

// invoice records that an invoice was paid.
func (p payments) invoice(ctx context.Context, scope tenancy.Scope, e inbound.Event) error {
	object, id, err := objectOf(e)
	if err != nil {
		return err
	}
	return p.pay(ctx, scope, id, object, object.AmountPaid)
}

// pay moves the order to paid where what was paid is what it costs.
func (p payments) pay(ctx context.Context, scope tenancy.Scope, id tenancy.ID, object stripeObject, paid int64) error {
	return p.act(ctx, scope, id, "paid", func(o *orders.Order, now time.Time) error {
		switch {
		case o.Status == orders.Paid || o.Status == orders.Shipped || o.Status == orders.Cancelled:
			return nil
		case !strings.EqualFold(object.Currency, o.Currency) || paid < o.TotalCents:
			return inbound.Refuse(fmt.Sprintf("%d %s were paid, in minor units, and the order comes to %d %s.",
				paid, strings.ToUpper(object.Currency), o.TotalCents, o.Currency))
		default:
			return o.Pay(now)
		}
	})
}

// refund cancels the order when all was given back and it has not been shipped; else it is noted.
func (p payments) refund(ctx context.Context, scope tenancy.Scope, e inbound.Event) error {
	object, id, err := objectOf(e)
	if err != nil {
		return err
	}
	if !object.Refunded {
		return p.act(ctx, scope, id, "refund_noted", func(o *orders.Order, _ time.Time) error { return note(o, object) })
	}
	isShipped := false
	err = p.act(ctx, scope, id, "cancelled", func(o *orders.Order, now time.Time) error {
		isShipped = o.Status == orders.Shipped
		if isShipped || o.Status == orders.Cancelled {
			return nil
		}
		return o.Cancel(now)
	})
	if err == nil && isShipped {
		return p.act(ctx, scope, id, "refund_noted", func(o *orders.Order, _ time.Time) error { return note(o, object) })
	}
	return err
}

// maxNote is how long an order's note may be.
const maxNote = 2000

// note says on the order what was given back, once for each amount; a cancelled order needs no note.
func note(o *orders.Order, object stripeObject) error {
	line := fmt.Sprintf("Refunded %d %s in minor units (%s).", object.AmountRefunded, strings.ToUpper(object.Currency), object.ID)
	if o.Status == orders.Cancelled || strings.Contains(o.Note, line) {
		return nil
	}
	joined := strings.TrimLeft(o.Note+"\n"+line, "\n")
	if len(joined) > maxNote {
		return inbound.Refuse("The order's note has no room for the refund.")
	}
	o.Note = joined
	return nil
}

// act does something to the order, in the event's transaction. An order of another tenant does not exist.
func (p payments) act(ctx context.Context, scope tenancy.Scope, id tenancy.ID, done string, do func(*orders.Order, time.Time) error) error {
	_, err := p.orders.Perform(ctx, scope, id, 0, resource.ActOf("stripe", done, do))
	if fault.KindOf(err) == fault.NotFound {
		return errors.Join(inbound.Refuse("There is no order "+id.String()+" here."), err)
	}
	return err
}
