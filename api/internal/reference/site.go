package reference

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"github.com/groundwork-saas/groundwork/api/internal/openapi"
)

// site is the whole reference, as the templates see it.
type site struct {
	Title, Version, Summary string
	Groups                  []*group
}

// page is one page of it.
type page struct {
	Site        *site
	Path, Title string
	Text        template.HTML
	Group       *group
}

// group is a capability with its operations.
type group struct {
	Name, Description, Path string
	Operations              []*operation
}

type operation struct {
	ID, Method, Summary, Description string
	// Path is the template, in parts; those that are parameters are marked.
	Path       []pathPart
	Access     string
	Permission string
	Parameters []parameters
	Filters    []filter
	Body       *body
	Answers    []answer
	Failures   []failure
	Curl       string
	Example    template.HTML
	ExampleOf  string
}

type pathPart struct {
	Text        string
	IsParameter bool
}

// parameters are those of one place: the path, the query, the headers.
type parameters struct {
	Place string
	Rows  []row
}

// filter is a field that records are selected by, with the parameters that do so.
type filter struct {
	Field      string
	Parameters []string
	Type       string
	Notes      []string
}

type body struct {
	MediaTypes []string
	Note       string
	Rows       []row
}

type answer struct {
	Status, Description string
	Headers             []string
	Rows                []row
}

type failure struct{ Status, Description string }

// row is a value with its name: a parameter, or a field of a body.
type row struct {
	// Within is what the name stands in: "lines[]." of "lines[].sku".
	Within, Name string
	Type         string
	IsRequired   bool
	Description  string
	Notes        []string
	Values       []string
}

func newSite(d *openapi.Document) *site {
	s := &site{Title: d.Info.Title, Version: d.Info.Version, Summary: d.Info.Summary}
	groups := map[string]*group{}
	for _, t := range d.Tags {
		g := &group{Name: t.Name, Description: t.Description, Path: "/docs/" + Slug(t.Name)}
		groups[t.Name] = g
		s.Groups = append(s.Groups, g)
	}
	r := reader{document: d}
	for _, path := range d.Paths.Keys() {
		item := d.Paths.Get(path)
		for _, method := range item.Keys() {
			o := item.Get(method)
			g := groups[o.Tags[0]]
			g.Operations = append(g.Operations, r.operation(path, strings.ToUpper(method), o))
		}
	}
	return s
}

// reader turns what the document says into what a page shows.
type reader struct{ document *openapi.Document }

func (r reader) operation(path, method string, o *openapi.Operation) *operation {
	out := &operation{
		ID: o.ID, Method: method, Summary: o.Summary, Description: o.Description, Path: splitPath(path), Permission: o.Permission,
		Access: access(o),
	}
	out.Parameters, out.Filters = r.parameters(o)
	if o.Body != nil {
		first := o.Body.Content.Keys()[0]
		out.Body = &body{
			MediaTypes: o.Body.Content.Keys(), Note: o.Body.Description, Rows: r.fields(o.Body.Content.Get(first).Schema, "", 0),
		}
	}
	for _, status := range o.Responses.Keys() {
		r.answer(out, status, o.Responses.Get(status))
	}
	out.Curl = curl(path, method, o)
	return out
}

func access(o *openapi.Operation) string {
	switch len(o.Security) {
	case 0:
		return "public"
	case 1:
		return "signed-in user"
	default:
		return "user or API key"
	}
}

func splitPath(path string) []pathPart {
	var parts []pathPart
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		parts = append(parts, pathPart{Text: "/"})
		parts = append(parts, pathPart{Text: segment, IsParameter: strings.HasPrefix(segment, "{")})
	}
	return parts
}

func (r reader) parameters(o *openapi.Operation) ([]parameters, []filter) {
	places := map[string]*parameters{}
	var out []parameters
	var filters []filter
	for _, p := range o.Parameters {
		if p.Ref != "" {
			p = r.document.Components.Parameters.Get(openapi.RefName(p.Ref))
		}
		if p.IsFilter {
			filters = addFilter(filters, p)
			continue
		}
		if places[p.In] == nil {
			places[p.In] = &parameters{Place: p.In}
		}
		line := r.row(p.Name, p.Schema)
		line.Description, line.IsRequired = p.Description, p.Required
		places[p.In].Rows = append(places[p.In].Rows, line)
	}
	for _, place := range []string{"path", "query", "header"} {
		if p := places[place]; p != nil {
			out = append(out, *p)
		}
	}
	return out, filters
}

func addFilter(filters []filter, p *openapi.Parameter) []filter {
	field, _, _ := strings.Cut(p.Name, "[")
	s := p.Schema
	if s.Items != nil {
		s = s.Items
	}
	for i := range filters {
		if filters[i].Field == field {
			filters[i].Parameters = append(filters[i].Parameters, p.Name)
			return filters
		}
	}
	f := filter{Field: field, Parameters: []string{p.Name}, Type: typeName(s)}
	if s.PatternProperties != nil {
		f.Parameters, f.Type = []string{field + ".…"}, "any value"
		f.Notes = append(f.Notes, p.Description)
	}
	for _, value := range s.Enum {
		f.Notes = append(f.Notes, "`"+fmt.Sprint(value)+"`")
	}
	return append(filters, f)
}

func (r reader) answer(out *operation, status string, response *openapi.Response) {
	code, err := strconv.Atoi(status)
	if err != nil {
		return
	}
	if response.Ref != "" {
		response = r.document.Components.Responses.Get(openapi.RefName(response.Ref))
	}
	if code >= 400 {
		out.Failures = append(out.Failures, failure{Status: status, Description: response.Description})
		return
	}
	a := answer{Status: status, Description: response.Description}
	for _, name := range response.Headers.Keys() {
		if !isEverywhere(name) {
			a.Headers = append(a.Headers, name)
		}
	}
	if keys := response.Content.Keys(); len(keys) > 0 {
		media := response.Content.Get(keys[0])
		a.Rows = r.fields(media.Schema, "", 0)
		if out.ExampleOf == "" {
			out.Example, out.ExampleOf = highlight(indent(media.Example)), status
		}
	}
	out.Answers = append(out.Answers, a)
}

// isEverywhere says of a header whether every answer has it.
func isEverywhere(name string) bool {
	switch name {
	case "ETag", "Location", "Accept-Ranges", "Content-Range", "Content-Disposition", "Link", "Idempotency-Replayed", "Retry-After", "WWW-Authenticate":
		return false
	default:
		return true
	}
}
