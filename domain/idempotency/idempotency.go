// Package idempotency owns what is kept so that a repeated request has its effect once.
//
// A caller names a request by a key (the Idempotency-Key header, IETF draft-ietf-httpapi-idempotency-key-header). The
// answer is kept in the transaction of the effect: either both are there or neither. A key in flight is held by a lock
// of that same transaction, so that a crash frees it. Nothing is kept of a request that failed.
package idempotency

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// RetainFor is how long an answer is kept; the draft and the field's habit ask for a day at least.
const RetainFor = 24 * time.Hour

// MaxKeyLength is how long a key may be, in bytes.
const MaxKeyLength = 255

// Request is one request that must have its effect once.
type Request struct {
	// Digest names it: a hash of who asks, the route and the key.
	Digest []byte
	// Content is a hash of what is asked, to tell a repeat from another request under the same key.
	Content []byte
	// IsOpen says that the effect is not the tenant's alone: signing in, or making a tenant.
	IsOpen bool
}

// Answer is what the first request was told.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
	// IsSecret answers hold a token or a key. Their body is not kept, and a repeat is a Conflict that names the resource.
	IsSecret bool
}

// Store keeps answers.
type Store interface {
	// Once returns the kept answer and true, or runs act in a transaction that also keeps what act answers. The
	// context that act is given carries the transaction. A request in flight under the same digest is InFlight.
	Once(ctx context.Context, scope tenancy.Scope, request Request, now time.Time,
		act func(ctx context.Context) (Answer, error)) (Answer, bool, error)
}

// ErrInFlight is for a request whose twin is still being worked on.
func ErrInFlight() *fault.Error {
	f := fault.New(fault.Conflict, "idempotency_key_in_flight",
		"A request with this Idempotency-Key is still being worked on; try again in a moment.")
	f.RetryAfter = time.Second
	return f
}

// ErrReused is for a key that came with another request before.
func ErrReused() *fault.Error {
	return fault.New(fault.Invalid, "idempotency_key_reused",
		"This Idempotency-Key was used with another request; use a new key for each request.")
}

// ErrSecret is for the repeat of a request whose answer held a secret; location is the resource that it made.
func ErrSecret(location string) *fault.Error {
	f := fault.New(fault.Conflict, "idempotency_secret_not_kept",
		"This request was done before, and its answer held a secret, which is told once and not kept.")
	f.Location = location
	return f
}
