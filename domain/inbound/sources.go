package inbound

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/inbound/providers"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// SourceNeeds is what the service of sources works with.
type SourceNeeds struct {
	Store    Store
	Queue    jobs.Queue
	Sealer   Sealer
	Secrets  members.Secrets
	Validate validation.Validator
	Now      func() time.Time
	// URL is the intake's origin as senders reach it: "https://hooks.example.com".
	URL string
}

// Sources makes and changes sources.
type Sources struct{ SourceNeeds }

// NewSources returns the service.
func NewSources(needs SourceNeeds) *Sources {
	needs.URL = strings.TrimRight(needs.URL, "/")
	return &Sources{needs}
}

const (
	// TokenPrefix begins the last part of each address.
	TokenPrefix = "gw_in_"
	// MaxSources is how many a tenant may have.
	MaxSources = 50
	// MaxSecrets is how many secrets a source may have at a time.
	MaxSecrets = 10
	// MaxOverlap is for how long an address that was replaced may still be good.
	MaxOverlap = 7 * 24 * time.Hour
)

// SourceInput is a source that is wanted.
type SourceInput struct {
	Name string `json:"name" validate:"required,notblank,max=200,printable"`
	// Provider is who sends.
	Provider string `json:"provider" validate:"required,oneof=standard stripe github shopify slack hmac"`
	// Secrets are what the provider signs with, as it shows them.
	Secrets []string `json:"secrets" validate:"required,min=1,max=10,unique"`
	// Settings are the provider's; docs/webhooks.md lists them.
	Settings map[string]any `json:"settings" validate:"max=20"`
	// Filter are the types that are processed, such as invoice.*; empty is all.
	Filter []string `json:"filter" validate:"max=50"`
}

// SourceChange is what can be changed of a source.
type SourceChange struct {
	Name     string         `json:"name" validate:"required,notblank,max=200,printable"`
	Settings map[string]any `json:"settings" validate:"max=20"`
	Filter   []string       `json:"filter" validate:"max=50"`
	// Paused keeps what arrives and does not process it; once it is false again, what was held is processed.
	Paused bool `json:"paused"`
	// AddSecrets are further ones: with the old and the new active, none is refused while the provider changes over.
	AddSecrets []string `json:"add_secrets" validate:"max=10,unique"`
	// RemoveSecrets are the ids of those that end, at once.
	RemoveSecrets []tenancy.ID `json:"remove_secrets" validate:"max=10,unique"`
}

// Create makes a source.
func (s *Sources) Create(ctx context.Context, scope tenancy.Scope, in SourceInput) (Source, error) {
	in.Name, in.Filter = strings.TrimSpace(in.Name), normalizeFilter(in.Filter)
	if err := validation.Check(s.Validate, in); err != nil {
		return Source{}, err
	}
	provider := providers.Find(in.Provider)
	settings, violations := complete(provider, in.Settings)
	violations = append(violations, checkSecrets(provider, "/secrets", in.Secrets)...)
	if violations = append(violations, checkFilter(in.Filter)...); len(violations) > 0 {
		return Source{}, fault.Values(violations...)
	}
	now, token := s.moment(), s.Secrets.New(TokenPrefix, members.TokenBytes)
	source := Source{
		TenantID: scope.Tenant, ID: tenancy.NewID(), Name: in.Name, Provider: in.Provider, Settings: settings,
		Filter: in.Filter, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	var err error
	if source.TokenSealed, err = s.Sealer.Seal([]byte(token), urlBinding(source)); err != nil {
		return Source{}, fmt.Errorf("seal the source's address: %w", err)
	}
	if err = s.addSecrets(&source, in.Secrets, now); err != nil {
		return Source{}, err
	}
	return source, s.Store.CreateSource(ctx, scope, source, s.Secrets.Hash(token))
}

// List returns a page of sources, newest first.
func (s *Sources) List(ctx context.Context, scope tenancy.Scope, request page.Request) (page.Page[Source], error) {
	request = request.Normalized()
	rows, err := s.Store.ListSources(ctx, scope, request)
	if err != nil {
		return page.Page[Source]{}, err
	}
	return page.Of(rows, request, func(s Source) page.Position { return page.Position{s.ID.String()} }), nil
}

// Find returns one source.
func (s *Sources) Find(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Source, error) {
	return s.Store.FindSource(ctx, scope, id)
}

// Address is where a source's provider posts to. Whoever knows it and the secret can send: it is shown to those who may
// change the source, and "" to others.
func (s *Sources) Address(scope tenancy.Scope, source Source) (string, error) {
	if !scope.Actor.May(members.WebhooksWrite) {
		return "", nil
	}
	token, err := s.Sealer.Open(source.TokenSealed, urlBinding(source))
	if err != nil {
		return "", fmt.Errorf("open the source's address: %w", err)
	}
	return s.URL + "/hooks/" + string(token), nil
}

// Change lets apply change a source. A source that was paused and is no more has what it held processed.
func (s *Sources) Change(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match,
	apply func(*SourceChange) error,
) (Source, error) {
	now := s.moment()
	return s.Store.ChangeSource(ctx, scope, id, now, func(ctx context.Context, source *Source) error {
		if err := match.Check(source.Version, "webhook source"); err != nil {
			return err
		}
		change := SourceChange{
			Name: source.Name, Settings: maps.Clone(source.Settings), Filter: source.Filter, Paused: source.PausedAt != nil,
		}
		if err := apply(&change); err != nil {
			return err
		}
		if err := s.alter(source, change, now); err != nil {
			return err
		}
		switch {
		case change.Paused && source.PausedAt == nil:
			source.PausedAt = &now
		case !change.Paused && source.PausedAt != nil:
			source.PausedAt = nil
			return s.release(ctx, scope, id)
		}
		return nil
	})
}

// alter checks a change and makes it, but for the pause.
func (s *Sources) alter(source *Source, change SourceChange, now time.Time) error {
	change.Name, change.Filter = strings.TrimSpace(change.Name), normalizeFilter(change.Filter)
	if err := validation.Check(s.Validate, change); err != nil {
		return err
	}
	provider := providers.Find(source.Provider)
	settings, violations := complete(provider, change.Settings)
	violations = append(violations, checkSecrets(provider, "/add_secrets", change.AddSecrets)...)
	violations = append(violations, checkFilter(change.Filter)...)
	kept := slices.Clone(source.Secrets)
	for i, id := range change.RemoveSecrets {
		at := slices.IndexFunc(kept, func(k Secret) bool { return k.ID == id })
		if at < 0 {
			violations = append(violations, fault.Violation{
				Pointer: "/remove_secrets/" + strconv.Itoa(i), Code: "not_found", Detail: "is the id of no secret of this source",
			})
			continue
		}
		kept = slices.Delete(kept, at, at+1)
	}
	switch n := len(kept) + len(change.AddSecrets); {
	case n == 0:
		violations = append(violations, fault.Violation{
			Pointer: "/remove_secrets", Code: "min", Detail: "would leave no secret; add the new one in the same change",
		})
	case n > MaxSecrets:
		violations = append(violations, fault.Violation{
			Pointer: "/add_secrets", Code: "max", Detail: fmt.Sprintf("would make %d secrets; at most %d, so remove old ones", n, MaxSecrets),
		})
	}
	if len(violations) > 0 {
		return fault.Values(violations...)
	}
	source.Name, source.Settings, source.Filter, source.Secrets = change.Name, settings, change.Filter, kept
	return s.addSecrets(source, change.AddSecrets, now)
}

// release has what the source held processed.
func (s *Sources) release(ctx context.Context, scope tenancy.Scope, id tenancy.ID) error {
	_, err := jobs.Enqueue(ctx, s.Queue, scope, ReplayArgs{Selection{SourceID: id, States: []State{Held}}})
	return err
}

// Rotate gives a source another address. The old one is good for the overlap, 0 for no longer.
func (s *Sources) Rotate(ctx context.Context, scope tenancy.Scope, id tenancy.ID, overlap time.Duration) (Source, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return Source{}, fault.Values(fault.Violation{
			Pointer: "/overlap", Code: "max", Detail: "must be 0 to " + strconv.Itoa(int(MaxOverlap/time.Second)) + " seconds",
		})
	}
	now, token := s.moment(), s.Secrets.New(TokenPrefix, members.TokenBytes)
	return s.Store.ChangeSource(ctx, scope, id, now, func(ctx context.Context, source *Source) (err error) {
		if source.TokenSealed, err = s.Sealer.Seal([]byte(token), urlBinding(*source)); err != nil {
			return fmt.Errorf("seal the source's address: %w", err)
		}
		return s.Store.ReplaceToken(ctx, scope, id, s.Secrets.Hash(token), now.Add(overlap))
	})
}

// Delete removes a source. What was received stays as long as events do.
func (s *Sources) Delete(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match) error {
	return s.Store.DeleteSource(ctx, scope, id, s.moment(), func(source Source) error {
		return match.Check(source.Version, "webhook source")
	})
}

func complete(provider providers.Provider, given map[string]any) (map[string]any, []fault.Violation) {
	if provider == nil {
		return nil, []fault.Violation{{Pointer: "/provider", Code: "oneof", Detail: "is spoken no more; make another source"}}
	}
	settings, problems := providers.Complete(provider, given)
	var violations []fault.Violation
	for _, p := range problems {
		violations = append(violations, fault.Violation{Pointer: "/settings/" + pointerPart(p.Name), Code: p.Code, Detail: p.Detail})
	}
	return settings, violations
}

// pointerPart escapes a name for an RFC 6901 pointer.
func pointerPart(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

func checkSecrets(provider providers.Provider, pointer string, secrets []string) []fault.Violation {
	if provider == nil {
		return nil
	}
	var violations []fault.Violation
	for i, secret := range secrets {
		if wrong := provider.CheckSecret(secret); wrong != "" {
			violations = append(violations, fault.Violation{Pointer: pointer + "/" + strconv.Itoa(i), Code: "secret", Detail: wrong})
		}
	}
	return violations
}

func (s *Sources) addSecrets(source *Source, secrets []string, now time.Time) error {
	for _, text := range secrets {
		secret := Secret{ID: tenancy.NewID(), Hint: hint(text), CreatedAt: now}
		var err error
		if secret.Sealed, err = s.Sealer.Seal([]byte(text), secretBinding(*source, secret.ID)); err != nil {
			return fmt.Errorf("seal a secret: %w", err)
		}
		source.Secrets = append(source.Secrets, secret)
	}
	return nil
}

// hint is the end of a secret that is long enough to lose it.
func hint(secret string) string {
	const shown, long = 4, 20
	if runes := []rune(secret); len(runes) >= long {
		return "…" + string(runes[len(runes)-shown:])
	}
	return "…"
}

func urlBinding(s Source) []byte {
	return []byte("webhook_source/url/" + s.TenantID.String() + "/" + s.ID.String())
}

func secretBinding(s Source, id tenancy.ID) []byte {
	return []byte("webhook_source/secret/" + s.TenantID.String() + "/" + s.ID.String() + "/" + id.String())
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Sources) moment() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
