package webhooks

import (
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// What the jobs of webhooks are bounded by.
const (
	// AttemptTimeout bounds a call of an endpoint.
	AttemptTimeout = 20 * time.Second
	// jobTimeout is that and the time for the record of it.
	jobTimeout = 40 * time.Second
	// slots are how many workers an endpoint may have at once; one that has just failed gets one.
	slots, slotsOfSuspects = 4, 1
)

// DeliverArgs ask for one attempt of a delivery. The next one is another job, so that each is told of by its own times,
// and a receiver's failure is no failure of a job.
type DeliverArgs struct {
	DeliveryID tenancy.ID `json:"delivery_id"`
	EndpointID tenancy.ID `json:"endpoint_id"`
	// Reserved says that the attempt's place under the endpoint's rate limit was taken when the job was made.
	Reserved bool `json:"reserved,omitempty"`
	// Forced is somebody's wish: it does not ask how the endpoint is, but for whether it is paused.
	Forced bool `json:"forced,omitempty"`
	// Probe says that the attempt has the half-open endpoint to itself.
	Probe bool `json:"probe,omitempty"`
	// Suspect says that the endpoint failed last.
	Suspect bool `json:"suspect,omitempty"`
}

// JobKind declares the kind. The endpoint's failures are counted by the delivery: what the job itself may fail at is the
// database.
func (a DeliverArgs) JobKind() jobs.Kind {
	k := jobs.Kind{Name: "webhooks.deliver", Queue: jobs.Webhooks, MaxAttempts: 20, Timeout: jobTimeout, MaxRunning: slots}
	if a.Suspect {
		k.MaxRunning = slotsOfSuspects
	}
	return k
}

// JobLane has workers shared among endpoints.
func (a DeliverArgs) JobLane() tenancy.ID { return a.EndpointID }

// ReplayArgs ask for events to be sent again.
type ReplayArgs struct {
	EndpointID tenancy.ID `json:"endpoint_id"`
	Types      []string   `json:"types,omitempty"`
	From       time.Time  `json:"from"`
	To         time.Time  `json:"to"`
	OnlyFailed bool       `json:"only_failed,omitempty"`
}

// JobKind declares the kind: one replay of an endpoint at a time.
func (ReplayArgs) JobKind() jobs.Kind {
	return jobs.Kind{Name: "webhooks.replay", MaxAttempts: 5, Timeout: 30 * time.Minute, Unique: jobs.UniqueWhileLive}
}

// JobKey is the endpoint.
func (a ReplayArgs) JobKey() string { return a.EndpointID.String() }
