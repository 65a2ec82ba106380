package resource

import (
	"context"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Expanded are the records that others refer to: by the reference's name ("customer" for customer_id), then by id.
type Expanded map[string]map[tenancy.ID]Entity

// References are the fields by which a record refers to others, by the names under which they are expanded.
func (d *Definition) References() map[string]*Field {
	references := map[string]*Field{}
	for i := range d.Fields {
		if f := &d.Fields[i]; f.References != nil {
			references[strings.TrimSuffix(f.Name, "_id")] = f
		}
	}
	return references
}

// Expand finds what the records refer to, with one statement for each name however many they are; what was deleted
// meanwhile is found too.
func (s *Service) Expand(ctx context.Context, scope tenancy.Scope, names []string, records []Entity) (Expanded, error) {
	expanded := Expanded{}
	references := s.Definition.References()
	for _, name := range names {
		f := references[name]
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
