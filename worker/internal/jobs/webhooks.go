package jobs

import (
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// webhookHandlers make the attempts of deliveries, and replays.
func webhookHandlers(courier *webhooks.Courier) []jobs.Handler {
	return []jobs.Handler{
		jobs.Handle(courier.Deliver),
		jobs.Handle(courier.Replay),
	}
}
