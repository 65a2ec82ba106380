package resource

import (
	"context"
	"reflect"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// unnumbered stands in a sequence's field until its number is known, so that the other rules can be checked before a
// number is spent.
const unnumbered = "(in turn)"

// sequences are the fields that are given in turn.
func (d *Definition) sequences() []*Field {
	var fields []*Field
	for i := range d.Fields {
		if d.Fields[i].Sequence {
			fields = append(fields, &d.Fields[i])
		}
	}
	return fields
}

// reserve marks the sequences of a record that were left out.
func (d *Definition) reserve(e Entity) {
	for _, f := range d.sequences() {
		if f.Value(e) == "" {
			f.set(e, unnumbered)
		}
	}
}

// unnumbered are the sequences of a record whose number is still to be given.
func (d *Definition) unnumbered(e Entity) []*Field {
	var fields []*Field
	for _, f := range d.sequences() {
		if f.Value(e) == unnumbered {
			fields = append(fields, f)
		}
	}
	return fields
}

// assign gives the next numbers to records, past those that are about to be given by hand.
func (s *Service) assign(ctx context.Context, scope tenancy.Scope, f *Field, records []Entity, byHand map[string]bool) error {
	for len(records) > 0 {
		numbers, err := s.store.NextNumbers(ctx, scope, s.Definition, f, len(records))
		if err != nil {
			return err
		}
		for _, number := range numbers {
			if !byHand[number] {
				f.set(records[0], number)
				records = records[1:]
			}
		}
	}
	return nil
}

// set gives a text field a value.
func (f *Field) set(e Entity, text string) {
	reflect.ValueOf(e).Elem().FieldByIndex(f.index).SetString(text)
}
