package main

import (
	"context"
	"fmt"

	"github.com/ulule/limiter/v3"

	"github.com/groundwork-saas/groundwork/api/internal/httpapi"
	"github.com/groundwork-saas/groundwork/api/internal/identity"
	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/accounts"
	"github.com/groundwork-saas/groundwork/domain/apikeys"
	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/connectors/rest"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/signingkeys"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/transfers"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
	"github.com/groundwork-saas/groundwork/platform/mediatype"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/passwords"
	"github.com/groundwork-saas/groundwork/platform/tokens"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/blobs"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
)

// process is the API with what runs beside it.
type process struct {
	api  *httpapi.API
	keys *signingkeys.Keyring
	used *apikeys.Service
	// bells tell schedulers of new jobs and workers of cancelled ones.
	bells *redis.Bells
}

// wire builds the API on its backend.
func wire(ctx context.Context, cfg settings, base *backend.Process, limiting redis.Engine) (*process, error) {
	now := base.Now
	definitions := catalog.All()
	if err := base.DB.Verify(ctx, definitions); err != nil {
		return nil, fmt.Errorf("the resources do not fit the database:\n%w", err)
	}
	validator := validate.New()
	auditLog := postgres.NewAudit(base.Router)
	records := resource.Dependencies{
		Store: postgres.NewResources(base.Router), History: auditLog, Validator: validator, Now: now,
	}
	services := make([]*resource.Service, len(definitions))
	for i, d := range definitions {
		services[i] = resource.NewService(d, records)
	}

	ring, err := tokens.New(tokens.Config{Issuer: cfg.PublicURL, Audience: cfg.PublicURL, TTL: cfg.AccessTokenTTL, Now: now}, nil)
	if err != nil {
		return nil, err
	}
	keys := signingkeys.NewKeyring(postgres.NewSigningKeys(base.DB, base.Sealer), identity.Replace(ring), now,
		signingkeys.Config{TokenLife: cfg.AccessTokenTTL, RotateEvery: cfg.SigningKeyLife})
	if err := keys.Ensure(ctx); err != nil {
		return nil, fmt.Errorf("load the signing keys: %w", err)
	}

	caller, err := backend.NewCaller(cfg.WebhookAllow, cfg.Environment)
	if err != nil {
		return nil, err
	}
	fetcher, err := backend.NewFetcher(cfg.WebhookAllow, cfg.Environment)
	if err != nil {
		return nil, err
	}
	bells := redis.NewBells(base.Redis)  //nolint:contextcheck // they live as long as the process
	base.DB.OnEvents(bells.EventsBell()) //nolint:contextcheck // they live as long as the process
	queue := postgres.NewJobs(base.Router, bells.Wake)
	hooks := postgres.NewWebhooks(base.Router, base.Sealer, queue)

	store := postgres.NewIdentity(base.DB).WithQueue(queue)
	hasher := identity.Passwords{Hasher: passwords.New(passwords.Config{})}
	roles := members.NewRoles(catalog.Permissions())
	rights := access.NewRights(store, roles, now)
	apiKeys := apikeys.NewService(apikeys.Needs{
		Store: store, Secrets: identity.Secrets(), Roles: roles, Validate: validator, Now: now,
	})
	signedIn := sessions.NewService(sessions.Needs{
		Store: store, Tokens: identity.NewTokens(ring, keys, cfg.AccessTokenTTL), Passwords: hasher,
		Secrets: identity.Secrets(), Roles: roles, Validate: validator, Now: now,
	}, sessions.Config{RefreshTTL: cfg.RefreshTokenTTL, SessionTTL: cfg.SessionTTL})

	arrivals := postgres.NewInbound(base.DB, base.Router)
	tellCancel := func(ctx context.Context, ref jobs.Ref) {
		base.DB.AfterCommit(ctx, "", func() { bells.Cancel(ref) }) //nolint:contextcheck // it is sent in the background
	}
	contents, err := blobs.Open(cfg.Files)
	if err != nil {
		return nil, err
	}
	kept := files.NewService(files.Needs{
		Store: postgres.NewFiles(base.Router), Contents: contents, Sniff: mediatype.Of, Sealer: base.Sealer,
		Rights: rights, Now: now,
	}, files.Config{MaxBytes: int64(cfg.FilesMaxBytes), QuotaBytes: int64(cfg.FilesQuotaBytes), Types: cfg.FilesTypes})

	proxies := make([]string, len(cfg.TrustedProxies))
	for i, prefix := range cfg.TrustedProxies {
		proxies[i] = prefix.String()
	}
	reported, err := newReports(base, store, queue, rights)
	if err != nil {
		return nil, err
	}

	api := httpapi.New(httpapi.Config{ //nolint:contextcheck // each request brings a context of its own
		CORSOrigins: cfg.CORSOrigins, TrustedProxies: proxies, RequestTimeout: cfg.RequestTimeout,
		TransferTimeout: cfg.TransferTimeout, PublicURL: cfg.PublicURL,
		TenantRate: limits.Rate(cfg.RateLimitTenant), KeyRate: limits.Rate(cfg.RateLimitKey),
		AddressRate: limits.Rate(cfg.RateLimitAddress),
	}, httpapi.Dependencies{
		Resources: services,
		Audit:     audit.NewService(auditLog),
		Jobs:      jobs.NewService(queue, tellCancel, now),
		Files:     kept,
		Exports:   transfers.NewExports(definitions, queue),
		Imports: transfers.NewImports(transfers.ImportNeeds{
			Resources: services, Files: kept, Store: postgres.NewImports(base.Router), Queue: queue, Jobs: queue,
		}),
		Webhooks: webhooks.NewService(webhooks.Needs{
			Endpoints: hooks, Deliveries: hooks, Checker: caller, Validate: validator, Now: now,
			Types: append(catalog.EventTypes(), webhooks.TypeDisabled),
		}),
		Connectors: connectors.NewService(connectors.Needs{
			Store: postgres.NewConnectors(base.Router), Queue: queue, Waiting: queue, Sealer: base.Sealer, Resources: definitions,
			Validate: validator, Now: now, Kinds: []connectors.Kind{rest.New(fetcher, now)},
		}),
		Inbound: httpapi.Inbound{
			Sources: inbound.NewSources(inbound.SourceNeeds{
				Store: arrivals, Queue: queue, Sealer: base.Sealer, Secrets: identity.Secrets(), Validate: validator, Now: now,
				URL: cfg.IntakeURL,
			}),
			Events: inbound.NewEvents(arrivals, queue, now),
		},
		Reports: reported,
		Identity: httpapi.Identity{
			Credentials: sessions.NewCredentials(signedIn, apiKeys),
			Sessions:    signedIn,
			Users:       users.NewService(store, hasher, validator, now),
			Accounts: accounts.NewService(accounts.Needs{
				Store: store, Secrets: identity.Secrets(), Passwords: hasher, Validate: validator, Now: now,
			}),
			Tenants:     tenants.NewService(store, validator, now),
			Members:     members.NewService(store, validator, now),
			Invitations: members.NewInvitations(store, identity.Secrets(), validator, now),
			Keys:        apiKeys,
			Roles:       roles,
			KeySet:      ring.JWKS,
			// One address' e-mail is tried a few times, from wherever.
			Account: limiter.New(
				redis.NewStore(redis.StoreConfig{Engine: limiting, Name: "account", Clock: now}),
				redis.RateOf(limits.Rate(cfg.RateLimitAccount))),
		},
		Idempotency: postgres.NewIdempotency(base.Router),
		Limiter:     limiting,
		Sealer:      base.Sealer,
		Log:         base.Log,
		Metrics:     metrics.NewHTTP(base.Registry),
		Tenants:     metrics.NewTenants(base.Registry, now),
		CountStatements: func(ctx context.Context) (context.Context, func() int64) {
			ctx, stats := postgres.WithStats(ctx)
			return ctx, stats.Statements
		},
		Now: now,
	})
	return &process{api: api, keys: keys, used: apiKeys, bells: bells}, nil
}
