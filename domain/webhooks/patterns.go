package webhooks

import (
	"slices"
	"strconv"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// everything is the pattern of all types.
const everything = "*"

// Matches says whether a pattern covers an event's type: "*" all, "order.*" those of orders, else the type itself. A
// test is covered by none: it goes to the endpoint that it tests.
func Matches(pattern, eventType string) bool {
	if eventType == TypeTest {
		return false
	}
	if prefix, ok := strings.CutSuffix(pattern, ".*"); ok {
		return strings.HasPrefix(eventType, prefix+".")
	}
	return pattern == everything || pattern == eventType
}

// checkPatterns holds patterns to the types that there are.
func checkPatterns(patterns, known []string, pointer string) []fault.Violation {
	var violations []fault.Violation
	for i, pattern := range patterns {
		isKnown := slices.ContainsFunc(known, func(t string) bool { return Matches(pattern, t) })
		if pattern != everything && !isKnown {
			violations = append(violations, fault.Violation{
				Pointer: pointer + "/" + strconv.Itoa(i), Code: "event_type",
				Detail: "covers no type of event; write *, a group such as customer.*, or one of: " + strings.Join(known, ", "),
			})
		}
	}
	return violations
}
