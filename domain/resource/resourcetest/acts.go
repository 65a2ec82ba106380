package resourcetest

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func testCreate(t *testing.T, s *stand) {
	t.Helper()
	now := s.clock.tick()
	other := s.Make(0)
	other.Head().ID, other.Head().TenantID, other.Head().Version = tenancy.NewID(), s.b.Tenant, 7
	require.NoError(t, s.service.Create(t.Context(), s.a, other))
	head := *other.Head()
	assert.Equal(t, s.a.Tenant, head.TenantID, "a body does not say whose a record is")
	assert.Equal(t, resource.Base{ID: head.ID, TenantID: s.a.Tenant, Version: 1, CreatedAt: now, UpdatedAt: now}, head)
	found, err := s.service.Find(t.Context(), s.a, head.ID, resource.Live)
	require.NoError(t, err)
	assert.JSONEq(t, asJSON(t, other), asJSON(t, found), "what is answered is what is read later")
	s.requireTold(t, s.a, resource.Created, nil, found)

	s.unwritten(t, s.a, func() {
		invalid := s.Invalid()
		require.NotEmpty(t, invalid, "Invalid returns no record")
		for pointer, e := range invalid {
			requireInvalid(t, s.service.Create(t.Context(), s.a, e), pointer)
		}
		for i := range s.Definition.Fields {
			if f := &s.Definition.Fields[i]; f.Enum != nil {
				e := s.Make(1)
				set(t, e, f.Name, "no such value")
				requireInvalid(t, s.service.Create(t.Context(), s.a, e), "/"+f.Name)
			}
		}
		assert.Len(t, s.list(t, s.a, nil, page.Request{}).Items, 1)
	})
}

// requireInvalid fails the test unless err names the value, and no other, with a rule and a sentence.
func requireInvalid(t *testing.T, err error, pointer string) {
	t.Helper()
	violations := requireFault(t, err, fault.Invalid, "validation_failed")
	require.NotEmpty(t, violations)
	for _, v := range violations {
		assert.Equal(t, pointer, v.Pointer)
		assert.NotEmpty(t, v.Code)
		assert.NotEmpty(t, v.Detail)
	}
}

// requireTold fails the test unless the tenant's last audit entry and event tell of the act.
func (s *stand) requireTold(t *testing.T, scope tenancy.Scope, act string, before, after resource.Entity) {
	t.Helper()
	head := after.Head()
	entries := s.audited(t, scope)
	require.NotEmpty(t, entries)
	entry := entries[0]
	actor := scope.Actor.ID
	changes := entry.Changes
	assert.False(t, entry.ID.IsZero())
	entry.ID, entry.Changes = tenancy.ID{}, nil
	assert.Equal(t, audit.Entry{
		At: s.clock.kept(), ActorKind: scope.Actor.Kind, ActorID: &actor, RequestID: scope.RequestID,
		Action: s.Definition.Name + "." + act, Resource: s.Definition.Name, ResourceID: head.ID, Version: head.Version,
	}, entry)
	s.requireChanges(t, before, after, changes)

	told := s.Events(t, scope)
	require.NotEmpty(t, told)
	event := told[len(told)-1]
	assert.Equal(t, s.Definition.Name+"."+act, event.Type)
	assert.Equal(t, s.Definition.Name, event.Resource)
	assert.Equal(t, head.ID, event.ResourceID)
	assert.Equal(t, head.Version, event.Version)
	assert.True(t, s.clock.kept().Equal(event.At), "the event is of %s", event.At)
	assert.JSONEq(t, asJSON(t, after), string(event.Data))
	assert.Len(t, told, len(entries), "one event for each act")
}

// requireChanges compares field by field what an audit entry says with what was done.
func (s *stand) requireChanges(t *testing.T, before, after resource.Entity, changes []audit.Change) {
	t.Helper()
	from, to := map[string]json.RawMessage{}, fieldsOf(t, after)
	if before != nil {
		from = fieldsOf(t, before)
	}
	said := map[string]audit.Change{}
	for _, c := range changes {
		said[c.Field] = c
	}
	for i := range s.Definition.Fields {
		f := &s.Definition.Fields[i]
		c, isSaid := said[f.Name]
		delete(said, f.Name)
		if isBase(f.Name) {
			assert.False(t, isSaid, "%s is no change of the record's", f.Name)
			continue
		}
		if string(from[f.Name]) == string(to[f.Name]) || before == nil && isEmpty(to[f.Name]) {
			assert.False(t, isSaid, "%s did not change", f.Name)
			continue
		}
		if !assert.True(t, isSaid, "%s changed", f.Name) {
			continue
		}
		if before == nil {
			assert.Nil(t, c.From)
		}
		for text, value := range map[string]any{string(from[f.Name]): c.From, string(to[f.Name]): c.To} {
			switch {
			case text == "" || text == "null":
				assert.Nil(t, value, f.Name)
			case f.Personal:
				assert.NotContains(t, asJSON(t, value), text, "%s is personal", f.Name)
				assert.Contains(t, asJSON(t, value), "***")
			default:
				assert.JSONEq(t, text, asJSON(t, value), f.Name)
			}
		}
	}
	assert.Empty(t, said, "changes of fields that do not exist")
}

func isBase(name string) bool {
	switch name {
	case "id", "version", "created_at", "updated_at", "deleted_at":
		return true
	default:
		return false
	}
}

func isEmpty(text json.RawMessage) bool {
	return string(text) == "null" || string(text) == "[]" || string(text) == "{}"
}

func testFind(t *testing.T, s *stand) {
	t.Helper()
	e := s.create(t, s.a, 0)
	id := e.Head().ID
	for _, trash := range []resource.Trash{resource.Live, resource.WithTrash} {
		found, err := s.service.Find(t.Context(), s.a, id, trash)
		require.NoError(t, err)
		assert.JSONEq(t, asJSON(t, e), asJSON(t, found))
		assert.Equal(t, s.a.Tenant, found.Head().TenantID)
	}
	_, err := s.service.Find(t.Context(), s.a, id, resource.TrashOnly)
	s.requireNotFound(t, err)
	_, err = s.service.Find(t.Context(), s.a, tenancy.NewID(), resource.WithTrash)
	s.requireNotFound(t, err)
}

func testChange(t *testing.T, s *stand) {
	t.Helper()
	for n := range 6 {
		before := s.create(t, s.a, n)
		now := s.clock.tick()
		after := s.change(t, s.a, before.Head().ID, n)
		assert.Equal(t, resource.Base{
			ID: before.Head().ID, TenantID: s.a.Tenant, Version: 2, CreatedAt: before.Head().CreatedAt, UpdatedAt: now,
		}, *after.Head())
		found, err := s.service.Find(t.Context(), s.a, before.Head().ID, resource.Live)
		require.NoError(t, err)
		assert.JSONEq(t, asJSON(t, after), asJSON(t, found))
		assert.NotEqual(t, asJSON(t, before), asJSON(t, after), "Change(%d) changes nothing", n)
		s.requireTold(t, s.a, resource.Updated, before, found)
	}

	e := s.create(t, s.a, 6)
	id := e.Head().ID
	s.clock.tick()
	s.unwritten(t, s.a, func() {
		for name, apply := range map[string]func(resource.Entity){
			"nothing":       func(resource.Entity) {},
			"the same":      func(now resource.Entity) { s.become(t, now, e) },
			"only the base": func(now resource.Entity) { *now.Head() = resource.Base{Version: 9} },
		} {
			same, err := s.service.Change(t.Context(), s.a, id, 0, func(now resource.Entity) error { apply(now); return nil })
			require.NoError(t, err, name)
			assert.Equal(t, *e.Head(), *same.Head(), name)
			assert.JSONEq(t, asJSON(t, e), asJSON(t, same), name)
		}
		for pointer, invalid := range s.Invalid() {
			_, err := s.service.Change(t.Context(), s.a, id, 0, func(now resource.Entity) error {
				s.become(t, now, invalid)
				return nil
			})
			requireInvalid(t, err, pointer)
		}
		no := fault.New(fault.Conflict, "no", "No.")
		_, err := s.service.Change(t.Context(), s.a, id, 0, func(now resource.Entity) error { s.Change(now, 0); return no })
		require.ErrorIs(t, err, no)
		found, err := s.service.Find(t.Context(), s.a, id, resource.Live)
		require.NoError(t, err)
		assert.JSONEq(t, asJSON(t, e), asJSON(t, found))
	})
	_, err := s.service.Change(t.Context(), s.a, tenancy.NewID(), 0, func(resource.Entity) error { return nil })
	s.requireNotFound(t, err)
}

func testMatch(t *testing.T, s *stand) {
	t.Helper()
	id := s.create(t, s.a, 0).Head().ID
	change := func(match resource.Match, n int) error {
		_, err := s.service.Change(t.Context(), s.a, id, match, func(e resource.Entity) error { s.Change(e, n); return nil })
		return err
	}
	require.NoError(t, change(1, 0))
	s.unwritten(t, s.a, func() {
		for _, match := range []resource.Match{1, 3} {
			requireFault(t, change(match, 1), fault.Stale, "version_mismatch")
			requireFault(t, s.service.Delete(t.Context(), s.a, id, match), fault.Stale, "version_mismatch")
		}
	})
	require.NoError(t, s.service.Delete(t.Context(), s.a, id, 2))
	_, err := s.service.Restore(t.Context(), s.a, id, 2)
	requireFault(t, err, fault.Stale, "version_mismatch")
	_, err = s.service.Restore(t.Context(), s.a, id, 3)
	require.NoError(t, err)

	// Of several changes of one version at once, one is made.
	const several = 6
	errs := make([]error, several)
	var all sync.WaitGroup
	for n := range several {
		all.Go(func() { errs[n] = change(4, n+2) })
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
			continue
		}
		requireFault(t, err, fault.Stale, "version_mismatch")
	}
	assert.Equal(t, 1, made)
	found, err := s.service.Find(t.Context(), s.a, id, resource.Live)
	require.NoError(t, err)
	assert.Equal(t, int64(5), found.Head().Version)
	var versions []int64
	for _, event := range s.Events(t, s.a) {
		versions = append(versions, event.Version)
	}
	assert.Equal(t, []int64{1, 2, 3, 4, 5}, versions)
}
