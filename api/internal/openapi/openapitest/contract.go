package openapitest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// contract is the document, ready to be held against exchanges.
type contract struct {
	operations []*operation
	// known are the paths' templates, whatever the method.
	known []template
}

type operation struct {
	method   string
	template template
	isPublic bool
	params   []parameter
	// bodies are by media type; nil where no body is taken.
	bodies    map[string]*jsonschema.Schema
	responses map[string]response
}

type parameter struct {
	name, in   string
	isRequired bool
	isExploded bool
	node       map[string]any
	schema     *jsonschema.Schema
}

type response struct {
	headers map[string]*jsonschema.Schema
	// whole and shaped are by media type; the second is for answers with the fields that were asked for.
	whole, shaped map[string]*jsonschema.Schema
}

// template is a path with parameters, by its parts.
type template []string

func (t template) match(path string) (map[string]string, bool) {
	parts := strings.Split(path, "/")
	if len(parts) != len(t) {
		return nil, false
	}
	values := map[string]string{}
	for i, part := range t {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			values[strings.TrimSuffix(name, "}")] = parts[i]
		} else if part != parts[i] {
			return nil, false
		}
	}
	return values, true
}

// contracts keeps what was compiled, since most tests of a run serve the same document.
//
//nolint:gochecknoglobals // a cache of pure values
var contracts sync.Map

func contractOf(document []byte) (*contract, error) {
	build := sync.OnceValues(func() (*contract, error) { return compile(document) })
	kept, _ := contracts.LoadOrStore(sha256.Sum256(document), build)
	return kept.(func() (*contract, error))() //nolint:forcetypeassert,errcheck // only this function stores
}

// The document as it is, for what is sent, and twice changed for what is answered.
const (
	asSent = "sent.json"
	// asAnswered forbids fields that are not described: in a test they are fields that somebody forgot to describe.
	asAnswered = "answered.json"
	// asShaped allows that described fields are missing, which fields=… asks for.
	asShaped = "shaped.json"
)

type compiler struct {
	*jsonschema.Compiler

	root map[string]any
}

func compile(document []byte) (*contract, error) {
	c := compiler{Compiler: jsonschema.NewCompiler()}
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	for name, change := range map[string]func(map[string]any){
		asSent:     func(map[string]any) {},
		asAnswered: func(s map[string]any) { s["additionalProperties"] = false },
		asShaped: func(s map[string]any) {
			s["additionalProperties"] = false
			delete(s, "required")
		},
	} {
		root, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
		if err != nil {
			return nil, fmt.Errorf("read it: %w", err)
		}
		closeAnswers(root, "", change)
		if name == asSent {
			c.root, _ = root.(map[string]any)
		}
		if err := c.AddResource(name, root); err != nil {
			return nil, fmt.Errorf("add it: %w", err)
		}
	}
	return c.contract()
}

// closeAnswers changes the schemas of answers that have properties and do not say what other ones may be.
func closeAnswers(node any, at string, change func(map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		_, hasProperties := node["properties"].(map[string]any)
		_, says := node["additionalProperties"]
		if hasProperties && !says {
			change(node)
		}
		for key, value := range node {
			if key != "example" && key != "examples" && key != "requestBody" && key != "parameters" {
				closeAnswers(value, at+"/"+key, change)
			}
		}
	case []any:
		for _, value := range node {
			closeAnswers(value, at, change)
		}
	}
}

func (c compiler) contract() (*contract, error) {
	out := &contract{}
	paths := object(c.root["paths"])
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		t := template(strings.Split(path, "/"))
		out.known = append(out.known, t)
		for method, node := range object(paths[path]) {
			o, err := c.operation(pointer("paths", path, method), object(node))
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			o.method, o.template = strings.ToUpper(method), t
			out.operations = append(out.operations, o)
		}
	}
	return out, nil
}

func (c compiler) operation(at string, node map[string]any) (*operation, error) {
	o := &operation{responses: map[string]response{}, isPublic: len(list(node["security"])) == 0}
	for i, raw := range list(node["parameters"]) {
		where, p := c.follow(at+pointer("parameters", fmt.Sprint(i)), object(raw))
		schema, err := c.Compile(asSent + "#" + where + "/schema")
		if err != nil {
			return nil, err
		}
		param := parameter{node: object(p["schema"]), schema: schema}
		param.name, _ = p["name"].(string)
		param.in, _ = p["in"].(string)
		param.isRequired, _ = p["required"].(bool)
		param.isExploded, _ = p["explode"].(bool)
		o.params = append(o.params, param)
	}
	if body, ok := node["requestBody"]; ok {
		var err error
		if o.bodies, err = c.content(asSent, at+"/requestBody", object(body)); err != nil {
			return nil, err
		}
	}
	for status, raw := range object(node["responses"]) {
		where, r := c.follow(at+pointer("responses", status), object(raw))
		described := response{headers: map[string]*jsonschema.Schema{}}
		var err error
		if described.whole, err = c.content(asAnswered, where, r); err != nil {
			return nil, err
		}
		if described.shaped, err = c.content(asShaped, where, r); err != nil {
			return nil, err
		}
		for name, raw := range object(r["headers"]) {
			at, _ := c.follow(where+pointer("headers", name), object(raw))
			if described.headers[name], err = c.Compile(asSent + "#" + at + "/schema"); err != nil {
				return nil, err
			}
		}
		o.responses[status] = described
	}
	return o, nil
}

func (c compiler) content(resource, at string, node map[string]any) (map[string]*jsonschema.Schema, error) {
	schemas := map[string]*jsonschema.Schema{}
	for mediaType := range object(node["content"]) {
		schema, err := c.Compile(resource + "#" + at + pointer("content", mediaType) + "/schema")
		if err != nil {
			return nil, err
		}
		schemas[mediaType] = schema
	}
	return schemas, nil
}

// follow goes where a reference leads.
func (c compiler) follow(at string, node map[string]any) (string, map[string]any) {
	ref, ok := node["$ref"].(string)
	if !ok {
		return at, node
	}
	at = strings.TrimPrefix(ref, "#")
	var target any = c.root
	for part := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
		target = object(target)[part]
	}
	return at, object(target)
}

// pointer writes an RFC 6901 pointer, for use in a URL's fragment.
func pointer(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		part = strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(part)
		b.WriteString("/" + part)
	}
	return b.String()
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}
