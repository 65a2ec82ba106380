// Package openapi owns the API's description of itself: an OpenAPI 3.1 document, built once from the table of routes
// and the definitions of the resources.
//
// The HTTP API gives it the table; the reference pages render what it builds, tests hold every request and answer
// against it. It serves nothing, decides nothing about a request, and knows no handler. Building is deterministic: the
// same table gives the same bytes, so that two documents can be compared.
package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Document is an OpenAPI 3.1 description.
type Document struct {
	OpenAPI    string         `json:"openapi"`
	Info       Info           `json:"info"`
	Servers    []Server       `json:"servers"`
	Tags       []Tag          `json:"tags"`
	Paths      Map[*PathItem] `json:"paths"`
	Components Components     `json:"components"`
}

// Info says what the API is.
type Info struct {
	Title       string  `json:"title"`
	Version     string  `json:"version"`
	Summary     string  `json:"summary"`
	Description string  `json:"description"`
	Contact     Contact `json:"contact"`
	License     License `json:"license"`
}

// Contact is where questions go.
type Contact struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// License is under what terms the API's description may be used.
type License struct {
	Name       string `json:"name"`
	Identifier string `json:"identifier"`
}

// Server is where the paths begin.
type Server struct {
	URL         string `json:"url"`
	Description string `json:"description"`
	// Internal says whether the server is for the inside only.
	Internal bool `json:"x-internal"`
}

// Tag is a capability, which groups operations.
type Tag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// PathItem holds the operations of one path by their method in lower case.
type PathItem = Map[*Operation]

// Operation is one thing that a caller can do.
type Operation struct {
	Tags        []string              `json:"tags"`
	Summary     string                `json:"summary"`
	Description string                `json:"description,omitempty"`
	ID          string                `json:"operationId"`
	Parameters  []*Parameter          `json:"parameters,omitempty"`
	Body        *RequestBody          `json:"requestBody,omitempty"`
	Responses   Map[*Response]        `json:"responses"`
	Security    []map[string][]string `json:"security"`
	// Permission is what the caller must hold; "" where being let in is enough.
	Permission string `json:"x-permission,omitempty"`
}

// Parameter is a value in the path, the query or a header; or a reference to one.
type Parameter struct {
	Ref         string  `json:"$ref,omitempty"`
	Name        string  `json:"name,omitempty"`
	In          string  `json:"in,omitempty"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Style       string  `json:"style,omitempty"`
	Explode     *bool   `json:"explode,omitempty"`
	Schema      *Schema `json:"schema,omitempty"`
	Example     any     `json:"example,omitempty"`

	// IsFilter says that the parameter selects records by a field of theirs.
	IsFilter bool `json:"-"`
}

// RequestBody is what an operation takes.
type RequestBody struct {
	Description string          `json:"description,omitempty"`
	Required    bool            `json:"required"`
	Content     Map[*MediaType] `json:"content"`
}

// MediaType is a body in one format.
type MediaType struct {
	Schema  *Schema `json:"schema"`
	Example any     `json:"example,omitempty"`
}

// Response is what an operation answers with one status; or a reference to one.
type Response struct {
	Ref         string           `json:"$ref,omitempty"`
	Description string           `json:"description,omitempty"`
	Headers     Map[*Header]     `json:"headers,omitzero"`
	Content     Map[*MediaType]  `json:"content,omitzero"`
	Links       map[string]*Link `json:"links,omitempty"`
}

// Link says how an answer's value leads to another operation.
type Link struct {
	OperationID string            `json:"operationId"`
	Parameters  map[string]string `json:"parameters"`
	Description string            `json:"description,omitempty"`
}

// Header is a header of an answer; or a reference to one.
type Header struct {
	Ref         string  `json:"$ref,omitempty"`
	Description string  `json:"description,omitempty"`
	Schema      *Schema `json:"schema,omitempty"`
	Example     any     `json:"example,omitempty"`
}

// Components are what operations refer to by name.
type Components struct {
	Schemas    Map[*Schema]         `json:"schemas"`
	Parameters Map[*Parameter]      `json:"parameters"`
	Headers    Map[*Header]         `json:"headers"`
	Responses  Map[*Response]       `json:"responses"`
	Security   Map[*SecurityScheme] `json:"securitySchemes"`
}

// SecurityScheme is a kind of credential.
type SecurityScheme struct {
	Type         string `json:"type"`
	Scheme       string `json:"scheme"`
	BearerFormat string `json:"bearerFormat,omitempty"`
	Description  string `json:"description"`
}

// Map is a JSON object that keeps the order in which its members were set.
type Map[T any] struct {
	keys   []string
	values map[string]T
}

// Set sets a member; a new one stands last.
func (m *Map[T]) Set(key string, value T) {
	if m.values == nil {
		m.values = map[string]T{}
	}
	if _, ok := m.values[key]; !ok {
		m.keys = append(m.keys, key)
	}
	m.values[key] = value
}

// Get returns a member, or the zero value.
func (m *Map[T]) Get(key string) T { return m.values[key] }

// Has says whether there is such a member.
func (m *Map[T]) Has(key string) bool {
	_, ok := m.values[key]
	return ok
}

// Keys are the members' names in their order.
func (m *Map[T]) Keys() []string { return m.keys }

// IsZero says whether there are no members.
func (m Map[T]) IsZero() bool { return len(m.keys) == 0 }

// MarshalJSON writes the members in their order.
func (m Map[T]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, key := range m.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		value, err := plain(m.values[key])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// JSON is the document as it is served: indented, since people read it too.
func (d *Document) JSON() ([]byte, error) {
	raw, err := plain(d)
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", " "); err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return append(out.Bytes(), '\n'), nil
}

// plain writes JSON in which <, > and & stand as they are.
func plain(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
