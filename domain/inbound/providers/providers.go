// Package providers knows how those who send webhooks sign them, and where their messages say what they are.
//
// Each provider has a file: its settings, what its secrets look like, and how a message is verified. A message is
// verified over the raw bytes that were received, against every active secret, before anything in it is believed. The
// package reads no clock, keeps nothing and knows no transport.
package providers

import (
	"fmt"
	"strings"
	"time"
)

// Message is a webhook as it was received.
type Message struct {
	Headers Headers
	// Body is the raw body: no byte was changed, nothing was decoded.
	Body []byte
	// Secrets are the source's active ones: more than one while they are exchanged.
	Secrets []string
	// Settings are the source's, as Complete returned them.
	Settings Settings
	Now      time.Time
}

// Event is what a verified message says of itself.
type Event struct {
	// ID is the provider's: a message that is sent again has the same one. "" where the message has none.
	ID string
	// Type is the provider's word for what happened: "invoice.paid"; "" where the message has none.
	Type string
	// OccurredAt is when it happened, or was sent; zero where the message does not say.
	OccurredAt time.Time
	// Reply is what the provider wants to be answered; such a message is a question and no event. Nil for an event.
	Reply *Reply
}

// Reply is an answer with a body.
type Reply struct {
	ContentType string
	Body        []byte
}

// Provider is one way of signing.
type Provider interface {
	// Name is how a source names it: "stripe".
	Name() string
	// Settings are those that a source may set.
	Settings() []Setting
	// CheckSecret says what is wrong with a secret, and what would be right; "" for nothing.
	CheckSecret(secret string) string
	// Verify says what a message is, or why it is not the provider's: an error that is a RefusalError.
	Verify(m Message) (Event, error)
}

// All are the providers.
func All() []Provider {
	return []Provider{standard{}, stripe{}, gitHub{}, shopify{}, slack{}, generic{}}
}

// Names are theirs, in the order of All.
func Names() []string {
	all := All()
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.Name()
	}
	return names
}

// Find returns the provider of a name; nil where there is none.
func Find(name string) Provider {
	for _, p := range All() {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

// Verify has a provider verify a message. Whom nobody knows, or who has no secret, nothing is believed of.
func Verify(name string, m Message) (Event, error) {
	p := Find(name)
	switch {
	case p == nil:
		return Event{}, refuse("there is no provider %q here", name)
	case len(m.Secrets) == 0:
		return Event{}, refuse("the source has no secret")
	}
	return p.Verify(m)
}

// Headers are a message's headers, by their names in lower case.
type Headers map[string][]string

// NewHeaders returns the headers of a request, whatever the case of their names.
func NewHeaders(from map[string][]string) Headers {
	h := make(Headers, len(from))
	for name, values := range from {
		name = strings.ToLower(name)
		h[name] = append(h[name], values...)
	}
	return h
}

// Has says whether the header is there.
func (h Headers) Has(name string) bool { return len(h[strings.ToLower(name)]) > 0 }

// Get returns the header's value where it stands once; "" where it is missing or stands more often.
func (h Headers) Get(name string) string {
	if values := h[strings.ToLower(name)]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// one returns the value of a header that a message must have, once: of two nobody knows which was signed.
func (h Headers) one(name string) (string, error) {
	switch values := h[strings.ToLower(name)]; {
	case len(values) == 0:
		return "", refuse("the header %s is missing", name)
	case len(values) > 1:
		return "", refuse("the header %s stands %d times", name, len(values))
	case values[0] == "":
		return "", refuse("the header %s is empty", name)
	default:
		return values[0], nil
	}
}

// RefusalError is why a message is not believed. It may be shown to the source's owner: it never holds a secret, nor the
// signature that would have been right.
type RefusalError string

// Error is the reason.
func (r RefusalError) Error() string { return string(r) }

func refuse(format string, values ...any) error { return RefusalError(fmt.Sprintf(format, values...)) }

// errMismatch is the answer to a signature that no active secret makes.
func errMismatch() error { return refuse("the signature fits none of the source's secrets") }
