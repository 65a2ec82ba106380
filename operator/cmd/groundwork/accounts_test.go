package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

func TestTenants(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scope := s.Tenant(t)
	id := scope.Tenant.String()
	store := postgres.NewIdentity(s.DB)

	for range 2 { // it may be said twice
		assert.Equal(t, "Test ("+id+") is suspended\n", s.must(t, done, "tenants", "suspend", id).out)
	}
	_, err := store.FindTenant(t.Context(), scope)
	require.ErrorContains(t, err, "tenant.suspended", "the next request is refused")

	assert.Equal(t, "active", ask[map[string]any](t, s, "tenants", "activate", id)["state"])
	_, err = store.FindTenant(t.Context(), scope)
	require.NoError(t, err)

	trail, err := postgres.NewAudit(postgres.Shared{DB: s.DB}).ListAudit(t.Context(), scope, audit.Query{Request: page.Request{Limit: 10}})
	require.NoError(t, err)
	require.Len(t, trail, 2, "what changed nothing is not in the audit")
	assert.Equal(t, "tenant.resumed", trail[0].Action)
	assert.Equal(t, "tenant.suspended", trail[1].Action)
	assert.Equal(t, tenancy.System, trail[1].ActorKind)
	assert.Contains(t, trail[1].RequestID, "operator-")

	assert.Contains(t, s.must(t, failed, "tenants", "suspend", tenancy.NewID().String()).err, "no such organization")
	assert.Contains(t, s.must(t, failed, "tenants", "suspend", tenancy.SystemTenant.String()).err, "cannot be suspended")
}

func TestUsers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scope := s.Tenant(t)
	id, email := scope.Actor.ID.String(), scope.Actor.ID.String()+"@example.test"
	store := postgres.NewIdentity(s.DB)

	assert.Equal(t, "user "+id+" is disabled\n", s.must(t, done, "users", "disable", " "+email+" ").out)
	_, err := store.FindUser(t.Context(), scope)
	require.ErrorContains(t, err, "auth.revoked", "the session has ended")
	assert.Equal(t, map[string]any{"id": id, "state": "active"}, ask[map[string]any](t, s, "users", "enable", id))
	user, err := store.FindUserByEmail(t.Context(), email)
	require.NoError(t, err)
	assert.True(t, user.IsActive())

	assert.Contains(t, s.must(t, failed, "users", "disable", "nobody@example.test").err, "nobody has the address nobody@example.test")
	assert.Contains(t, s.must(t, failed, "users", "enable", tenancy.NewID().String()).err, "no such user")
}
