package inbound

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/groundwork-saas/groundwork/domain/inbound/providers"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

const (
	// rememberFor is how long a source is remembered. What is taken by it is kept only if its version still stands, so
	// that a change bites at once; a tenant that was suspended is noticed when this is over.
	rememberFor = 10 * time.Second
	// freshFor is how old what is remembered may be for a message to be refused by it: a secret that is added is good
	// after this at the latest.
	freshFor = time.Second
	// maxRemembered bounds the memory.
	maxRemembered = 10_000
)

// knownSource is a source as it was read, with its secrets opened.
type knownSource struct {
	Source

	secrets []string
	readAt  time.Time
	until   *time.Time // the token's end
}

type sourceCache struct {
	mu      sync.Mutex
	byToken map[string]*knownSource
}

func (c *sourceCache) get(token string) *knownSource {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byToken[token]
}

func (c *sourceCache) put(token string, s *knownSource) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byToken == nil || len(c.byToken) >= maxRemembered {
		c.byToken = map[string]*knownSource{}
	}
	c.byToken[token] = s
}

func (c *sourceCache) forget(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byToken, token)
}

// source returns the source of a token, from memory where that is no older than maxAge, 0 for the usual; nil where there
// is none.
func (r *Receiver) source(ctx context.Context, token string, maxAge time.Duration) (*knownSource, error) {
	if maxAge == 0 {
		maxAge = rememberFor
	}
	if !strings.HasPrefix(token, TokenPrefix) || !r.Secrets.Check(token) {
		return nil, nil //nolint:nilnil // there is none
	}
	now := r.Now()
	if s := r.sources.get(token); s != nil && now.Sub(s.readAt) <= maxAge && (s.until == nil || now.Before(*s.until)) {
		return s, nil
	}
	source, until, found, err := r.Store.FindSourceByToken(ctx, r.Secrets.Hash(token))
	if err != nil {
		return nil, err
	}
	if !found || until != nil && !now.Before(*until) {
		r.sources.forget(token)
		return nil, nil //nolint:nilnil // there is none
	}
	s := &knownSource{Source: source, readAt: now, until: until}
	for _, secret := range source.Secrets {
		text, err := r.Sealer.Open(secret.Sealed, secretBinding(source, secret.ID))
		if err != nil {
			return nil, errors.Join(errors.New("inbound: open a source's secret"), err)
		}
		s.secrets = append(s.secrets, string(text))
	}
	r.sources.put(token, s)
	return s, nil
}

// setAside has a message that did not verify written down, later: the answer does not wait for it.
func (r *Receiver) setAside(s Source, d Delivery, refused error) {
	e := r.received(s, d)
	e.State, e.Body = Quarantined, slices.Clone(d.Body[:min(len(d.Body), QuarantineBody)])
	reason := "It did not verify."
	if refusal := providers.RefusalError(""); errors.As(refused, &refusal) {
		reason = clean(refusal.Error(), maxReason)
	}
	e.Error = &reason
	select {
	case r.quarantine <- e:
	default: // more are refused than can be written down; those before tell enough
	}
}

const (
	maxReason = 300
	// quarantineLimit is how many refused messages of a source are written down in a minute.
	quarantineLimit = 60
)

// Run writes down what was set aside, until ctx ends. report is told of what could not be written.
func (r *Receiver) Run(ctx context.Context, report func(error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-r.quarantine:
			if err := r.writeDown(ctx, e); err != nil && ctx.Err() == nil {
				report(err)
			}
		}
	}
}

func (r *Receiver) writeDown(ctx context.Context, e Event) error {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	pace := limits.Take{Name: "quarantine", Key: e.SourceID.String(), Rate: limits.Rate{Limit: quarantineLimit, Per: time.Minute}}
	verdicts, err := r.Limiter.Take(ctx, pace)
	if err != nil {
		return err
	}
	if _, refused := limits.Refusal(verdicts); refused {
		return nil
	}
	return r.Store.InsertQuarantined(ctx, tenancy.AsSystem(e.TenantID, e.RequestID), e, QuarantineKeep)
}

const (
	maxHeaders     = 40
	maxHeaderValue = 1 << 10
)

// keptHeaders are those that say what a message is and how it was signed. What a sender authenticates itself with is
// never kept.
func keptHeaders(h providers.Headers, settings map[string]any) providers.Headers {
	kept := providers.Headers{}
	for _, name := range sortedNames(h) {
		if len(kept) == maxHeaders {
			break
		}
		if isSecretHeader(name) || !isTellingHeader(name, settings) {
			continue
		}
		for _, value := range h[name][:min(len(h[name]), 4)] {
			kept[name] = append(kept[name], clean(value, maxHeaderValue))
		}
	}
	return kept
}

func sortedNames(h providers.Headers) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func isTellingHeader(name string, settings map[string]any) bool {
	switch name {
	case "content-type", "content-length", "user-agent", "date", "idempotency-key", "stripe-signature":
		return true
	}
	for _, prefix := range []string{"webhook-", "svix-", "x-github-", "x-hub-", "x-shopify-", "x-slack-", "x-webhook-", "x-event-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for _, setting := range settings {
		if text, ok := setting.(string); ok && strings.EqualFold(text, name) {
			return true
		}
	}
	return false
}

func isSecretHeader(name string) bool {
	for _, part := range []string{"authorization", "cookie", "token", "secret", "password", "api-key", "apikey"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
