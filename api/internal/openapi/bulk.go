package openapi

import (
	"strings"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// bulkBody describes a bulk of a resource's records. What an item holds depends on the mode: what POST takes, what PATCH
// takes and the id, or the id alone.
func (b *builder) bulkBody(r Route) *RequestBody {
	d, record := r.Resource, typeOf(r.Resource.New())
	patch := b.doc.Resolve(b.types.of(record, patching))
	name := b.types.nameOf(record)

	item := &Schema{
		Type: Types{"object"}, AdditionalProperties: false,
		Description: "What POST takes for create and upsert, what PATCH takes and the `id` for update, the `id` alone for delete.",
	}
	id := &Schema{Type: Types{"string"}, Format: "uuid", Description: "Names the record to change or delete.", Examples: []any{exampleID}}
	harden(id)
	item.Properties.Set("id", id)
	for _, key := range patch.Properties.Keys() {
		item.Properties.Set(key, patch.Properties.Get(key))
	}
	b.doc.Components.Schemas.Set(name+"BulkItemInput", item)

	body := &Schema{Type: Types{"object"}, AdditionalProperties: false, Required: []string{"mode", "items"}}
	body.Properties.Set("mode", &Schema{
		Type: Types{"string"}, Description: "What is done with each item.",
		Enum: []any{string(resource.BulkCreate), string(resource.BulkUpdate), string(resource.BulkUpsert), string(resource.BulkDelete)},
	})
	body.Properties.Set("atomic", &Schema{Type: Types{"boolean"}, Default: false, Description: "All of it or nothing."})
	by := &Schema{Type: Types{"string"}, Description: "The unique field that an upsert goes by; goes with that mode alone."}
	for i := range d.Fields {
		if d.Fields[i].Unique {
			by.Enum = append(by.Enum, d.Fields[i].Name)
		}
	}
	if by.Enum != nil {
		body.Properties.Set("by", nullable(by))
	}
	body.Properties.Set("items", &Schema{
		Type: Types{"array"}, MinItems: new(int64(1)), MaxItems: new(int64(resource.MaxBulk)), Items: schemaRef(name + "BulkItemInput"),
	})
	b.doc.Components.Schemas.Set(name+"BulkInput", body)

	var example Map[any]
	example.Set("mode", "create")
	example.Set("atomic", true)
	example.Set("items", []any{b.doc.example(b.types.of(record, sending), "")})
	out := &RequestBody{Required: true, Description: "Up to 8 MiB."}
	out.Content.Set("application/json", &MediaType{Schema: schemaRef(name + "BulkInput"), Example: example})
	return out
}

func (b *builder) bulkAnswer(r Route) *Schema {
	record := typeOf(r.Resource.New())
	name := b.types.nameOf(record)
	result := &Schema{Type: Types{"object"}, Required: []string{"status"}}
	result.Properties.Set("status", &Schema{
		Type: Types{"integer"}, Format: "int32", Description: "The status that the item would have had as a request of its own.",
		Examples: []any{201},
	})
	data := *b.types.of(record, answering)
	data.Description = "The " + words(strings.ToLower(r.Resource.Name)) + " as it is now; left out for a delete."
	result.Properties.Set("data", &data)
	failed := schemaRef("Problem")
	failed.Description = "Why nothing was done; left out where something was."
	result.Properties.Set("error", failed)
	b.doc.Components.Schemas.Set(name+"BulkResult", result)

	answer := &Schema{Type: Types{"object"}, Required: []string{"results"}}
	answer.Properties.Set("results", &Schema{Type: Types{"array"}, Items: schemaRef(name + "BulkResult")})
	b.doc.Components.Schemas.Set(name+"BulkResults", answer)
	return schemaRef(name + "BulkResults")
}
