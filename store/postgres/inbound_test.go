package postgres_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/inbound/providers"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/secrets"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// arrivals is a store of inbound webhooks, and a tenant with a source.
type arrivals struct {
	*storetest.Stack

	store  *postgres.Inbound
	scope  tenancy.Scope
	source inbound.Source
	token  []byte
}

func newArrivals(t *testing.T) *arrivals {
	t.Helper()
	s := storetest.New(t)
	a := &arrivals{Stack: s, store: postgres.NewInbound(s.DB, postgres.Shared{DB: s.DB}), scope: s.Tenant(t)}
	a.source, a.token = a.newSource(t, a.scope)
	return a
}

func (a *arrivals) newSource(t *testing.T, scope tenancy.Scope) (inbound.Source, []byte) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	source := inbound.Source{
		TenantID: scope.Tenant, ID: tenancy.NewID(), Name: "Hub", Provider: "github", Settings: map[string]any{"a": "b"},
		Filter: []string{"push", `od"d,{}`}, Secrets: []inbound.Secret{{ID: tenancy.NewID(), Hint: "…", CreatedAt: now, Sealed: []byte{1, 2}}},
		TokenSealed: []byte{3}, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	token := secrets.Hash(secrets.Token("gw_in_", 24))
	require.NoError(t, a.store.CreateSource(t.Context(), scope, source, token))
	return source, token
}

// insert keeps events of the ids, and returns their fates.
func (a *arrivals) insert(t *testing.T, version int64, state inbound.State, ids ...string) []inbound.Fate {
	t.Helper()
	list := make([]inbound.Arrival, len(ids))
	for i, id := range ids {
		list[i] = inbound.Arrival{SourceVersion: version, Event: inbound.Event{
			TenantID: a.scope.Tenant, ID: tenancy.NewID(), SourceID: a.source.ID, Provider: "github", ProviderEventID: &id, Type: "push",
			State: state, ReceivedAt: time.Now(), Headers: providers.Headers{"a": {"b"}}, Body: []byte(id),
		}}
	}
	var fates []inbound.Fate
	scope := tenancy.AsSystem(a.scope.Tenant, "")
	require.NoError(t, a.store.Transact(t.Context(), scope, func(ctx context.Context) (err error) {
		fates, err = a.store.InsertEvents(ctx, scope, list)
		return err
	}))
	return fates
}

func (a *arrivals) list(t *testing.T, query inbound.Query) []inbound.Event {
	t.Helper()
	query.Limit = page.MaxLimit
	list, err := a.store.ListEvents(t.Context(), a.scope, query)
	require.NoError(t, err)
	return list
}

func TestInbound_sources(t *testing.T) {
	t.Parallel()
	a := newArrivals(t)
	found, until, ok, err := a.store.FindSourceByToken(t.Context(), a.token)
	require.NoError(t, err)
	require.True(t, ok)
	assert.Nil(t, until)
	assert.Equal(t, a.source, found)
	_, _, ok, err = a.store.FindSourceByToken(t.Context(), []byte("nothing"))
	require.NoError(t, err)
	assert.False(t, ok)
	listed, err := a.store.ListSources(t.Context(), a.scope, page.Request{Limit: 10})
	require.NoError(t, err)
	assert.Equal(t, []inbound.Source{a.source}, listed)

	now := time.Now().UTC().Truncate(time.Microsecond)
	next := secrets.Hash(secrets.Token("gw_in_", 24))
	changed, err := a.store.ChangeSource(t.Context(), a.scope, a.source.ID, now, func(ctx context.Context, s *inbound.Source) error {
		s.Name, s.PausedAt, s.TokenSealed = "New", &now, []byte{4}
		return a.store.ReplaceToken(ctx, a.scope, s.ID, next, now.Add(time.Hour))
	})
	require.NoError(t, err)
	assert.EqualValues(t, 2, changed.Version)
	_, until, ok, err = a.store.FindSourceByToken(t.Context(), a.token)
	require.NoError(t, err)
	require.True(t, ok)
	assert.WithinDuration(t, now.Add(time.Hour), *until, 0)
	found, until, _, err = a.store.FindSourceByToken(t.Context(), next)
	require.NoError(t, err)
	assert.Nil(t, until)
	assert.Equal(t, changed, found)

	// What is refused changes nothing.
	_, err = a.store.ChangeSource(t.Context(), a.scope, a.source.ID, now, func(ctx context.Context, s *inbound.Source) error {
		s.Name = "Worse"
		return errors.Join(a.store.ReplaceToken(ctx, a.scope, s.ID, secrets.Hash("x"), now), errors.New("no"))
	})
	require.Error(t, err)
	found, _, _, err = a.store.FindSourceByToken(t.Context(), next)
	require.NoError(t, err)
	assert.Equal(t, "New", found.Name)

	stranger := a.Tenant(t)
	_, err = a.store.FindSource(t.Context(), stranger, a.source.ID)
	require.ErrorContains(t, err, "webhook_source.not_found")
	require.ErrorContains(t, a.store.DeleteSource(t.Context(), stranger, a.source.ID, now, func(inbound.Source) error { return nil }), "webhook_source.not_found")
	require.NoError(t, a.store.DeleteSource(t.Context(), a.scope, a.source.ID, now, func(inbound.Source) error { return nil }))
	_, _, ok, err = a.store.FindSourceByToken(t.Context(), next)
	require.NoError(t, err)
	assert.False(t, ok)
}

func TestInbound_events(t *testing.T) {
	t.Parallel()
	a := newArrivals(t)
	const stored, duplicate, outdated = inbound.Stored, inbound.Duplicate, inbound.Outdated
	assert.Equal(t, []inbound.Fate{stored, stored, duplicate}, a.insert(t, 1, inbound.Pending, "1", "2", "1"))
	assert.Equal(t, []inbound.Fate{duplicate, stored}, a.insert(t, 1, inbound.Held, "2", "3"))
	assert.Equal(t, []inbound.Fate{outdated}, a.insert(t, 2, inbound.Pending, "4"))
	assert.Equal(t, []inbound.Fate{outdated}, a.insert(t, 0, inbound.Held, "4"))
	assert.Len(t, a.list(t, inbound.Query{}), 3)
	past, soon := time.Now().Add(-time.Minute), time.Now().Add(time.Minute)
	for n, query := range map[int][]inbound.Query{
		3: {{SourceID: a.source.ID}, {Type: "pu*"}, {Type: "push"}, {From: past, To: soon}, {States: []inbound.State{inbound.Pending, inbound.Held}}},
		1: {{States: []inbound.State{inbound.Held}}},
		0: {{SourceID: tenancy.NewID()}, {Type: "p_sh"}, {Type: "p%"}, {Type: "_*"}, {To: past}, {From: soon}},
	} {
		for _, q := range query {
			assert.Len(t, a.list(t, q), n, "%+v", q)
		}
	}

	require.NoError(t, a.store.InsertQuarantined(t.Context(), a.scope, inbound.Event{
		ID: tenancy.NewID(), SourceID: a.source.ID, Provider: "github", ReceivedAt: time.Now(), Body: []byte("?"),
	}, 10))
	id := a.list(t, inbound.Query{States: []inbound.State{inbound.Held}})[0].ID
	job := tenancy.NewID()
	updated, err := a.store.UpdateEvent(t.Context(), a.scope, id, func(_ context.Context, e *inbound.Event) error {
		assert.Equal(t, "3", string(e.Body))
		e.State, e.JobID = inbound.Failed, &job
		e.Attempts++
		return nil
	})
	require.NoError(t, err)
	found, err := a.store.FindEvent(t.Context(), a.scope, id)
	require.NoError(t, err)
	assert.Equal(t, updated, found)

	failed := inbound.Selection{States: []inbound.State{inbound.Failed}, From: past, To: soon, Type: "p*", SourceID: a.source.ID}
	count, err := a.store.CountEvents(t.Context(), a.scope, failed, 10)
	require.NoError(t, err)
	assert.Equal(t, 1, count)
	replay := tenancy.NewID()
	take := func() (taken []tenancy.ID) {
		require.NoError(t, a.store.Transact(t.Context(), a.scope, func(ctx context.Context) (err error) {
			if taken, err = a.store.TakeForReplay(ctx, a.scope, failed, replay, 10); err != nil || len(taken) == 0 {
				return err
			}
			return a.store.MarkReplayed(ctx, a.scope, replay, taken, []tenancy.ID{job})
		}))
		return taken
	}
	assert.Equal(t, []tenancy.ID{id}, take())
	assert.Empty(t, take())

	stranger := a.Tenant(t)
	_, err = a.store.FindEvent(t.Context(), stranger, id)
	require.ErrorContains(t, err, "inbound_event.not_found")
	count, err = a.store.CountEvents(t.Context(), stranger, inbound.Selection{}, 10)
	require.NoError(t, err)
	assert.Zero(t, count)
}

// A hold and a release of the source wait for each other: what is held is seen by whoever lets it go on.
//
//nolint:contextcheck // the release is no part of the transaction that it waits for
func TestInbound_held_events_and_a_release_do_not_miss_each_other(t *testing.T) {
	t.Parallel()
	a := newArrivals(t)
	scope := tenancy.AsSystem(a.scope.Tenant, "")
	inserted, release := make(chan struct{}), make(chan error, 1)
	id := "held"
	err := a.store.Transact(t.Context(), scope, func(ctx context.Context) error {
		_, err := a.store.InsertEvents(ctx, scope, []inbound.Arrival{{SourceVersion: 1, Event: inbound.Event{
			TenantID: a.scope.Tenant, ID: tenancy.NewID(), SourceID: a.source.ID, ProviderEventID: &id, State: inbound.Held, ReceivedAt: time.Now(),
		}}})
		close(inserted)
		go func() {
			_, err := a.store.ChangeSource(t.Context(), a.scope, a.source.ID, time.Now(), func(ctx context.Context, s *inbound.Source) error {
				s.Name = "released"
				n, err := a.store.CountEvents(ctx, a.scope, inbound.Selection{States: []inbound.State{inbound.Held}}, 10)
				if err == nil && n != 1 {
					err = errors.New("the release saw " + strconv.Itoa(n) + " held events")
				}
				return err
			})
			release <- err
		}()
		admin := a.Admin(t)
		require.Eventually(t, func() bool {
			var waits bool
			require.NoError(t, admin.QueryRow(t.Context(), `select exists (select from pg_stat_activity
				where datname = current_database() and wait_event_type = 'Lock')`).Scan(&waits))
			return waits
		}, time.Minute, 5*time.Millisecond)
		return err
	})
	require.NoError(t, err)
	<-inserted
	require.NoError(t, <-release)
}

// stamps seals by writing the key's name in front.
type stamps struct{ key string }

func (s stamps) Seal(plaintext, _ []byte) ([]byte, error) {
	return append([]byte(s.key), plaintext...), nil
}

func (s stamps) Open(sealed, _ []byte) ([]byte, error) { return sealed[1:], nil }

func (s stamps) NeedsReseal(sealed []byte) bool { return string(sealed[:1]) != s.key }

func TestInbound_is_sealed_anew(t *testing.T) {
	t.Parallel()
	a := newArrivals(t)
	for range 3 {
		a.newSource(t, a.Tenant(t))
	}
	system := postgres.NewSealedSources(a.Open(t, postgres.Config{URL: a.SystemURL}))
	n, err := inbound.Reseal(t.Context(), system, stamps{"b"})
	require.NoError(t, err)
	assert.Equal(t, 4, n)
	found, err := a.store.FindSource(t.Context(), a.scope, a.source.ID)
	require.NoError(t, err)
	assert.Equal(t, []byte("b"), found.TokenSealed)
	assert.Equal(t, []byte{'b', 2}, found.Secrets[0].Sealed)
	assert.EqualValues(t, 1, found.Version)
	n, err = inbound.Reseal(t.Context(), system, stamps{"b"})
	require.NoError(t, err)
	assert.Zero(t, n)
	first, err := system.ListSealed(t.Context(), tenancy.ID{}, tenancy.ID{}, 2)
	require.NoError(t, err)
	next, err := system.ListSealed(t.Context(), first[1].TenantID, first[1].ID, 10)
	require.NoError(t, err)
	assert.Len(t, next, 2)
}
