package jobs

import (
	"context"

	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
)

// ProcessInbound processes what a webhook source received.
func ProcessInbound(processor *inbound.Processor) jobs.Handler {
	return jobs.Handle(func(ctx context.Context, run *jobs.Run, args inbound.ProcessArgs) error {
		return processor.Run(ctx, run, args)
	})
}

// ReplayInbound has many inbound events processed again.
func ReplayInbound(events *inbound.Events) jobs.Handler {
	return jobs.Handle(func(ctx context.Context, run *jobs.Run, args inbound.ReplayArgs) error {
		return events.RunReplay(ctx, run, args)
	})
}

// InboundHandlers are who handles which events of which provider: the table to add to.
func InboundHandlers(orders *resource.Service) (*inbound.Handlers, error) {
	p := payments{orders: orders}
	return inbound.NewHandlers(
		inbound.Handle("stripe", "checkout.session.completed", p.checkout),
		inbound.Handle("stripe", "checkout.session.async_payment_succeeded", p.checkout),
		inbound.Handle("stripe", "invoice.paid", p.invoice),
		inbound.Handle("stripe", "charge.refunded", p.refund),
	)
}
