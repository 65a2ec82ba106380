package resourcetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// item is one that makes a record like e.
func (s *stand) item(t *testing.T, e resource.Entity) resource.BulkItem {
	t.Helper()
	fields := fieldsOf(t, e)
	for name := range fields {
		if isBase(name) {
			delete(fields, name)
		}
	}
	data := []byte(asJSON(t, fields))
	return resource.BulkItem{Apply: func(e resource.Entity) error { return json.Unmarshal(data, e) }}
}

// changing is one that changes a record.
func (s *stand) changing(id tenancy.ID, n int) resource.BulkItem {
	return resource.BulkItem{ID: id, Apply: func(e resource.Entity) error { s.Change(e, n); return nil }}
}

func (s *stand) bulk(t *testing.T, scope tenancy.Scope, b resource.Bulk) []resource.BulkResult {
	t.Helper()
	results, err := s.service.Bulk(t.Context(), scope, b)
	require.NoError(t, err)
	require.Len(t, results, len(b.Items))
	for _, r := range results {
		assert.Equal(t, r.Err == nil, r.Entity != nil, "a result is a record or an error")
	}
	return results
}

// requireToldOf fails the test unless exactly these acts were told of the records since, each once, as entry and event.
func (s *stand) requireToldOf(t *testing.T, scope tenancy.Scope, since int, act string, records ...resource.Entity) {
	t.Helper()
	entries := s.audited(t, scope)
	slices.Reverse(entries)
	told := s.Events(t, scope)
	require.Len(t, entries, since+len(records))
	require.Len(t, told, since+len(records))
	for i, e := range records {
		entry, event := entries[since+i], told[since+i]
		assert.Equal(t, s.Definition.Name+"."+act, entry.Action)
		assert.Equal(t, s.Definition.Name+"."+act, event.Type)
		assert.Equal(t, e.Head().ID, entry.ResourceID)
		assert.Equal(t, e.Head().ID, event.ResourceID)
		assert.Equal(t, e.Head().Version, entry.Version)
		assert.Equal(t, e.Head().Version, event.Version)
		assert.Equal(t, scope.RequestID, entry.RequestID)
		assert.JSONEq(t, asJSON(t, e), string(event.Data))
	}
}

func entitiesOf(results []resource.BulkResult) []resource.Entity {
	var entities []resource.Entity
	for _, r := range results {
		if r.Err == nil {
			entities = append(entities, r.Entity)
		}
	}
	return entities
}

func actsOf(results []resource.BulkResult) []string {
	acts := make([]string, len(results))
	for i, r := range results {
		acts[i] = r.Act
		if r.Err != nil {
			f, _ := fault.As(r.Err)
			acts[i] = f.Code
		}
	}
	return acts
}

// testBulk creates, changes and deletes records that are all good.
func testBulk(t *testing.T, s *stand) {
	t.Helper()
	now := s.clock.tick()
	for _, atomic := range []bool{false, true} {
		scope := s.Tenant(t)
		scope.RequestID = "req_bulk"
		since := len(s.audited(t, scope))
		create := resource.Bulk{Mode: resource.BulkCreate, Atomic: atomic}
		for n := range 6 {
			create.Items = append(create.Items, s.item(t, s.Make(n)))
		}
		made := s.bulk(t, scope, create)
		s.requireToldOf(t, scope, since, resource.Created, entitiesOf(made)...)
		update := resource.Bulk{Mode: resource.BulkUpdate, Atomic: atomic}
		remove := resource.Bulk{Mode: resource.BulkDelete, Atomic: atomic}
		for i, r := range made {
			require.Equal(t, resource.Created, r.Act)
			head := *r.Entity.Head()
			assert.Equal(t, resource.Base{ID: head.ID, TenantID: scope.Tenant, Version: 1, CreatedAt: now, UpdatedAt: now}, head)
			s.requireKept(t, scope, r.Entity)
			update.Items = append(update.Items, s.changing(head.ID, i))
			remove.Items = append(remove.Items, resource.BulkItem{ID: head.ID})
		}
		update.Items[5].Apply = func(resource.Entity) error { return nil }

		now = s.clock.tick()
		changed := s.bulk(t, scope, update)
		s.requireToldOf(t, scope, since+6, resource.Updated, entitiesOf(changed[:5])...)
		for i, r := range changed[:5] {
			require.Equal(t, resource.Updated, r.Act)
			assert.Equal(t, int64(2), r.Entity.Head().Version)
			assert.Equal(t, now, r.Entity.Head().UpdatedAt)
			assert.Equal(t, made[i].Entity.Head().ID, r.Entity.Head().ID, "results stand in the places of their items")
			s.requireKept(t, scope, r.Entity)
		}
		assert.Empty(t, changed[5].Act)
		assert.JSONEq(t, asJSON(t, made[5].Entity), asJSON(t, changed[5].Entity), "what changes nothing is not written")

		now = s.clock.tick()
		gone := s.bulk(t, scope, remove)
		s.requireToldOf(t, scope, since+11, resource.Deleted, entitiesOf(gone)...)
		for _, r := range gone {
			require.Equal(t, resource.Deleted, r.Act)
			assert.Equal(t, &now, r.Entity.Head().DeletedAt)
			s.requireKept(t, scope, r.Entity)
		}
	}
}

func (s *stand) requireKept(t *testing.T, scope tenancy.Scope, e resource.Entity) {
	t.Helper()
	found, err := s.service.Find(t.Context(), scope, e.Head().ID, resource.WithTrash)
	require.NoError(t, err)
	assert.JSONEq(t, asJSON(t, e), asJSON(t, found), "what is answered is what is read later")
}

// faulty are items of each mode with what is wrong with them, "" for the good ones.
func (s *stand) faulty(t *testing.T) map[resource.BulkMode]func() (items []resource.BulkItem, codes []string) {
	t.Helper()
	name := s.Definition.Name
	early := fault.New(fault.Unsupported, "its_own", "What the caller found out before.")
	var broken resource.Entity
	for _, e := range s.Invalid() {
		broken = e
	}
	var unique *resource.Field
	for i := range s.Definition.Fields {
		if s.Definition.Fields[i].Unique {
			unique = &s.Definition.Fields[i]
		}
	}
	// like is the n-th record with the value of the field that is unique.
	like := func(n int, value any) resource.BulkItem {
		e := s.Make(n)
		set(t, e, unique.Name, value)
		return s.item(t, e)
	}
	return map[resource.BulkMode]func() ([]resource.BulkItem, []string){
		resource.BulkCreate: func() ([]resource.BulkItem, []string) {
			items := []resource.BulkItem{s.item(t, s.Make(5)), {Err: early}, s.item(t, broken), s.item(t, s.Make(6))}
			codes := []string{resource.Created, "its_own", "validation_failed", resource.Created}
			for f := range s.references(t) {
				items = append(items, s.item(t, s.madeFor(t, 7, f, tenancy.NewID())), s.item(t, s.Make(7)))
				codes = append(codes, "validation_failed", resource.Created)
			}
			if unique != nil {
				kept := s.create(t, s.a, s.having(t, unique))
				free := fmt.Sprint(unique.Value(s.Make(29)))
				items = append(items, like(10, unique.Value(kept)), like(11, free), like(12, free))
				taken := name + "." + unique.Name + "_taken"
				codes = append(codes, taken, resource.Created, taken)
			}
			return items, codes
		},
		resource.BulkUpdate: func() ([]resource.BulkItem, []string) {
			first, second, gone := s.create(t, s.a, 20), s.create(t, s.a, 21), s.create(t, s.a, 22)
			s.delete(t, s.a, gone.Head().ID)
			items := []resource.BulkItem{
				s.changing(first.Head().ID, 1), s.changing(gone.Head().ID, 1), s.changing(tenancy.NewID(), 1),
				s.changing(s.create(t, s.b, 20).Head().ID, 1), s.changing(first.Head().ID, 2), s.item(t, broken),
			}
			items[5].ID = second.Head().ID
			missing := name + ".not_found"
			return items, []string{resource.Updated, missing, missing, missing, "bulk_repeated", "validation_failed"}
		},
		resource.BulkDelete: func() ([]resource.BulkItem, []string) {
			first := s.create(t, s.a, 23).Head().ID
			items := []resource.BulkItem{{ID: first}, {ID: tenancy.NewID()}, {ID: s.create(t, s.b, 23).Head().ID}, {ID: first}}
			return items, []string{resource.Deleted, name + ".not_found", name + ".not_found", "bulk_repeated"}
		},
	}
}

// testBulkByItem does the good items and reports the bad ones in their places.
func testBulkByItem(t *testing.T, s *stand) {
	t.Helper()
	for mode, faulty := range s.faulty(t) {
		items, want := faulty()
		since := len(s.audited(t, s.a))
		theirs := s.everything(t, s.b)
		results := s.bulk(t, s.a, resource.Bulk{Mode: mode, Items: items})
		require.Equal(t, want, actsOf(results), mode)
		done := entitiesOf(results)
		s.requireToldOf(t, s.a, since, results[0].Act, done...)
		for _, e := range done {
			s.requireKept(t, s.a, e)
		}
		assert.Equal(t, theirs, s.everything(t, s.b))
	}
}

// testBulkAtomic does nothing where one item is bad, and still says what is wrong with each.
func testBulkAtomic(t *testing.T, s *stand) {
	t.Helper()
	for mode, faulty := range s.faulty(t) {
		items, codes := faulty()
		for i, code := range codes {
			if code == resource.Created || code == resource.Updated || code == resource.Deleted {
				codes[i] = ""
			}
		}
		before := s.everything(t, s.a)
		results, err := s.service.Bulk(t.Context(), s.a, resource.Bulk{Mode: mode, Atomic: true, Items: items})
		require.NoError(t, err)
		require.Equal(t, codes, actsOf(results), mode)
		assert.Equal(t, before, s.everything(t, s.a), mode)
	}
}

// testBulkUpsert goes by each unique field.
func testBulkUpsert(t *testing.T, s *stand) {
	t.Helper()
	for i := range s.Definition.Fields {
		f := &s.Definition.Fields[i]
		if !f.Unique {
			continue
		}
		scope, n := s.Tenant(t), s.having(t, f)
		others := func(first int) []resource.Entity { // records that have a value, too
			var list []resource.Entity
			for n := first; len(list) < 2; n++ {
				if e := s.Make(n); f.Value(e) != nil {
					list = append(list, e)
				}
			}
			return list
		}
		there, gone := s.create(t, scope, n), s.Make(n+1)
		for k := n + 1; f.Value(gone) == nil; k++ {
			gone = s.Make(k)
		}
		require.NoError(t, s.service.Create(t.Context(), scope, gone))
		s.delete(t, scope, gone.Head().ID)
		foreign := others(15)[0]
		require.NoError(t, s.service.Create(t.Context(), s.b, foreign))
		value := f.Value(foreign)
		foreign = others(15)[0]
		fresh := others(20)

		changed := s.item(t, there)
		changed.Apply = func(e resource.Entity) error {
			s.become(t, e, there)
			s.Change(e, 3)
			set(t, e, f.Name, f.Value(there))
			return nil
		}
		without := s.Make(27)
		items := []resource.BulkItem{changed, s.item(t, gone), s.item(t, foreign), s.item(t, fresh[0]), s.item(t, fresh[0])}
		want := []string{resource.Updated, resource.Created, resource.Created, resource.Created, "bulk_repeated"}
		if f.Nullable || f.Sequence {
			var none any
			if f.Sequence {
				none = ""
			}
			set(t, without, f.Name, none)
			items, want = append(items, s.item(t, without)), append(want, "validation_failed")
		}
		results := s.bulk(t, scope, resource.Bulk{Mode: resource.BulkUpsert, By: f, Items: items})
		require.Equal(t, want, actsOf(results), "by %s", f.Name)
		assert.Equal(t, there.Head().ID, results[0].Entity.Head().ID)
		assert.NotEqual(t, gone.Head().ID, results[1].Entity.Head().ID, "what is in the trash stays there")
		assert.Equal(t, value, f.Value(results[2].Entity), "another tenant's value is free")

		again := s.bulk(t, scope, resource.Bulk{Mode: resource.BulkUpsert, By: f, Items: items[1:4]})
		assert.Equal(t, []string{"", "", ""}, actsOf(again), "a second time changes nothing")
		for i, r := range again {
			assert.JSONEq(t, asJSON(t, results[i+1].Entity), asJSON(t, r.Entity))
		}
	}
}

// testBulkAtOnce has several bulks about the same records, each in an order of its own: they wait for each other, none
// is lost, and what one takes first the others find.
func testBulkAtOnce(t *testing.T, s *stand) {
	t.Helper()
	const several, many = 5, 12
	at := func(t *testing.T, b resource.Bulk, item func(writer, i int) resource.BulkItem) [several][]resource.BulkResult {
		t.Helper()
		var results [several][]resource.BulkResult
		var errs [several]error
		var all sync.WaitGroup
		for w := range several {
			b := b // each has items of its own
			for i := range many {
				b.Items = append(b.Items, item(w, i))
			}
			if w%2 == 1 {
				slices.Reverse(b.Items)
			}
			all.Go(func() { results[w], errs[w] = s.service.Bulk(t.Context(), s.a, b) })
		}
		all.Wait()
		for w := range errs {
			require.NoError(t, errs[w])
		}
		return results
	}

	var records []resource.Entity
	for n := range many {
		records = append(records, s.create(t, s.a, n))
	}
	for _, results := range at(t, resource.Bulk{Mode: resource.BulkUpdate}, func(w, i int) resource.BulkItem {
		return s.changing(records[i].Head().ID, 1+w*many+i)
	}) {
		for _, r := range results {
			require.NoError(t, r.Err)
			require.Equal(t, resource.Updated, r.Act)
		}
	}
	for _, e := range records {
		found, err := s.service.Find(t.Context(), s.a, e.Head().ID, resource.Live)
		require.NoError(t, err)
		assert.Equal(t, int64(1+several), found.Head().Version, "each change is a version")
	}

	for i := range s.Definition.Fields {
		f := &s.Definition.Fields[i]
		if !f.Unique {
			continue
		}
		s.a = s.Tenant(t)
		var fresh []resource.Entity
		for n := 0; len(fresh) < many; n++ {
			if e := s.Make(n); f.Value(e) != nil {
				fresh = append(fresh, e)
			}
		}
		var created int
		for _, results := range at(t, resource.Bulk{Mode: resource.BulkUpsert, By: f}, func(_, i int) resource.BulkItem {
			return s.item(t, fresh[i])
		}) {
			for _, r := range results {
				require.NoError(t, r.Err, "by %s", f.Name)
				if r.Act == resource.Created {
					created++
				}
			}
		}
		assert.Equal(t, many, created, "by %s", f.Name)
		assert.Len(t, s.list(t, s.a, nil, page.Request{Limit: page.MaxLimit}).Items, many)
	}
}
