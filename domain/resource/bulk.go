package resource

import (
	"context"
	"errors"

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
}

// BulkResult is what came of one item.
type BulkResult struct {
	// Act is Created, Updated or Deleted; "" where nothing was done.
	Act    string
	Entity Entity
	Err    error
}

// errNothingDone rolls an atomic bulk back that has a bad item.
var errNothingDone = errors.New("resource: a bulk has a bad item and is atomic")

// Bulk does many changes in one transaction and a handful of statements. Bad items are reported in their places; the
// others are done, or none where the bulk is atomic. The error is for what concerns the whole.
func (s *Service) Bulk(ctx context.Context, scope tenancy.Scope, b Bulk) ([]BulkResult, error) {
	const tries = 3 // another writer may take a value between the check and the write
	var results []BulkResult
	var err error
	for range tries {
		err = s.store.Transact(ctx, scope, func(ctx context.Context) error {
			w := &bulkWork{service: s, scope: scope, bulk: b, results: make([]BulkResult, len(b.Items))}
			results = w.results
			return w.run(ctx)
		})
		if fault.KindOf(err) != fault.Conflict && fault.KindOf(err) != fault.Invalid {
			break
		}
	}
	if errors.Is(err, errNothingDone) {
		return results, nil
	}
	return results, err
}

// bulkWork is one attempt at a bulk.
type bulkWork struct {
	service *Service
	scope   tenancy.Scope
	bulk    Bulk
	results []BulkResult
	// before holds each item's record as it was; nil for a new one.
	before []Entity
	// taken are the records that an item of this bulk is about already.
	taken map[tenancy.ID]bool
}

func (w *bulkWork) run(ctx context.Context) error {
	found, err := w.load(ctx)
	if err != nil {
		return err
	}
	w.before = make([]Entity, len(w.bulk.Items))
	w.taken = map[tenancy.ID]bool{}
	for i, item := range w.bulk.Items {
		if w.results[i].Err = item.Err; item.Err == nil {
			w.results[i].Err = w.decide(i, item, found)
		}
	}
	if err := w.number(ctx); err != nil {
		return err
	}
	if err := w.checkUnique(ctx); err != nil {
		return err
	}
	if err := w.checkReferences(ctx); err != nil {
		return err
	}
	return w.write(ctx)
}

// load finds and holds the records that the items are about: by id, or for an upsert by the value of its field.
func (w *bulkWork) load(ctx context.Context) (map[any]Entity, error) {
	d := w.service.Definition
	field := d.Field("id")
	var values []any
	switch w.bulk.Mode {
	case BulkCreate:
		return nil, nil //nolint:nilnil // nothing is looked for
	case BulkUpsert:
		field = w.bulk.By
		for i := range w.bulk.Items {
			if v, err := w.upsertValue(w.bulk.Items[i]); err == nil {
				values = append(values, v)
			}
		}
	case BulkUpdate, BulkDelete:
		for _, item := range w.bulk.Items {
			if item.Err == nil {
				values = append(values, item.ID)
			}
		}
	}
	rows, err := w.service.store.FindRecords(ctx, w.scope, d, field, values, Hold)
	if err != nil {
		return nil, err
	}
	found := make(map[any]Entity, len(rows))
	for _, e := range rows {
		found[field.Value(e)] = e
	}
	return found, nil
}

// upsertValue is the item's value of the field that the upsert goes by, in the form in which it is kept.
func (w *bulkWork) upsertValue(item BulkItem) (any, error) {
	if item.Err != nil {
		return nil, item.Err
	}
	scratch := w.service.Definition.New()
	if err := item.Apply(scratch); err != nil {
		return nil, err
	}
	if n, ok := scratch.(Normalizer); ok {
		n.Normalize()
	}
	v := w.bulk.By.Value(scratch)
	if v == nil || v == "" {
		return nil, fault.Values(fault.Violation{
			Pointer: "/" + w.bulk.By.Name, Code: "required", Detail: "is required: the upsert goes by it",
		})
	}
	return v, nil
}

// decide brings one item's record into its new state, or says what is wrong with it.
func (w *bulkWork) decide(i int, item BulkItem, found map[any]Entity) error {
	s, d := w.service, w.service.Definition
	var e Entity
	switch w.bulk.Mode {
	case BulkUpdate, BulkDelete:
		if e = found[item.ID]; e == nil {
			return d.NotFound()
		}
	case BulkUpsert:
		v, err := w.upsertValue(item)
		if err != nil {
			return err
		}
		e = found[v]
	case BulkCreate:
	}
	result := &w.results[i]
	if e == nil {
		e = d.New()
		if err := item.Apply(e); err != nil {
			return err
		}
		result.Act, result.Entity = Created, e
		return s.begin(w.scope, e)
	}
	if w.taken[e.Head().ID] {
		return fault.New(fault.Conflict, "bulk.same_record", "An item before this one is about the same record; send it in a request of its own.")
	}
	w.taken[e.Head().ID] = true
	w.before[i] = d.clone(e)
	if w.bulk.Mode == BulkDelete {
		result.Act, result.Entity = Deleted, e
		return mayBeDeleted(e)
	}
	changed, err := s.alter(e, w.before[i], Updated, item.Apply)
	if err != nil {
		return err
	}
	result.Entity = e
	if changed {
		result.Act = Updated
	}
	return nil
}

// pending calls do for each item that will be created or changed.
func (w *bulkWork) pending(do func(i int, e Entity)) {
	for i := range w.results {
		if r := &w.results[i]; r.Err == nil && (r.Act == Created || r.Act == Updated) {
			do(i, r.Entity)
		}
	}
}

// number gives numbers in turn to what has none.
func (w *bulkWork) number(ctx context.Context) error {
	for _, f := range w.service.Definition.sequences() {
		var without []Entity
		w.pending(func(_ int, e Entity) {
			if f.Value(e) == unnumbered {
				without = append(without, e)
			}
		})
		if err := w.service.assign(ctx, w.scope, f, without); err != nil {
			return err
		}
	}
	return nil
}

// checkUnique reports items whose unique values another record has, in the database or in this bulk.
func (w *bulkWork) checkUnique(ctx context.Context) error {
	d := w.service.Definition
	for n := range d.Fields {
		f := &d.Fields[n]
		if !f.Unique {
			continue
		}
		var values []any
		w.pending(func(_ int, e Entity) {
			if v := f.Value(e); v != nil {
				values = append(values, v)
			}
		})
		rows, err := w.service.store.FindRecords(ctx, w.scope, d, f, values, Look)
		if err != nil {
			return err
		}
		holder := make(map[any]tenancy.ID, len(rows))
		for _, e := range rows {
			holder[f.Value(e)] = e.Head().ID
		}
		w.pending(func(i int, e Entity) {
			v := f.Value(e)
			if v == nil {
				return
			}
			if id, ok := holder[v]; ok && id != e.Head().ID {
				w.results[i].Err = d.taken(f)
				return
			}
			holder[v] = e.Head().ID
		})
	}
	return nil
}

// checkReferences reports items that refer to records which are not there, or in the trash.
func (w *bulkWork) checkReferences(ctx context.Context) error {
	d := w.service.Definition
	for n := range d.Fields {
		f := &d.Fields[n]
		if f.References == nil {
			continue
		}
		var ids []any
		w.pending(func(_ int, e Entity) {
			if v := f.Value(e); v != nil {
				ids = append(ids, v)
			}
		})
		rows, err := w.service.store.FindRecords(ctx, w.scope, f.References, f.References.Field("id"), ids, Look)
		if err != nil {
			return err
		}
		there := make(map[any]bool, len(rows))
		for _, e := range rows {
			there[e.Head().ID] = true
		}
		w.pending(func(i int, e Entity) {
			if v := f.Value(e); v != nil && !there[v] {
				w.results[i].Err = f.dangling()
			}
		})
	}
	return nil
}

// write keeps what is good, and tells of it.
func (w *bulkWork) write(ctx context.Context) error {
	s := w.service
	var inserted, updated []Entity
	var records []Record
	for i := range w.results {
		r := &w.results[i]
		if r.Err != nil {
			if w.bulk.Atomic {
				return errNothingDone
			}
			r.Act, r.Entity = "", nil
			continue
		}
		var record *Record
		var err error
		switch r.Act {
		case Created:
			inserted = append(inserted, r.Entity)
			var made Record
			made, err = s.Definition.record(w.scope, Created, nil, r.Entity, r.Entity.Head().CreatedAt)
			record = &made
		case Updated:
			updated = append(updated, r.Entity)
			record, err = s.moved(w.scope, Updated, w.before[i], r.Entity, nil)
		case Deleted:
			updated = append(updated, r.Entity)
			now := s.moment()
			record, err = s.moved(w.scope, Deleted, w.before[i], r.Entity, &now)
		default:
			continue
		}
		if err != nil {
			return err
		}
		records = append(records, *record)
	}
	return s.store.WriteRecords(ctx, w.scope, s.Definition, inserted, updated, records)
}
