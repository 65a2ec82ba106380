package rest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// settings are how a source is read.
type settings struct {
	// records is the path of the list of records in an answer; "" where the answer is the list.
	records string
	// paging is "none", "page", "offset", "cursor" or "link".
	paging string
	// param is the query's parameter that says which page; first is the number of the first page.
	param string
	first int64
	// sizeParam asks for size records a page; "" asks for none.
	sizeParam string
	size      int64
	// next is the path of the next cursor, or of the next page's URL; "" is the Link header.
	next string
	// more is the path of a boolean that says whether there are more pages; "" for none.
	more string
	// sinceParam asks for what has changed since a time; "" cannot be asked for. sinceFormat is "rfc3339" or "unix".
	sinceParam, sinceFormat string
}

// The ways to page.
const (
	pagingNone   = "none"
	pagingPage   = "page"
	pagingOffset = "offset"
	pagingCursor = "cursor"
	pagingLink   = "link"
)

const (
	maxName = 200
	maxSize = 10_000
)

// Complete checks the settings and fills in what was left out.
func (k *Kind) Complete(given map[string]any) (map[string]any, []fault.Violation) {
	s, found := read(given)
	return map[string]any{
		"records": s.records, "paging": s.paging, "param": s.param, "first": s.first, "size_param": s.sizeParam, "size": s.size,
		"next": s.next, "more": s.more, "since_param": s.sinceParam, "since_format": s.sinceFormat,
	}, found
}

// read reads settings, and says what is wrong with them.
func read(given map[string]any) (settings, []fault.Violation) {
	s := settings{paging: pagingNone, first: 1, size: 100, sinceFormat: "rfc3339"}
	var found []fault.Violation
	bad := func(name, code, detail string) {
		pointer := "/settings/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		found = append(found, fault.Violation{Pointer: pointer, Code: code, Detail: detail})
	}
	texts := map[string]*string{
		"records": &s.records, "paging": &s.paging, "param": &s.param, "size_param": &s.sizeParam, "next": &s.next, "more": &s.more,
		"since_param": &s.sinceParam, "since_format": &s.sinceFormat,
	}
	numbers := map[string]*int64{"first": &s.first, "size": &s.size}
	known := slices.Sorted(maps.Keys(texts))
	known = slices.Sorted(slices.Values(append(known, slices.Collect(maps.Keys(numbers))...)))
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		text, number := texts[name], numbers[name]
		switch {
		case text == nil && number == nil:
			bad(name, "unknown_field", "is not known here; the fields are: "+strings.Join(known, ", "))
		case value == nil: // is left out
		case text != nil:
			if !readText(text, value) {
				bad(name, "type", fmt.Sprintf("must be a text of at most %d characters, without control characters", maxName))
			}
		case !readNumber(number, value):
			bad(name, "type", "must be a whole number")
		}
	}
	s.check(bad)
	return s, found
}

func (s *settings) check(bad func(name, code, detail string)) {
	all := []string{pagingNone, pagingPage, pagingOffset, pagingCursor, pagingLink}
	if !slices.Contains(all, s.paging) {
		bad("paging", "oneof", "must be one of: "+strings.Join(all, ", "))
	}
	if s.param == "" && s.paging != pagingNone && s.paging != pagingLink {
		s.param = s.paging
	}
	if s.first != 0 && s.first != 1 {
		bad("first", "oneof", "must be 0 or 1: the number of the first page")
	}
	if s.size < 1 || s.size > maxSize {
		bad("size", "range", "must be 1 to "+strconv.Itoa(maxSize))
	}
	if s.paging == pagingCursor && s.next == "" {
		bad("next", "required", `is required: where an answer holds the next cursor, such as "meta.next_cursor" or "data.-1.id"`)
	}
	if s.sinceFormat != "rfc3339" && s.sinceFormat != "unix" {
		bad("since_format", "oneof", "must be one of: rfc3339, unix")
	}
}

func readText(into *string, value any) bool {
	text, ok := value.(string)
	if !ok || len(text) > maxName || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return false
	}
	*into = strings.TrimSpace(text)
	return true
}

// readNumber reads a number as any reader of JSON leaves it.
func readNumber(into *int64, value any) bool {
	n, err := strconv.ParseInt(fmt.Sprint(value), 10, 64)
	if _, isText := value.(string); isText || err != nil {
		return false
	}
	*into = n
	return true
}
