package resourcetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func testDelete(t *testing.T, s *stand) {
	t.Helper()
	before := s.create(t, s.a, 0)
	id := before.Head().ID
	now := s.clock.tick()
	s.delete(t, s.a, id)
	_, err := s.service.Find(t.Context(), s.a, id, resource.Live)
	s.requireNotFound(t, err)
	for _, trash := range []resource.Trash{resource.WithTrash, resource.TrashOnly} {
		gone, err := s.service.Find(t.Context(), s.a, id, trash)
		require.NoError(t, err)
		want := *before.Head()
		want.Version, want.UpdatedAt, want.DeletedAt = 2, now, &now
		assert.Equal(t, want, *gone.Head())
		s.requireTold(t, s.a, resource.Deleted, before, gone)
	}
	s.unwritten(t, s.a, func() {
		s.requireNotFound(t, s.service.Delete(t.Context(), s.a, id, 0))
		s.requireNotFound(t, s.service.Delete(t.Context(), s.a, tenancy.NewID(), 0))
		_, err := s.service.Change(t.Context(), s.a, id, 0, func(e resource.Entity) error { s.Change(e, 1); return nil })
		s.requireNotFound(t, err)
	})
}

func testRestore(t *testing.T, s *stand) {
	t.Helper()
	before := s.create(t, s.a, 0)
	id := before.Head().ID
	s.delete(t, s.a, id)
	now := s.clock.tick()
	back, err := s.service.Restore(t.Context(), s.a, id, 0)
	require.NoError(t, err)
	want := *before.Head()
	want.Version, want.UpdatedAt = 3, now
	assert.Equal(t, want, *back.Head())
	found, err := s.service.Find(t.Context(), s.a, id, resource.Live)
	require.NoError(t, err)
	assert.JSONEq(t, asJSON(t, back), asJSON(t, found))
	s.requireTold(t, s.a, resource.Restored, before, found)
	s.unwritten(t, s.a, func() {
		same, err := s.service.Restore(t.Context(), s.a, id, 0)
		require.NoError(t, err, "a live record stays as it is")
		assert.JSONEq(t, asJSON(t, back), asJSON(t, same))
		_, err = s.service.Restore(t.Context(), s.a, tenancy.NewID(), 0)
		s.requireNotFound(t, err)
	})
}

func testHistory(t *testing.T, s *stand) {
	t.Helper()
	id := s.create(t, s.a, 0).Head().ID
	s.create(t, s.a, 1)
	s.change(t, s.a, id, 0)
	s.delete(t, s.a, id)
	_, err := s.service.Restore(t.Context(), s.a, id, 0)
	require.NoError(t, err)
	s.change(t, s.a, id, 1)
	s.delete(t, s.a, id)

	want := []string{"deleted", "updated", "restored", "deleted", "updated", "created"}
	for limit := 1; limit <= len(want)+1; limit++ {
		var acts []string
		request := page.Request{Limit: limit}
		var last page.Page[audit.Entry]
		for {
			p, err := s.service.History(t.Context(), s.a, id, request)
			require.NoError(t, err)
			for _, entry := range p.Items {
				require.Equal(t, id, entry.ResourceID)
				require.Equal(t, int64(len(want)-len(acts)), entry.Version)
				acts = append(acts, entry.Action[len(s.Definition.Name)+1:])
			}
			if last = p; p.Next == nil {
				break
			}
			request.After = sent(t, p.Next)
		}
		require.Equal(t, want, acts, "pages of %d", limit)
		if last.Prev != nil {
			back, err := s.service.History(t.Context(), s.a, id, page.Request{Limit: limit, After: sent(t, last.Prev), Backward: true})
			require.NoError(t, err)
			require.Len(t, back.Items, limit)
			require.Equal(t, last.Items[0].Version+1, back.Items[limit-1].Version)
		}
	}
	_, err = s.service.History(t.Context(), s.a, tenancy.NewID(), page.Request{})
	s.requireNotFound(t, err)
}

func testPurge(t *testing.T, s *stand) {
	t.Helper()
	records := s.fill(t, s.a, 7)
	foreign := s.create(t, s.b, 0)
	for _, e := range records[:3] {
		s.clock.tick()
		s.delete(t, s.a, e.Head().ID)
	}
	s.delete(t, s.b, foreign.Head().ID)
	cut := s.clock.tick()
	s.delete(t, s.a, records[3].Head().ID) // at the cut, not before it

	told := s.Events(t, s.a)
	for _, want := range []int{2, 1, 0} {
		n, err := s.service.Purge(t.Context(), s.a, cut, 2)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	for i, e := range records {
		_, err := s.service.Find(t.Context(), s.a, e.Head().ID, resource.WithTrash)
		if i < 3 {
			s.requireNotFound(t, err)
			continue
		}
		require.NoError(t, err)
	}
	_, err := s.service.Find(t.Context(), s.b, foreign.Head().ID, resource.TrashOnly)
	require.NoError(t, err, "another tenant's trash is its own")
	assert.Equal(t, told, s.Events(t, s.a), "that a record was deleted was told already")
	var purged []string
	for _, entry := range s.audited(t, s.a) {
		if entry.Action == s.Definition.Name+"."+resource.Purged {
			purged = append(purged, entry.ResourceID.String())
			assert.Empty(t, entry.Changes)
			assert.Equal(t, s.a.Actor.ID, *entry.ActorID)
		}
	}
	assert.ElementsMatch(t, ids(records[:3]), purged)
	_, err = s.service.Restore(t.Context(), s.a, records[0].Head().ID, 0)
	s.requireNotFound(t, err)
}

// testFailure lets the write of a record fail, whose audit entry and event must fail with it.
func testFailure(t *testing.T, s *stand) {
	t.Helper()
	e := s.create(t, s.a, 0)
	again := s.Make(1)
	*again.Head() = *e.Head() // an id that is taken
	s.unwritten(t, s.a, func() {
		err := s.Dependencies.Store.InsertRecord(t.Context(), s.a, s.Definition, again, resource.Record{
			Entry: audit.Entry{
				ID: tenancy.NewID(), At: s.clock.tick(), ActorKind: s.a.Actor.Kind, Action: s.Definition.Name + ".created",
				Resource: s.Definition.Name, ResourceID: e.Head().ID,
			},
			Event: eventOf(s, e),
		})
		require.Error(t, err)
		_, err = s.Dependencies.Store.UpdateRecord(t.Context(), s.a, s.Definition, e.Head().ID, resource.Live,
			func(now resource.Entity) (*resource.Record, error) {
				s.Change(now, 1)
				record := resource.Record{Event: eventOf(s, e)}
				record.Event.Data = []byte(`{"not": JSON}`)
				return &record, nil
			})
		require.Error(t, err, "an event that cannot be written")
		found, err := s.service.Find(t.Context(), s.a, e.Head().ID, resource.Live)
		require.NoError(t, err)
		assert.JSONEq(t, asJSON(t, e), asJSON(t, found), "the change goes with its event")
	})
}
