package openapi

import (
	"encoding/json"
	"slices"
	"strings"
)

// Schema is a JSON Schema (2020-12), as far as the API needs it.
type Schema struct {
	Ref              string  `json:"$ref,omitempty"`
	Title            string  `json:"title,omitempty"`
	Description      string  `json:"description,omitempty"`
	Type             Types   `json:"type,omitempty"`
	Format           string  `json:"format,omitempty"`
	Enum             []any   `json:"enum,omitempty"`
	Pattern          string  `json:"pattern,omitempty"`
	MinLength        *int64  `json:"minLength,omitempty"`
	MaxLength        *int64  `json:"maxLength,omitempty"`
	Minimum          *int64  `json:"minimum,omitempty"`
	Maximum          *int64  `json:"maximum,omitempty"`
	ExclusiveMinimum *int64  `json:"exclusiveMinimum,omitempty"`
	ExclusiveMaximum *int64  `json:"exclusiveMaximum,omitempty"`
	Items            *Schema `json:"items,omitempty"`
	MinItems         *int64  `json:"minItems,omitempty"`
	MaxItems         *int64  `json:"maxItems,omitempty"`
	UniqueItems      bool    `json:"uniqueItems,omitempty"`
	MaxProperties    *int64  `json:"maxProperties,omitempty"`

	Properties           Map[*Schema]       `json:"properties,omitzero"`
	PatternProperties    map[string]*Schema `json:"patternProperties,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"` // a bool or a *Schema
	Required             []string           `json:"required,omitempty"`
	AnyOf                []*Schema          `json:"anyOf,omitempty"`

	Default  any   `json:"default,omitempty"`
	Examples []any `json:"examples,omitempty"`
	// WriteOnly values are taken and never shown.
	WriteOnly bool `json:"writeOnly,omitempty"`
}

// Types are the JSON types that a value may have; one is written as a string, several as a list.
type Types []string

// MarshalJSON writes one type as a string.
func (t Types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// Has says whether the type is among them.
func (t Types) Has(name string) bool {
	return slices.Contains(t, name)
}

// IsNullable says whether the value may be null.
func (s *Schema) IsNullable() bool {
	if s.Type.Has("null") {
		return true
	}
	for _, each := range s.AnyOf {
		if each.IsNullable() {
			return true
		}
	}
	return false
}

// nullable returns the schema with null allowed as well.
func nullable(s *Schema) *Schema {
	switch {
	case s.Ref != "":
		return &Schema{AnyOf: []*Schema{s, {Type: Types{"null"}}}}
	case len(s.Type) == 0 || s.Type.Has("null"):
		return s // any value, or null already
	}
	c := *s
	c.Type = append(append(Types{}, s.Type...), "null")
	if c.Enum != nil {
		c.Enum = append(append([]any{}, c.Enum...), nil)
	}
	return &c
}

const schemaPrefix = "#/components/schemas/"

func schemaRef(name string) *Schema { return &Schema{Ref: schemaPrefix + name} }

// RefName is the component's name that a reference ends with.
func RefName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// Resolve follows a schema's reference into the components.
func (d *Document) Resolve(s *Schema) *Schema {
	for s != nil && s.Ref != "" {
		s = d.Components.Schemas.Get(RefName(s.Ref))
	}
	return s
}
