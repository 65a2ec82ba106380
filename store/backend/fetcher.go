package backend

import (
	"context"
	"errors"
	"fmt"

	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/connectors/rest"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/outbound"
)

// Fetcher reads the URLs of connectors, and gives the verdict on those that are entered: by the rules of webhooks. It
// implements rest.Getter.
type Fetcher struct{ client *outbound.Client }

var _ rest.Getter = Fetcher{}

// NewFetcher returns a fetcher. allow are the addresses that may be called though private; in development http:// is taken.
func NewFetcher(allow []string, environment config.Environment) (Fetcher, error) {
	parsed, err := outbound.ParseAllow(allow)
	if err != nil {
		return Fetcher{}, fmt.Errorf("WEBHOOK_ALLOW: %w", err)
	}
	return Fetcher{client: outbound.New(outbound.Config{
		Allow: parsed, AllowHTTP: environment == config.Development, Timeout: rest.PageTimeout, HeaderTimeout: rest.PageTimeout,
		MaxBody: rest.MaxPage, UserAgent: "Groundwork-Connectors/1",
	})}, nil
}

// Check gives the verdict on a URL.
func (f Fetcher) Check(ctx context.Context, url string) (string, error) {
	form, err := f.client.Check(ctx, url)
	return form, inConnectorTerms(err)
}

// Get calls a URL. An answer that is not whole is none.
func (f Fetcher) Get(ctx context.Context, url string, header map[string][]string) (rest.Answer, error) {
	response, err := f.client.Get(ctx, outbound.Request{URL: url, Header: header})
	switch {
	case err != nil:
		return rest.Answer{}, inConnectorTerms(err)
	case response.IsCut && ctx.Err() != nil:
		return rest.Answer{}, ctx.Err()
	case response.IsCut && len(response.Body) >= rest.MaxPage:
		return rest.Answer{}, &connectors.SourceError{
			Reason: fmt.Sprintf("a page of the source is larger than %d MiB; ask for smaller ones by size_param and size", rest.MaxPage>>20), IsPermanent: true,
		}
	case response.IsCut:
		return rest.Answer{}, &connectors.SourceError{Reason: "the source's answer broke off, or did not end in time"}
	}
	return rest.Answer{Status: response.Status, Header: response.Header, Body: response.Body}, nil
}

// Close ends connections that are kept for later calls.
func (f Fetcher) Close() { f.client.Close() }

func inConnectorTerms(err error) error {
	var refusal *outbound.RefusalError
	var failed *outbound.CallError
	switch {
	case errors.As(err, &refusal):
		return &rest.RefusedError{Code: refusal.Code, Detail: refusal.Detail}
	case errors.As(err, &failed):
		return &connectors.SourceError{Reason: "the source did not answer: " + failed.Reason}
	default:
		return err
	}
}
