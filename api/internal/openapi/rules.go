package openapi

import (
	"strconv"
	"strings"
)

// The patterns are in the part of ECMA 262 that RE2 shares and that needs no flag: tools in any language can use them.
const (
	anyPattern       = `^[^\x00]*$`
	notBlankPattern  = `\S`
	printablePattern = `^[^\x00-\x1f\x7f-\x9f]*$`
	linesPattern     = `^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$`
	notBlankLine     = `^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$`
	slugPattern      = `^[a-z0-9]+(-[a-z0-9]+)*$`
	currencyPattern  = `^[A-Z]{3}$`
	zonePattern      = `^(UTC|[A-Z][A-Za-z]+/[A-Za-z0-9_+/-]+)$`
)

// rules are a validate tag: those of the value itself, and those behind dive, of its items.
type rules struct {
	own   []rule
	items *rules
	// omitEmpty says that an empty value passes whatever the rules say.
	omitEmpty bool
}

type rule struct{ name, param string }

func parseRules(tag string) rules {
	var r rules
	own, items, dives := strings.Cut(","+tag+",", ",dive,")
	for part := range strings.SplitSeq(own, ",") {
		name, param, _ := strings.Cut(part, "=")
		switch name {
		case "":
		case "omitempty", "omitnil":
			r.omitEmpty = true
		default:
			r.own = append(r.own, rule{name, param})
		}
	}
	if dives {
		inner := parseRules(strings.Trim(items, ","))
		r.items = &inner
	}
	return r
}

func (r rules) has(name string) bool {
	for _, each := range r.own {
		if each.name == name {
			return true
		}
	}
	return false
}

// refusesEmpty says whether the empty value of the kind breaks a rule, so that it cannot be left out.
func (r rules) refusesEmpty(kind string) bool {
	if r.omitEmpty {
		return false
	}
	for _, each := range r.own {
		switch each.name {
		case "required", "notblank", "email", "url", "http_url", "uuid", "timezone", "currency", "slug", "oneof":
			return true
		case "min", "len", "gte":
			if n, err := strconv.ParseInt(each.param, 10, 64); err == nil && n > 0 {
				return true
			}
		case "gt":
			return kind != "object"
		}
	}
	return false
}

// apply writes the rules into the schema as its keywords; what JSON Schema cannot say is left to the description.
func (r rules) apply(s *Schema) {
	isText := s.Type.Has("string")
	for _, each := range r.own {
		switch each.name {
		case "required":
			if isText && s.Format == "" && s.MinLength == nil {
				s.MinLength = new(int64(1))
			}
		case "notblank":
			s.MinLength = new(int64(1))
			s.Pattern = notBlankPattern
			if r.has("printable") {
				s.Pattern = notBlankLine
			}
		case "printable":
			switch {
			case r.has("notblank"):
			case each.param == "lines":
				s.Pattern = linesPattern
			default:
				s.Pattern = printablePattern
			}
		case "max", "lte", "min", "gte", "len", "gt", "lt":
			r.bound(s, each)
		case "oneof":
			for value := range strings.FieldsSeq(each.param) {
				s.Enum = append(s.Enum, value)
			}
		case "email":
			s.Format = "email"
		case "url", "http_url":
			s.Format = "uri"
		case "uuid":
			s.Format = "uuid"
		case "timezone":
			s.Pattern = zonePattern
		case "currency", "iso4217":
			s.Pattern, s.MinLength, s.MaxLength = currencyPattern, new(int64(3)), new(int64(3))
		case "slug":
			s.Pattern = slugPattern
		case "unique":
			s.UniqueItems = s.Type.Has("array")
		}
	}
	if r.items != nil && s.Items != nil && s.Items.Ref == "" {
		r.items.apply(s.Items)
	}
}

func (r rules) bound(s *Schema, each rule) {
	n, err := strconv.ParseInt(each.param, 10, 64)
	if err != nil {
		return // a bound by another field
	}
	least, most := &s.Minimum, &s.Maximum
	switch {
	case s.Type.Has("string"):
		least, most = &s.MinLength, &s.MaxLength
	case s.Type.Has("array"):
		least, most = &s.MinItems, &s.MaxItems
	case s.Type.Has("object"):
		least, most = new(*int64), &s.MaxProperties
	}
	switch each.name {
	case "max", "lte":
		*most = &n
	case "min", "gte":
		*least = &n
	case "len":
		*least, *most = &n, &n
	case "gt":
		s.ExclusiveMinimum = &n
	case "lt":
		s.ExclusiveMaximum = &n
	}
}

// maxSafe is the greatest whole number that every JSON parser reads exactly: 2^53-1.
const maxSafe = 1<<53 - 1

// harden bounds what is sent and has no bounds of its own by what the API takes at all.
func harden(s *Schema) {
	switch {
	case s.Type.Has("string"):
		switch {
		case s.Enum != nil:
			return
		case s.Format == "uuid":
			s.MinLength, s.MaxLength = new(int64(36)), new(int64(36))
		case s.Format == "date-time":
			s.MaxLength = new(int64(64))
		case s.Format == "date":
			s.MaxLength = new(int64(10))
		case s.Format == "" && s.Pattern == "":
			s.Pattern = anyPattern
		}
	case s.Type.Has("integer"):
		if s.Minimum == nil && s.ExclusiveMinimum == nil {
			s.Minimum = new(int64(-maxSafe))
		}
		if s.Maximum == nil && s.ExclusiveMaximum == nil {
			s.Maximum = new(int64(maxSafe))
		}
	case s.Type.Has("array") && s.Items != nil && s.Items.Ref == "":
		harden(s.Items)
	}
	for _, each := range s.AnyOf {
		harden(each)
	}
}

// PatternNote says in words what a pattern asks for; "" where it keeps out nothing that anybody would write.
func PatternNote(pattern string) string {
	switch pattern {
	case notBlankPattern, notBlankLine:
		return "not blank"
	case slugPattern:
		return "a-z, 0-9 and hyphens"
	case currencyPattern:
		return "ISO 4217"
	case zonePattern:
		return "IANA time zone"
	default:
		return ""
	}
}
