package transfers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// batcher makes records of rows and keeps them.
type batcher struct {
	service *resource.Service
	scope   tenancy.Scope
	locale  locale
	mode    resource.BulkMode
	by      *resource.Field
	header  *header
	targets []bound
	details []openedDetail
	// settled is told of each row that was kept, by its place in the batch; nil where nobody asks.
	settled func(i int, r resource.BulkResult)
}

// openedDetail is the rows of a list's elements, ready to be asked for.
type openedDetail struct {
	field   *resource.Field
	header  *header
	targets []bound
	// parent is the column of the main row that names it.
	parent int
	rows   *details
}

// record is a row on its way to become a record.
type record struct {
	row      row
	elements [][]row // of each detail
	values   []assignment
	failures []ImportFailure
	item     resource.BulkItem
}

// record reads a row's values. n is how much of it is held in memory.
func (b *batcher) record(r *row, ragged bool) (rec record, n int, err error) {
	shape := checkShape(b.header, r, ragged)
	rec = record{row: *r}
	for _, cell := range r.cells {
		n += len(cell)
	}
	for i := range b.details {
		d := &b.details[i]
		var elements []row
		if d.parent < len(r.cells) && keyOf(r.cells[d.parent]) != "" {
			elements, err = d.rows.take(keyOf(r.cells[d.parent]))
		}
		if errors.Is(err, errManyDetails) {
			rec.fail(b.header, &problem{code: "max", reason: err.Error()})
			err = nil
		}
		if err != nil {
			return rec, n, err
		}
		for _, e := range elements {
			for _, cell := range e.cells {
				n += len(cell)
			}
		}
		rec.elements = append(rec.elements, elements)
	}
	if shape != nil {
		rec.fail(b.header, shape)
		return rec, n, nil
	}
	for i := range b.targets {
		a, skip, bad := b.targets[i].read(r, b.locale)
		if bad != nil {
			rec.fail(b.header, bad)
		} else if !skip {
			rec.values = append(rec.values, a)
		}
	}
	for i := range b.details {
		b.details[i].read(&rec, rec.elements[i], b.locale)
	}
	return rec, n, nil
}

// checkShape says what is wrong with a row as such: where it cannot be read, and where it has other columns than the first.
func checkShape(h *header, r *row, ragged bool) *problem { //nolint:revive // see above
	columns := len(h.names)
	if len(r.cells) > columns {
		extra := row{cells: r.cells[columns:]}
		if ragged && extra.isBlank() {
			r.cells = r.cells[:columns]
		}
	}
	switch {
	case r.problem != nil:
		return r.problem
	case len(r.cells) > columns, len(r.cells) < columns && !ragged:
		return &problem{code: "ragged", reason: fmt.Sprintf("has %d columns where the first row has %d", len(r.cells), columns)}
	default:
		return nil
	}
}

// fail notes what is wrong with the row itself.
func (rec *record) fail(h *header, p *problem) {
	rec.failures = append(rec.failures, failureOf(h, "", rec.row.number, p))
}

func failureOf(h *header, part string, number int64, p *problem) ImportFailure {
	f := ImportFailure{Row: number, Part: part, Column: p.column, Value: shortened(p.value), Code: p.code, Reason: p.reason}
	if p.index > 0 {
		f.Column = fmt.Sprintf("column %d", p.index)
		if p.index <= len(h.names) && h.names[p.index-1] != "" {
			f.Column = h.names[p.index-1]
		}
	}
	f.Column = shortened(f.Column)
	return f
}

// read makes elements of the rows that belong to a record.
func (d *openedDetail) read(rec *record, elements []row, l locale) {
	items := make([]resource.Item, 0, len(elements))
	for i := range elements {
		r := &elements[i]
		item := resource.Item{}
		if p := checkShape(d.header, r, true); p != nil {
			rec.failures = append(rec.failures, failureOf(d.header, d.field.Name, r.number, p))
			continue
		}
		for n := range d.targets {
			a, skip, bad := d.targets[n].read(r, l)
			if bad != nil {
				rec.failures = append(rec.failures, failureOf(d.header, d.field.Name, r.number, bad))
			} else if !skip {
				item[a.field] = a.value
			}
		}
		items = append(items, item)
	}
	rec.values = append(rec.values, assignment{field: d.field, items: items, isItems: true})
}

// orphan is what is wrong with a row that belongs to none.
func (d *openedDetail) orphan(r *row) ImportFailure {
	if r.problem != nil {
		return failureOf(d.header, d.field.Name, r.number, r.problem)
	}
	return failureOf(d.header, d.field.Name, r.number, &problem{code: "not_found", reason: "belongs to no row of the file"})
}

// prepare does what can be done for a row without the database.
func (b *batcher) prepare(rec *record) {
	values := rec.values // in which lookUp puts what it finds
	rec.item.Apply = func(e resource.Entity) error {
		for _, v := range values {
			v.apply(e)
		}
		return nil
	}
	looksUp := slices.ContainsFunc(b.targets, func(t bound) bool { return t.lookup != nil })
	if b.mode == resource.BulkCreate && !looksUp && len(rec.failures) == 0 {
		b.service.Make(b.scope, &rec.item)
	}
}

// save keeps a batch in the transaction of ctx, counts what came of it, and returns the rows that are bad.
func (b *batcher) save(ctx context.Context, batch []record, counts *ImportCounts) ([]FailedRow, error) {
	if err := b.lookUp(ctx, batch); err != nil {
		return nil, err
	}
	var pending []int
	failed := make(map[int][]ImportFailure)
	for i := range batch {
		if len(batch[i].failures) > 0 {
			failed[i] = batch[i].failures
		} else {
			pending = append(pending, i)
		}
	}
	for len(pending) > 0 {
		results, err := b.bulk(ctx, batch, pending)
		if err != nil {
			return nil, err
		}
		var again []int // rows about one record come one after the other
		for n, r := range results {
			i := pending[n]
			if r.Err == nil && b.settled != nil {
				b.settled(i, r)
			}
			switch {
			case fault.Is(r.Err, "bulk_repeated"):
				again = append(again, i)
			case r.Err != nil:
				failed[i] = b.failures(&batch[i], r.Err)
			case r.Act == resource.Created:
				counts.Created++
			case r.Act == resource.Updated:
				counts.Updated++
			default:
				counts.Unchanged++
			}
		}
		pending = again
	}
	counts.Rows += int64(len(batch))
	counts.Failed += int64(len(failed))
	rows := make([]FailedRow, 0, len(failed))
	for i := range batch {
		if f, isBad := failed[i]; isBad {
			rows = append(rows, FailedRow{Row: batch[i].row.number, Cells: batch[i].row.cells, Failures: f})
		}
	}
	return rows, nil
}

func (b *batcher) bulk(ctx context.Context, batch []record, pending []int) ([]resource.BulkResult, error) {
	bulk := resource.Bulk{Mode: b.mode, By: b.by, Items: make([]resource.BulkItem, len(pending))}
	for n, i := range pending {
		bulk.Items[n] = batch[i].item
	}
	return b.service.Bulk(ctx, b.scope, bulk)
}

// lookUp finds the records that rows refer to by a unique value, with one statement for each field.
func (b *batcher) lookUp(ctx context.Context, batch []record) error {
	for i := range b.targets {
		t := &b.targets[i]
		if t.lookup == nil {
			continue
		}
		var texts []string
		visit := func(do func(rec *record, a *assignment, text string)) {
			for n := range batch {
				for v := range batch[n].values {
					a := &batch[n].values[v]
					if text, ok := a.value.(string); ok && a.field == t.field {
						do(&batch[n], a, text)
					}
				}
			}
		}
		visit(func(_ *record, _ *assignment, text string) { texts = append(texts, text) })
		ids, err := b.service.Lookup(ctx, b.scope, t.field.References, t.lookup, texts)
		if err != nil {
			return err
		}
		visit(func(rec *record, a *assignment, text string) {
			id, ok := ids[text]
			if a.value = nil; ok {
				a.value = id
				return
			}
			rec.fail(b.header, &problem{
				column: t.column(), value: text, code: "not_found", reason: "is the " + t.lookup.Name + " of no " + t.field.References.Name,
			})
		})
	}
	return nil
}

// failures are what a fault says of a row, in the words of its columns.
func (b *batcher) failures(rec *record, err error) []ImportFailure {
	f, _ := fault.As(err) // a bulk reports faults alone
	if len(f.Violations) == 0 {
		return []ImportFailure{{Row: rec.row.number, Code: f.Code, Reason: f.Detail}}
	}
	all := make([]ImportFailure, 0, len(f.Violations))
	for _, v := range f.Violations {
		one := b.place(rec, strings.Split(strings.TrimPrefix(v.Pointer, "/"), "/"))
		if one.Code, one.Reason = v.Code, v.Detail; f.Kind != fault.Invalid {
			one.Code = f.Code
		}
		all = append(all, one)
	}
	return all
}

// place finds the cell that a pointer into the record means: the row's own, or that of a row that belongs to it.
func (b *batcher) place(rec *record, at []string) ImportFailure {
	for i := range b.details {
		d := &b.details[i]
		if d.field.Name != at[0] || len(at) < 2 {
			continue
		}
		n, err := strconv.Atoi(at[1])
		if err != nil || n < 0 || n >= len(rec.elements[i]) {
			continue
		}
		r := &rec.elements[i][n]
		f := ImportFailure{Row: r.number, Part: d.field.Name}
		if len(at) > 2 {
			f.Column = at[2]
			cellOf(d.targets, r, at[2], "", &f)
		}
		return f
	}
	f := ImportFailure{Row: rec.row.number, Column: at[0]}
	key := ""
	if len(at) > 1 {
		key = at[1]
	}
	cellOf(b.targets, &rec.row, at[0], key, &f)
	return f
}

// cellOf names the column and the value that a field was read from; the field itself where it was not.
func cellOf(targets []bound, r *row, field, key string, f *ImportFailure) {
	for i := range targets {
		t := &targets[i]
		if t.field.Name != field || (t.key != "" && t.key != key) {
			continue
		}
		value, _ := t.text(0, r)
		if f.Value = shortened(value); t.column() != "" {
			f.Column = shortened(t.column())
		}
		return
	}
}
