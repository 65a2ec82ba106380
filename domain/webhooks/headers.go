package webhooks

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// The limits of an endpoint's own headers.
const (
	maxHeaders     = 20
	maxHeaderName  = 100
	maxHeaderValue = 2000
)

// reservedHeaders are those that the message, the connection or the client decides about: hop-by-hop (RFC 9110 §7.6.1),
// framing, and what says who speaks.
func reservedHeaders() []string {
	return []string{
		"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect", "host",
		"content-length", "content-type", "content-encoding", "accept-encoding", "user-agent", "forwarded", "via", "date",
	}
}

// isReserved covers the signature's headers too, whoever's they are: a receiver must not take one for the other.
func isReserved(name string) bool {
	name = strings.ToLower(name)
	if slices.Contains(reservedHeaders(), name) {
		return true
	}
	for _, prefix := range []string{"webhook-", "svix-", "proxy-", "sec-", "x-forwarded-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// checkHeaders says what is wrong with an endpoint's own headers: {"X-Team": "billing"}. It never repeats a value.
func checkHeaders(headers map[string]any) []fault.Violation {
	if len(headers) > maxHeaders {
		return []fault.Violation{{Pointer: "/headers", Code: "max", Detail: "has too many headers; at most " + strconv.Itoa(maxHeaders)}}
	}
	var violations []fault.Violation
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		bad := func(code, detail string) {
			violations = append(violations, fault.Violation{
				Pointer: "/headers/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name), Code: code, Detail: detail,
			})
		}
		value, isText := headers[name].(string)
		switch {
		case !isToken(name):
			bad("header", "is no header's name; use letters, digits and hyphens, at most "+strconv.Itoa(maxHeaderName))
		case isReserved(name):
			bad("reserved", "is set by the message itself or by the connection; use a name of your own, such as X-Team")
		case seen[strings.ToLower(name)]:
			bad("unique", "stands twice in different letters; names do not tell small letters from capitals")
		case !isText || value == "" || len(value) > maxHeaderValue || !isFieldValue(value):
			bad("value", "needs a value of 1 to "+strconv.Itoa(maxHeaderValue)+" printable ASCII characters, with no space at its ends")
		}
		seen[strings.ToLower(name)] = true
	}
	return violations
}

// isToken is RFC 9110 §5.6.2.
func isToken(name string) bool {
	const marks = "!#$%&'*+-.^_`|~"
	return name != "" && len(name) <= maxHeaderName && !strings.ContainsFunc(name, func(r rune) bool {
		isLetter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !isLetter && !strings.ContainsRune(marks, r)
	})
}

// isFieldValue is RFC 9110 §5.5 without the obsolete bytes.
func isFieldValue(value string) bool {
	return strings.TrimSpace(value) == value && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' })
}
