package resource

import (
	"context"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Expanded are the records that others refer to: by the reference's name ("customer" for customer_id), then by id.
type Expanded map[string]map[tenancy.ID]Entity

// References are the fields by which a record refers to others, by the names under which they are expanded.
func (d *Definition) References() map[string]*Field { return d.references }

// Reference is a field that holds another record's id, and that id.
type Reference struct {
	Field *Field
	ID    tenancy.ID
}

// missing is what is wrong with a reference to a record that is not there, is deleted, or is another tenant's.
func (r Reference) missing() fault.Violation {
	return fault.Violation{
		Pointer: "/" + r.Field.Name, Code: "not_found", Detail: "there is no " + r.Field.References.Name + " with this id",
	}
}

// refers are the references that a record comes to have. Before is nil for a new one.
func (d *Definition) refers(before, after Entity) []Reference {
	var refers []Reference
	for i := range d.Fields {
		f := &d.Fields[i]
		if f.References == nil {
			continue
		}
		id, ok := f.Value(after).(tenancy.ID)
		if ok && (before == nil || f.Value(before) != id) {
			refers = append(refers, Reference{Field: f, ID: id})
		}
	}
	return refers
}

// Expand finds what the records refer to by the named references, with one statement for each name however many
// records there are. What was deleted meanwhile is found too.
func (s *Service) Expand(ctx context.Context, scope tenancy.Scope, names []string, records []Entity) (Expanded, error) {
	expanded := Expanded{}
	for _, name := range names {
		f := s.Definition.references[name]
		seen := map[tenancy.ID]bool{}
		var ids []any
		for _, e := range records {
			if id, ok := f.Value(e).(tenancy.ID); ok && !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
		found, err := s.store.FindRecords(ctx, scope, f.References, f.References.Field("id"), ids, LookInTrash)
		if err != nil {
			return nil, err
		}
		byID := make(map[tenancy.ID]Entity, len(found))
		for _, e := range found {
			byID[e.Head().ID] = e
		}
		expanded[name] = byID
	}
	return expanded, nil
}
