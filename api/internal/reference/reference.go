// Package reference makes the pages at /docs: the API's OpenAPI document, for people.
//
// The pages are rendered once, at start, and need nothing but themselves: a style sheet and a few lines of script of
// their own, no fonts, no other host. The HTTP API serves what New returns. The package reads the document and nothing
// else; what a page says about an operation is what generated clients are told too.
package reference

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"

	"github.com/groundwork-saas/groundwork/api/internal/openapi"
	"github.com/groundwork-saas/groundwork/api/internal/static"
)

// Policy is the Content-Security-Policy of every page: its own style and script, and nothing else.
const Policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// maxAge is how long browsers keep a page without asking, in seconds.
const maxAge = 300

//go:embed templates/*.html
var templates embed.FS

//go:embed assets/style.css
var style []byte

//go:embed assets/reference.js
var script []byte

//go:embed assets/mark.svg
var mark []byte

// The page of error codes is docs/errors.md; it is copied here since a program can only embed what is below it.
//
//go:generate cp ../../../docs/errors.md errors.md
//go:embed errors.md
var errorCodes string

// New renders the pages, by their path. The aliases are codes that docs/errors.md has under another name, such as
// customer.not_found under resource.not_found.
func New(document *openapi.Document, aliases map[string][]string) (map[string]*static.File, error) {
	parsed, err := template.New("").Funcs(template.FuncMap{
		"markdown": func(text string) template.HTML { return markdown(text, nil) },
		"inline":   func(text string) template.HTML { return template.HTML(inline(text)) }, //nolint:gosec // inline escapes
		"slug":     Slug,
	}).ParseFS(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse the reference's templates: %w", err)
	}
	site := newSite(document)
	files := map[string]*static.File{
		"/docs/style.css":    static.New("text/css; charset=utf-8", style, maxAge),
		"/docs/reference.js": static.New("text/javascript; charset=utf-8", script, maxAge),
		"/docs/mark.svg":     static.New("image/svg+xml", mark, maxAge),
	}
	render := func(path, name string, p page) error {
		p.Site, p.Path = site, path
		var b bytes.Buffer
		if err := parsed.ExecuteTemplate(&b, name, p); err != nil {
			return fmt.Errorf("render %s: %w", path, err)
		}
		files[path] = static.New("text/html; charset=utf-8", b.Bytes(), maxAge)
		return nil
	}
	if err := render("/docs", "overview.html", page{Title: "Overview", Text: markdown(document.Info.Description, nil)}); err != nil {
		return nil, err
	}
	if err := render("/docs/errors", "errors.html", page{Title: "Errors", Text: markdown(errorCodes, aliases)}); err != nil {
		return nil, err
	}
	for _, g := range site.Groups {
		if err := render(g.Path, "group.html", page{Title: g.Name, Group: g}); err != nil {
			return nil, err
		}
	}
	return files, nil
}
