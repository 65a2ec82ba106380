package providers

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// standard is Standard Webhooks (https://www.standardwebhooks.com), which Svix and those who send through it speak too,
// under their own names of the headers.
type standard struct{}

// Name is "standard".
func (standard) Name() string { return "standard" }

// Settings is how old a message may be.
func (standard) Settings() []Setting { return []Setting{toleranceSetting()} }

const (
	symmetricPrefix = "whsec_"
	publicPrefix    = "whpk_"
)

// CheckSecret takes whsec_ with 24 to 64 bytes of base64, or whpk_ with an ed25519 public key.
func (standard) CheckSecret(secret string) string {
	if rest, ok := strings.CutPrefix(secret, publicPrefix); ok {
		if key, valid := decode("base64", rest); !valid || len(key) != ed25519.PublicKeySize {
			return "is no ed25519 public key: whpk_ is followed by 32 bytes in base64"
		}
		return ""
	}
	rest, ok := strings.CutPrefix(secret, symmetricPrefix)
	if !ok {
		return "must begin with whsec_, or with whpk_ for a public key"
	}
	key, valid := decode("base64", rest)
	if !valid {
		return "is not base64 after whsec_; copy it again"
	}
	if len(key) < 24 || len(key) > 64 {
		return "holds a key of fewer than 24 or more than 64 bytes; whsec_ is followed by 24 to 64 in base64"
	}
	return ""
}

// Verify checks the signatures v1 (HMAC-SHA256) and v1a (ed25519) of "id.timestamp.body".
func (standard) Verify(m Message) (Event, error) {
	family := "webhook-"
	if !m.Headers.Has("webhook-id") && !m.Headers.Has("webhook-signature") && m.Headers.Has("svix-id") {
		family = "svix-"
	}
	id, err := m.Headers.one(family + "id")
	if err != nil {
		return Event{}, err
	}
	if strings.Contains(id, ".") {
		return Event{}, refuse("%sid holds a dot, which would make what is signed ambiguous", family)
	}
	timestamp, err := m.Headers.one(family + "timestamp")
	if err != nil {
		return Event{}, err
	}
	header, err := m.Headers.one(family + "signature")
	if err != nil {
		return Event{}, err
	}
	at, err := checkTime(timestamp, family+"timestamp", m.Settings.tolerance(), m.Now)
	if err != nil {
		return Event{}, err
	}
	if !standardMatches(m.Secrets, header, id+"."+timestamp+".", m.Body) {
		return Event{}, errMismatch()
	}
	var content struct {
		Type      string `json:"type"`
		EventType string `json:"event_type"`
		Timestamp string `json:"timestamp"`
	}
	read(m.Body, &content)
	e := Event{ID: id, Type: content.Type, OccurredAt: parsedTime(content.Timestamp)}
	if e.Type == "" {
		e.Type = content.EventType
	}
	if e.OccurredAt.IsZero() {
		e.OccurredAt = at
	}
	return e, nil
}

// standardMatches compares a list such as "v1,<base64> v1a,<base64>": what has another version is passed over.
func standardMatches(secrets []string, header, prefix string, body []byte) bool {
	var symmetric, asymmetric [][]byte
	for i, part := range strings.Fields(header) {
		if i == maxSignatures {
			break
		}
		version, text, _ := strings.Cut(part, ",")
		signature, ok := decode("base64", text)
		switch {
		case !ok:
		case version == "v1":
			symmetric = append(symmetric, signature)
		case version == "v1a":
			asymmetric = append(asymmetric, signature)
		}
	}
	var keys []string
	found := false
	for _, secret := range secrets {
		if rest, ok := strings.CutPrefix(secret, publicPrefix); ok {
			key, err := base64.StdEncoding.DecodeString(rest)
			if err != nil || len(key) != ed25519.PublicKeySize {
				continue
			}
			signed := append([]byte(prefix), body...)
			for _, signature := range asymmetric {
				found = ed25519.Verify(key, signed, signature) || found
			}
			continue
		}
		rest, ok := strings.CutPrefix(secret, symmetricPrefix)
		key, err := base64.StdEncoding.DecodeString(rest)
		if ok && err == nil && len(key) > 0 {
			keys = append(keys, string(key))
		}
	}
	return matches(sha256.New, keys, symmetric, []byte(prefix), body) || found
}
