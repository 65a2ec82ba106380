package openapi

import (
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// Table is what a document is built from.
type Table struct {
	// Title and Version name the API and its version, as callers know it.
	Title, Version string
	// Base is the path that every route of the table is under.
	Base   string
	Routes []Route
	// Capabilities describe groups of routes, by the first part of their path.
	Capabilities map[string]Capability
	// Names are of types whose Go name would not do in the document.
	Names map[reflect.Type]string
	// Enums are the values of string types that have a few.
	Enums map[reflect.Type][]string
	// Parameters describe the query parameters that routes name; those of one capability stand under its name and theirs,
	// "jobs.state". The values of a list are separated by commas.
	Parameters map[string]*Schema
}

// Capability is what a group of routes is about.
type Capability struct{ Name, Description string }

// Access says who may call a route.
type Access int

// The kinds of access.
const (
	Public  Access = iota // anybody
	Session               // a signed-in user
	Tenant                // a signed-in user or an API key
)

// Route is one row of the API's table.
type Route struct {
	// Method and Path; the path is a template under the base: "/customers/{id}".
	Method, Path string
	Access       Access
	// Permission is what the caller needs; "" for none.
	Permission string
	Summary    string
	// Status is what success answers.
	Status int
	// Body and Answer are values of the types that are taken and answered; nil for none.
	Body, Answer any
	// Patch says that the body is a merge patch, List that the answer is a page, Secret that it holds a token or key.
	Patch, List, Secret bool
	// Versioned says that the answer has an ETag.
	Versioned bool
	// Upload is the field of a multipart form that holds a file; "" for other bodies.
	Upload string
	// Binary says that the answer is the contents of a file.
	Binary bool
	// MaxBody is how many bytes a body may have.
	MaxBody int64
	// Params are the names of the query parameters.
	Params []string
	// Filters says that the list takes every parameter of Resource's definition.
	Filters bool
	// Resource is whose records the route is about; nil where it is about something else.
	Resource *resource.Definition
}

// segments are the parts of the path.
func (r Route) segments() []string { return strings.Split(strings.Trim(r.Path, "/"), "/") }

func (r Route) capability() string { return r.segments()[0] }

func isParameter(segment string) bool { return strings.HasPrefix(segment, "{") }

// takesBody says whether the route reads a body.
func (r Route) takesBody() bool { return r.Body != nil || r.Upload != "" }

// sends says whether the body has a field of that name.
func (r Route) sends(name string) bool {
	return r.Body != nil && typeOf(r.Body).Kind() == reflect.Struct &&
		slices.ContainsFunc(fieldsOf(typeOf(r.Body)), func(f field) bool { return f.name == name })
}

// takesMatch says whether the route heeds If-Match: a change of something that has a version.
func (r Route) takesMatch() bool {
	return r.Method == http.MethodPatch || (r.Resource != nil && r.names("id") && r.Method != http.MethodGet)
}

// isActOnMany says whether the route is an act on a collection: POST /boats/launch.
func (r Route) isActOnMany() bool {
	segments := r.segments()
	return r.Method == http.MethodPost && len(segments) > 1 && !slices.ContainsFunc(segments, isParameter)
}

func (r Route) isBulk() bool { return r.Resource != nil && r.Path == "/"+r.Resource.Plural+"/bulk" }

func (r Route) names(parameter string) bool {
	return strings.Contains(r.Path, "{"+parameter+"}")
}

func (r Route) hasETag() bool {
	return (r.Versioned || isEntity(r.Answer)) && !r.List
}

// operationID names the route for generated clients: customers_list, customers_restore, auth_login. It is made of the
// path and the method alone, so that it stays what it is.
func (r Route) operationID() string {
	var words []string
	segments := r.segments()
	for _, segment := range segments {
		if !isParameter(segment) {
			words = append(words, strings.ReplaceAll(segment, "-", "_"))
		}
	}
	if verb := r.verb(segments); verb != "" {
		words = append(words, verb)
	}
	return strings.Join(words, "_")
}

func (r Route) verb(segments []string) string {
	last := segments[len(segments)-1]
	isOne := isParameter(last)
	isBelowOne := len(segments) > 1 && !isOne && isParameter(segments[len(segments)-2])
	switch r.Method {
	case http.MethodPatch:
		return "update"
	case http.MethodPut:
		return "replace"
	case http.MethodDelete:
		if isOne || len(segments) == 1 {
			return "delete"
		}
		return "delete_all"
	case http.MethodGet:
		switch {
		case isBelowOne:
			return "" // customers_history
		case r.List:
			return "list"
		default:
			return "get"
		}
	default: // POST
		if len(segments) == 1 {
			return "create"
		}
		return "" // an act: customers_restore, auth_login
	}
}
