package resource

import (
	"context"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Lookup finds the ids of live records of the definition by a unique text field, in one statement. The answer is by the
// values as they were given; those that nobody has are missing in it.
func (s *Service) Lookup(ctx context.Context, scope tenancy.Scope, d *Definition, f *Field, given []string) (map[string]tenancy.ID, error) {
	kept := make(map[string]any, len(given))
	values := make([]any, 0, len(given))
	for _, text := range given {
		if _, seen := kept[text]; seen {
			continue
		}
		e := d.New() // in the form in which the record keeps it
		f.Assign(e, text)
		if n, ok := e.(Normalizer); ok {
			n.Normalize()
		}
		value := f.Value(e)
		kept[text] = value
		if value != nil && value != "" {
			values = append(values, value)
		}
	}
	rows, err := s.store.FindRecords(ctx, scope, d, f, values, Look)
	if err != nil {
		return nil, err
	}
	ids := make(map[any]tenancy.ID, len(rows))
	for _, e := range rows {
		ids[f.Value(e)] = e.Head().ID
	}
	found := make(map[string]tenancy.ID, len(kept))
	for text, value := range kept {
		if id, ok := ids[value]; ok {
			found[text] = id
		}
	}
	return found, nil
}
