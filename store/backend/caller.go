package backend

import (
	"context"
	"errors"
	"fmt"

	"github.com/groundwork-saas/groundwork/domain/webhooks"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/outbound"
)

// Caller calls the URLs of webhook endpoints, and gives the verdict on those that are entered: by the same rules. It
// implements webhooks.Sender.
type Caller struct{ client *outbound.Client }

var _ webhooks.Sender = Caller{}

// NewCaller returns a caller. allow are the addresses that may be called though private; in development http:// is taken.
func NewCaller(allow []string, environment config.Environment) (Caller, error) {
	parsed, err := outbound.ParseAllow(allow)
	if err != nil {
		return Caller{}, fmt.Errorf("WEBHOOK_ALLOW: %w", err)
	}
	return Caller{client: outbound.New(outbound.Config{
		Allow: parsed, AllowHTTP: environment == config.Development, Timeout: webhooks.AttemptTimeout, MaxBody: webhooks.KeptBody,
		UserAgent: "Groundwork-Webhooks/1",
	})}, nil
}

// Check gives the verdict on a URL.
func (c Caller) Check(ctx context.Context, url string) (string, error) {
	form, err := c.client.Check(ctx, url)
	return form, inDomainTerms(err)
}

// Post sends a message.
func (c Caller) Post(ctx context.Context, m webhooks.Message) (webhooks.Answer, error) {
	response, err := c.client.Post(ctx, outbound.Request{URL: m.URL, Header: m.Header, Body: m.Body})
	return webhooks.Answer{
		Status: response.Status, Header: response.Header, Body: response.Body, IsCut: response.IsCut,
	}, inDomainTerms(err)
}

// Close ends connections that are kept for later calls.
func (c Caller) Close() { c.client.Close() }

func inDomainTerms(err error) error {
	var refusal *outbound.RefusalError
	var failed *outbound.CallError
	switch {
	case errors.As(err, &refusal):
		return &webhooks.RefusedError{Code: refusal.Code, Detail: refusal.Detail}
	case errors.As(err, &failed):
		return &webhooks.UnansweredError{Reason: failed.Reason, IsTimeout: failed.IsTimeout}
	default:
		return err
	}
}
