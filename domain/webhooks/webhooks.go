// Package webhooks owns what is sent to customers' servers: endpoints, which events they get, how messages are signed,
// when they are tried again, and when an endpoint is given up.
//
// The scheduler fans committed events out into deliveries, the worker makes their attempts, the API shows both. Messages
// follow Standard Webhooks (standardwebhooks.com). The package makes no HTTP call and knows no queue library: a Sender
// and a Store do what it decides. What comes in from others is not its business.
package webhooks

import (
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// EndpointState says whether an endpoint gets deliveries.
type EndpointState string

// The states of an endpoint.
const (
	// Enabled endpoints are sent what they asked for.
	Enabled EndpointState = "enabled"
	// Paused endpoints are sent nothing; what they would get is held until they are resumed.
	Paused EndpointState = "paused"
	// Disabled endpoints were given up, since they failed for days or said that they are gone. They get nothing, and
	// nothing is held for them; once they are resumed, a replay makes up for it.
	Disabled EndpointState = "disabled"
)

// Why an endpoint was disabled.
const (
	// ReasonGone is an answer of 410.
	ReasonGone = "gone"
	// ReasonFailing is nothing but failures for HopelessAfter.
	ReasonFailing = "failing"
)

// The forms of a payload.
const (
	// Full payloads hold the resource as the API shows it.
	Full = "full"
	// Thin payloads hold its id and version only: the receiver reads the rest with a credential.
	Thin = "thin"
)

// APIVersion is the newest version of the payload's format.
const APIVersion = "v1"

// The limits of endpoints.
const (
	// MaxEndpoints is how many a tenant may have.
	MaxEndpoints = 50
	// DefaultOverlap is how long the old secret signs too after a rotation; MaxOverlap is the most.
	DefaultOverlap, MaxOverlap = 24 * time.Hour, 7 * 24 * time.Hour
	// KeptFor is how long deliveries and their attempts are kept.
	KeptFor = 30 * 24 * time.Hour
	// KeptBody is how much of an answer's body is kept, in bytes.
	KeptBody = 4 << 10
)

// Endpoint is a customer's server and what it wants to be told.
type Endpoint struct {
	TenantID    tenancy.ID `json:"-"`
	ID          tenancy.ID `json:"id"`
	URL         string     `json:"url"`
	Description string     `json:"description"`
	// Events are the patterns of the types that it is sent: "order.paid", "customer.*" or "*".
	Events []string `json:"events" example:"order.*" doc:"The types of events that it is sent; order.* is all of orders, * is all."`
	// HeaderNames are the headers of its own; their values are secret and not shown.
	HeaderNames []string       `json:"header_names" doc:"The headers that go with each message beside the standard ones; their values are not shown."`
	Payload     string         `json:"payload" doc:"full: the resource as the API shows it. thin: its id and version only."`
	APIVersion  string         `json:"api_version" doc:"The version of the payload's format."`
	Filter      map[string]any `json:"filter" doc:"What the payload must hold: a path and the values of which one must stand there, for each condition."`
	RateLimit   *RateLimit     `json:"rate_limit" doc:"The most messages that it is sent in a time; null for no limit."`
	State       EndpointState  `json:"state" doc:"enabled, paused by somebody, or disabled because it failed for days or answered 410."`
	// DisabledReason is ReasonGone or ReasonFailing; nil where it is not disabled.
	DisabledReason *string    `json:"disabled_reason" doc:"gone: it answered 410. failing: it failed for five days. null where it is not disabled."`
	DisabledAt     *time.Time `json:"disabled_at"`
	// PreviousSecretUntil is until when messages are signed with the secret before the last rotation too.
	PreviousSecretUntil *time.Time `json:"previous_secret_until" doc:"Until when messages are signed with the previous secret too."`
	Health              Health     `json:"health"`
	Version             int64      `json:"version"`
	CreatedAt           time.Time  `json:"created_at"`
	UpdatedAt           time.Time  `json:"updated_at"`

	// Headers are the headers of its own with their values; Secrets are those that sign, the newest first. Both are
	// there only where they are needed.
	Headers map[string]any `json:"-"`
	Secrets []Secret       `json:"-"`
}

// RateLimit is the most messages in a time.
type RateLimit struct {
	Limit int64  `json:"limit" validate:"min=1,max=10000" doc:"How many messages, 1 to 10000."`
	Per   string `json:"per" validate:"oneof=second minute hour" doc:"In which time."`
}

// Interval is the time from one message to the next.
func (r RateLimit) Interval() time.Duration {
	per := map[string]time.Duration{"second": time.Second, "minute": time.Minute, "hour": time.Hour}[r.Per]
	return per / time.Duration(max(r.Limit, 1))
}

// DeliveryState is what a delivery has come to.
type DeliveryState string

// The states of a delivery.
const (
	// Pending waits for its next attempt, or is under way.
	Pending DeliveryState = "pending"
	// Held waits for its endpoint: to be resumed, or to be well again.
	Held DeliveryState = "held"
	// Delivered was answered with a 2xx.
	Delivered DeliveryState = "delivered"
	// Failed has used up its attempts.
	Failed DeliveryState = "failed"
	// Cancelled was given up because its endpoint was deleted or disabled.
	Cancelled DeliveryState = "cancelled"
)

// DeliveryStates are all of them.
func DeliveryStates() []DeliveryState {
	return []DeliveryState{Pending, Held, Delivered, Failed, Cancelled}
}

// Why a delivery was made.
const (
	CauseEvent  = "event"
	CauseTest   = "test"
	CauseReplay = "replay"
)

// Delivery is one message to one endpoint.
type Delivery struct {
	TenantID   tenancy.ID `json:"-"`
	ID         tenancy.ID `json:"id"`
	EndpointID tenancy.ID `json:"endpoint_id"`
	// EventID is the message's id, the same in each attempt and each replay: receivers deduplicate by it.
	EventID   tenancy.ID    `json:"event_id" doc:"The webhook-id header: the same in each attempt and replay."`
	EventType string        `json:"event_type" example:"order.paid"`
	State     DeliveryState `json:"state"`
	Cause     string        `json:"cause" doc:"event, test or replay."`
	// Attempts counts all attempts, Round those since it was made or last redelivered.
	Attempts int64 `json:"attempts" doc:"How many attempts were made, redeliveries included."`
	Round    int64 `json:"-"`
	// NextAttemptAt is when it is tried next; nil where it is not, or where its endpoint decides.
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	// LastStatus and LastError are how the last attempt ended.
	LastStatus *int64     `json:"last_status" doc:"The HTTP status of the last attempt; null where no answer came."`
	LastError  *string    `json:"last_error"`
	CreatedAt  time.Time  `json:"created_at"`
	FinishedAt *time.Time `json:"finished_at"`

	// JobID is the job that makes the next attempt; another one is a left-over.
	JobID tenancy.ID `json:"-"`
}

// Attempt is one call of an endpoint.
type Attempt struct {
	// Number counts the delivery's attempts from 1.
	Number     int64     `json:"number"`
	At         time.Time `json:"at"`
	DurationMS int64     `json:"duration_ms"`
	// Status is the answer's; nil where none came.
	Status *int64 `json:"status" doc:"The HTTP status; null where no answer came."`
	// Error says why the attempt failed; nil where it did not.
	Error           *string           `json:"error"`
	ResponseHeaders map[string]string `json:"response_headers"`
	// ResponseBody is the beginning of the answer's body, as text.
	ResponseBody string `json:"response_body" doc:"The first 4 KiB, as text."`
	// IsCut says that the body was longer.
	IsCut bool `json:"response_body_cut"`
}

// Event is what happened, as it is told to endpoints.
type Event struct {
	TenantID   tenancy.ID
	ID         tenancy.ID
	At         time.Time
	Type       string
	Resource   string
	ResourceID tenancy.ID
	Version    int64
	RequestID  string
	// Trace is the trace that the request is part of which caused it.
	Trace tenancy.Trace
	Data  []byte
}

// The types of events that are the webhooks' own.
const (
	// TypeTest is what a test sends; it goes to the endpoint that is tested only.
	TypeTest = "webhook.test"
	// TypeDisabled tells the tenant's other endpoints that one was disabled.
	TypeDisabled = "webhook_endpoint.disabled"
)
