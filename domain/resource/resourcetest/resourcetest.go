// Package resourcetest proves for any resource, against a real store, what every resource promises.
//
// A store's tests call Run with a Subject for each resource of the product. The suite knows the resource by its
// definition alone: it takes what the fields are declared to do (filter, sort, unique, personal) and holds the store to
// it, with an oracle of its own for filters and orders. It is never linked into a process of the product.
package resourcetest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/events"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Subject is a resource and what the suite needs to put it to the test.
type Subject struct {
	Definition *resource.Definition
	// Dependencies are the real store, the audit over it and the validator; the suite sets the clock itself.
	Dependencies resource.Dependencies
	// Tenant makes a tenant that nothing else uses and returns the scope of a user in it. The store orders text by its
	// bytes.
	Tenant func(tb testing.TB) tenancy.Scope
	// Make returns the n-th valid record; references that it leaves out the suite fills in. Among its first 30, unique fields are never equal, nullable ones are null now
	// and then, and those to sort by are equal now and then; the suite says which field falls short.
	Make func(n int) resource.Entity
	// Change makes a valid record into another valid one; two values of n make different ones.
	Change func(e resource.Entity, n int)
	// Invalid returns records that break one rule each, by the pointer at the value that does.
	Invalid func() map[string]resource.Entity
	// Referred makes the n-th record that a field may refer to, by the field's name; no two are equal in a unique field.
	Referred map[string]func(n int) resource.Entity
	// Acts are records that Make might have made, to which an act can be done and to which it cannot, by the act's name.
	Acts map[string]Trial
	// Events reads all events of the scope's tenant, oldest first.
	Events func(tb testing.TB, scope tenancy.Scope) []events.Event

	// refer gives the references of the n-th record that have no value one that is there in every tenant.
	refer func(e resource.Entity, n int) resource.Entity
}

// Trial is what an act is tried with.
type Trial struct{ Can, Cannot func() resource.Entity }

// Run puts the subject to the test.
func Run(t *testing.T, s Subject) {
	t.Helper()
	s = s.referring(t)
	t.Run("Make", func(t *testing.T) { t.Parallel(); testMake(t, s) })
	for name, test := range map[string]func(*testing.T, *stand){
		"Create": testCreate, "Find": testFind, "Change": testChange, "Match": testMatch, "Delete": testDelete,
		"Restore": testRestore, "History": testHistory, "Purge": testPurge, "Failure": testFailure,
		"Isolation": testIsolation, "Unique": testUnique, "Filters": testFilters, "Trash": testTrash,
		"Search": testSearch, "Limits": testLimits, "Orders": testOrders, "Meanwhile": testMeanwhile,
		"References": testReferences, "Expand": testExpand, "PurgeReferred": testPurgeReferred, "Sequences": testSequences,
		"Acts": testActs, "Bulk": testBulk, "BulkByItem": testBulkByItem, "BulkAtomic": testBulkAtomic,
		"BulkUpsert": testBulkUpsert, "BulkAtOnce": testBulkAtOnce,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, newStand(t, s)) })
	}
}

// stand is one test's service, clock and tenants.
type stand struct {
	Subject

	service *resource.Service
	clock   *clock
	a, b    tenancy.Scope
}

func newStand(t *testing.T, s Subject) *stand {
	t.Helper()
	// Nanoseconds, and another zone than UTC, must not be seen again.
	c := &clock{now: time.Date(2026, 3, 29, 1, 59, 58, 123_456_789, time.FixedZone("", 2*3600))}
	deps := s.Dependencies
	deps.Now = c.read
	st := &stand{Subject: s, service: resource.NewService(s.Definition, deps), clock: c, a: s.Tenant(t), b: s.Tenant(t)}
	st.a.RequestID, st.b.RequestID = "req_a", "req_b"
	require.NotEqual(t, st.a.Tenant, st.b.Tenant)
	return st
}

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// tick moves the clock and returns its time as it is kept.
func (c *clock) tick() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Second)
	return c.kept()
}

func (c *clock) kept() time.Time { return c.now.UTC().Truncate(time.Microsecond) }

// create makes the n-th record as the tenant.
func (s *stand) create(t *testing.T, scope tenancy.Scope, n int) resource.Entity {
	t.Helper()
	e := s.Make(n)
	require.NoError(t, s.service.Create(t.Context(), scope, e), "Make(%d) is not valid", n)
	return e
}

func (s *stand) change(t *testing.T, scope tenancy.Scope, id tenancy.ID, n int) resource.Entity {
	t.Helper()
	e, err := s.service.Change(t.Context(), scope, id, 0, func(e resource.Entity) error {
		s.Change(e, n)
		return nil
	})
	require.NoError(t, err, "Change(%d) does not make a valid record", n)
	return e
}

func (s *stand) delete(t *testing.T, scope tenancy.Scope, id tenancy.ID) {
	t.Helper()
	require.NoError(t, s.service.Delete(t.Context(), scope, id, 0))
}

// fill makes n records, several of one moment, some changed later; they are returned as they are at last.
func (s *stand) fill(t *testing.T, scope tenancy.Scope, n int) []resource.Entity {
	t.Helper()
	records := make([]resource.Entity, n)
	for i := range records {
		if i%3 == 0 {
			s.clock.tick()
		}
		records[i] = s.create(t, scope, i)
	}
	for i := 0; i < n; i += 4 {
		if i%8 == 0 {
			s.clock.tick()
		}
		records[i] = s.changeAway(t, scope, records[i], i)
	}
	return records
}

// changeAway gives the record a new updated_at and leaves the rest as it was.
func (s *stand) changeAway(t *testing.T, scope tenancy.Scope, e resource.Entity, n int) resource.Entity {
	t.Helper()
	s.change(t, scope, e.Head().ID, n)
	back, err := s.service.Change(t.Context(), scope, e.Head().ID, 0, func(now resource.Entity) error {
		s.become(t, now, e)
		return nil
	})
	require.NoError(t, err)
	return back
}

// become makes one record of the other's values.
func (s *stand) become(t *testing.T, e, other resource.Entity) {
	t.Helper()
	fresh := s.Definition.New()
	require.NoError(t, json.Unmarshal([]byte(asJSON(t, other)), fresh))
	reflect.ValueOf(e).Elem().Set(reflect.ValueOf(fresh).Elem())
}

// list returns the page that the parameters select.
func (s *stand) list(t *testing.T, scope tenancy.Scope, params map[string]string, request page.Request) page.Page[resource.Entity] {
	t.Helper()
	q := s.parse(t, params)
	if request.Limit > 0 {
		q.Limit = request.Limit
	}
	q.After, q.Backward = sent(t, request.After), request.Backward
	p, err := s.service.List(t.Context(), scope, q)
	require.NoError(t, err, "list %v", params)
	return p
}

func (s *stand) parse(t *testing.T, params map[string]string) resource.Query {
	t.Helper()
	values := make(map[string][]string, len(params))
	for name, value := range params {
		values[name] = []string{value}
	}
	q, err := s.Definition.ParseQuery(values)
	require.NoError(t, err, "parse %v: %+v", params, err)
	return q
}

// sent is a position as it comes back from a cursor, which is JSON.
func sent(t *testing.T, position page.Position) page.Position {
	t.Helper()
	if len(position) == 0 {
		return nil
	}
	b, err := json.Marshal(position)
	require.NoError(t, err)
	var back page.Position
	require.NoError(t, json.Unmarshal(b, &back))
	return back
}

// audited returns all entries of the tenant's records, newest first.
func (s *stand) audited(t *testing.T, scope tenancy.Scope) []audit.Entry {
	t.Helper()
	p, err := audit.NewService(s.Dependencies.History).List(t.Context(), scope, audit.Query{
		Request: page.Request{Limit: page.MaxLimit}, Resource: s.Definition.Name,
	})
	require.NoError(t, err)
	require.Empty(t, p.Next, "the test reads one page of the audit")
	return p.Items
}

// unwritten fails the test where act writes an audit entry or an event.
func (s *stand) unwritten(t *testing.T, scope tenancy.Scope, act func()) {
	t.Helper()
	entries, told := s.audited(t, scope), s.Events(t, scope)
	act()
	assert.Equal(t, entries, s.audited(t, scope), "the audit")
	assert.Equal(t, told, s.Events(t, scope), "the events")
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// fieldsOf is a record's JSON by field.
func fieldsOf(t *testing.T, e resource.Entity) map[string]json.RawMessage {
	t.Helper()
	fields := map[string]json.RawMessage{}
	require.NoError(t, json.Unmarshal([]byte(asJSON(t, e)), &fields))
	return fields
}

// set gives a field a value.
func set(t *testing.T, e resource.Entity, name string, value any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(asJSON(t, map[string]any{name: value})), e))
}

func ids(records []resource.Entity) []string {
	list := make([]string, len(records))
	for i, e := range records {
		list[i] = e.Head().ID.String()
	}
	return list
}

// requireFault fails the test unless err is a fault of that kind and code, and returns its violations.
func requireFault(t *testing.T, err error, kind fault.Kind, code string) []fault.Violation {
	t.Helper()
	require.Error(t, err)
	f, ok := fault.As(err)
	require.True(t, ok, "not a fault: %v", err)
	require.Equal(t, fmt.Sprint(kind, code), fmt.Sprint(f.Kind, f.Code), "%v", err)
	require.NotEmpty(t, f.Detail)
	return f.Violations
}

func (s *stand) requireNotFound(t *testing.T, err error) {
	t.Helper()
	requireFault(t, err, fault.NotFound, s.Definition.Name+".not_found")
}
