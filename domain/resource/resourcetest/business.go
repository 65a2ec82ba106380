package resourcetest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// testActs does each act of the definition, whose event and audit entry carry its name.
func testActs(t *testing.T, s *stand) {
	t.Helper()
	for _, act := range s.Definition.Acts {
		trial, ok := s.Acts[act.Name]
		require.True(t, ok, "the subject has no trial for the act %s", act.Name)
		scope := s.Tenant(t)
		scope.RequestID = s.a.RequestID
		perform := func(id tenancy.ID, match resource.Match) (resource.Entity, error) {
			return s.service.Perform(t.Context(), scope, id, match, act)
		}
		before := s.refer(trial.Can(), 0)
		require.NoError(t, s.service.Create(t.Context(), scope, before))
		id := before.Head().ID
		now := s.clock.tick()

		s.unwritten(t, scope, func() {
			_, err := s.service.Perform(t.Context(), s.b, id, 0, act)
			s.requireNotFound(t, err)
			_, err = perform(tenancy.NewID(), 0)
			s.requireNotFound(t, err)
			_, err = perform(id, 2)
			requireFault(t, err, fault.Stale, "version_mismatch")
		})
		after, err := perform(id, 1)
		require.NoError(t, err)
		assert.Equal(t, resource.Base{
			ID: id, TenantID: scope.Tenant, Version: 2, CreatedAt: before.Head().CreatedAt, UpdatedAt: now,
		}, *after.Head())
		found, err := s.service.Find(t.Context(), scope, id, resource.Live)
		require.NoError(t, err)
		assert.JSONEq(t, asJSON(t, after), asJSON(t, found))
		s.requireTold(t, scope, act.Done, before, found)

		cannot := s.refer(trial.Cannot(), 0)
		require.NoError(t, s.service.Create(t.Context(), scope, cannot))
		s.unwritten(t, scope, func() {
			_, err := perform(cannot.Head().ID, 0)
			require.Error(t, err)
			assert.Equal(t, fault.Conflict, fault.KindOf(err))
			same, err := s.service.Find(t.Context(), scope, cannot.Head().ID, resource.Live)
			require.NoError(t, err)
			assert.JSONEq(t, asJSON(t, cannot), asJSON(t, same))
		})

		// Of several who do it to the same version at once, one does.
		again := s.refer(trial.Can(), 0)
		require.NoError(t, s.service.Create(t.Context(), scope, again))
		var errs [5]error
		var all sync.WaitGroup
		for n := range errs {
			all.Go(func() { _, errs[n] = perform(again.Head().ID, 1) })
		}
		all.Wait()
		done := 0
		for _, err := range errs {
			if err == nil {
				done++
				continue
			}
			requireFault(t, err, fault.Stale, "version_mismatch")
		}
		assert.Equal(t, 1, done)
	}
}
