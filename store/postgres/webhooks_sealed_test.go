package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// vault is endpoints of several tenants, sealed under a master key that was rotated since.
type vault struct {
	*storetest.Stack

	old, present    postgres.Sealer
	oldStore, store *postgres.Webhooks
	system          *postgres.DB
	scopes          []tenancy.Scope
	endpoints       []webhooks.Endpoint
}

func newVault(t *testing.T, tenants int) *vault {
	t.Helper()
	v := &vault{Stack: storetest.New(t)}
	first := newMaster(t)
	rotated, err := seal.Rotate(first)
	require.NoError(t, err)
	v.old, v.present = newSealer(t, first), newSealer(t, rotated)
	app := postgres.Shared{DB: v.DB}
	v.oldStore = postgres.NewWebhooks(app, v.old, postgres.NewJobs(app, nil))
	v.store = postgres.NewWebhooks(app, v.present, postgres.NewJobs(app, nil))
	v.system = v.Open(t, postgres.Config{URL: v.SystemURL})
	for range tenants {
		scope := v.Tenant(t)
		v.scopes, v.endpoints = append(v.scopes, scope), append(v.endpoints, v.endpoint(t, scope))
	}
	return v
}

// endpoint makes one with a header of its own and two secrets, under the old key.
func (v *vault) endpoint(t *testing.T, scope tenancy.Scope) webhooks.Endpoint {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	e := webhooks.Endpoint{
		TenantID: scope.Tenant, ID: tenancy.NewID(), URL: "https://hooks.example.com/in", Events: []string{"*"}, HeaderNames: []string{"x-team"},
		Headers: map[string]any{"x-team": "billing"}, Secrets: []webhooks.Secret{webhooks.NewSecret()}, Payload: "full", APIVersion: "v1",
		Filter: map[string]any{}, State: webhooks.Enabled, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	require.NoError(t, v.oldStore.CreateEndpoint(t.Context(), scope, e))
	return v.rotate(t, v.oldStore, scope, e.ID)
}

// rotate gives an endpoint another secret, and returns it with both.
func (v *vault) rotate(t *testing.T, store *postgres.Webhooks, scope tenancy.Scope, id tenancy.ID) webhooks.Endpoint {
	t.Helper()
	until := time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)
	e, err := store.ChangeEndpoint(t.Context(), scope, id, webhooks.EndpointChange{
		Act: "webhook_endpoint.secret_rotated", Now: until, Change: func(e *webhooks.Endpoint) error {
			e.Secrets, e.PreviousSecretUntil = []webhooks.Secret{webhooks.NewSecret(), e.Secrets[0]}, &until
			return nil
		},
	})
	require.NoError(t, err)
	return e
}

// open is an endpoint as a sealer's store opens it; nothing of it is changed.
func (v *vault) open(t *testing.T, store *postgres.Webhooks, scope tenancy.Scope, id tenancy.ID) (webhooks.Endpoint, error) {
	t.Helper()
	return store.ChangeEndpoint(t.Context(), scope, id, webhooks.EndpointChange{
		Act: "webhook_endpoint.updated", Now: time.Now(), Change: func(*webhooks.Endpoint) error { return nil },
	})
}

func TestSealedEndpoints(t *testing.T) {
	t.Parallel()
	t.Run("are_sealed_anew_for_another_master_key", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, 3)
		gone := v.endpoint(t, v.scopes[0])
		require.NoError(t, v.oldStore.DeleteEndpoint(t.Context(), v.scopes[0], gone.ID, resource.Match(0), time.Now()))
		sealed := postgres.NewSealedEndpoints(v.system, v.present)
		n, err := sealed.Reseal(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 3, n, "one that was deleted has nothing left to seal")
		for i, want := range v.endpoints {
			got, err := v.open(t, v.store, v.scopes[i], want.ID)
			require.NoError(t, err)
			assert.Equal(t, want, got, "it is the same, its version too")
			_, err = v.open(t, v.oldStore, v.scopes[i], want.ID)
			require.Error(t, err, "the old key opens nothing of it any more")
			var headers, secret, previous []byte
			require.NoError(t, v.Admin(t).QueryRow(t.Context(), `select headers_sealed, secret_sealed, previous_secret_sealed
				from webhook_endpoints where id = $1`, want.ID.String()).Scan(&headers, &secret, &previous))
			for name, column := range map[string][]byte{"headers": headers, "secret": secret, "previous secret": previous} {
				assert.False(t, v.present.NeedsReseal(column), name)
			}
		}
		n, err = sealed.Reseal(t.Context())
		require.NoError(t, err)
		assert.Zero(t, n)
	})
	t.Run("are_all_found_however_many_there_are", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, 1)
		v.Exec(t, `insert into webhook_endpoints (tenant_id, id, url, description, events, header_names, headers_sealed, payload, api_version,
			filter, state, secret_sealed, version, created_at, updated_at)
			select e.tenant_id, gen_random_uuid(), url, description, events, header_names, ''::bytea, payload, api_version, filter, state, ''::bytea,
			version, created_at, updated_at from webhook_endpoints e, generate_series(1, 250)`)
		another := v.Tenant(t)
		late := v.endpoint(t, another)
		n, err := postgres.NewSealedEndpoints(v.system, v.present).Reseal(t.Context())
		require.Error(t, err, "those that do not open")
		assert.Contains(t, err.Error(), "seal the webhook endpoint ")
		assert.Equal(t, 2, n, "do not keep the others from it")
		_, err = v.open(t, v.oldStore, another, late.ID)
		require.Error(t, err)
	})
	t.Run("that_are_changed_meanwhile_are_left_alone", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, 1)
		var changed webhooks.Endpoint
		late := &latecomer{Sealer: v.present, before: func() {
			changed = v.rotate(t, v.store, v.scopes[0], v.endpoints[0].ID)
		}}
		n, err := postgres.NewSealedEndpoints(v.system, late).Reseal(t.Context())
		require.NoError(t, err)
		assert.Zero(t, n)
		got, err := v.open(t, v.store, v.scopes[0], v.endpoints[0].ID)
		require.NoError(t, err)
		assert.Equal(t, changed, got, "the secret of before does not come back")
	})
	t.Run("end_with_the_process", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := postgres.NewSealedEndpoints(v.system, v.present).Reseal(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// latecomer seals after somebody else was faster.
type latecomer struct {
	postgres.Sealer

	once   sync.Once
	before func()
}

func (l *latecomer) Seal(plaintext, binding []byte) ([]byte, error) {
	l.once.Do(l.before)
	return l.Sealer.Seal(plaintext, binding)
}
