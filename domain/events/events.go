// Package events owns the record of what happened, for machines.
//
// Each committed change writes its event in the same transaction; outgoing webhooks and later readers claim events by
// their state, never by "id greater than the last", since commits are unordered. The package never delivers anything.
package events

import (
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Event says that something happened to a resource.
type Event struct {
	ID tenancy.ID
	At time.Time
	// Type is the resource and the act in the past tense: "customer.created".
	Type       string
	Resource   string
	ResourceID tenancy.ID
	// Version is the resource's after the change: receivers order by it.
	Version int64
	// Data is the resource as JSON, as the API shows it.
	Data []byte
}
