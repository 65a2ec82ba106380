// Package jobs is the table of what this worker runs: one file for each kind of job, or for kinds that belong together.
//
// Each file declares a handler over the domain's services, which decide; cmd/worker hands over what they need. Nothing
// here knows where jobs come from or what becomes of them.
package jobs

import (
	"time"

	"github.com/groundwork-saas/groundwork/domain/backfills"
	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/transfers"
	"github.com/groundwork-saas/groundwork/domain/upkeep"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// Needs are what the handlers need.
type Needs struct {
	Trash    upkeep.Trash
	Expiries upkeep.Expiries
	// Notices writes mails and sends them; nil leaves them to workers that have a mail server.
	Notices *notices.Service
	// Webhooks delivers to customers' servers.
	Webhooks *webhooks.Courier
	// Processor and Events are what was received by webhook.
	Processor *inbound.Processor
	Events    *inbound.Events
	// Reports makes what is reported each night.
	Reports *reports.Service
	// Exports makes files of records.
	Exports *transfers.Exporter
	// Imports brings records in from files.
	Imports *transfers.Imports
	// Connectors keep records in step with other programs'.
	Connectors *connectors.Runner
	// Backfills change rows after a migration.
	Backfills *backfills.Service
	Now       func() time.Time
}

// Handlers are all that this worker runs. A kind stands here once.
func Handlers(needs Needs) []jobs.Handler {
	handlers := []jobs.Handler{
		ProcessInbound(needs.Processor),
		ReplayInbound(needs.Events),
		PurgeTrash(needs.Trash),
		Expire(needs.Expiries),
		MakeExport(needs.Exports),
		Import(needs.Imports),
		SyncConnector(needs.Connectors),
		Backfill(needs.Backfills, needs.Now),
	}
	handlers = append(handlers, webhookHandlers(needs.Webhooks)...)
	handlers = append(handlers, reportHandlers(needs.Reports)...)
	if needs.Notices != nil {
		handlers = append(handlers, Mail(needs.Notices)...)
	}
	return handlers
}
