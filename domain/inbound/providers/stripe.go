package providers

import (
	"crypto/sha256"
	"strings"
)

// stripe signs "t.body" (https://docs.stripe.com/webhooks#verify-manually). The whole secret is the key, whsec_ included.
type stripe struct{}

// Name is "stripe".
func (stripe) Name() string { return "stripe" }

// Settings is how old a message may be.
func (stripe) Settings() []Setting { return []Setting{toleranceSetting()} }

// CheckSecret takes what Stripe shows: whsec_ and letters and digits.
func (stripe) CheckSecret(secret string) string {
	if !strings.HasPrefix(secret, "whsec_") {
		return "must begin with whsec_: it is the signing secret of the endpoint, not an API key"
	}
	return checkAnySecret(secret)
}

// Verify checks the signatures v1 of the header Stripe-Signature: "t=1492774577,v1=…,v1=…". Others, such as v0 of test
// events, prove nothing.
func (stripe) Verify(m Message) (Event, error) {
	header, err := m.Headers.one("Stripe-Signature")
	if err != nil {
		return Event{}, err
	}
	timestamp := ""
	var signatures [][]byte
	for part := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name {
		case "t":
			if timestamp != "" {
				return Event{}, refuse("Stripe-Signature has two timestamps")
			}
			timestamp = value
		case "v1":
			if signature, ok := decode("hex", value); ok && len(signatures) < maxSignatures {
				signatures = append(signatures, signature)
			}
		}
	}
	switch {
	case timestamp == "":
		return Event{}, refuse("Stripe-Signature has no timestamp")
	case len(signatures) == 0:
		return Event{}, refuse("Stripe-Signature has no signature of version v1")
	}
	if _, err := checkTime(timestamp, "the timestamp in Stripe-Signature", m.Settings.tolerance(), m.Now); err != nil {
		return Event{}, err
	}
	if !matches(sha256.New, m.Secrets, signatures, []byte(timestamp+"."), m.Body) {
		return Event{}, errMismatch()
	}
	var content struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Created int64  `json:"created"`
	}
	read(m.Body, &content)
	return Event{ID: content.ID, Type: content.Type, OccurredAt: timeOf(content.Created)}, nil
}
