package resource

import (
	"context"
	"slices"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// pending calls do for each item that is to be created or changed. Before is nil for one to be created.
func (w *bulkWork) pending(do func(r *BulkResult, before Entity)) {
	for i := range w.results {
		if r := &w.results[i]; r.Err == nil && (r.Act == Created || r.Act == Updated) {
			do(r, w.before[i])
		}
	}
}

// checkReferences reports items that come to refer to records which are not there, or in the trash, and keeps the others.
func (w *bulkWork) checkReferences(ctx context.Context) error {
	d := w.service.Definition
	asked := map[*Field][]any{}
	w.pending(func(r *BulkResult, before Entity) {
		for _, to := range d.refers(before, r.Entity) {
			asked[to.Field] = append(asked[to.Field], to.ID)
		}
	})
	there := map[Reference]bool{}
	for f, ids := range asked {
		rows, err := w.service.store.FindRecords(ctx, w.scope, f.References, f.References.Field("id"), ids, Keep)
		if err != nil {
			return err
		}
		for _, e := range rows {
			there[Reference{f, e.Head().ID}] = true
		}
	}
	w.pending(func(r *BulkResult, before Entity) {
		var missing []fault.Violation
		for _, to := range d.refers(before, r.Entity) {
			if !there[to] {
				missing = append(missing, to.missing())
			}
		}
		if len(missing) > 0 {
			r.Err = fault.Values(missing...)
		}
	})
	return nil
}

// claim is a unique value that a record comes to have.
type claim struct {
	field *Field
	value string // as text
}

// claims are the unique values that a record comes to have, and as which values. A number that is given in turn later
// is none.
func (d *Definition) claims(before, after Entity) (claims []claim, values []any) {
	for i := range d.Fields {
		f := &d.Fields[i]
		if !f.Unique {
			continue
		}
		v := f.Value(after)
		if v == nil || (f.Sequence && v == unnumbered) || (before != nil && same(f.Kind, f.Value(before), v)) {
			continue
		}
		claims, values = append(claims, claim{f, textOf(v)}), append(values, v)
	}
	return claims, values
}

// checkUnique reports items that come to have a unique value which another record has, in the database or in this
// bulk: of several items the first good one gets it.
func (w *bulkWork) checkUnique(ctx context.Context) error {
	d := w.service.Definition
	asked := map[*Field][]any{}
	w.pending(func(r *BulkResult, before Entity) {
		claims, values := d.claims(before, r.Entity)
		for i, c := range claims {
			if before == nil && c.field == w.bulk.By {
				continue // find has looked; who takes it meanwhile has the bulk run again
			}
			asked[c.field] = append(asked[c.field], values[i])
		}
	})
	taken := map[claim]bool{}
	for f, values := range asked {
		rows, err := w.service.store.FindRecords(ctx, w.scope, d, f, values, Look)
		if err != nil {
			return err
		}
		for _, e := range rows {
			taken[claim{f, textOf(f.Value(e))}] = true
		}
	}
	w.pending(func(r *BulkResult, before Entity) {
		claims, _ := d.claims(before, r.Entity)
		if at := slices.IndexFunc(claims, func(c claim) bool { return taken[c] }); at >= 0 {
			r.Err = d.taken(claims[at].field)
			return
		}
		for _, c := range claims {
			taken[c] = true
		}
	})
	return nil
}

// number gives numbers in turn to the good items that have none.
func (w *bulkWork) number(ctx context.Context) error {
	for _, f := range w.service.Definition.sequences() {
		var without []Entity
		byHand := map[string]bool{}
		w.pending(func(r *BulkResult, _ Entity) {
			number, _ := f.Value(r.Entity).(string)
			if number == unnumbered {
				without = append(without, r.Entity)
			}
			byHand[number] = true
		})
		if err := w.service.assign(ctx, w.scope, f, without, byHand); err != nil {
			return err
		}
	}
	return nil
}
