package resourcetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/events"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// calls are all calls on one record, by name.
func (s *stand) calls(t *testing.T, scope tenancy.Scope) map[string]func(id tenancy.ID) error {
	t.Helper()
	find := func(trash resource.Trash) func(tenancy.ID) error {
		return func(id tenancy.ID) error {
			_, err := s.service.Find(t.Context(), scope, id, trash)
			return err
		}
	}
	change := func(match resource.Match) func(tenancy.ID) error {
		return func(id tenancy.ID) error {
			_, err := s.service.Change(t.Context(), scope, id, match, func(e resource.Entity) error { s.Change(e, 1); return nil })
			return err
		}
	}
	remove := func(match resource.Match) func(tenancy.ID) error {
		return func(id tenancy.ID) error { return s.service.Delete(t.Context(), scope, id, match) }
	}
	restore := func(match resource.Match) func(tenancy.ID) error {
		return func(id tenancy.ID) error {
			_, err := s.service.Restore(t.Context(), scope, id, match)
			return err
		}
	}
	return map[string]func(tenancy.ID) error{
		"find live": find(resource.Live), "find with trash": find(resource.WithTrash), "find trash": find(resource.TrashOnly),
		"change": change(0), "change stale": change(9), "delete": remove(0), "delete stale": remove(9),
		"restore": restore(0), "restore stale": restore(9),
		"history": func(id tenancy.ID) error {
			_, err := s.service.History(t.Context(), scope, id, page.Request{})
			return err
		},
	}
}

func testIsolation(t *testing.T, s *stand) {
	t.Helper()
	records := s.fill(t, s.a, 6)
	s.delete(t, s.a, records[1].Head().ID)
	before := s.everything(t, s.a)
	for name, call := range s.calls(t, s.b) {
		nowhere := call(tenancy.NewID())
		s.requireNotFound(t, nowhere)
		for _, e := range records[:2] {
			assert.Equal(t, faultOf(t, nowhere), faultOf(t, call(e.Head().ID)), "%s with another tenant's id", name)
		}
	}
	n, err := s.service.Purge(t.Context(), s.b, s.clock.tick(), page.MaxLimit)
	require.NoError(t, err)
	assert.Zero(t, n)

	// The other tenant has records with the very values, and sees those only.
	mine := s.fill(t, s.b, 6)
	for _, trash := range []string{"", "with", "only"} {
		params := map[string]string{"sort": "id"}
		want := []string{}
		if trash != "" {
			params["trashed"] = trash
		}
		if trash != "only" {
			want = ids(mine)
		}
		assert.Equal(t, want, ids(s.list(t, s.b, params, page.Request{}).Items))
		params["id"] = records[0].Head().ID.String() + "," + records[1].Head().ID.String()
		assert.Empty(t, s.list(t, s.b, params, page.Request{}).Items)
	}
	assert.Equal(t, before, s.everything(t, s.a), "what the one tenant did is not seen by the other")
	for _, entry := range s.audited(t, s.b) {
		assert.NotContains(t, ids(records), entry.ResourceID.String())
	}
}

// everything is all that a tenant has, as JSON.
func (s *stand) everything(t *testing.T, scope tenancy.Scope) []string {
	t.Helper()
	return []string{
		asJSON(t, s.list(t, scope, map[string]string{"trashed": "with"}, page.Request{Limit: page.MaxLimit}).Items),
		asJSON(t, s.audited(t, scope)), asJSON(t, s.Events(t, scope)),
	}
}

// faultOf is what a caller gets to see of an error.
func faultOf(t *testing.T, err error) fault.Error {
	t.Helper()
	f, ok := fault.As(err)
	require.True(t, ok, "not a fault: %v", err)
	return fault.Error{
		Kind: f.Kind, Code: f.Code, Detail: f.Detail, Violations: f.Violations, RetryAfter: f.RetryAfter, Location: f.Location,
	}
}

func eventOf(s *stand, e resource.Entity) events.Event {
	return events.Event{
		ID: tenancy.NewID(), At: s.clock.read(), Type: s.Definition.Name + ".created", Resource: s.Definition.Name,
		ResourceID: e.Head().ID, Version: e.Head().Version, Data: []byte(`{}`),
	}
}
