package openapi

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// mode is what a type is described for: a field that the server sets is no part of what a caller sends.
type mode int

const (
	answering mode = iota // what is answered
	sending               // what is sent to make something
	patching              // what is sent to change something: each field may be left out
)

func (m mode) suffix() string {
	switch m {
	case sending:
		return "Input"
	case patching:
		return "Patch"
	case answering:
	}
	return ""
}

// types turns Go types into schemas; structs with a name become components.
type types struct {
	components *Map[*Schema]
	names      map[reflect.Type]string
	enums      map[reflect.Type][]string
	taken      map[string]reflect.Type
	examples   map[reflect.Type]map[string]any // of resources: what a record of theirs holds
}

// field is one member of a struct's JSON.
type field struct {
	name, doc, example string
	typ                reflect.Type
	rules              rules
	isOptional         bool // left out of the JSON where it is empty
	isReadOnly         bool
	isBackfill         bool // set by acts, or by whoever may bring history in
	isSequence         bool // given in turn where it is left out
}

func (t *types) of(typ reflect.Type, m mode) *Schema {
	if typ.Kind() == reflect.Pointer {
		return nullable(t.of(typ.Elem(), m))
	}
	if values, ok := t.enums[typ]; ok {
		s := &Schema{Type: Types{"string"}}
		for _, value := range values {
			s.Enum = append(s.Enum, value)
		}
		return s
	}
	switch typ {
	case reflect.TypeFor[time.Time]():
		return &Schema{Type: Types{"string"}, Format: "date-time"}
	case reflect.TypeFor[tenancy.ID]():
		return &Schema{Type: Types{"string"}, Format: "uuid"}
	case reflect.TypeFor[json.RawMessage]():
		return &Schema{}
	}
	if typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return &Schema{Type: Types{"string"}}
	}
	switch typ.Kind() {
	case reflect.String:
		return &Schema{Type: Types{"string"}}
	case reflect.Bool:
		return &Schema{Type: Types{"boolean"}}
	case reflect.Int, reflect.Int64:
		return &Schema{Type: Types{"integer"}, Format: "int64"}
	case reflect.Int32:
		return &Schema{Type: Types{"integer"}, Format: "int32"}
	case reflect.Float64:
		return &Schema{Type: Types{"number"}, Format: "double"}
	case reflect.Slice:
		return &Schema{Type: Types{"array"}, Items: t.of(typ.Elem(), m)}
	case reflect.Map:
		return &Schema{Type: Types{"object"}, AdditionalProperties: t.values(typ.Elem(), m)}
	case reflect.Interface:
		return &Schema{}
	case reflect.Struct:
		return t.object(typ, m)
	default:
		panic(fmt.Sprintf("openapi: there is no JSON schema for %s", typ))
	}
}

// values is the schema of a map's values; any value is true.
func (t *types) values(typ reflect.Type, m mode) any {
	if typ.Kind() == reflect.Interface {
		return true
	}
	return t.of(typ, m)
}

// object describes a struct; where it has a name, as a component.
func (t *types) object(typ reflect.Type, m mode) *Schema {
	name := t.nameOf(typ)
	if name == "" {
		return t.fill(&Schema{}, typ, m)
	}
	name += m.suffix()
	if other, ok := t.taken[name]; ok {
		if other != typ {
			panic(fmt.Sprintf("openapi: %s and %s are both called %s; name one of them in Table.Names", other, typ, name))
		}
		return schemaRef(name)
	}
	t.taken[name] = typ
	s := &Schema{}
	t.components.Set(name, s) // before its fields, which may lead back to it
	t.fill(s, typ, m)
	return schemaRef(name)
}

func (t *types) fill(s *Schema, typ reflect.Type, m mode) *Schema {
	s.Type = Types{"object"}
	if m != answering {
		s.AdditionalProperties = false
	}
	for _, f := range fieldsOf(typ) {
		if f.isReadOnly && m != answering {
			continue
		}
		property := t.property(f, m)
		if example, ok := t.examples[typ][f.name]; ok && property.Ref == "" {
			property.Examples = []any{t.fit(example, property)}
		}
		s.Properties.Set(f.name, property)
		switch m {
		case answering:
			if !f.isOptional {
				s.Required = append(s.Required, f.name)
			}
		case sending:
			if f.rules.refusesEmpty(kindOf(property)) && !property.IsNullable() && !f.isBackfill && !f.isSequence {
				s.Required = append(s.Required, f.name)
			}
		case patching:
		}
	}
	return s
}

// fit drops of an example what the schema does not take: what the server sets, in what is sent.
func (t *types) fit(example any, s *Schema) any {
	for s.Ref != "" {
		s = t.components.Get(RefName(s.Ref))
	}
	switch v := example.(type) {
	case []any:
		items := make([]any, len(v))
		for i := range v {
			items[i] = t.fit(v[i], s.Items)
		}
		return items
	case map[string]any:
		if s.Properties.IsZero() {
			return v
		}
		var o Map[any]
		for _, key := range s.Properties.Keys() {
			if value, ok := v[key]; ok {
				o.Set(key, t.fit(value, s.Properties.Get(key)))
			}
		}
		return o
	}
	return example
}

func kindOf(s *Schema) string {
	if len(s.Type) == 0 {
		return ""
	}
	return s.Type[0]
}

func (t *types) property(f field, m mode) *Schema {
	typ, isNullable := f.typ, false
	if typ.Kind() == reflect.Pointer {
		typ, isNullable = typ.Elem(), true
	}
	inner := m
	if m == patching && typ.Kind() == reflect.Slice {
		inner = sending // a merge patch replaces a list, with whole items
	}
	s := t.of(typ, inner)
	f.rules.apply(s)
	if m != answering && (typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map) && !f.rules.refusesEmpty("array") {
		isNullable = true
	}
	if m == answering {
		forgetRules(s)
	} else {
		harden(s)
	}
	if isNullable {
		s = nullable(s)
	}
	if s.Ref != "" {
		if f.doc != "" {
			s.Description = f.doc
		}
		return s
	}
	s.Description = f.doc
	if s.Description == "" {
		s.Description = usual(f.name)
	}
	switch {
	case m == answering:
	case f.isBackfill:
		s.Description = sentences(s.Description, "Acts set it; to send it, one needs the permission to backfill history.")
	case f.isSequence:
		s.Description = sentences(s.Description, "Given in turn where it is left out.")
	}
	if m != answering && strings.HasSuffix(f.name, "password") {
		s.WriteOnly = true
	}
	if s.Type.Has("string") || s.Type.Has("integer") {
		s.Examples = []any{exampleOf(f, s)}
	}
	return s
}

// sentences joins those that are not empty.
func sentences(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// forgetRules keeps of an answer's rules what a reader needs: the form, not the bounds that a value had to pass, which
// may be narrower today than when it was written.
func forgetRules(s *Schema) {
	s.Pattern, s.MinLength, s.MinItems, s.MaxProperties = "", nil, nil, nil
	s.Minimum, s.ExclusiveMinimum, s.Maximum, s.ExclusiveMaximum = nil, nil, nil, nil
	s.UniqueItems = false
	if s.Items != nil {
		forgetRules(s.Items)
	}
}

// fieldsOf lists what a struct's JSON holds, embedded structs' fields in their place.
func fieldsOf(typ reflect.Type) []field {
	var fields []field
	for i := range typ.NumField() {
		sf := typ.Field(i)
		tag, hasTag := sf.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		if sf.Anonymous && !hasTag {
			embedded := sf.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			for _, inner := range fieldsOf(embedded) {
				inner.isReadOnly = true // as the API's decoder has it
				fields = append(fields, inner)
			}
			continue
		}
		if !sf.IsExported() || name == "" || name == "-" {
			continue
		}
		classes := strings.Split(sf.Tag.Get("api"), ",")
		fields = append(fields, field{
			name: name, typ: sf.Type, rules: parseRules(sf.Tag.Get("validate")),
			doc: sf.Tag.Get("doc"), example: sf.Tag.Get("example"),
			isOptional: strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero"),
			isReadOnly: slices.Contains(classes, "readonly"), isBackfill: slices.Contains(classes, "backfill"),
			isSequence: slices.Contains(classes, "sequence"),
		})
	}
	return fields
}

// nameOf is a type's name in the document; "" for a type without one.
func (t *types) nameOf(typ reflect.Type) string {
	if name, ok := t.names[typ]; ok {
		return name
	}
	name := typ.Name()
	for _, suffix := range []string{"View", "Input", "Patch"} {
		if shorter, ok := strings.CutSuffix(name, suffix); ok && shorter != "" {
			name = shorter
		}
	}
	if at := strings.IndexByte(name, '['); at >= 0 {
		name = name[:at]
	}
	if name == "" {
		return ""
	}
	return string(unicode.ToUpper(rune(name[0]))) + name[1:]
}

func isEntity(v any) bool {
	_, ok := v.(resource.Entity)
	return ok
}

// typeOf is the type of a zero value in the table, without its pointer.
func typeOf(v any) reflect.Type {
	typ := reflect.TypeOf(v)
	if typ.Kind() == reflect.Pointer {
		return typ.Elem()
	}
	return typ
}
