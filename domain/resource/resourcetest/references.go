package resourcetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/events"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// referring gives every tenant of the suite some records to refer to, under ids that are the same in each, and lets the
// subject's records refer to them. Events of theirs are not the suite's business.
func (s Subject) referring(t *testing.T) Subject {
	t.Helper()
	ids := map[*resource.Field][]tenancy.ID{}
	for _, f := range s.Definition.References() {
		require.NotNil(t, s.Referred[f.Name], "the subject has no Referred for %s", f.Name)
		ids[f] = []tenancy.ID{tenancy.NewID(), tenancy.NewID(), tenancy.NewID()}
	}
	tenant, makes, invalid, told := s.Tenant, s.Make, s.Invalid, s.Events
	s.Tenant = func(tb testing.TB) tenancy.Scope {
		tb.Helper()
		scope := tenant(tb)
		for f := range ids {
			for n, id := range ids[f] {
				e := s.Referred[f.Name](1000 + n)
				s.insert(tb, scope, f.References, id, e)
			}
		}
		return scope
	}
	s.refer = func(e resource.Entity, n int) resource.Entity {
		for f := range ids {
			id, _ := f.Value(e).(tenancy.ID)
			if !id.IsZero() || (f.Nullable && n%3 == 2) {
				continue
			}
			text := fmt.Sprintf(`{%q: %q}`, f.Name, ids[f][n%len(ids[f])])
			if err := json.Unmarshal([]byte(text), e); err != nil {
				panic(err)
			}
		}
		return e
	}
	s.Make = func(n int) resource.Entity { return s.refer(makes(n), n) }
	s.Invalid = func() map[string]resource.Entity {
		all := invalid()
		for _, e := range all {
			s.refer(e, 0)
		}
		return all
	}
	s.Events = func(tb testing.TB, scope tenancy.Scope) []events.Event {
		tb.Helper()
		return slices.DeleteFunc(told(tb, scope), func(e events.Event) bool { return e.Resource != s.Definition.Name })
	}
	return s
}

// insert keeps a record of another resource under a certain id.
func (s Subject) insert(tb testing.TB, scope tenancy.Scope, d *resource.Definition, id tenancy.ID, e resource.Entity) {
	tb.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	*e.Head() = resource.Base{ID: id, TenantID: scope.Tenant, Version: 1, CreatedAt: at, UpdatedAt: at}
	require.NoError(tb, s.Dependencies.Store.InsertRecord(tb.Context(), scope, d, e, resource.Record{
		Entry: audit.Entry{
			ID: tenancy.NewID(), At: at, ActorKind: scope.Actor.Kind, Action: d.Name + ".created", Resource: d.Name, ResourceID: id, Version: 1,
		},
		Event: events.Event{
			ID: tenancy.NewID(), At: at, Type: d.Name + ".created", Resource: d.Name, ResourceID: id, Version: 1, Data: []byte(`{}`),
		},
	}))
}

// references are the fields that refer to other records, each with the service of those.
func (s *stand) references(t *testing.T) map[*resource.Field]*resource.Service {
	t.Helper()
	deps := s.Dependencies
	deps.Now = s.clock.read
	services := map[*resource.Field]*resource.Service{}
	for _, f := range s.Definition.References() {
		services[f] = resource.NewService(f.References, deps)
	}
	return services
}

// referred makes the n-th record that the field may refer to.
func (s *stand) referred(t *testing.T, service *resource.Service, f *resource.Field, scope tenancy.Scope, n int) tenancy.ID {
	t.Helper()
	e := s.Referred[f.Name](n)
	require.NoError(t, service.Create(t.Context(), scope, e), "Referred[%s](%d) is not valid", f.Name, n)
	return e.Head().ID
}

// madeFor is the n-th record, which refers by the field to the other.
func (s *stand) madeFor(t *testing.T, n int, f *resource.Field, id tenancy.ID) resource.Entity {
	t.Helper()
	e := s.Make(n)
	set(t, e, f.Name, id)
	return e
}

func testReferences(t *testing.T, s *stand) {
	t.Helper()
	for f, others := range s.references(t) {
		live := s.referred(t, others, f, s.a, 0)
		deleted := s.referred(t, others, f, s.a, 1)
		require.NoError(t, others.Delete(t.Context(), s.a, deleted, 0))
		foreign := s.referred(t, others, f, s.b, 2)
		e := s.madeFor(t, 0, f, live)
		require.NoError(t, s.service.Create(t.Context(), s.a, e))
		id := e.Head().ID

		other := s.referred(t, others, f, s.a, 3)
		s.clock.tick()
		turned, err := s.service.Change(t.Context(), s.a, id, 0, func(now resource.Entity) error {
			set(t, now, f.Name, other)
			return nil
		})
		require.NoError(t, err)
		s.requireTold(t, s.a, resource.Updated, e, turned)
		_, err = s.service.Change(t.Context(), s.a, id, 0, func(now resource.Entity) error {
			set(t, now, f.Name, live)
			return nil
		})
		require.NoError(t, err)

		s.unwritten(t, s.a, func() {
			for whose, wrong := range map[string]tenancy.ID{
				"another tenant's": foreign, "a deleted one": deleted, "nobody's": tenancy.NewID(),
			} {
				t.Log(f.Name, "is", whose)
				requireInvalid(t, s.service.Create(t.Context(), s.a, s.madeFor(t, 1, f, wrong)), "/"+f.Name)
				_, err := s.service.Change(t.Context(), s.a, id, 0, func(now resource.Entity) error {
					set(t, now, f.Name, wrong)
					return nil
				})
				requireInvalid(t, err, "/"+f.Name)
			}
			found, err := s.service.Find(t.Context(), s.a, id, resource.Live)
			require.NoError(t, err)
			assert.Equal(t, live, f.Value(found))
		})

		// What a record refers to already may be deleted: the record lives on.
		require.NoError(t, others.Delete(t.Context(), s.a, live, 0))
		changed, err := s.service.Change(t.Context(), s.a, id, 0, func(now resource.Entity) error {
			s.Change(now, 1)
			set(t, now, f.Name, live)
			return nil
		})
		require.NoError(t, err, "a change that leaves %s as it was", f.Name)
		assert.Equal(t, int64(4), changed.Head().Version)
		s.delete(t, s.a, id)
		_, err = s.service.Restore(t.Context(), s.a, id, 0)
		require.NoError(t, err)
	}
}

func testExpand(t *testing.T, s *stand) {
	t.Helper()
	for name, f := range s.Definition.References() {
		others := s.references(t)[f]
		kept, gone := s.referred(t, others, f, s.a, 0), s.referred(t, others, f, s.a, 1)
		records := []resource.Entity{s.madeFor(t, 0, f, kept), s.madeFor(t, 1, f, gone), s.madeFor(t, 2, f, kept)}
		for _, e := range records {
			require.NoError(t, s.service.Create(t.Context(), s.a, e))
		}
		require.NoError(t, others.Delete(t.Context(), s.a, gone, 0))
		expanded, err := s.service.Expand(t.Context(), s.a, []string{name}, records)
		require.NoError(t, err)
		require.Len(t, expanded[name], 2)
		for id, isDeleted := range map[tenancy.ID]bool{kept: false, gone: true} {
			want, err := others.Find(t.Context(), s.a, id, resource.WithTrash)
			require.NoError(t, err)
			require.Contains(t, expanded[name], id)
			assert.JSONEq(t, asJSON(t, want), asJSON(t, expanded[name][id]))
			assert.Equal(t, isDeleted, expanded[name][id].Head().DeletedAt != nil)
		}
		none, err := s.service.Expand(t.Context(), s.b, []string{name}, records)
		require.NoError(t, err)
		assert.Empty(t, none[name], "another tenant's records")
		none, err = s.service.Expand(t.Context(), s.a, []string{name}, nil)
		require.NoError(t, err)
		assert.Empty(t, none[name])
	}
}

// testPurgeReferred purges what is referred to, oldest first: it stays, and does not keep the others from going.
func testPurgeReferred(t *testing.T, s *stand) {
	t.Helper()
	for f, others := range s.references(t) {
		used := []tenancy.ID{s.referred(t, others, f, s.a, 0), s.referred(t, others, f, s.a, 1)}
		unused := []tenancy.ID{s.referred(t, others, f, s.a, 2), s.referred(t, others, f, s.a, 3)}
		records := []resource.Entity{s.madeFor(t, 0, f, used[0]), s.madeFor(t, 1, f, used[1])}
		for _, e := range records {
			require.NoError(t, s.service.Create(t.Context(), s.a, e))
		}
		for _, id := range append(used, unused...) {
			s.clock.tick()
			require.NoError(t, others.Delete(t.Context(), s.a, id, 0))
		}
		s.delete(t, s.a, records[1].Head().ID) // which refers to it still
		purge := func(service *resource.Service, want ...int) {
			t.Helper()
			cut := s.clock.tick()
			for _, n := range want {
				purged, err := service.Purge(t.Context(), s.a, cut, 1)
				require.NoError(t, err)
				require.Equal(t, n, purged)
			}
		}
		purge(others, 1, 1, 0)
		for _, id := range used {
			_, err := others.Find(t.Context(), s.a, id, resource.TrashOnly)
			require.NoError(t, err, "a record refers to it")
		}
		for _, id := range unused {
			_, err := others.Find(t.Context(), s.a, id, resource.TrashOnly)
			require.Error(t, err)
		}
		purge(s.service, 1, 0)
		purge(others, 1, 0)
		_, err := others.Find(t.Context(), s.a, used[0], resource.TrashOnly)
		require.NoError(t, err, "one is still referred to")
		expanded, err := s.service.Expand(t.Context(), s.a, []string{nameOf(s, f)}, records[:1])
		require.NoError(t, err)
		assert.Len(t, expanded[nameOf(s, f)], 1)
		assert.NotEmpty(t, s.list(t, s.a, nil, page.Request{}).Items)
	}
}

func nameOf(s *stand, f *resource.Field) string {
	for name, reference := range s.Definition.References() {
		if reference == f {
			return name
		}
	}
	return ""
}
