package inbound

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/inbound/providers"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// ReceiverNeeds is what the receiver works with.
type ReceiverNeeds struct {
	Store   Store
	Queue   jobs.Queue
	Sealer  Sealer
	Secrets members.Secrets
	Limiter limits.Limiter
	// Handlers are those of the workers: an event that none of them is for is kept as unhandled, without a job. Nil leaves
	// that to the jobs.
	Handlers *Handlers
	Now      func() time.Time
	// SourceRate limits verified messages of one source, AddressRate those of one address that do not verify.
	SourceRate, AddressRate limits.Rate
}

// Receiver takes messages in.
type Receiver struct {
	ReceiverNeeds

	sources    sourceCache
	batches    batches
	quarantine chan Event
	// decoy is verified against where there is no source, so that the answer takes as long.
	decoy string
}

// NewReceiver returns the receiver. Its Run must run beside it.
func NewReceiver(needs ReceiverNeeds) *Receiver {
	r := &Receiver{ReceiverNeeds: needs, quarantine: make(chan Event, quarantineQueue), decoy: "whsec_" + rand.Text()}
	r.batches.save = r.save
	return r
}

// quarantineQueue is how many refused messages wait to be written down; beyond that they are not.
const quarantineQueue = 256

// Delivery is a message as a sender posted it.
type Delivery struct {
	// Token is the last part of the address that it was posted to.
	Token     string
	Headers   providers.Headers
	Body      []byte
	Address   string
	RequestID string
}

// Outcome is what became of a delivery that was taken.
type Outcome string

// The outcomes.
const (
	Accepted Outcome = "accepted"
	Repeated Outcome = "duplicate"
	Filtered Outcome = "ignored"
	Waiting  Outcome = "held"
	Answered Outcome = "answered" // it was a question of the provider's
)

// Receipt is the answer to a delivery that was taken.
type Receipt struct {
	Outcome Outcome
	// Reply is what the provider is answered; nil for nothing in particular.
	Reply *providers.Reply
}

// Receive takes a message in: once it returns a receipt, the event is kept and its processing enqueued, whatever breaks
// afterwards. Who posts to no source, and whose message does not verify, gets the same Unauthorized.
func (r *Receiver) Receive(ctx context.Context, d Delivery) (Receipt, error) {
	const tries = 4 // a source that changes as fast as this is being changed by hand no more
	for range tries {
		s, verified, err := r.identify(ctx, d)
		if err != nil {
			return Receipt{}, err
		}
		if verified.Reply != nil {
			return Receipt{Outcome: Answered, Reply: verified.Reply}, nil
		}
		if err := r.limitSource(ctx, s.Source); err != nil {
			return Receipt{}, err
		}
		event := r.event(s.Source, verified, d)
		fate, err := r.batches.add(ctx, Arrival{Event: event, SourceVersion: s.Version})
		switch {
		case err != nil:
			return Receipt{}, err
		case fate == Outdated:
			r.sources.forget(d.Token)
			continue
		case fate == Duplicate:
			return Receipt{Outcome: Repeated}, nil
		case event.State == Ignored:
			return Receipt{Outcome: Filtered}, nil
		case event.State == Held:
			return Receipt{Outcome: Waiting}, nil
		default:
			return Receipt{Outcome: Accepted}, nil
		}
	}
	f := fault.New(fault.Unavailable, "intake.busy", "The source is being changed; send again shortly.")
	f.RetryAfter = time.Second
	return Receipt{}, f
}

// identify finds the source and has its provider verify the message. A source that was remembered is looked up anew
// before its message is refused: a secret may have been added meanwhile.
func (r *Receiver) identify(ctx context.Context, d Delivery) (*knownSource, providers.Event, error) {
	s, err := r.source(ctx, d.Token, 0)
	if err != nil {
		return nil, providers.Event{}, err
	}
	verified, refused := r.verify(s, d)
	if refused != nil && s != nil && r.Now().Sub(s.readAt) > freshFor {
		if s, err = r.source(ctx, d.Token, freshFor); err != nil {
			return nil, providers.Event{}, err
		}
		verified, refused = r.verify(s, d)
	}
	if s == nil || refused != nil {
		if s != nil {
			r.setAside(s.Source, d, refused)
		}
		return nil, providers.Event{}, r.refuse(ctx, d)
	}
	return s, verified, nil
}

// verify has a message verified; without a source, against a decoy.
func (r *Receiver) verify(s *knownSource, d Delivery) (providers.Event, error) {
	m := providers.Message{Headers: d.Headers, Body: d.Body, Now: r.Now()}
	if s == nil {
		m.Secrets = []string{r.decoy}
		m.Headers = providers.Headers{"x-hub-signature-256": {"sha256=" + strings.Repeat("0", 2*sha256.Size)}}
		_, err := providers.Verify("github", m)
		return providers.Event{}, errors.Join(errNoSource, err)
	}
	m.Secrets, m.Settings = s.secrets, providers.Settings(s.Settings)
	return providers.Verify(s.Provider, m)
}

var errNoSource = errors.New("inbound: there is no source of this token")

// refuse is the one answer to whoever is not let in.
func (r *Receiver) refuse(ctx context.Context, d Delivery) error {
	if err := r.limit(ctx, limits.Take{Name: "intake_address", Key: d.Address, Rate: r.AddressRate}); err != nil {
		return err
	}
	return fault.New(fault.Unauthorized, "intake.unauthorized",
		"There is no such address, or the message is not signed with one of its secrets; see the source's quarantined events.")
}

func (r *Receiver) limitSource(ctx context.Context, s Source) error {
	return r.limit(ctx, limits.Take{Name: "intake_source", Key: s.ID.String(), Rate: r.SourceRate})
}

func (r *Receiver) limit(ctx context.Context, take limits.Take) error {
	verdicts, err := r.Limiter.Take(ctx, take)
	if err != nil {
		return fmt.Errorf("take from the limits: %w", err)
	}
	if refusal, refused := limits.Refusal(verdicts); refused {
		f := fault.New(fault.Limited, "intake.rate_limited",
			fmt.Sprintf("More than %d messages in %s; wait as long as Retry-After says, and send again.", refusal.Limit, refusal.Per))
		f.RetryAfter = max(refusal.RetryAfter, time.Second)
		return f
	}
	return nil
}

// event is what is kept of a verified message.
func (r *Receiver) event(s Source, verified providers.Event, d Delivery) Event {
	e := r.received(s, d)
	id := eventID(verified.ID, d.Body)
	e.ProviderEventID, e.Type, e.Body = &id, clean(verified.Type, maxType), d.Body
	if at := verified.OccurredAt; !at.IsZero() && at.Year() > 0 && at.Year() < 10_000 {
		at = at.Truncate(time.Microsecond)
		e.OccurredAt = &at
	}
	switch {
	case !wants(s.Filter, e.Type):
		e.State = Ignored
	case s.PausedAt != nil:
		e.State = Held
	case r.Handlers != nil && !r.Handlers.has(e.Provider, e.Type):
		e.State = Unhandled
	default:
		e.State = Pending
	}
	return e
}

func (r *Receiver) received(s Source, d Delivery) Event {
	return Event{
		TenantID: s.TenantID, ID: tenancy.NewID(), SourceID: s.ID, Provider: s.Provider, Size: int64(len(d.Body)),
		ReceivedAt: r.Now().UTC().Truncate(time.Microsecond), RequestID: d.RequestID,
		Headers: keptHeaders(d.Headers, s.Settings),
	}
}

const (
	maxEventID = 200
	maxType    = 200
)

// eventID is the provider's id of an event where it has one that can be kept, else its body's hash.
func eventID(id string, body []byte) string {
	if id == "" {
		digest := sha256.Sum256(body)
		return "sha256:" + hex.EncodeToString(digest[:])
	}
	if len(id) > maxEventID || clean(id, maxEventID) != id {
		digest := sha256.Sum256([]byte(id))
		return "sha256:" + hex.EncodeToString(digest[:])
	}
	return id
}

// clean makes text of a sender's fit to be kept: valid, without control characters, and bounded.
func clean(text string, most int) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(text, ""))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}

// save keeps a tenant's events and enqueues the processing of those that are new and due, in one transaction.
func (r *Receiver) save(ctx context.Context, tenant tenancy.ID, arrivals []Arrival) (fates []Fate, err error) {
	scope := tenancy.AsSystem(tenant, arrivals[0].RequestID)
	work := make([]*jobs.New, len(arrivals))
	for i := range arrivals {
		if arrivals[i].State == Pending {
			job, err := jobs.Of(ProcessArgs{EventID: arrivals[i].ID})
			if err != nil {
				return nil, err
			}
			work[i], arrivals[i].JobID = &job, &job.ID
		}
	}
	err = r.Store.Transact(ctx, scope, func(ctx context.Context) error {
		if fates, err = r.Store.InsertEvents(ctx, scope, arrivals); err != nil {
			return err
		}
		var due []jobs.New
		for i, job := range work {
			if job != nil && fates[i] == Stored {
				due = append(due, *job)
			}
		}
		if len(due) == 0 {
			return nil
		}
		_, err := r.Queue.Enqueue(ctx, scope, due...)
		return err
	})
	return fates, err
}
