package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/apikeys"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/secrets"
)

// keyScope makes a key with the scopes and returns what it stands for.
func (w *world) keyScope(tb testing.TB, by tenancy.Scope, scopes ...string) tenancy.Scope {
	tb.Helper()
	_, token, err := w.keys.Create(tb.Context(), by, apikeys.Input{Name: "Key", Scopes: scopes})
	require.NoError(tb, err)
	scope, err := w.credentials.Authenticate(tb.Context(), token)
	require.NoError(tb, err)
	return scope
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)

	t.Run("are_shown_once_and_kept_as_a_hash", func(t *testing.T) {
		t.Parallel()
		by := w.scope(t, w.signUp(t))
		key, token, err := w.keys.Create(t.Context(), by, apikeys.Input{
			Name: " Server ", Scopes: []string{"customers:write", "customers:read"},
		})
		require.NoError(t, err)
		assert.Equal(t, "Server", key.Name)
		assert.Equal(t, []string{"customers:read", "customers:write"}, key.Scopes)
		assert.Equal(t, by.Actor.ID, key.CreatedBy)
		assert.Equal(t, token[:len(key.Prefix)], key.Prefix)
		assert.Less(t, len(key.Prefix), len(token)/2)

		found, err := w.keys.Find(t.Context(), by, key.ID)
		require.NoError(t, err)
		assert.Equal(t, key, found)
		assert.Equal(t, "1", w.text(t, "select count(*)::text from api_keys where token_hash = sha256($1::bytea)", []byte(token)))
		for _, table := range []string{"api_keys", "audit_events"} {
			assert.Equal(t, "0", w.text(t, "select count(*)::text from "+table+" x where x::text like '%' || $1 || '%'", token[len(key.Prefix):]))
		}

		scope, err := w.credentials.Authenticate(t.Context(), token)
		require.NoError(t, err)
		assert.Equal(t, by.Tenant, scope.Tenant)
		assert.Equal(t, tenancy.APIKey, scope.Actor.Kind)
		assert.True(t, scope.Actor.May("customers:write"))
		assert.False(t, scope.Actor.May("customers:delete"))
		require.NoError(t, w.credentials.Verify(t.Context(), scope))
	})
	t.Run("may_do_no_more_than_their_maker", func(t *testing.T) {
		t.Parallel()
		owner := w.scope(t, w.signUp(t))
		member := w.scope(t, w.join(t, owner, members.Member))
		_, _, err := w.keys.Create(t.Context(), member, apikeys.Input{
			Name: "K", Scopes: []string{"customers:read", "members:write", "nonsense", "*"},
		})
		f := requireFault(t, err, fault.Invalid, "validation_failed")
		assert.Equal(t, []string{"/scopes/1", "/scopes/2", "/scopes/3"}, pointers(f))
		_, _, err = w.keys.Create(t.Context(), owner, apikeys.Input{Name: "K", Scopes: nil})
		requireFault(t, err, fault.Invalid, "validation_failed")
		past := w.clock.Now().Add(-time.Minute)
		_, _, err = w.keys.Create(t.Context(), owner, apikeys.Input{Name: "K", Scopes: []string{"*"}, ExpiresAt: &past})
		assert.Equal(t, []string{"/expires_at"}, pointers(requireFault(t, err, fault.Invalid, "validation_failed")))

		all := w.keyScope(t, owner, "*")
		assert.True(t, all.Actor.May("audit:read"))
		narrow := w.keyScope(t, owner, "api_keys:write", "api_keys:read")
		wide, _, err := w.keys.Create(t.Context(), owner, apikeys.Input{Name: "Wide", Scopes: []string{"*"}})
		require.NoError(t, err)
		_, _, err = w.keys.Rotate(t.Context(), narrow, wide.ID, 0)
		requireFault(t, err, fault.Forbidden, "api_key.scopes_not_held")
	})
	t.Run("are_listed_newest_first_and_renamed", func(t *testing.T) {
		t.Parallel()
		by := w.scope(t, w.signUp(t))
		first, _, err := w.keys.Create(t.Context(), by, apikeys.Input{Name: "First", Scopes: []string{"*"}})
		require.NoError(t, err)
		second, _, err := w.keys.Create(t.Context(), by, apikeys.Input{Name: "Second", Scopes: []string{"*"}})
		require.NoError(t, err)
		p, err := w.keys.List(t.Context(), by, page.Request{Limit: 1})
		require.NoError(t, err)
		assert.Equal(t, second.ID, p.Items[0].ID)
		p, err = w.keys.List(t.Context(), by, page.Request{Limit: 1, After: p.Next})
		require.NoError(t, err)
		assert.Equal(t, first.ID, p.Items[0].ID)
		assert.Empty(t, p.Next)

		renamed, err := w.keys.Change(t.Context(), by, first.ID, 1, func(l *apikeys.Label) error { l.Name = " Renamed "; return nil })
		require.NoError(t, err)
		assert.Equal(t, "Renamed", renamed.Name)
		assert.EqualValues(t, 2, renamed.Version)
		_, err = w.keys.Change(t.Context(), by, first.ID, 1, func(l *apikeys.Label) error { l.Name = "Late"; return nil })
		requireFault(t, err, fault.Stale, "version_mismatch")
	})
	t.Run("of_another_tenant_do_not_exist", func(t *testing.T) {
		t.Parallel()
		by, other := w.scope(t, w.signUp(t)), w.scope(t, w.signUp(t))
		foreign, token, err := w.keys.Create(t.Context(), other, apikeys.Input{Name: "K", Scopes: []string{"*"}})
		require.NoError(t, err)
		for _, id := range []tenancy.ID{foreign.ID, tenancy.NewID()} {
			_, err := w.keys.Find(t.Context(), by, id)
			requireFault(t, err, fault.NotFound, "api_key.not_found")
			_, err = w.keys.Change(t.Context(), by, id, 0, func(*apikeys.Label) error { return nil })
			requireFault(t, err, fault.NotFound, "api_key.not_found")
			_, _, err = w.keys.Rotate(t.Context(), by, id, 0)
			requireFault(t, err, fault.NotFound, "api_key.not_found")
			requireFault(t, w.keys.Revoke(t.Context(), by, id, 0), fault.NotFound, "api_key.not_found")
		}
		_, err = w.credentials.Authenticate(t.Context(), token)
		require.NoError(t, err)
	})
	t.Run("stop_at_the_next_statement_on_every_replica_when_revoked", func(t *testing.T) {
		t.Parallel()
		by := w.scope(t, w.signUp(t))
		key, token, err := w.keys.Create(t.Context(), by, apikeys.Input{Name: "K", Scopes: []string{"*"}})
		require.NoError(t, err)
		elsewhere := w.replica(t)
		cached, err := elsewhere.credentials.Authenticate(t.Context(), token)
		require.NoError(t, err)
		require.NoError(t, w.keys.Revoke(t.Context(), by, key.ID, 0))

		again, err := elsewhere.credentials.Authenticate(t.Context(), token)
		require.NoError(t, err, "it is remembered, which is no proof")
		assert.Equal(t, cached, again)
		_, err = elsewhere.keys.List(t.Context(), again, page.Request{})
		requireFault(t, err, fault.Unauthorized, "auth.revoked")
		elsewhere.credentials.Forget(token)
		_, err = elsewhere.credentials.Authenticate(t.Context(), token)
		f := requireFault(t, err, fault.Unauthorized, "auth.api_key_revoked")
		assert.NotContains(t, f.Error(), token)

		require.NoError(t, w.keys.Revoke(t.Context(), by, key.ID, 0), "a second time is no error")
		_, _, err = w.keys.Rotate(t.Context(), by, key.ID, 0)
		requireFault(t, err, fault.Conflict, "api_key.not_active")
		assert.Equal(t, "api_key.revoked", last(w.actions(t, by.Tenant)))
	})
	t.Run("are_looked_up_anew_after_a_change", func(t *testing.T) {
		t.Parallel()
		by := w.scope(t, w.signUp(t))
		key, token, err := w.keys.Create(t.Context(), by, apikeys.Input{Name: "K", Scopes: []string{"*"}})
		require.NoError(t, err)
		before, err := w.credentials.Authenticate(t.Context(), token)
		require.NoError(t, err)
		_, err = w.keys.Change(t.Context(), by, key.ID, 0, func(l *apikeys.Label) error { l.Name = "New"; return nil })
		require.NoError(t, err)
		requireFault(t, w.credentials.Verify(t.Context(), before), fault.Unauthorized, "auth.outdated")
		w.credentials.Forget(token)
		after, err := w.credentials.Authenticate(t.Context(), token)
		require.NoError(t, err)
		require.NoError(t, w.credentials.Verify(t.Context(), after))
	})
	t.Run("cost_one_look_up_and_none_where_they_are_mistyped", func(t *testing.T) {
		t.Parallel()
		by := w.scope(t, w.signUp(t))
		_, token, err := w.keys.Create(t.Context(), by, apikeys.Input{Name: "K", Scopes: []string{"*"}})
		require.NoError(t, err)
		store := &countingKeys{Store: w.identity}
		needs := w.keys.Needs
		needs.Store = store
		service := apikeys.NewService(needs)
		for range 3 {
			_, err = service.Authenticate(t.Context(), token)
			require.NoError(t, err)
		}
		assert.Equal(t, 1, store.lookups)
		for _, bad := range []string{"gw_live_", "gw_live_x", token + "0", token[:len(token)-1] + "~", "", "gw_refresh_abc"} {
			_, err = service.Authenticate(t.Context(), bad)
			requireFault(t, err, fault.Unauthorized, "auth.api_key_invalid")
		}
		assert.Equal(t, 1, store.lookups)
		_, err = service.Authenticate(t.Context(), secrets.Token(apikeys.TokenPrefix, 24))
		requireFault(t, err, fault.Unauthorized, "auth.api_key_invalid")
		assert.Equal(t, 2, store.lookups)
	})
}

func TestAPIKeyTimes(t *testing.T) {
	t.Parallel()

	t.Run("a_key_ends_when_it_expires", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		by := w.scope(t, w.signUp(t))
		end := w.clock.Now().Add(time.Hour).Truncate(time.Second)
		key, token, err := w.keys.Create(t.Context(), by, apikeys.Input{Name: "K", Scopes: []string{"*"}, ExpiresAt: &end})
		require.NoError(t, err)
		scope, err := w.credentials.Authenticate(t.Context(), token)
		require.NoError(t, err)
		w.clock.advance(time.Hour)
		_, err = w.credentials.Authenticate(t.Context(), token)
		requireFault(t, err, fault.Unauthorized, "auth.api_key_expired")
		// The database does not rely on it.
		w.Exec(t, "update api_keys set expires_at = now() - interval '1 second' where id = $1", key.ID.String())
		requireFault(t, w.credentials.Verify(t.Context(), scope), fault.Unauthorized, "auth.revoked")
	})
	t.Run("a_rotated_key_works_beside_its_successor_for_the_overlap", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		by := w.scope(t, w.signUp(t))
		before := w.clock.Now()
		end := before.Add(90 * 24 * time.Hour)
		old, oldToken, err := w.keys.Create(t.Context(), by, apikeys.Input{Name: "K", Scopes: []string{"customers:read"}, ExpiresAt: &end})
		require.NoError(t, err)
		made := w.clock.Now()
		_, _, err = w.keys.Rotate(t.Context(), by, old.ID, 31*24*time.Hour)
		assert.Equal(t, []string{"/overlap"}, pointers(requireFault(t, err, fault.Invalid, "validation_failed")))
		w.clock.advance(time.Hour)
		later := w.clock.Now()
		next, nextToken, err := w.keys.Rotate(t.Context(), by, old.ID, time.Hour)
		require.NoError(t, err)
		rotated := w.clock.Now()
		assert.NotEqual(t, old.ID, next.ID)
		assert.Equal(t, old.Scopes, next.Scopes)
		assert.WithinRange(t, *next.ExpiresAt, end.Add(later.Sub(made)-time.Second), end.Add(rotated.Sub(before)+time.Second), "it lives as long as the old one was to")
		for _, token := range []string{oldToken, nextToken} {
			scope, err := w.credentials.Authenticate(t.Context(), token)
			require.NoError(t, err)
			require.NoError(t, w.credentials.Verify(t.Context(), scope))
		}
		w.clock.advance(time.Hour)
		_, err = w.credentials.Authenticate(t.Context(), oldToken)
		requireFault(t, err, fault.Unauthorized, "auth.api_key_expired")
		_, err = w.credentials.Authenticate(t.Context(), nextToken)
		require.NoError(t, err)
		_, _, err = w.keys.Rotate(t.Context(), by, old.ID, 0)
		requireFault(t, err, fault.Conflict, "api_key.not_active")
	})
	t.Run("a_key_is_rotated_once_for_each_of_many_at_once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		by := w.scope(t, w.signUp(t))
		key, _, err := w.keys.Create(t.Context(), by, apikeys.Input{Name: "K", Scopes: []string{"*"}})
		require.NoError(t, err)
		made, failures := atOnce(4, func(int) (string, error) {
			_, token, err := w.keys.Rotate(t.Context(), by, key.ID, 0)
			return token, err
		})
		assert.Len(t, made, 1, "the first ends it at once")
		for _, err := range failures {
			requireFault(t, err, fault.Conflict, "api_key.not_active")
		}
	})
	t.Run("the_last_use_is_noted_at_most_once_a_minute", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		by := w.scope(t, w.signUp(t))
		key, token, err := w.keys.Create(t.Context(), by, apikeys.Input{Name: "K", Scopes: []string{"*"}})
		require.NoError(t, err)
		use := func() *time.Time {
			_, err := w.credentials.Authenticate(t.Context(), token)
			require.NoError(t, err)
			require.NoError(t, w.keys.Flush(t.Context()))
			found, err := w.keys.Find(t.Context(), by, key.ID)
			require.NoError(t, err)
			assert.EqualValues(t, 1, found.Version)
			return found.LastUsedAt
		}
		first := use()
		require.NotNil(t, first)
		w.clock.advance(10 * time.Second) // of sixty: the machine may take the others
		assert.Equal(t, first, use())
		w.clock.advance(time.Minute)
		second := use()
		assert.Greater(t, second.Sub(*first), time.Minute)
		require.NoError(t, w.identity.TouchKeys(t.Context(), []apikeys.Used{{Tenant: by.Tenant, Key: key.ID, At: *first}}))
		found, err := w.keys.Find(t.Context(), by, key.ID)
		require.NoError(t, err)
		assert.Equal(t, second, found.LastUsedAt, "an earlier use changes nothing")
	})
	t.Run("uses_are_written_down_when_the_process_stops", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		by := w.scope(t, w.signUp(t))
		key, token, err := w.keys.Create(t.Context(), by, apikeys.Input{Name: "K", Scopes: []string{"*"}})
		require.NoError(t, err)
		_, err = w.credentials.Authenticate(t.Context(), token)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		w.keys.Run(ctx, time.Hour, func(err error) { t.Errorf("flush: %v", err) })
		found, err := w.keys.Find(t.Context(), by, key.ID)
		require.NoError(t, err)
		assert.NotNil(t, found.LastUsedAt)
	})
}

// countingKeys counts the look-ups of tokens.
type countingKeys struct {
	apikeys.Store

	lookups int
}

func (c *countingKeys) FindKeyByToken(ctx context.Context, hash []byte) (apikeys.Key, error) {
	c.lookups++
	return c.Store.FindKeyByToken(ctx, hash)
}
