package resourcetest

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func testSequences(t *testing.T, s *stand) {
	t.Helper()
	for i := range s.Definition.Fields {
		f := &s.Definition.Fields[i]
		if !f.Sequence {
			continue
		}
		scope := s.Tenant(t)
		made := 0
		numbered := func(number string) resource.Entity {
			e := s.Make(made)
			made++
			set(t, e, f.Name, number)
			return e
		}
		// give creates a record with the number, "" for the next in turn, and returns its number.
		give := func(scope tenancy.Scope, number string) any {
			t.Helper()
			e := numbered(number)
			require.NoError(t, s.service.Create(t.Context(), scope, e))
			found, err := s.service.Find(t.Context(), scope, e.Head().ID, resource.Live)
			require.NoError(t, err)
			assert.Equal(t, f.Value(e), f.Value(found))
			return f.Value(found)
		}
		assert.Equal(t, "1", give(scope, ""), "in turn")
		assert.Equal(t, "2", give(scope, ""))
		assert.Equal(t, "1", give(s.Tenant(t), ""), "each tenant has its own")
		for n := 4; n <= 13; n++ { // more in a row than are looked for at first
			give(scope, strconv.Itoa(n))
		}
		give(scope, "15")
		for _, want := range []string{"3", "14", "16", "17"} {
			assert.Equal(t, want, give(scope, ""), "past those in use, without a gap")
		}
		invalid := numbered("")
		for pointer, wrong := range s.Invalid() {
			if of := s.Definition.Field(pointer[1:]); of == nil || of.References == nil { // which the database says
				s.become(t, invalid, wrong)
			}
		}
		set(t, invalid, f.Name, "")
		require.Error(t, s.service.Create(t.Context(), scope, invalid), "and spends no number")

		// A bulk gives its numbers to what is good, past those that its own items bring.
		results, err := s.service.Bulk(t.Context(), scope, resource.Bulk{Mode: resource.BulkCreate, Items: []resource.BulkItem{
			s.item(t, numbered("")), s.item(t, numbered("19")), s.item(t, invalid), s.item(t, numbered("")), s.item(t, numbered("2")),
		}})
		require.NoError(t, err)
		numbers := map[int]any{}
		for i, r := range results {
			if r.Err == nil {
				numbers[i] = f.Value(r.Entity)
			}
		}
		assert.Equal(t, map[int]any{0: "18", 1: "19", 3: "20"}, numbers)
		assert.Equal(t, "21", give(scope, ""))

		s.numberAtOnce(t, f, scope, numbered)
	}
}

// numberAtOnce has several create records without a number while somebody gives the numbers by hand that come next.
func (s *stand) numberAtOnce(t *testing.T, f *resource.Field, scope tenancy.Scope, numbered func(string) resource.Entity) {
	t.Helper()
	const several, each = 5, 4
	var all sync.WaitGroup
	var inTurn, byHand [several * each]resource.Entity
	var errs, refused [several * each]error
	for n := range inTurn {
		inTurn[n], byHand[n] = numbered(""), numbered(strconv.Itoa(21+several*each-n))
	}
	for first := range several {
		all.Go(func() {
			for n := first; n < len(inTurn); n += several {
				errs[n] = s.service.Create(t.Context(), scope, inTurn[n])
			}
		})
	}
	all.Go(func() {
		for n, e := range byHand {
			refused[n] = s.service.Create(t.Context(), scope, e)
		}
	})
	all.Wait()
	given := map[any]bool{}
	for n, e := range inTurn {
		require.NoError(t, errs[n], "who leaves the number out gets one")
		assert.False(t, given[f.Value(e)], "%v was given twice", f.Value(e))
		given[f.Value(e)] = true
	}
	for n, err := range refused {
		if err != nil {
			requireFault(t, err, fault.Conflict, s.Definition.Name+"."+f.Name+"_taken")
			assert.True(t, given[f.Value(byHand[n])], "a number is taken if it was given")
		}
	}
}
