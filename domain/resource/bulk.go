package resource

import (
	"context"
	"errors"
	"slices"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// MaxBulk is how many items one request may hold.
const MaxBulk = 1000

// BulkMode is what is done to each item.
type BulkMode string

// The modes. An upsert changes the live record that has the item's value of a unique field, and creates it where there
// is none.
const (
	BulkCreate BulkMode = "create"
	BulkUpdate BulkMode = "update"
	BulkUpsert BulkMode = "upsert"
	BulkDelete BulkMode = "delete"
)

// Bulk is many changes at once.
type Bulk struct {
	Mode BulkMode
	// Atomic does all of it or nothing.
	Atomic bool
	// By is the unique field that an upsert goes by; nil otherwise.
	By    *Field
	Items []BulkItem
}

// BulkItem is one change.
type BulkItem struct {
	// ID is the record's, for update and delete.
	ID tenancy.ID
	// Apply brings the item's values into the record: a new one, or the one that is there.
	Apply func(Entity) error
	// Err is what is wrong with the item already; it is reported in its place.
	Err error

	made *made
}

// made is the record that an item of BulkCreate creates, and what is told of it; or what is wrong with it.
type made struct {
	entity Entity
	record *Record
	err    error
}

// Make makes an item's record ready to be created, so that a Bulk in the mode BulkCreate has less to do while its
// transaction is open. What numbers its records in turn makes them in Bulk.
func (s *Service) Make(scope tenancy.Scope, item *BulkItem) {
	if item.Err != nil || len(s.Definition.sequences()) > 0 {
		return
	}
	m := &made{entity: s.Definition.New()}
	if m.err = item.Apply(m.entity); m.err == nil {
		m.err = s.begin(scope, m.entity)
	}
	if m.err == nil {
		m.record, m.err = s.Definition.record(scope, Created, nil, m.entity, m.entity.Head().CreatedAt)
	}
	item.made = m
}

// BulkResult is what came of one item.
type BulkResult struct {
	// Act is Created, Updated or Deleted; "" where nothing was done: the record was like that already, or Err says why.
	Act string
	// Entity is the record as it is now; nil where Err is not.
	Entity Entity
	Err    error
}

// errNothingDone rolls an atomic bulk back that has a bad item.
var errNothingDone = errors.New("resource: a bulk has a bad item and is atomic")

// Bulk does many changes in one transaction and a handful of statements. Bad items are reported in their places; the
// others are done, or none where the bulk is atomic. The error is for what concerns the whole: nothing was done then.
//
// Items do not see each other's changes: two of them cannot be about one record, and a unique value that one gives up
// is free for another in the next request.
func (s *Service) Bulk(ctx context.Context, scope tenancy.Scope, b Bulk) ([]BulkResult, error) {
	results, err := s.bulk(ctx, scope, b)
	for round := 0; round < maxBulkRounds && mayBeAnItems(err); round++ {
		var found bool
		if b, found = s.blame(ctx, scope, b); !found {
			break
		}
		results, err = s.bulk(ctx, scope, b)
	}
	return results, err
}

// bulk does it in one go.
func (s *Service) bulk(ctx context.Context, scope tenancy.Scope, b Bulk) ([]BulkResult, error) {
	var results []BulkResult
	err := s.store.Transact(ctx, scope, func(ctx context.Context) error {
		w := s.newBulkWork(scope, b)
		results = w.results
		return w.run(ctx)
	})
	if err != nil && !isNothingDone(err) {
		return nil, err
	}
	return results, nil
}

func isNothingDone(err error) bool { return errors.Is(err, errNothingDone) }

// bulkWork is one attempt at a bulk. Its slices have a place for each item.
type bulkWork struct {
	service *Service
	scope   tenancy.Scope
	bulk    Bulk
	results []BulkResult
	// keys are the values, as text, by which the records are found that the items are about; "" for a create.
	keys []string
	// fresh are the records to be created, where none is found.
	fresh []Entity
	// before are the found records as they were.
	before []Entity
}

func (s *Service) newBulkWork(scope tenancy.Scope, b Bulk) *bulkWork {
	n := len(b.Items)
	return &bulkWork{
		service: s, scope: scope, bulk: b, results: make([]BulkResult, n),
		keys: make([]string, n), fresh: make([]Entity, n), before: make([]Entity, n),
	}
}

// run makes the records what they are to be, and keeps them.
func (w *bulkWork) run(ctx context.Context) error {
	if err := w.make(ctx); err != nil {
		return err
	}
	return w.write(ctx)
}

// make makes the records what they are to be, and finds out which items are bad.
func (w *bulkWork) make(ctx context.Context) error {
	found, err := w.find(ctx)
	if err != nil {
		return err
	}
	seen := make(map[string]bool, len(w.keys))
	for i := range w.results {
		r := &w.results[i]
		if r.Err == nil {
			r.Err = w.decide(i, found[w.keys[i]], seen)
		}
		if _, ok := fault.As(r.Err); r.Err != nil && !ok {
			return r.Err // a bug or an outage is no item's own
		}
	}
	for _, step := range []func(context.Context) error{w.checkReferences, w.checkUnique, w.number} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// find reads the items and finds the records that they are about, by their keys. The records are held.
func (w *bulkWork) find(ctx context.Context) (map[string]Entity, error) {
	by := w.service.Definition.Field("id")
	if w.bulk.Mode == BulkUpsert {
		by = w.bulk.By
	}
	var values []any
	for i, item := range w.bulk.Items {
		key, err := w.read(i, item)
		w.results[i].Err = err
		if key != nil {
			w.keys[i] = textOf(key)
			values = append(values, key)
		}
	}
	rows, err := w.service.store.FindRecords(ctx, w.scope, w.service.Definition, by, values, Hold)
	if err != nil {
		return nil, err
	}
	found := make(map[string]Entity, len(rows))
	for _, e := range rows {
		found[textOf(by.Value(e))] = e
	}
	return found, nil
}

// read returns the value by which the item's record is found, nil for none, and makes the one that it may create.
func (w *bulkWork) read(i int, item BulkItem) (key any, err error) {
	switch {
	case item.Err != nil:
		return nil, item.Err
	case w.bulk.Mode == BulkUpdate, w.bulk.Mode == BulkDelete:
		return item.ID, nil
	}
	if m := w.made(i); m != nil {
		w.fresh[i] = m.entity
		return nil, m.err
	}
	e := w.service.Definition.New()
	w.fresh[i] = e
	if err := item.Apply(e); err != nil || w.bulk.Mode == BulkCreate {
		return nil, err
	}
	if n, ok := e.(Normalizer); ok {
		n.Normalize() // the key is looked for in the form in which it is kept
	}
	key = w.bulk.By.Value(e)
	if key == nil || key == "" {
		return nil, fault.Values(fault.Violation{
			Pointer: "/" + w.bulk.By.Name, Code: "required", Detail: "is required: the upsert goes by it",
		})
	}
	return key, nil
}

// made is what Make has made of an item; nil where it has not.
func (w *bulkWork) made(i int) *made {
	if w.bulk.Mode != BulkCreate {
		return nil
	}
	return w.bulk.Items[i].made
}

// decide brings the item's record, nil where none was found, into its new state, or says what is wrong with the item.
func (w *bulkWork) decide(i int, found Entity, seen map[string]bool) error {
	s, r := w.service, &w.results[i]
	if key := w.keys[i]; key != "" {
		if seen[key] {
			return fault.New(fault.Conflict, "bulk_repeated",
				"An item before this one is about the same "+s.Definition.Name+"; send this one in another request.")
		}
		seen[key] = true
	}
	switch {
	case found == nil && w.fresh[i] == nil:
		return s.Definition.NotFound()
	case found == nil:
		r.Act, r.Entity = Created, w.fresh[i]
		if w.made(i) != nil {
			return nil
		}
		return s.begin(w.scope, r.Entity)
	}
	r.Entity, w.before[i] = found, s.Definition.clone(found)
	if w.bulk.Mode == BulkDelete {
		r.Act = Deleted
		return mayBeDeleted(found)
	}
	changed, err := s.alter(found, w.before[i], Updated, w.bulk.Items[i].Apply)
	if changed {
		r.Act = Updated
	}
	return err
}

// write keeps what is good, and tells of it.
func (w *bulkWork) write(ctx context.Context) error {
	if w.forget() && w.bulk.Atomic {
		return errNothingDone
	}
	var all kept
	for i := range w.results {
		if err := w.collect(i, &all); err != nil {
			return err
		}
	}
	return w.keep(ctx, all)
}

// kept are records to be kept, and what is told of them.
type kept struct {
	inserted, updated []Entity
	records           []Record
}

// collect adds what came of an item.
func (w *bulkWork) collect(i int, to *kept) error {
	s, r := w.service, w.results[i]
	var record *Record
	var err error
	switch r.Act {
	case Created:
		to.inserted = append(to.inserted, r.Entity)
		if m := w.made(i); m != nil {
			record = m.record
			break
		}
		record, err = s.Definition.record(w.scope, Created, nil, r.Entity, r.Entity.Head().CreatedAt)
	case Updated:
		to.updated = append(to.updated, r.Entity)
		record, err = s.moved(w.scope, Updated, w.before[i], r.Entity, nil)
	case Deleted:
		to.updated = append(to.updated, r.Entity)
		now := s.moment()
		record, err = s.moved(w.scope, Deleted, w.before[i], r.Entity, &now)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	record.Refers = nil // checkReferences has seen to them
	to.records = append(to.records, *record)
	return nil
}

func (w *bulkWork) keep(ctx context.Context, k kept) error {
	return w.service.store.WriteRecords(ctx, w.scope, w.service.Definition, k.inserted, k.updated, k.records)
}

// forget takes what was not done out of the results, and says whether an item is bad.
func (w *bulkWork) forget() bool {
	isBad := slices.ContainsFunc(w.results, func(r BulkResult) bool { return r.Err != nil })
	for i := range w.results {
		if r := &w.results[i]; r.Err != nil || (isBad && w.bulk.Atomic) {
			*r = BulkResult{Err: r.Err}
		}
	}
	return isBad
}
