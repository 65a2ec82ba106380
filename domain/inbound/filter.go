package inbound

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// Matches says whether a type fits a pattern, in which "*" stands for any text: "invoice.*".
func Matches(pattern, eventType string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(eventType, parts[0])
	if !ok {
		return false
	}
	if len(parts) == 1 {
		return rest == ""
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return strings.HasSuffix(rest, last)
}

// wants says whether the filter lets a type through.
func wants(filter []string, eventType string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(pattern string) bool { return Matches(pattern, eventType) })
}

const (
	maxPatterns = 50
	maxPattern  = 100
)

// normalizeFilter splits what was written with commas, and trims.
func normalizeFilter(filter []string) []string {
	list := []string{}
	for _, item := range filter {
		for pattern := range strings.SplitSeq(item, ",") {
			if pattern = strings.TrimSpace(pattern); !slices.Contains(list, pattern) {
				list = append(list, pattern)
			}
		}
	}
	return list
}

func checkFilter(filter []string) []fault.Violation {
	if len(filter) > maxPatterns {
		return []fault.Violation{{Pointer: "/filter", Code: "max", Detail: fmt.Sprintf("is too long; at most %d", maxPatterns)}}
	}
	var found []fault.Violation
	for i, pattern := range filter {
		isOdd := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
		if pattern == "" || len(pattern) > maxPattern || !utf8.ValidString(pattern) || strings.ContainsFunc(pattern, isOdd) {
			found = append(found, fault.Violation{
				Pointer: fmt.Sprintf("/filter/%d", i), Code: "pattern",
				Detail: fmt.Sprintf("is no pattern of types; write it as invoice.paid or invoice.*, with at most %d bytes and no spaces", maxPattern),
			})
		}
	}
	return found
}
