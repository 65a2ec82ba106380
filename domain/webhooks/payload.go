package webhooks

import (
	"encoding/json"
	"fmt"
	"time"
)

// message is the body that is sent.
type message struct {
	// ID is the webhook-id header's.
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	Timestamp  time.Time `json:"timestamp"`
	APIVersion string    `json:"api_version"`
	Data       any       `json:"data"`
}

// thinData is a resource without what it holds.
type thinData struct {
	ID      string `json:"id"`
	Version int64  `json:"version"`
}

// BodyOf is the body of the message that tells an endpoint of an event. data holds the resource's id and version in both
// forms, so that a receiver can tell which of two messages is the newer one: their order is not promised.
func BodyOf(e Endpoint, event Event) ([]byte, error) {
	m := message{
		ID: event.ID.String(), Type: event.Type, Timestamp: event.At.UTC(), APIVersion: e.APIVersion, Data: json.RawMessage(event.Data),
	}
	if e.Payload == Thin {
		m.Data = thinData{ID: event.ResourceID.String(), Version: event.Version}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write the message: %w", err)
	}
	return body, nil
}
