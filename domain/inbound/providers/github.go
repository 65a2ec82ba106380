package providers

import (
	"crypto/sha256"
	"strings"
)

// gitHub signs the body alone (https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries). Neither a
// time nor the headers that name the delivery and the event are signed.
type gitHub struct{}

// Name is "github".
func (gitHub) Name() string { return "github" }

// Settings are none.
func (gitHub) Settings() []Setting { return nil }

// CheckSecret takes any: it is the user's own.
func (gitHub) CheckSecret(secret string) string { return checkAnySecret(secret) }

// Verify checks X-Hub-Signature-256. The older X-Hub-Signature, which is SHA-1, proves nothing.
func (gitHub) Verify(m Message) (Event, error) {
	const name = "X-Hub-Signature-256"
	header, err := m.Headers.one(name)
	if err != nil {
		return Event{}, err
	}
	text, ok := strings.CutPrefix(header, "sha256=")
	signature, valid := decode("hex", text)
	if !ok || !valid {
		return Event{}, refuse("%s is not of the form sha256=<hexadecimal>", name)
	}
	if !matches(sha256.New, m.Secrets, [][]byte{signature}, m.Body) {
		return Event{}, errMismatch()
	}
	var content struct {
		Action string `json:"action"`
	}
	read(formPayload(m), &content)
	event := m.Headers.Get("X-GitHub-Event")
	if event != "" && content.Action != "" {
		event += "." + content.Action
	}
	return Event{ID: m.Headers.Get("X-GitHub-Delivery"), Type: event}, nil
}
