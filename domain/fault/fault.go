// Package fault is the one error type that the domain speaks.
//
// A fault says what went wrong in three voices: a kind that transports map to a status, a code that programs branch
// on, and a sentence that people read. It never holds SQL, a stack or a secret: what a fault says may be shown to
// whoever made the request. Everything that is not a fault is a bug or an outage and is answered as Internal.
package fault

import (
	"errors"
	"time"
)

// Kind classifies a fault; a transport chooses its status by it, once.
type Kind int

// The kinds, from the caller's mistakes to ours.
const (
	Internal     Kind = iota // a bug or an outage: nothing the caller can mend
	Malformed                // the request cannot be read: syntax, encoding, an unknown parameter
	Invalid                  // the request was read and a value breaks a rule
	Unauthorized             // who asks is not known, or no longer
	Forbidden                // who asks is known and may not
	NotFound                 // it does not exist, or belongs to another tenant
	Conflict                 // the present state does not allow it
	Stale                    // the caller's copy is older than ours
	OutOfRange               // a part was asked for that is not there
	TooLarge                 // more than a limit takes
	Unsupported              // a content type that is not spoken here
	Limited                  // too many requests
	Unavailable              // a dependency is away; trying again later may help
)

// Violation is one value that breaks one rule.
type Violation struct {
	// Pointer is where the value stands: an RFC 6901 pointer into the body ("/lines/0/quantity"), or the name of a
	// query parameter or header.
	Pointer string `json:"pointer"`
	// Code is the rule, for programs: "required", "max", "unknown_field".
	Code string `json:"code"`
	// Detail says what is wrong with the value and what would be right.
	Detail string `json:"detail"`
}

// Error is a fault.
type Error struct {
	Kind Kind
	// Code is stable and documented: "customer.code_taken".
	Code string
	// Detail is a sentence for people that says the way out.
	Detail string
	// Violations are the values that are wrong, if the fault is about values.
	Violations []Violation
	// RetryAfter is how long to wait before the same request may succeed; 0 says nothing about it.
	RetryAfter time.Duration
	// Location names the resource that the fault is about, as a path under the API's base; "" where there is none.
	Location string

	cause error
}

// New returns a fault. The detail is shown to the caller.
func New(kind Kind, code, detail string) *Error {
	return &Error{Kind: kind, Code: code, Detail: detail}
}

// Values returns an Invalid fault for the values that are wrong.
func Values(violations ...Violation) *Error {
	return &Error{
		Kind: Invalid, Code: "validation_failed",
		Detail: "One or more values are not valid; see errors.", Violations: violations,
	}
}

// Because attaches what caused the fault, for logs; it is never shown to the caller.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Error is for logs: it holds the cause as well.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Code + ": " + e.Detail + ": " + e.cause.Error()
	}
	return e.Code + ": " + e.Detail
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// As returns the fault in err's chain.
func As(err error) (*Error, bool) {
	var f *Error
	ok := errors.As(err, &f)
	return f, ok
}

// KindOf returns the kind of the fault in err's chain, Internal where there is none.
func KindOf(err error) Kind {
	if f, ok := As(err); ok {
		return f.Kind
	}
	return Internal
}

// Is says whether err is a fault with the code.
func Is(err error, code string) bool {
	f, ok := As(err)
	return ok && f.Code == code
}
