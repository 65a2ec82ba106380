// Package inbound owns webhooks that others send to a tenant: where they may be sent, what was received, and what became
// of it.
//
// A source is an address that one provider may post to. What arrives there is verified, kept with its raw body, and
// answered; a job processes it afterwards, by the handler that is declared for its type. A message that is sent twice is
// kept once. The order in which messages arrive means nothing: handlers go by what an event says. The package speaks no
// HTTP; the worker's intake does.
package inbound

import (
	"time"

	"github.com/groundwork-saas/groundwork/domain/inbound/providers"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Source is an address to which one provider may send.
type Source struct {
	TenantID tenancy.ID `json:"-"`
	ID       tenancy.ID `json:"id"`
	Name     string     `json:"name"`
	// Provider is who sends: it decides how messages are verified.
	Provider string `json:"provider"`
	// Settings are the provider's, complete.
	Settings map[string]any `json:"settings"`
	// Filter are the types of events that are processed, "*" standing for any text; empty is all. Others are kept as
	// ignored.
	Filter []string `json:"filter"`
	// PausedAt is since when what arrives is kept and not processed; nil where it is processed.
	PausedAt *time.Time `json:"paused_at"`
	// Secrets are the active ones: a message that fits any of them is taken.
	Secrets   []Secret  `json:"secrets"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`

	// TokenSealed is the last part of the address, sealed.
	TokenSealed []byte `json:"-"`
}

// Secret is what a provider signs with. It is shown to nobody again.
type Secret struct {
	ID tenancy.ID `json:"id"`
	// Hint is the end of a long secret, by which people tell it from others.
	Hint      string    `json:"hint"`
	CreatedAt time.Time `json:"created_at"`

	Sealed []byte `json:"-"`
}

// State is what has become of an event.
type State string

// The states.
const (
	// Pending waits for its processing, or is tried again.
	Pending State = "pending"
	// Held waits for its source to go on, which was paused when it arrived.
	Held State = "held"
	// Processed was handled.
	Processed State = "processed"
	// Ignored is of a type that the source's filter does not name.
	Ignored State = "ignored"
	// Unhandled is of a type that nobody handles, or is not about anything here.
	Unhandled State = "unhandled"
	// Failed could not be processed; its error says why.
	Failed State = "failed"
	// Quarantined did not verify. Nothing of it is believed, and it is not processed.
	Quarantined State = "quarantined"
)

// States are all of them.
func States() []State {
	return []State{Pending, Held, Processed, Ignored, Unhandled, Failed, Quarantined}
}

// What is kept.
const (
	// QuarantineBody is how many bytes of a quarantined message are kept.
	QuarantineBody = 4 << 10
	// QuarantineKeep is how many quarantined messages of a source are kept: the newest.
	QuarantineKeep = 100
	// QuarantineFor is for how long.
	QuarantineFor = 7 * 24 * time.Hour
)

// Event is a message that was received.
type Event struct {
	TenantID tenancy.ID `json:"-"`
	ID       tenancy.ID `json:"id"`
	SourceID tenancy.ID `json:"source_id"`
	Provider string     `json:"provider"`
	// ProviderEventID is the provider's id of it, or "sha256:" and the hash of its body; null for a quarantined one.
	ProviderEventID *string `json:"provider_event_id"`
	// Type is the provider's word for what happened; "" where it says none.
	Type  string `json:"type"`
	State State  `json:"state"`
	// Error is why it failed, is tried again, was not handled, or did not verify.
	Error *string `json:"error"`
	// OccurredAt is when it happened by the provider's word.
	OccurredAt  *time.Time `json:"occurred_at"`
	ReceivedAt  time.Time  `json:"received_at"`
	ProcessedAt *time.Time `json:"processed_at"`
	// Attempts counts the processing begun, replays among it.
	Attempts int64 `json:"attempts"`
	// JobID is the job that processes it, or did last; null where none was made.
	JobID *tenancy.ID `json:"job_id"`
	// Size is the body's as it was received, in bytes.
	Size int64 `json:"size"`
	// RequestID names the request that brought it.
	RequestID string `json:"request_id"`

	// Headers are those that are kept, by their names in lower case.
	Headers providers.Headers `json:"-"`
	// Body is the raw body; lists leave it out. That of a quarantined message ends after QuarantineBody.
	Body []byte `json:"-"`
}
