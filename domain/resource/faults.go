package resource

import "github.com/groundwork-saas/groundwork/domain/fault"

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
