package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
)

// Build describes the table. It panics with a message that names the route or the type where the table does not add
// up: that is a mistake in the program, seen at its start.
func Build(table Table) *Document {
	d := &Document{
		OpenAPI: "3.1.1",
		Info: Info{
			Title: table.Title, Version: table.Version,
			Summary:     "Multi-tenant business data over HTTP: JSON, keyset pages, merge patches, problems.",
			Description: manners,
			Contact:     Contact{Name: "Groundwork", URL: "https://github.com/groundwork-saas/groundwork"},
			License:     License{Name: "Apache License 2.0", Identifier: "Apache-2.0"},
		},
		Servers: []Server{{URL: "/", Description: "Production: where this document is served."}},
		Components: Components{
			Parameters: commonParameters(), Headers: commonHeaders(), Responses: commonResponses(), Security: securitySchemes(),
		},
	}
	b := &builder{table: table, doc: d, ids: map[string]string{}, types: types{
		components: &d.Components.Schemas, names: table.Names, enums: table.Enums, taken: map[string]reflect.Type{},
		examples: examples(table.Routes),
	}}
	d.Components.Schemas.Set("Problem", problemSchema())
	for _, r := range table.Routes {
		b.add(r)
	}
	b.addOrigin()
	return d
}

type builder struct {
	table Table
	doc   *Document
	types types
	ids   map[string]string // who has an operationId
}

func (b *builder) add(r Route) {
	id, where := r.operationID(), r.Method+" "+r.Path
	if _, taken := b.ids[id]; taken && r.isActOnMany() {
		id += "_many" // the act on one record has the name: inbound_events_replay, inbound_events_replay_many
	}
	if other, taken := b.ids[id]; taken {
		panic(fmt.Sprintf("openapi: %s and %s would both be called %s", other, where, id))
	}
	b.ids[id] = where
	o := &Operation{
		Tags: []string{b.tag(r)}, Summary: r.Summary, Description: b.describe(r), ID: id,
		Parameters: b.parameters(r), Security: security(r), Permission: r.Permission,
	}
	if r.takesBody() {
		o.Body = b.body(r)
	}
	o.Responses = b.responses(r)
	b.set(b.table.Base+r.Path, r.Method, o)
}

func (b *builder) set(path, method string, o *Operation) {
	item := b.doc.Paths.Get(path)
	if item == nil {
		item = &PathItem{}
		b.doc.Paths.Set(path, item)
	}
	item.Set(strings.ToLower(method), o)
}

// tag returns the capability's name, and adds it to the document where it is the first time.
func (b *builder) tag(r Route) string {
	key := r.capability()
	c, ok := b.table.Capabilities[key]
	if !ok {
		c = Capability{Name: title(key)}
		if r.Resource != nil {
			c.Description = fmt.Sprintf("The organization's %s: list, create, read, change, delete and restore them.", words(r.Resource.Plural))
		}
	}
	b.addTag(c)
	return c.Name
}

func (b *builder) addTag(c Capability) {
	for _, t := range b.doc.Tags {
		if t.Name == c.Name {
			return
		}
	}
	if c.Description == "" {
		c.Description = c.Name + "."
	}
	b.doc.Tags = append(b.doc.Tags, Tag(c))
}

// describe says in sentences what the rest of the operation says to programs.
func (b *builder) describe(r Route) string {
	var sentences []string
	say := func(s string) { sentences = append(sentences, s) }
	if r.Resource != nil {
		sentences = append(sentences, aboutResource(r)...)
	}
	sentences = append(sentences, aboutFiles(r)...)
	switch r.Access {
	case Public:
		say("Takes no credential.")
	case Session:
		say("For a signed-in user, in whatever organization.")
	case Tenant:
		if r.Permission == "" {
			say("For whoever is signed in, and API keys.")
		} else {
			say("Needs the permission `" + r.Permission + "`.")
		}
	}
	return strings.Join(sentences, " ")
}

func aboutResource(r Route) []string {
	name := words(r.Resource.Name)
	switch id := r.operationID(); {
	case r.isBulk():
		return []string{fmt.Sprintf("Takes up to %d items. An atomic bulk does all of it or nothing; another one does what it can and answers 207 where "+
			"items failed, with what came of each, in their order. A delete needs the permission `%s:delete`.", resource.MaxBulk, r.Resource.Plural)}
	case r.Filters:
		return []string{fmt.Sprintf("Filters all hold; each takes up to %d values, separated by commas (`\\,` is a comma within one).", maxValues)}
	case strings.HasSuffix(id, "_create"):
		return nil
	case strings.HasSuffix(id, "_update"):
		return []string{"The body is a merge patch (RFC 7396): a field that is left out stays, null clears it. A patch that changes nothing makes no new version."}
	case strings.HasSuffix(id, "_delete"):
		return []string{"The " + name + " is kept in the trash, from where it can be restored."}
	case strings.HasSuffix(id, "_history"):
		return []string{"The newest entry comes first. Personal values are masked."}
	default:
		return nil
	}
}

func security(r Route) []map[string][]string {
	switch r.Access {
	case Session:
		return []map[string][]string{{"accessToken": {}}}
	case Tenant:
		return []map[string][]string{{"accessToken": {}}, {"apiKey": {}}}
	case Public:
	}
	return []map[string][]string{}
}

func (b *builder) body(r Route) *RequestBody {
	if r.isBulk() {
		return b.bulkBody(r)
	}
	if r.Upload != "" {
		return uploadBody(r)
	}
	m, mediaTypes := sending, []string{"application/json"}
	if r.Patch {
		m, mediaTypes = patching, []string{"application/merge-patch+json", "application/json"}
	}
	schema := b.types.of(typeOf(r.Body), m)
	media := &MediaType{Schema: schema, Example: b.doc.example(schema, "")}
	if r.Patch {
		media.Example = b.doc.patchExample(schema)
	}
	body := &RequestBody{Required: true}
	if r.MaxBody > 0 {
		body.Description = fmt.Sprintf("Up to %d KiB.", r.MaxBody>>10)
	}
	for _, name := range mediaTypes {
		body.Content.Set(name, media)
	}
	return body
}

// answer is the schema of what the route answers; a page of a list is a component of its own.
func (b *builder) answer(r Route) *Schema {
	if r.isBulk() {
		return b.bulkAnswer(r)
	}
	item := b.types.of(typeOf(r.Answer), answering)
	if isEntity(r.Answer) && r.Resource != nil {
		b.addReferences(b.doc.Resolve(item), r.Resource)
	}
	if !r.List {
		return item
	}
	name := "Page"
	if item.Ref != "" {
		name = RefName(item.Ref) + "Page"
	}
	if !b.doc.Components.Schemas.Has(name) {
		b.doc.Components.Schemas.Set(name, pageSchema(item))
	}
	return schemaRef(name)
}

// addReferences adds what expand=… answers with.
func (b *builder) addReferences(s *Schema, d *resource.Definition) {
	references := d.References()
	for _, name := range slices.Sorted(maps.Keys(references)) {
		if s.Properties.Has(name) {
			continue
		}
		property := nullable(b.types.of(typeOf(references[name].References.New()), answering))
		property.Description = "The " + words(name) + ", where `expand=" + name + "` asks for it."
		s.Properties.Set(name, property)
	}
}

func pageSchema(item *Schema) *Schema {
	s := &Schema{Type: Types{"object"}, Required: []string{"data", "next_cursor", "prev_cursor"}}
	cursor := func(what string) *Schema {
		return &Schema{Type: Types{"string", "null"}, Description: what, Examples: []any{"q83vEjRWeJA"}}
	}
	s.Properties.Set("data", &Schema{Type: Types{"array"}, Items: item, Description: "The records."})
	s.Properties.Set("next_cursor", cursor("Where the next page begins; null on the last."))
	s.Properties.Set("prev_cursor", cursor("Where the previous page is; null on the first."))
	return s
}

func problemSchema() *Schema {
	violation := &Schema{Type: Types{"object"}, Required: []string{"pointer", "code", "detail"}}
	for _, f := range fieldsOf(reflect.TypeFor[fault.Violation]()) {
		violation.Properties.Set(f.name, &Schema{Type: Types{"string"}, Description: map[string]string{
			"pointer": "Where the value stands: an RFC 6901 pointer into the body, or the name of a parameter or header.",
			"code":    "The rule that it breaks, for programs.",
			"detail":  "What is wrong with it and what would be right.",
		}[f.name]})
	}
	s := &Schema{
		Type: Types{"object"}, Description: "An error, as RFC 9457 writes it. Programs branch on `code`, which does not change.",
		Required: []string{"type", "title", "status", "code", "detail", "request_id"},
	}
	set := func(name, description string) *Schema {
		p := &Schema{Type: Types{"string"}, Description: description}
		s.Properties.Set(name, p)
		return p
	}
	set("type", "Where the code is explained.").Format = "uri-reference"
	set("title", "The status in words.")
	status := set("status", "The HTTP status.")
	status.Type, status.Format = Types{"integer"}, "int32"
	status.Minimum, status.Maximum = new(int64(http.StatusBadRequest)), new(int64(599))
	set("code", "What went wrong, for programs.")
	set("detail", "What went wrong and the way out, for people.")
	s.Properties.Set("errors", &Schema{
		Type: Types{"array"}, MaxItems: new(int64(100)), Items: violation, Description: "The values that are wrong, where it is about values.",
	})
	set("request_id", "Names the request in our logs; quote it in a report.")
	return s
}

func securitySchemes() Map[*SecurityScheme] {
	var m Map[*SecurityScheme]
	m.Set("accessToken", &SecurityScheme{
		Type: "http", Scheme: "bearer", BearerFormat: "JWT",
		Description: "A user's access token, from signing up, signing in or refreshing: a JWT as RFC8725 has it, signed with EdDSA by a " +
			"key of /.well-known/jwks.json. It is good for minutes, and may do what the user's role may.",
	})
	m.Set("apiKey", &SecurityScheme{
		Type: "http", Scheme: "bearer",
		Description: "An organization's API key, sent as a bearer token. It may do what its scopes say.",
	})
	return m
}

// title writes a path's part as a heading: "api-keys" is "Api keys".
func title(segment string) string {
	text := strings.ReplaceAll(words(segment), "-", " ")
	return strings.ToUpper(text[:1]) + text[1:]
}
