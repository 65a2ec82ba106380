package resource

import (
	"context"
	"reflect"

	"github.com/groundwork-saas/groundwork/domain/fault"
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

// assign gives the next numbers to records.
func (s *Service) assign(ctx context.Context, scope tenancy.Scope, f *Field, records []Entity) error {
	if len(records) == 0 {
		return nil
	}
	numbers, err := s.store.NextNumbers(ctx, scope, s.Definition, f, len(records))
	if err != nil {
		return err
	}
	for i, e := range records {
		f.set(e, numbers[i])
	}
	return nil
}

func (f *Field) set(e Entity, text string) {
	reflect.ValueOf(e).Elem().FieldByIndex(f.index).SetString(text)
}

// NotFound is for a record that is not there, or is another tenant's.
func (d *Definition) NotFound() *fault.Error {
	return fault.New(fault.NotFound, d.Name+".not_found", "There is no "+d.Name+" with this id.")
}

// taken is for a value that another live record has.
func (d *Definition) taken(f *Field) *fault.Error {
	e := fault.New(fault.Conflict, d.Name+"."+f.Name+"_taken", "Another "+d.Name+" has this "+f.Name+"; choose another one.")
	e.Violations = []fault.Violation{{Pointer: "/" + f.Name, Code: "taken", Detail: "is another " + d.Name + "'s"}}
	return e
}

// dangling is for a reference to a record that is not there, is deleted, or is another tenant's.
func (f *Field) dangling() *fault.Error {
	return fault.Values(fault.Violation{
		Pointer: "/" + f.Name, Code: "not_found", Detail: "there is no " + f.References.Name + " with this id",
	})
}
