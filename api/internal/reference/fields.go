package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/groundwork-saas/groundwork/api/internal/openapi"
)

// maxDepth bounds how deep nested objects are shown.
const maxDepth = 4

// fields lists what an object holds, nested objects' fields behind their own row.
func (r reader) fields(s *openapi.Schema, within string, depth int) []row {
	s = r.object(s)
	if s == nil || depth > maxDepth {
		return nil
	}
	required := map[string]bool{}
	for _, name := range s.Required {
		required[name] = true
	}
	var rows []row
	for _, name := range s.Properties.Keys() {
		property := s.Properties.Get(name)
		line := r.row(name, property)
		line.Within, line.IsRequired = within, required[name]
		rows = append(rows, line)
		if strings.Contains(line.Description, "expand=") {
			continue // the record has a page of its own
		}
		inner, suffix := property, "."
		if property.Items != nil {
			inner, suffix = property.Items, "[]."
		}
		rows = append(rows, r.fields(inner, within+name+suffix, depth+1)...)
	}
	return rows
}

// object is the schema behind references and null where it is an object with named fields, else nil.
func (r reader) object(s *openapi.Schema) *openapi.Schema {
	s = r.document.Resolve(s)
	if s != nil && len(s.AnyOf) > 0 {
		s = r.document.Resolve(s.AnyOf[0])
	}
	if s == nil || s.Properties.IsZero() {
		return nil
	}
	return s
}

func (r reader) row(name string, s *openapi.Schema) row {
	line := row{Name: name, Type: typeName(s), Description: s.Description}
	bounded := s
	if s.Items != nil && s.Items.Ref == "" {
		bounded = s.Items
		line.Notes = append(line.Notes, amount(s.MinItems, s.MaxItems, "values")...)
	} else if s.Items != nil {
		line.Notes = append(line.Notes, amount(s.MinItems, s.MaxItems, "items")...)
	}
	for _, value := range bounded.Enum {
		if value != nil {
			line.Values = append(line.Values, fmt.Sprint(value))
		}
	}
	if bounded.Format == "" {
		line.Notes = append(line.Notes, amount(bounded.MinLength, bounded.MaxLength, "characters")...)
	}
	line.Notes = append(line.Notes, interval(bounded)...)
	if note := openapi.PatternNote(bounded.Pattern); note != "" {
		line.Notes = append(line.Notes, note)
	}
	if s.UniqueItems {
		line.Notes = append(line.Notes, "each once")
	}
	if s.Default != nil {
		line.Notes = append(line.Notes, "default "+strings.Trim(fmt.Sprint(s.Default), "[]"))
	}
	return line
}

// typeName says in words what a value is.
func typeName(s *openapi.Schema) string {
	suffix := ""
	if s.IsNullable() {
		suffix = " or null"
	}
	switch {
	case s.Ref != "":
		return strings.TrimSuffix(strings.TrimSuffix(openapi.RefName(s.Ref), "Input"), "Patch")
	case len(s.AnyOf) > 0 && s.AnyOf[0].Format == "date-time":
		return "time or date"
	case len(s.AnyOf) > 0:
		return typeName(s.AnyOf[0]) + suffix
	case s.Items != nil:
		return "list of " + typeName(s.Items) + suffix
	case s.Format == "uuid":
		return "UUID" + suffix
	case s.Format == "date-time":
		return "time" + suffix
	case s.Format == "email":
		return "e-mail" + suffix
	case s.Format == "uri", s.Format == "uri-reference":
		return "URL" + suffix
	case len(s.Type) == 0:
		return "any value"
	case s.Type.Has("string"):
		return "text" + suffix
	}
	return s.Type[0] + suffix
}

func amount(least, most *int64, of string) []string {
	switch {
	case least != nil && most != nil && *least == *most:
		return []string{fmt.Sprintf("%d %s", *most, of)}
	case least != nil && most != nil:
		return []string{fmt.Sprintf("%d to %d %s", *least, *most, of)}
	case most != nil:
		return []string{fmt.Sprintf("at most %d %s", *most, of)}
	case least != nil && *least > 1:
		return []string{fmt.Sprintf("at least %d %s", *least, of)}
	}
	return nil
}

// interval says between what a number is; what every JSON parser can read is no bound worth saying.
func interval(s *openapi.Schema) []string {
	const safe = 1<<53 - 1
	least, most := s.Minimum, s.Maximum
	if least != nil && *least <= -safe {
		least = nil
	}
	if most != nil && *most >= safe {
		most = nil
	}
	switch {
	case least != nil && most != nil:
		return []string{fmt.Sprintf("%d to %d", *least, *most)}
	case least != nil:
		return []string{fmt.Sprintf("%d or more", *least)}
	case most != nil:
		return []string{fmt.Sprintf("%d or less", *most)}
	}
	return nil
}

// indent writes an example as JSON that people read.
func indent(v any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}

// curl is the operation as a command; $API and $TOKEN are the reader's.
func curl(path, method string, o *openapi.Operation) string {
	var b strings.Builder
	b.WriteString("curl ")
	switch {
	case method == "GET", method == "POST" && o.Body != nil:
	default:
		b.WriteString("-X " + method + " ")
	}
	target := "$API" + path
	for _, p := range o.Parameters {
		if p.In == "path" && len(p.Schema.Examples) > 0 {
			target = strings.ReplaceAll(target, "{"+p.Name+"}", fmt.Sprint(p.Schema.Examples[0]))
		}
	}
	for _, p := range o.Parameters {
		if openapi.RefName(p.Ref) == "Limit" {
			target += "?limit=10"
		}
	}
	b.WriteString(`"` + target + `"`)
	line := func(text string) { b.WriteString(" \\\n  " + text) }
	if len(o.Security) > 0 {
		line(`-H "Authorization: Bearer $TOKEN"`)
	}
	if o.Body == nil {
		return b.String()
	}
	mediaType := o.Body.Content.Keys()[0]
	if mediaType == "multipart/form-data" { // curl writes the header, with its boundary
		for _, field := range o.Body.Content.Get(mediaType).Schema.Properties.Keys() {
			line("-F " + field + "=@customers.csv")
		}
		return b.String()
	}
	line(`-H "Content-Type: ` + mediaType + `"`)
	line("-d '" + strings.ReplaceAll(indent(o.Body.Content.Get(mediaType).Example), "'", `'\''`) + "'")
	return b.String()
}
