// Package jobs is the table of what this worker runs: one file for each kind of job, or for kinds that belong together.
//
// Each file declares a handler over the domain's services, which decide; cmd/worker hands over what they need. Nothing
// here knows where jobs come from or what becomes of them.
package jobs

import (
	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/upkeep"
)

// Needs are what the handlers need.
type Needs struct {
	// Processor and Events are what was received by webhook.
	Processor *inbound.Processor
	Events    *inbound.Events
	Trash     upkeep.Trash
	Expiries  upkeep.Expiries
}

// Handlers are all that this worker runs. A kind stands here once.
func Handlers(needs Needs) []jobs.Handler {
	return []jobs.Handler{
		ProcessInbound(needs.Processor),
		ReplayInbound(needs.Events),
		PurgeTrash(needs.Trash),
		Expire(needs.Expiries),
	}
}
