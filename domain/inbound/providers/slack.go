package providers

import (
	"crypto/sha256"
	"net/url"
	"strings"
)

// slack signs "v0:timestamp:body" (https://docs.slack.dev/authentication/verifying-requests-from-slack), and asks an
// address to prove itself before it sends anything there (https://docs.slack.dev/reference/events/url_verification).
type slack struct{}

// Name is "slack".
func (slack) Name() string { return "slack" }

// Settings is how old a message may be.
func (slack) Settings() []Setting { return []Setting{toleranceSetting()} }

// CheckSecret takes any: it is the app's signing secret.
func (slack) CheckSecret(secret string) string { return checkAnySecret(secret) }

// maxChallenge is how much of a challenge is answered.
const maxChallenge = 1000

// Verify checks X-Slack-Signature. A challenge is answered when it is signed, as everything else.
func (slack) Verify(m Message) (Event, error) {
	header, err := m.Headers.one("X-Slack-Signature")
	if err != nil {
		return Event{}, err
	}
	timestamp, err := m.Headers.one("X-Slack-Request-Timestamp")
	if err != nil {
		return Event{}, err
	}
	text, ok := strings.CutPrefix(header, "v0=")
	signature, valid := decode("hex", text)
	if !ok || !valid {
		return Event{}, refuse("X-Slack-Signature is not of the form v0=<hexadecimal>")
	}
	at, err := checkTime(timestamp, "X-Slack-Request-Timestamp", m.Settings.tolerance(), m.Now)
	if err != nil {
		return Event{}, err
	}
	if !matches(sha256.New, m.Secrets, [][]byte{signature}, []byte("v0:"+timestamp+":"), m.Body) {
		return Event{}, errMismatch()
	}
	var content struct {
		Type      string `json:"type"`
		Challenge string `json:"challenge"`
		EventID   string `json:"event_id"`
		EventTime int64  `json:"event_time"`
		Event     struct {
			Type string `json:"type"`
		} `json:"event"`
	}
	read(formPayload(m), &content)
	if content.Type == "url_verification" {
		challenge := content.Challenge[:min(len(content.Challenge), maxChallenge)]
		return Event{Type: content.Type, Reply: &Reply{ContentType: "text/plain; charset=utf-8", Body: []byte(challenge)}}, nil
	}
	e := Event{ID: content.EventID, Type: content.Type, OccurredAt: timeOf(content.EventTime)}
	if content.Type == "event_callback" && content.Event.Type != "" {
		e.Type = content.Event.Type
	}
	if e.OccurredAt.IsZero() {
		e.OccurredAt = at
	}
	return e, nil
}

// formPayload is the JSON in a message that may hold it in the field payload of a form, as GitHub and Slack also send.
func formPayload(m Message) []byte {
	mediaType, _, _ := strings.Cut(m.Headers.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(mediaType), "application/x-www-form-urlencoded") {
		return m.Body
	}
	form, err := url.ParseQuery(string(m.Body))
	if err != nil {
		return nil
	}
	return []byte(form.Get("payload"))
}
