package resourcetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
)

func testUnique(t *testing.T, s *stand) {
	t.Helper()
	for i := range s.Definition.Fields {
		f := &s.Definition.Fields[i]
		if !f.Unique {
			continue
		}
		code := s.Definition.Name + "." + f.Name + "_taken"
		requireTaken := func(err error) {
			t.Helper()
			taken := requireFault(t, err, fault.Conflict, code)
			require.Len(t, taken, 1)
			assert.Equal(t, "/"+f.Name, taken[0].Pointer)
		}
		scope, foreign := s.Tenant(t), s.Tenant(t)
		first := s.create(t, scope, s.having(t, f))
		id, value := first.Head().ID, f.Value(first)
		another := func() resource.Entity {
			e := s.Make(29)
			set(t, e, f.Name, value)
			return e
		}
		require.NoError(t, s.service.Create(t.Context(), foreign, another()), "unique within a tenant")
		third := s.create(t, scope, 28)
		s.unwritten(t, scope, func() {
			requireTaken(s.service.Create(t.Context(), scope, another()))
			_, err := s.service.Change(t.Context(), scope, third.Head().ID, 0, func(e resource.Entity) error {
				set(t, e, f.Name, value)
				return nil
			})
			requireTaken(err)
			assert.Len(t, s.list(t, scope, nil, page.Request{}).Items, 2)
		})

		s.delete(t, scope, id)
		next := another()
		require.NoError(t, s.service.Create(t.Context(), scope, next), "a deleted record's %s is free", f.Name)
		s.unwritten(t, scope, func() {
			_, err := s.service.Restore(t.Context(), scope, id, 0)
			requireTaken(err)
			_, err = s.service.Find(t.Context(), scope, id, resource.TrashOnly)
			require.NoError(t, err, "it is still in the trash")
		})
		s.delete(t, scope, next.Head().ID)
		_, err := s.service.Restore(t.Context(), scope, id, 0)
		require.NoError(t, err)
		if f.Nullable {
			for _, n := range []int{26, 27} {
				e := s.Make(n)
				for j := range s.Definition.Fields {
					if other := &s.Definition.Fields[j]; other.Unique && other.Nullable {
						set(t, e, other.Name, nil)
					}
				}
				require.NoError(t, s.service.Create(t.Context(), scope, e), "no %s twice is none taken", f.Name)
			}
		}
	}
}

// having is the number of a record whose field is not null.
func (s *stand) having(t *testing.T, f *resource.Field) int {
	t.Helper()
	for n := range 27 {
		if f.Value(s.Make(n)) != nil {
			return n
		}
	}
	t.Fatalf("Make leaves %s null", f.Name)
	return 0
}
