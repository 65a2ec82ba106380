package providers

import "crypto/sha256"

// shopify signs the body alone, with the app's client secret
// (https://shopify.dev/docs/apps/build/webhooks/subscribe/https). The headers that name the event are not signed.
type shopify struct{}

// Name is "shopify".
func (shopify) Name() string { return "shopify" }

// Settings are none.
func (shopify) Settings() []Setting { return nil }

// CheckSecret takes any: older apps' secrets have no prefix.
func (shopify) CheckSecret(secret string) string {
	return checkAnySecret(secret)
}

// Verify checks X-Shopify-Hmac-Sha256.
func (shopify) Verify(m Message) (Event, error) {
	const name = "X-Shopify-Hmac-Sha256"
	header, err := m.Headers.one(name)
	if err != nil {
		return Event{}, err
	}
	signature, ok := decode("base64", header)
	if !ok {
		return Event{}, refuse("%s is not base64", name)
	}
	if !matches(sha256.New, m.Secrets, [][]byte{signature}, m.Body) {
		return Event{}, errMismatch()
	}
	return Event{
		ID: m.Headers.Get("X-Shopify-Webhook-Id"), Type: m.Headers.Get("X-Shopify-Topic"),
		OccurredAt: parsedTime(m.Headers.Get("X-Shopify-Triggered-At")),
	}, nil
}
