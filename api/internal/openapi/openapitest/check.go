package openapitest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// check says what of the exchange the document does not describe.
func (c *contract) check(x *exchange) []string {
	o, values := c.find(x.request)
	if o == nil {
		return c.checkUnknown(x)
	}
	problems := o.checkAnswer(x)
	// Of a bulk that was accepted in part the items may be anything.
	if x.wasAccepted() && x.status != http.StatusMultiStatus {
		problems = append(problems, o.checkRequest(x, values)...)
	}
	return problems
}

func (c *contract) find(r *http.Request) (*operation, map[string]string) {
	for _, o := range c.operations {
		if o.method != r.Method {
			continue
		}
		// A path of the table that is not a template goes first, as the router has it.
		if values, ok := o.template.match(r.URL.Path); ok && (len(values) == 0 || !c.isLiteral(r)) {
			return o, values
		}
	}
	return nil, nil
}

func (c *contract) isLiteral(r *http.Request) bool {
	return slices.ContainsFunc(c.operations, func(o *operation) bool {
		values, ok := o.template.match(r.URL.Path)
		return ok && len(values) == 0 && o.method == r.Method
	})
}

// checkUnknown accepts that what is not described does not exist, that a described path takes other methods only, and
// what belongs to no path: preflights and the pages for people.
func (c *contract) checkUnknown(x *exchange) []string {
	r := x.request
	isKnown := slices.ContainsFunc(c.known, func(t template) bool {
		_, ok := t.match(r.URL.Path)
		return ok
	})
	switch {
	case r.Method == http.MethodOptions, r.Method == http.MethodHead, r.URL.Path == "/docs", strings.HasPrefix(r.URL.Path, "/docs/"):
		return nil
	case isKnown && x.status == http.StatusMethodNotAllowed && x.header.Get("Allow") != "":
		return nil
	case x.status == http.StatusNotFound:
		return nil
	}
	return []string{"the operation is not described"}
}

func (o *operation) checkAnswer(x *exchange) []string {
	r, ok := o.responses[strconv.Itoa(x.status)]
	if !ok {
		return []string{fmt.Sprintf("the status is not described; the body is %.300s", x.body.String())}
	}
	var problems []string
	for name := range x.header {
		if err := r.checkHeader(name, x.header.Get(name)); err != "" {
			problems = append(problems, err)
		}
	}
	schemas := r.whole
	if x.wasAccepted() && x.request.URL.Query().Has("fields") {
		schemas = r.shaped
	}
	data, err := x.plainBody()
	if err != nil {
		return append(problems, "the answer is not compressed as it says: "+err.Error())
	}
	return append(problems, checkBody(schemas, x.header.Get("Content-Type"), data, "the answer")...)
}

// plainBody is the answer's body without its compression.
func (x *exchange) plainBody() ([]byte, error) {
	if x.header.Get("Content-Encoding") != "gzip" {
		return x.body.Bytes(), nil
	}
	r, err := gzip.NewReader(&x.body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// transport are headers that belong to HTTP and to browsers, not to an operation.
func isTransport(name string) bool {
	switch name {
	case "Content-Type", "Content-Length", "Content-Encoding", "Date", "Vary", "Content-Security-Policy", "Referrer-Policy",
		"Cross-Origin-Resource-Policy", "Access-Control-Expose-Headers", "Connection":
		return true
	default:
		return false
	}
}

func (r response) checkHeader(name, value string) string {
	for described, schema := range r.headers {
		if http.CanonicalHeaderKey(described) == name {
			if err := schema.Validate(scalar(schema, value)); err != nil {
				return fmt.Sprintf("the header %s: %v", name, err)
			}
			return ""
		}
	}
	if isTransport(name) {
		return ""
	}
	return "the header " + name + " is not described"
}

func checkBody(schemas map[string]*jsonschema.Schema, contentType string, data []byte, what string) []string {
	if len(schemas) == 0 {
		if len(data) > 0 {
			return []string{fmt.Sprintf("%s has a body, and none is described: %.300s", what, data)}
		}
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	if schemas["*/*"] != nil && err == nil || mediaType == "multipart/form-data" && schemas[mediaType] != nil {
		return nil // bytes of any kind
	}
	schema := schemas[mediaType]
	if err != nil || schema == nil {
		return []string{fmt.Sprintf("the type %q of %s is not described", contentType, what)}
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return []string{fmt.Sprintf("%s is no JSON: %v", what, err)}
	}
	if err := schema.Validate(value); err != nil {
		return []string{fmt.Sprintf("%s: %v\nin %.2000s", what, err, data)}
	}
	return nil
}

// checkRequest says why the document would not have allowed a request that the API accepted.
func (o *operation) checkRequest(x *exchange, path map[string]string) []string {
	var problems []string
	r := x.request
	if !o.isPublic && r.Header.Get("Authorization") == "" {
		problems = append(problems, "it was accepted without a credential")
	}
	query := r.URL.Query()
	for _, p := range o.params {
		values := p.read(path, query, r.Header)
		if len(values) == 0 {
			if p.isRequired {
				problems = append(problems, "it was accepted without the parameter "+p.name)
			}
			continue
		}
		if err := p.schema.Validate(p.value(values)); err != nil {
			problems = append(problems, fmt.Sprintf("the parameter %s was accepted: %v", p.name, err))
		}
	}
	for name := range query {
		problems = append(problems, fmt.Sprintf("the parameter %s was accepted and is not described", name))
	}
	return append(problems, checkBody(o.bodies, r.Header.Get("Content-Type"), x.sent.Bytes(), "the accepted request")...)
}

// read returns a parameter's values by name, and takes them out of the query.
func (p parameter) read(path map[string]string, query url.Values, header http.Header) map[string]string {
	values := map[string]string{}
	switch {
	case p.in == "path":
		values[p.name] = path[p.name]
	case p.in == "header":
		if value := header.Get(p.name); value != "" {
			values[p.name] = value
		}
	case p.isExploded && p.node["type"] == "object":
		for pattern := range object(p.node["patternProperties"]) {
			name := regexp.MustCompile(pattern)
			for key := range query {
				if name.MatchString(key) {
					values[key] = query.Get(key)
					query.Del(key)
				}
			}
		}
	case query.Has(p.name):
		values[p.name] = query.Get(p.name)
		query.Del(p.name)
	}
	return values
}

// value gives texts the JSON types that the parameter's schema asks for.
func (p parameter) value(values map[string]string) any {
	switch p.node["type"] {
	case "object":
		members := map[string]any{}
		for name, value := range values {
			members[name] = value
		}
		return members
	case "array":
		var items []any
		for _, item := range split(values[p.name]) {
			items = append(items, scalarOf(object(p.node["items"])["type"], item))
		}
		return items
	default:
		return scalarOf(p.node["type"], values[p.name])
	}
}

func scalar(schema *jsonschema.Schema, value string) any {
	if schema.Types != nil && slices.Contains(schema.Types.ToStrings(), "integer") {
		return scalarOf("integer", value)
	}
	return value
}

func scalarOf(typ any, text string) any {
	switch typ {
	case "integer":
		if _, err := strconv.ParseInt(text, 10, 64); err == nil {
			return json.Number(text)
		}
	case "boolean":
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	}
	return text
}

// split splits at commas that no backslash stands before.
func split(text string) []string {
	const comma = "\x00"
	parts := strings.Split(strings.ReplaceAll(text, `\,`, comma), ",")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], comma, ",")
	}
	return parts
}
