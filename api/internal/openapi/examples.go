package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// The values that examples are made of, where a field has none of its own.
const (
	exampleID    = "01980c2e-5d0b-7c3a-9a57-0f6c1f5f7d11"
	exampleTime  = "2026-03-14T09:26:53Z"
	exampleToken = "eyJhbGciOiJFZERTQSIsImtpZCI6IjAxOTgifQ.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl" //nolint:gosec // of nobody
)

// exampleOf is what a field may hold: what its example tag says, or what a field of its name and form usually does.
func exampleOf(f field, s *Schema) any {
	if f.example != "" {
		return parseExample(f.example, s)
	}
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	switch {
	case s.Format == "uuid":
		return exampleID
	case s.Format == "date-time":
		return exampleTime
	case s.Type.Has("integer"):
		return exampleInteger(f.name, s)
	case s.Type.Has("string"):
		return exampleText(f.name, s)
	}
	return nil
}

// examples are the fields of the resources' example records, without what every record has.
func examples(routes []Route) map[reflect.Type]map[string]any {
	all := map[reflect.Type]map[string]any{}
	for _, r := range routes {
		if r.Resource == nil || r.Resource.Example == nil || all[typeOf(r.Resource.Example)] != nil {
			continue
		}
		data, err := plain(r.Resource.Example)
		var fields map[string]any
		if err == nil {
			decoder := json.NewDecoder(bytes.NewReader(data))
			decoder.UseNumber()
			err = decoder.Decode(&fields)
		}
		if err != nil {
			panic(fmt.Sprintf("openapi: the example of a %s is no JSON object: %v", r.Resource.Name, err))
		}
		for _, f := range fieldsOf(reflect.TypeFor[resource.Base]()) {
			delete(fields, f.name)
		}
		all[typeOf(r.Resource.Example)] = fields
	}
	return all
}

// parseExample reads a tag: text as it is, anything else as JSON; a list of texts may be written with commas.
func parseExample(text string, s *Schema) any {
	if s.Type.Has("string") {
		return text
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err == nil {
		return v
	}
	if s.Type.Has("array") {
		var items []any
		for item := range strings.SplitSeq(text, ",") {
			items = append(items, item)
		}
		return items
	}
	panic("openapi: an example tag is no JSON: " + text)
}

func exampleInteger(name string, s *Schema) any {
	value := int64(3)
	switch {
	case strings.HasSuffix(name, "_cents"):
		value = 15660
	case name == "version":
		value = 1
	case name == "expires_in":
		value = 600
	}
	if s.Minimum != nil {
		value = max(value, *s.Minimum)
	}
	if s.Maximum != nil {
		value = min(value, *s.Maximum)
	}
	return value
}

func exampleText(name string, s *Schema) any {
	usual := map[string]string{
		"name": "Ada Lovelace", "email": "ada@example.com", "organization": "Northwind Traders", "code": "NW-1042",
		"password": "correct horse battery staple", "current_password": "correct horse battery staple",
		"new_password": "a longer walk by the river", "access_token": exampleToken, "refresh_token": "gw_refresh_3f9aK2…",
		"token": "gw_inv_8sQm41…", "token_type": "Bearer", "secret": "whsec_5tYc90…", "key": "gw_live_5tYc90…", "prefix": "gw_live_5tYc",
		"otp": "492039", "role": "member", "time_zone": "Europe/Berlin", "currency": "EUR", "url": "https://example.com/hooks",
		"request_id": exampleID, "action": "customer.updated", "resource": "customer", "field": "name",
		"user_agent": "curl/8.14.1", "address": "203.0.113.7", "note": "Leave at the gate.", "sku": "NW-CHAI-20",
		"description": "Chai, 20 bags", "number": "SO-2026-0042", "title": "Monthly revenue", "status": "active",
		"state": "active",
	}
	value, ok := usual[name]
	switch {
	case ok:
	case s.Format == "email":
		value = "ada@example.com"
	case s.Format == "uri":
		value = "https://example.com/"
	case s.Pattern == currencyPattern:
		value = "EUR"
	case s.Pattern == zonePattern:
		value = "Europe/Berlin"
	case s.Pattern == slugPattern:
		value = "north-west"
	default:
		value = strings.ReplaceAll(name, "_", " ")
	}
	if s.MaxLength != nil && int64(len(value)) > *s.MaxLength {
		value = value[:*s.MaxLength]
	}
	return value
}

// example builds a value of the schema from its fields' examples; for a patch the first fields are enough.
func (d *Document) example(s *Schema, name string) any {
	s = d.Resolve(s)
	if len(s.Examples) > 0 {
		return s.Examples[0]
	}
	switch {
	case len(s.AnyOf) > 0:
		return d.example(s.AnyOf[0], name)
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type.Has("object"):
		return d.exampleObject(s, name)
	case s.Type.Has("array"):
		if name == "tags" {
			return []any{"vip", "wholesale"}
		}
		return []any{d.example(s.Items, strings.TrimSuffix(name, "s"))}
	case s.Type.Has("boolean"):
		return true
	case s.Type.Has("string"), s.Type.Has("integer"):
		return exampleOf(field{name: name}, s)
	case s.Type.Has("number"):
		return json.Number(strconv.Itoa(1))
	}
	return exampleText(name, &Schema{})
}

func (d *Document) exampleObject(s *Schema, name string) any {
	var o Map[any]
	for _, key := range s.Properties.Keys() {
		property := s.Properties.Get(key)
		if isSpecial(key, s) {
			continue
		}
		if isUsuallyNull(key) && property.IsNullable() {
			o.Set(key, nil)
			continue
		}
		o.Set(key, d.example(property, key))
	}
	if values, ok := s.AdditionalProperties.(*Schema); ok {
		o.Set("key", d.example(values, name))
	} else if s.AdditionalProperties == true {
		o.Set("color", "red")
	}
	return o
}

// patchExample changes one field and clears another, where there is one that can be.
func (d *Document) patchExample(s *Schema) any {
	s = d.Resolve(s)
	var o Map[any]
	keys := s.Properties.Keys()
	for _, key := range keys {
		if property := s.Properties.Get(key); !property.IsNullable() {
			o.Set(key, d.example(property, key))
			break
		}
	}
	for _, key := range keys {
		if s.Properties.Get(key).IsNullable() {
			o.Set(key, nil)
			break
		}
	}
	return o
}

// isSpecial says of a field whether most bodies and answers do not have it: what expand asks for, what went wrong with
// an item, what is history.
func isSpecial(name string, s *Schema) bool {
	property := s.Properties.Get(name)
	return strings.Contains(property.Description, "expand=") || strings.Contains(property.Description, "backfill") ||
		(name == "error" && strings.HasSuffix(property.Ref, "/Problem")) || name == "otp"
}

// isUsuallyNull says of what may be null whether it mostly is: a time that has not come, the page before the first.
func isUsuallyNull(name string) bool {
	switch name {
	case "prev_cursor", "error":
		return true
	default:
		return strings.HasSuffix(name, "_at") && name != "expires_at"
	}
}

// usual says what a field of the name holds in every record.
func usual(name string) string {
	switch name {
	case "id":
		return "Names the record; a UUID of version 7, so that ids sort by the time they were made."
	case "version":
		return "Grows by one with each change; the ETag is made of it."
	case "created_at":
		return "When it was made."
	case "updated_at":
		return "When it was changed last."
	case "deleted_at":
		return "When it was moved to the trash; null for a live record."
	case "tags":
		return "Words of your own to find records by."
	case "custom":
		return "Fields of your own, with any JSON values."
	case "otp":
		return "The code of the second factor, where the account has one."
	case "scopes", "permissions":
		return "Permissions, such as `customers:read`."
	case "currency":
		return "An ISO 4217 code, such as EUR."
	case "time_zone":
		return "An IANA name, such as Europe/Berlin."
	case "expires_at":
		return "When it ends."
	case "expires_in":
		return "How long the access token is good, in seconds."
	case "last_used_at":
		return "When it was used last."
	case "joined_at":
		return "When you came in."
	default:
		return bySuffix(name)
	}
}

// bySuffix says what fields hold whose names end alike.
func bySuffix(name string) string {
	if stem, ok := strings.CutSuffix(name, "_cents"); ok {
		return "The " + words(stem) + " in the currency's minor units."
	}
	if stem, ok := strings.CutSuffix(name, "_bp"); ok {
		return "The " + words(stem) + " in basis points: 1500 is 15 %."
	}
	if stem, ok := strings.CutSuffix(name, "_at"); ok {
		return "When it was " + words(stem) + "; null until then."
	}
	if stem, ok := strings.CutSuffix(name, "_id"); ok {
		return "The " + words(stem) + "'s id."
	}
	return ""
}
