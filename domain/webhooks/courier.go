package webhooks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Sender calls endpoints.
type Sender interface {
	Checker
	// Post sends a message. An answer is an Answer whatever its status. The error is a *RefusedError where the URL may not be
	// called, and a *UnansweredError where no answer came.
	Post(ctx context.Context, m Message) (Answer, error)
}

// Message is what is posted.
type Message struct {
	URL    string
	Header map[string][]string
	Body   []byte
}

// Answer is what an endpoint answered.
type Answer struct {
	Status int
	Header map[string][]string
	// Body is its beginning, of at most KeptBody bytes; IsCut says that there was more.
	Body  []byte
	IsCut bool
}

// UnansweredError is a call without an answer, and why, in words for the endpoint's owner.
type UnansweredError struct {
	Reason    string
	IsTimeout bool
}

// Error is the reason.
func (u *UnansweredError) Error() string { return u.Reason }

// Due is a delivery that is to be attempted, with all that the attempt needs.
type Due struct {
	Delivery Delivery
	Endpoint Endpoint
	// IsDeleted says that the endpoint is no more.
	IsDeleted bool
	Event     Event
}

// CourierStore keeps what becomes of attempts.
type CourierStore interface {
	// FindDue returns a delivery whose next attempt the job makes, secrets and headers open; found is false where the
	// delivery is gone or another job makes it.
	FindDue(ctx context.Context, scope tenancy.Scope, delivery, job tenancy.ID) (due Due, found bool, err error)
	// ReserveSlot takes the endpoint's next place under its rate limit, one place each interval, and says when it is.
	ReserveSlot(ctx context.Context, scope tenancy.Scope, endpoint tenancy.ID, now time.Time, interval time.Duration) (time.Time, error)
	// TakeProbe has a half-open endpoint to oneself until a time; false where another one has it, or it is not half open.
	TakeProbe(ctx context.Context, scope tenancy.Scope, endpoint tenancy.ID, now, until time.Time) (bool, error)
	// Settle keeps what became of an attempt, and enqueues the next one, in one transaction. decide is given the health as
	// it is then, locked where the outcome may change it. Where the job has ceased to be the delivery's nothing is kept.
	Settle(ctx context.Context, scope tenancy.Scope, due Due, mayChangeHealth bool, decide func(Health) Settlement) error
	// ReplayBatch makes deliveries of the next events of a replay, up to a limit, in one transaction.
	ReplayBatch(ctx context.Context, scope tenancy.Scope, batch ReplayBatch) (Replayed, error)
}

// Settlement is what becomes of a delivery.
type Settlement struct {
	At    time.Time
	State DeliveryState
	// Attempt is the one that was made; nil where none was.
	Attempt *Attempt
	// Next makes the next attempt; nil where none is due.
	Next *DeliverArgs
	// NextAt is when; nil is at once, or when the endpoint is well.
	NextAt *time.Time
	// Error is why there is no attempt, or why it failed.
	Error *string
	// Health is the endpoint's; nil where it stays.
	Health *Health
	// Disable is why the endpoint is disabled; "" where it is not.
	Disable string
}

// Courier makes the attempts of deliveries.
type Courier struct {
	store  CourierStore
	sender Sender
	now    func() time.Time
}

// NewCourier returns a courier.
func NewCourier(store CourierStore, sender Sender, now func() time.Time) *Courier {
	return &Courier{store: store, sender: sender, now: now}
}

var errStale = errors.New("the delivery is gone, or another job makes its attempt")

// Deliver makes one attempt. A receiver's failure is no error: the delivery tells of it. Where the process dies between
// the call and its record the message is sent once more, with the same id.
func (c *Courier) Deliver(ctx context.Context, run *jobs.Run, args DeliverArgs) error {
	due, found, err := c.store.FindDue(ctx, run.Scope, args.DeliveryID, run.Job.ID)
	switch {
	case err != nil:
		return err
	case !found:
		return jobs.Cancel(errStale)
	case due.Delivery.State != Pending: // the attempt was recorded, and the job's end was not
		return nil
	}
	e, isTest := due.Endpoint, due.Delivery.Cause == CauseTest
	now := c.moment()
	switch {
	case due.IsDeleted:
		return c.put(ctx, run.Scope, due, Settlement{At: now, State: Cancelled, Error: new("the endpoint was deleted")})
	case isTest:
		return c.send(ctx, run.Scope, due, false)
	case e.State == Disabled:
		return c.put(ctx, run.Scope, due, Settlement{At: now, State: Cancelled, Error: new("the endpoint is disabled")})
	case e.State == Paused, e.Health.IsOpen(now) && !args.Forced:
		return c.put(ctx, run.Scope, due, Settlement{At: now, State: Held})
	}
	if e.RateLimit != nil && !args.Reserved {
		at, err := c.store.ReserveSlot(ctx, run.Scope, e.ID, now, e.RateLimit.Interval())
		if err != nil {
			return err
		}
		if at.After(now) {
			args.Reserved, args.Probe = true, false
			return c.put(ctx, run.Scope, due, Settlement{At: now, State: Pending, Next: &args, NextAt: &at})
		}
	}
	isProbe := args.Probe || args.Forced && e.Health.OpenUntil != nil
	if e.Health.IsHalfOpen(now) && !isProbe {
		isProbe, err = c.store.TakeProbe(ctx, run.Scope, e.ID, now, now.Add(probeLease))
		if err != nil {
			return err
		}
		if !isProbe {
			return c.put(ctx, run.Scope, due, Settlement{At: now, State: Held})
		}
	}
	return c.send(ctx, run.Scope, due, isProbe)
}

// put settles a delivery without a call.
func (c *Courier) put(ctx context.Context, scope tenancy.Scope, due Due, s Settlement) error {
	return c.store.Settle(ctx, scope, due, false, func(Health) Settlement { return s })
}

// send calls the endpoint and records what it answered.
func (c *Courier) send(ctx context.Context, scope tenancy.Scope, due Due, isProbe bool) error {
	body, err := BodyOf(due.Endpoint, due.Event)
	if err != nil {
		return jobs.Permanent(err)
	}
	began := c.moment()
	answer, failed := c.sender.Post(ctx, messageTo(due, began, body))
	if failed != nil && ctx.Err() != nil { // the process stops, or the job was taken from it: it is made anew
		return fmt.Errorf("call the endpoint: %w", ctx.Err())
	}
	now := c.moment()
	attempt := attemptOf(due.Delivery.Attempts+1, began, now, answer)
	failure, err := failureOf(answer, failed, now)
	if err != nil {
		return err
	}
	isTest := due.Delivery.Cause == CauseTest
	if failure == nil {
		isNews := !isTest && due.Endpoint.Health.IsNews(now)
		return c.store.Settle(ctx, scope, due, isNews, func(h Health) Settlement {
			s := Settlement{At: now, State: Delivered, Attempt: &attempt}
			if isNews {
				s.Health = new(h.Succeed(now))
			}
			return s
		})
	}
	failure.IsProbe = isProbe
	attempt.Error = &failure.Reason
	return c.store.Settle(ctx, scope, due, !isTest, func(h Health) Settlement {
		s := Settlement{At: now, State: Failed, Attempt: &attempt, Error: &failure.Reason}
		if !isTest {
			s.Health = new(h.Fail(now, *failure))
			due.retry(&s, *failure)
		}
		return s
	})
}

// retry says when a delivery that failed is tried again, and whether its endpoint is given up.
func (d Due) retry(s *Settlement, f Failure) {
	if f.Gone {
		s.Disable = ReasonGone
		return
	}
	if s.Health.IsHopeless(s.At) {
		s.Disable = ReasonFailing
		return
	}
	at, again := nextAttempt(s.At, d.Delivery.Round+1, f)
	if !again {
		return
	}
	s.State, s.NextAt = Pending, &at
	if until := s.Health.OpenUntil; until != nil && !at.After(*until) {
		s.State = Held
		return
	}
	s.Next = &DeliverArgs{DeliveryID: d.Delivery.ID, EndpointID: d.Endpoint.ID, Suspect: true}
}

// messageTo is what is posted: signed anew for each attempt, with the event's id in all of them.
func messageTo(due Due, at time.Time, body []byte) Message {
	id := due.Event.ID.String()
	header := map[string][]string{}
	for name, value := range due.Endpoint.Headers {
		if text, ok := value.(string); ok {
			header[name] = []string{text}
		}
	}
	if trace := due.Event.Trace; trace != "" && header["Traceparent"] == nil {
		header["Traceparent"] = []string{trace.Parent(newSpan())}
	}
	secrets := due.Endpoint.Secrets
	if until := due.Endpoint.PreviousSecretUntil; len(secrets) > 1 && (until == nil || !at.Before(*until)) {
		secrets = secrets[:1]
	}
	header["Content-Type"] = []string{"application/json"}
	header["Webhook-Id"] = []string{id}
	header["Webhook-Timestamp"] = []string{strconv.FormatInt(at.Unix(), 10)}
	header["Webhook-Signature"] = []string{Sign(id, at, body, secrets...)}
	return Message{URL: due.Endpoint.URL, Header: header, Body: body}
}

// newSpan names a call within its trace.
func newSpan() string { return fmt.Sprintf("%016x", max(rand.Uint64(), 1)) } //nolint:gosec // tells calls apart, guards nothing

func (c *Courier) moment() time.Time { return c.now().UTC().Truncate(time.Microsecond) }
