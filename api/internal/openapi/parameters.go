package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
)

// Bounds that the API holds its parameters to.
const (
	maxValues      = 100
	maxValueLength = 1000
	maxCursor      = 8192
	maxSorts       = 5
	maxKey         = 255
)

// parameters lists what the route takes in its path, query and headers.
func (b *builder) parameters(r Route) []*Parameter {
	var all []*Parameter
	for _, segment := range r.segments() {
		if isParameter(segment) {
			all = append(all, b.pathParameter(strings.Trim(segment, "{}"), r))
		}
	}
	names := r.Params
	if r.Filters && r.Resource != nil {
		for _, p := range filters(r.Resource) {
			p.IsFilter = true
			all = append(all, p)
		}
		names = append([]string{"limit", "cursor", "sort", "fields", "expand", "trashed"}, r.Params...)
		if takesSearch(r.Resource) {
			names = append([]string{"q"}, names...)
		}
	}
	for _, name := range names {
		if name == "expand" && (r.Resource == nil || len(r.Resource.References()) == 0) {
			continue
		}
		all = append(all, b.queryParameter(name, r))
	}
	for _, p := range all {
		if p.Schema != nil {
			harden(p.Schema)
		}
	}
	refer := func(name string) { all = append(all, &Parameter{Ref: "#/components/parameters/" + name}) }
	if r.Method == http.MethodGet && r.hasETag() {
		refer("IfNoneMatch")
	}
	if r.Binary {
		refer("IfNoneMatch")
		refer("Range")
		refer("IfRange")
	}
	if r.takesMatch() {
		refer("IfMatch")
	}
	if r.Method == http.MethodPost {
		refer("IdempotencyKey")
	}
	return all
}

func (b *builder) pathParameter(name string, r Route) *Parameter {
	p := &Parameter{Name: name, In: "path", Required: true, Schema: &Schema{Type: Types{"string"}, MaxLength: new(int64(200))}}
	if name == "id" || strings.HasSuffix(name, "_id") {
		p.Schema = &Schema{Type: Types{"string"}, Format: "uuid", Examples: []any{exampleID}}
		p.Description = "Names the record."
		if r.Resource != nil {
			p.Description = "Names the " + words(r.Resource.Name) + "."
		}
	}
	return p
}

// queryParameter describes a parameter by its name: those of every list, those of the table, and else a text.
func (b *builder) queryParameter(name string, r Route) *Parameter {
	switch name {
	case "limit":
		return &Parameter{Ref: "#/components/parameters/Limit"}
	case "cursor":
		return &Parameter{Ref: "#/components/parameters/Cursor"}
	case "trashed":
		return &Parameter{Ref: "#/components/parameters/Trashed"}
	case "sort":
		return sortParameter(r.Resource)
	case "fields":
		return fieldsParameter(r.Resource)
	case "expand":
		return expandParameter(r.Resource)
	case "q":
		return &Parameter{
			Name: "q", In: "query", Description: "Words to look for in the record's texts; the last one may be the beginning of a word.",
			Schema: &Schema{Type: Types{"string"}, MaxLength: new(int64(resource.MaxSearch))},
		}
	}
	p := &Parameter{Name: name, In: "query"}
	schema := b.table.Parameters[r.capability()+"."+name]
	if schema == nil {
		schema = b.table.Parameters[name]
	}
	if schema != nil {
		c := *schema
		if c.Type.Has("array") {
			p = listParameter(name, "")
		}
		p.Description, c.Description = c.Description, ""
		p.Schema = &c
		return p
	}
	p.Schema = &Schema{Type: Types{"string"}, MaxLength: new(int64(maxValueLength))}
	if strings.HasSuffix(name, "_id") {
		p.Schema = &Schema{Type: Types{"string"}, Format: "uuid"}
	}
	p.Description = fmt.Sprintf("Only those with this %s.", words(name))
	return p
}

func sortParameter(d *resource.Definition) *Parameter {
	p := listParameter("sort", "The fields to order by, the most important first; `-` in front orders downwards.")
	var byDefault []any
	for _, s := range d.DefaultSort {
		name := s.Field.Name
		if s.Desc {
			name = "-" + name
		}
		byDefault = append(byDefault, name)
		if s.Field.Name == "id" {
			break
		}
	}
	p.Schema.Items, p.Schema.MaxItems, p.Schema.Default = &Schema{Type: Types{"string"}}, new(int64(maxSorts)), byDefault
	for i := range d.Fields {
		if f := &d.Fields[i]; f.Sort {
			p.Schema.Items.Enum = append(p.Schema.Items.Enum, f.Name, "-"+f.Name)
		}
	}
	return p
}

func fieldsParameter(d *resource.Definition) *Parameter {
	p := listParameter("fields", "The fields to answer with, beside the id; all where it is left out. Such an answer has no ETag.")
	p.Schema.Items, p.Schema.MaxItems = &Schema{Type: Types{"string"}}, new(int64(maxValues))
	for i := range d.Fields {
		p.Schema.Items.Enum = append(p.Schema.Items.Enum, d.Fields[i].Name)
	}
	return p
}

func expandParameter(d *resource.Definition) *Parameter {
	p := listParameter("expand", "What the record refers to, to be answered with it. Such an answer has no ETag.")
	p.Schema.Items = &Schema{Type: Types{"string"}}
	for _, name := range slices.Sorted(maps.Keys(d.References())) {
		p.Schema.Items.Enum = append(p.Schema.Items.Enum, name)
	}
	return p
}

// takesSearch asks the definition itself.
func takesSearch(d *resource.Definition) bool {
	_, err := d.ParseQuery(map[string][]string{"q": {"word"}})
	return err == nil
}

// listParameter is a parameter whose values are separated by commas.
func listParameter(name, description string) *Parameter {
	explode := false
	return &Parameter{
		Name: name, In: "query", Description: description, Style: "form", Explode: &explode,
		Schema: &Schema{Type: Types{"array"}, MaxItems: new(int64(maxValues))},
	}
}

// filters are the parameters that select records by their fields.
func filters(d *resource.Definition) []*Parameter {
	var all []*Parameter
	for i := range d.Fields {
		f := &d.Fields[i]
		if !f.Filter {
			continue
		}
		if f.Kind == resource.Object {
			all = append(all, pathsParameter(f))
			continue
		}
		for _, op := range f.Operators() {
			all = append(all, filterParameter(f, op))
		}
	}
	return all
}

// pathsParameter describes conditions on what is inside an object: custom.color=red. OpenAPI has no parameters with
// names of the caller's choice; an object in form style whose members are the parameters is how it says the same.
func pathsParameter(f *resource.Field) *Parameter {
	explode := true
	return &Parameter{
		Name: f.Name, In: "query", Style: "form", Explode: &explode,
		Description: fmt.Sprintf("Members of %[1]s, each as a parameter of its own: `%[1]s.color=red`. The value has the JSON type "+
			"that it reads as: `3` is a number, `true` a boolean, `red` and `\"3\"` are texts. Several values separated by commas: "+
			"one of them.", f.Name),
		Schema: &Schema{
			Type: Types{"object"}, MaxProperties: new(int64(20)),
			PatternProperties: map[string]*Schema{
				"^" + f.Name + `\..+$`: {Type: Types{"string", "number", "boolean"}, MaxLength: new(int64(maxValueLength)), Pattern: anyPattern},
			},
			AdditionalProperties: true,
		},
	}
}

func filterParameter(f *resource.Field, op resource.Op) *Parameter {
	name := f.Name
	if op != resource.Eq {
		name += "[" + string(op) + "]"
	}
	value := filterValue(f)
	label := words(f.Name)
	single := func(description string) *Parameter {
		return &Parameter{Name: name, In: "query", Description: description, Schema: value}
	}
	several := func(description string) *Parameter {
		p := listParameter(name, description)
		p.Schema.Items = value
		return p
	}
	switch op {
	case resource.Eq:
		if f.Kind == resource.Boolean {
			return several("Where " + label + " is so.")
		}
		return several("Where " + label + " is one of these.")
	case resource.Ne:
		return single("Where " + label + " is something else.")
	case resource.Gt:
		return single("Where " + label + " is greater.")
	case resource.Gte:
		return single("Where " + label + " is this or greater.")
	case resource.Lt:
		return single("Where " + label + " is less.")
	case resource.Lte:
		return single("Where " + label + " is this or less.")
	case resource.Null:
		value = &Schema{Type: Types{"boolean"}}
		return single("Where there is no " + label + "; with false, where there is one.")
	case resource.Any:
		return several("Where " + label + " hold one of these.")
	case resource.All:
		return several("Where " + label + " hold all of these.")
	}
	return single("Where " + label + " is so.")
}

func filterValue(f *resource.Field) *Schema {
	switch f.Kind {
	case resource.Integer:
		return &Schema{Type: Types{"integer"}, Format: "int64"}
	case resource.Boolean:
		return &Schema{Type: Types{"boolean"}}
	case resource.ID:
		return &Schema{Type: Types{"string"}, Format: "uuid"}
	case resource.Time:
		return &Schema{AnyOf: []*Schema{{Type: Types{"string"}, Format: "date-time"}, {Type: Types{"string"}, Format: "date"}}}
	case resource.Text, resource.TextList, resource.Object, resource.List:
	}
	s := &Schema{Type: Types{"string"}, MaxLength: new(int64(maxValueLength))}
	for _, value := range f.Enum {
		s.MaxLength, s.Enum = nil, append(s.Enum, value)
	}
	return s
}

// common are the parameters that many routes share.
func commonParameters() Map[*Parameter] {
	var m Map[*Parameter]
	m.Set("Limit", &Parameter{
		Name: "limit", In: "query", Description: "How many records a page has at most.",
		Schema: &Schema{
			Type: Types{"integer"}, Format: "int32", Minimum: new(int64(1)), Maximum: new(int64(page.MaxLimit)), Default: page.DefaultLimit,
		},
	})
	m.Set("Cursor", &Parameter{
		Name: "cursor", In: "query",
		Description: "Where to go on: `next_cursor` or `prev_cursor` of a page, with the same filters and order.",
		Schema:      &Schema{Type: Types{"string"}, MaxLength: new(int64(maxCursor)), Pattern: "^[A-Za-z0-9_-]*$"},
	})
	m.Set("Trashed", &Parameter{
		Name: "trashed", In: "query", Description: "`with` shows deleted records as well, `only` nothing else.",
		Schema: &Schema{Type: Types{"string"}, Enum: []any{string(resource.WithTrash), string(resource.TrashOnly)}},
	})
	m.Set("IfMatch", &Parameter{
		Name: "If-Match", In: "header",
		Description: "The ETag that the change is meant for. Where the record has changed since, nothing is done and the answer is 412.",
		Schema:      &Schema{Type: Types{"string"}, MaxLength: new(int64(64)), Pattern: "^[ -~]*$"}, Example: `"3"`,
	})
	m.Set("IfNoneMatch", &Parameter{
		Name: "If-None-Match", In: "header", Description: "The ETag that you have; where it still stands the answer is 304 without a body.",
		Schema: &Schema{Type: Types{"string"}, MaxLength: new(int64(maxValueLength)), Pattern: "^[ -~]*$"}, Example: `"3"`,
	})
	m.Set("Range", &Parameter{
		Name: "Range", In: "header", Description: "The one part of the contents that is wanted; several at once are answered with the whole.",
		Schema: &Schema{Type: Types{"string"}, MaxLength: new(int64(maxValueLength)), Pattern: "^[ -~]*$"}, Example: "bytes=0-1023",
	})
	m.Set("IfRange", &Parameter{
		Name: "If-Range", In: "header", Description: "The ETag of the contents that a part is wanted of; where they are others, the answer is the whole.",
		Schema: &Schema{Type: Types{"string"}, MaxLength: new(int64(maxValueLength)), Pattern: "^[ -~]*$"}, Example: `"9f86d081"`,
	})
	m.Set("IdempotencyKey", &Parameter{
		Name: "Idempotency-Key", In: "header",
		Description: "Names this one act, so that it happens once however often the request is sent; a UUID is a good one.",
		Schema:      &Schema{Type: Types{"string"}, MaxLength: new(int64(maxKey)), Pattern: "^[ -~]*$"},
		Example:     "7f1d7f0e-2f0c-4f53-9f6e-6b1f0d8f3a11",
	})
	return m
}

func words(name string) string { return strings.ReplaceAll(name, "_", " ") }
