// Package validation turns broken rules into sentences that say the way out.
//
// The rules stand in `validate` tags, in the vocabulary of go-playground/validator; what evaluates them is given from
// outside, so that the domain knows the rules and no library. Services call Check; transports render what it returns.
package validation

import (
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// Validator reports each rule that value breaks: where (an RFC 6901 pointer), which rule and its parameter.
type Validator interface {
	Validate(value any, report func(pointer, rule, param string))
}

// Check returns nil, or a fault with one violation for each broken rule.
func Check(v Validator, value any) error {
	if violations := Violations(v, value); len(violations) > 0 {
		return fault.Values(violations...)
	}
	return nil
}

// Violations returns the rules that value breaks.
func Violations(v Validator, value any) []fault.Violation {
	var found []fault.Violation
	v.Validate(value, func(pointer, rule, param string) {
		found = append(found, fault.Violation{Pointer: pointer, Code: rule, Detail: sentence(rule, param)})
	})
	return found
}

func sentence(rule, param string) string {
	switch rule {
	case "required", "notblank":
		return "is required; give a value"
	case "max", "lte":
		return "is too long or too large; at most " + param
	case "min", "gte":
		return "is too short or too small; at least " + param
	case "gt":
		return "must be greater than " + param
	case "lt":
		return "must be less than " + param
	case "len":
		return "must have a length of exactly " + param
	case "oneof":
		return "must be one of: " + strings.Join(strings.Fields(param), ", ")
	case "email":
		return "is not an e-mail address; write it as name@example.com"
	case "url", "http_url":
		return "is not an absolute URL; write it as https://example.com/path"
	case "timezone":
		return "is not an IANA time zone; write it as Europe/Berlin"
	case "currency", "iso4217":
		return "is not an ISO 4217 currency; write it as EUR"
	case "unique":
		return "holds a value twice; each may stand once"
	case "printable":
		return "holds control characters; remove them"
	case "slug":
		return "must hold only a-z, 0-9 and hyphens"
	default:
		return "breaks the rule " + strings.TrimSuffix(rule+"="+param, "=")
	}
}
