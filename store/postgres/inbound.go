package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Inbound keeps the sources of webhooks and what arrives from them. It implements inbound.Store: sources here, events in
// inbound_events.go, replays in inbound_replay.go. What tokens lead to is in the control plane; the rest is the tenant's.
type Inbound struct {
	tenanted

	control *DB
}

var _ inbound.Store = (*Inbound)(nil)

// NewInbound returns the store over the control plane's database and the tenants'.
func NewInbound(control *DB, router Router) *Inbound {
	return &Inbound{tenanted: tenanted{router}, control: control}
}

// Transact runs fn in one transaction.
func (s *Inbound) Transact(ctx context.Context, scope tenancy.Scope, fn func(ctx context.Context) error) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	return translate(db.InTx(ctx, scope, fn))
}

const sourceColumns = "s.tenant_id, s.id, s.name, s.provider, s.settings, to_json(s.filter), s.paused_at, s.token_sealed, s.secrets, " +
	"s.version, s.created_at, s.updated_at"

// keptSecret is a secret as it is kept.
type keptSecret struct {
	ID        tenancy.ID `json:"id"`
	Hint      string     `json:"hint"`
	CreatedAt time.Time  `json:"created_at"`
	Sealed    []byte     `json:"sealed"`
}

func sourceRows() rowsOf[inbound.Source] {
	return rowsOf[inbound.Source]{
		query: "select " + sourceColumns + " from webhook_sources s where s.tenant_id = $1", id: "s.id", read: readSource,
		missing: inbound.ErrNoSource,
	}
}

func readSource(row scanner) (source inbound.Source, err error) {
	var settings, filter, secrets []byte
	err = row.Scan(&source.TenantID, &source.ID, &source.Name, &source.Provider, &settings, &filter, &source.PausedAt,
		&source.TokenSealed, &secrets, &source.Version, &source.CreatedAt, &source.UpdatedAt)
	if err != nil {
		return source, err
	}
	var kept []keptSecret
	for from, to := range map[*[]byte]any{&settings: &source.Settings, &filter: &source.Filter, &secrets: &kept} {
		if err := json.Unmarshal(*from, to); err != nil {
			return source, fmt.Errorf("read a webhook source: %w", err)
		}
	}
	source.Secrets = make([]inbound.Secret, len(kept))
	for i, k := range kept {
		source.Secrets[i] = inbound.Secret{ID: k.ID, Hint: k.Hint, CreatedAt: k.CreatedAt, Sealed: k.Sealed}
	}
	return source, nil
}

// documents are the settings and the secrets as they are kept.
func documents(source inbound.Source) (settings, secrets string, err error) {
	kept := make([]keptSecret, len(source.Secrets))
	for i, k := range source.Secrets {
		kept[i] = keptSecret{ID: k.ID, Hint: k.Hint, CreatedAt: k.CreatedAt, Sealed: k.Sealed}
	}
	a, err := json.Marshal(source.Settings)
	if err != nil {
		return "", "", fmt.Errorf("write a source's settings: %w", err)
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return "", "", fmt.Errorf("write a source's secrets: %w", err)
	}
	return string(a), string(b), nil
}

// CreateSource saves a source and its token.
func (s *Inbound) CreateSource(ctx context.Context, scope tenancy.Scope, source inbound.Source, tokenHash []byte) error {
	settings, secrets, err := documents(source)
	if err != nil {
		return err
	}
	return s.managed(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		allowed := allowance{table: "webhook_sources", most: inbound.MaxSources, tooMany: inbound.ErrTooMany}
		if err := allowed.mayAdd(tx, scope.Tenant); err != nil {
			return err
		}
		err := Defer(tx, `insert into webhook_sources
			(tenant_id, id, name, provider, settings, filter, paused_at, token_sealed, secrets, version, created_at, updated_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			scope.Tenant, source.ID, source.Name, source.Provider, settings, textList(source.Filter), source.PausedAt,
			source.TokenSealed, secrets, source.Version, source.CreatedAt, source.UpdatedAt)
		if err != nil {
			return err
		}
		if err := addToken(tx, scope, source.ID, tokenHash); err != nil {
			return err
		}
		return tellAct(tx, scope, source.CreatedAt, "webhook_source.created", "webhook_source", source.ID, source.Version,
			audit.Change{Field: "name", To: source.Name}, audit.Change{Field: "provider", To: source.Provider})
	})
}

// managed runs fn in a transaction of the tenant that has the control plane open too, where tokens are.
func (s *Inbound) managed(ctx context.Context, scope tenancy.Scope, fn func(ctx context.Context, tx *gorm.DB) error) error {
	session := managed(scope)
	return translate(s.control.inTx(ctx, session, nil, func(ctx context.Context) error {
		return fn(ctx, s.control.with(ctx, session))
	}))
}

func addToken(tx *gorm.DB, scope tenancy.Scope, source tenancy.ID, tokenHash []byte) error {
	return Defer(tx, "insert into intake_tokens (token_hash, tenant_id, source_id) values ($1, $2, $3)", tokenHash, scope.Tenant, source)
}

// ListSources returns sources, newest first.
func (s *Inbound) ListSources(ctx context.Context, scope tenancy.Scope, request page.Request) ([]inbound.Source, error) {
	return sourceRows().listIn(ctx, s.tenanted, scope, request)
}

// FindSource returns one source.
func (s *Inbound) FindSource(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (inbound.Source, error) {
	return sourceRows().findIn(ctx, s.tenanted, scope, id)
}

// ChangeSource changes a source.
func (s *Inbound) ChangeSource(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time,
	change func(ctx context.Context, source *inbound.Source) error,
) (after inbound.Source, err error) {
	err = s.managed(ctx, scope, func(ctx context.Context, tx *gorm.DB) error {
		before, err := sourceRows().find(tx, scope.Tenant, id, " for no key update")
		if err != nil {
			return err
		}
		after = before
		if err := change(ctx, &after); err != nil {
			return err
		}
		return updateSource(tx, scope, before, &after, now)
	})
	return after, err
}

// updateSource saves what differs, under the next version.
func updateSource(tx *gorm.DB, scope tenancy.Scope, before inbound.Source, after *inbound.Source, now time.Time) error {
	settingsBefore, secretsBefore, err := documents(before)
	if err != nil {
		return err
	}
	settings, secrets, err := documents(*after)
	if err != nil {
		return err
	}
	changes := differences(
		audit.Change{Field: "name", From: before.Name, To: after.Name},
		audit.Change{Field: "settings", From: settingsBefore, To: settings},
		audit.Change{Field: "filter", From: fmt.Sprint(before.Filter), To: fmt.Sprint(after.Filter)},
		audit.Change{Field: "paused_at", From: timeOf(before.PausedAt), To: timeOf(after.PausedAt)},
	)
	if secrets != secretsBefore {
		changes = append(changes, audit.Change{Field: "secrets", From: "***", To: "***"})
	}
	if string(before.TokenSealed) != string(after.TokenSealed) {
		changes = append(changes, audit.Change{Field: "url", From: "***", To: "***"})
	}
	if len(changes) == 0 {
		return nil
	}
	after.Version, after.UpdatedAt = before.Version+1, now
	err = Defer(tx, `update webhook_sources set name = $3, settings = $4, filter = $5, paused_at = $6, token_sealed = $7,
			secrets = $8, version = $9, updated_at = $10 where tenant_id = $1 and id = $2`,
		scope.Tenant, after.ID, after.Name, settings, textList(after.Filter), after.PausedAt, after.TokenSealed, secrets,
		after.Version, now)
	if err != nil {
		return err
	}
	return tellAct(tx, scope, now, "webhook_source.updated", "webhook_source", after.ID, after.Version, changes...)
}

// ReplaceToken gives a source another token; the ones before end at a time.
func (s *Inbound) ReplaceToken(ctx context.Context, scope tenancy.Scope, id tenancy.ID, tokenHash []byte, until time.Time) error {
	tx := s.control.with(ctx, managed(scope))
	err := Defer(tx, `update intake_tokens set expires_at = $3
		where tenant_id = $1 and source_id = $2 and (expires_at is null or expires_at > $3)`, scope.Tenant, id, until)
	if err != nil {
		return translate(err)
	}
	return translate(addToken(tx, scope, id, tokenHash))
}

// DeleteSource removes a source and its tokens.
func (s *Inbound) DeleteSource(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time,
	check func(inbound.Source) error,
) error {
	return s.managed(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		source, err := sourceRows().find(tx, scope.Tenant, id, " for update")
		if err != nil {
			return err
		}
		if err := check(source); err != nil {
			return err
		}
		for _, statement := range []string{
			"delete from intake_tokens where tenant_id = $1 and source_id = $2",
			"delete from webhook_sources where tenant_id = $1 and id = $2",
		} {
			if err := Defer(tx, statement, scope.Tenant, id); err != nil {
				return err
			}
		}
		return tellAct(tx, scope, now, "webhook_source.deleted", "webhook_source", id, source.Version,
			audit.Change{Field: "name", From: source.Name})
	})
}

// FindSourceByToken returns the source of a token's hash.
func (s *Inbound) FindSourceByToken(ctx context.Context, tokenHash []byte,
) (source inbound.Source, until *time.Time, found bool, err error) {
	type place struct {
		tenant, source tenancy.ID
		until          *time.Time
	}
	at, found, err := one(s.control.control(ctx), func(row scanner) (p place, err error) {
		return p, row.Scan(&p.tenant, &p.source, &p.until)
	}, `select k.tenant_id, k.source_id, k.expires_at from intake_tokens k join tenants t on t.id = k.tenant_id
		where k.token_hash = $1 and t.state = 'active'`, tokenHash)
	if err != nil || !found {
		return source, nil, false, translate(err)
	}
	tx, err := s.tenant(ctx, tenancy.AsSystem(at.tenant, ""))
	if err != nil {
		return source, nil, false, err
	}
	source, found, err = one(tx, readSource,
		"select "+sourceColumns+" from webhook_sources s where s.tenant_id = $1 and s.id = $2", at.tenant, at.source)
	return source, at.until, found, translate(err)
}
