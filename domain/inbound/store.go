package inbound

import (
	"context"
	"strconv"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Store keeps sources and events. Every call sees the scope's tenant only; another's record is NotFound.
type Store interface {
	SourceStore
	EventStore
	// Transact runs fn in one transaction, which the calls that fn makes with its context join, those that enqueue jobs
	// too. It runs fn again where the transaction lost against another one.
	Transact(ctx context.Context, scope tenancy.Scope, fn func(ctx context.Context) error) error
}

// SourceStore keeps sources.
type SourceStore interface {
	// CreateSource saves a source and the hash of its token; Conflict "webhook_source.too_many" where the tenant has MaxSources.
	CreateSource(ctx context.Context, scope tenancy.Scope, source Source, tokenHash []byte) error
	// ListSources returns up to one source more than the limit, newest first.
	ListSources(ctx context.Context, scope tenancy.Scope, request page.Request) ([]Source, error)
	// FindSource returns one source; NotFound "webhook_source.not_found".
	FindSource(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Source, error)
	// ChangeSource loads a source and holds it, lets change alter it, and saves it under its next version with what the
	// audit says, in one transaction that change's context carries. What did not change is not written.
	ChangeSource(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time,
		change func(ctx context.Context, source *Source) error) (Source, error)
	// ReplaceToken gives a source another token. The tokens that it had are good until a time. It is called within
	// ChangeSource.
	ReplaceToken(ctx context.Context, scope tenancy.Scope, id tenancy.ID, tokenHash []byte, until time.Time) error
	// DeleteSource removes a source where check has nothing against it. Its events stay.
	DeleteSource(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time, check func(Source) error) error
	// FindSourceByToken returns the source of a token's hash, and until when the token is good, nil for ever; found is
	// false where there is none, or its tenant is suspended. It is the one look-up across tenants.
	FindSourceByToken(ctx context.Context, tokenHash []byte) (source Source, until *time.Time, found bool, err error)
}

// Arrival is an event that is to be kept, as it is under a version of its source.
type Arrival struct {
	Event

	SourceVersion int64
}

// Fate is what became of an arrival.
type Fate int

// The fates.
const (
	// Stored is kept.
	Stored Fate = iota
	// Duplicate was there already.
	Duplicate
	// Outdated was not kept: the source has another version by now, or is gone.
	Outdated
)

// EventStore keeps events.
type EventStore interface {
	// InsertEvents keeps events, each only while its source has the version, and only once by source and provider's id.
	// It answers for each, in order. It is called within Transact.
	InsertEvents(ctx context.Context, scope tenancy.Scope, arrivals []Arrival) ([]Fate, error)
	// InsertQuarantined keeps what did not verify, and removes a source's oldest beyond keep.
	InsertQuarantined(ctx context.Context, scope tenancy.Scope, event Event, keep int) error
	// ListEvents returns up to one event more than the limit, newest first, without their bodies and headers.
	ListEvents(ctx context.Context, scope tenancy.Scope, query Query) ([]Event, error)
	// FindEvent returns one event whole; NotFound "inbound_event.not_found".
	FindEvent(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Event, error)
	// UpdateEvent loads an event whole and holds it, lets change alter it, and saves its state, error, times, attempts and
	// job, in one transaction that change's context carries.
	UpdateEvent(ctx context.Context, scope tenancy.Scope, id tenancy.ID,
		change func(ctx context.Context, event *Event) error) (Event, error)
	// CountEvents says how many events are selected, counting no further than limit.
	CountEvents(ctx context.Context, scope tenancy.Scope, selection Selection, limit int) (int, error)
	// TakeForReplay holds up to limit selected events that the replay has not taken yet, and returns their ids, oldest
	// first. It is called within Transact.
	TakeForReplay(ctx context.Context, scope tenancy.Scope, selection Selection, replay tenancy.ID, limit int) ([]tenancy.ID, error)
	// MarkReplayed makes events pending again under the jobs that will process them, and notes the replay.
	MarkReplayed(ctx context.Context, scope tenancy.Scope, replay tenancy.ID, events, jobs []tenancy.ID) error
}

// Query selects events, newest first; zero values select all.
type Query struct {
	page.Request
	SourceID tenancy.ID
	States   []State
	Type     string
	// From and To bound the time of receipt.
	From, To time.Time
}

// Selection says which events are replayed. They are those of the times between From and To, the latter excluded.
type Selection struct {
	SourceID tenancy.ID `json:"source_id"`
	Type     string     `json:"type"`
	States   []State    `json:"states"`
	From     time.Time  `json:"from"`
	To       time.Time  `json:"to"`
}

// Sealer seals what must be read again, bound to where it stands.
type Sealer interface {
	Seal(plaintext, binding []byte) ([]byte, error)
	Open(sealed, binding []byte) ([]byte, error)
}

// ErrNoSource is the answer for a source that is not there.
func ErrNoSource() error {
	return fault.New(fault.NotFound, "webhook_source.not_found", "There is no such webhook source.")
}

// ErrTooMany is the answer to one source more than MaxSources.
func ErrTooMany() error {
	return fault.New(fault.Conflict, "webhook_source.too_many",
		"There are "+strconv.Itoa(MaxSources)+" webhook sources, which is the most; delete one that is not needed.")
}

// ErrNoEvent is the answer for an event that is not there.
func ErrNoEvent() error {
	return fault.New(fault.NotFound, "inbound_event.not_found",
		"There is no such inbound event; they are kept for a while only.")
}
