package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
)

const redacted = "[redacted]"

// The shapes that secrets have wherever they stand.
var (
	// header.payload.signature in base64url, the header beginning with {"
	jsonWebToken = regexp.MustCompile(`\beyJ[\w-]{4,}\.[\w-]{4,}\.[\w-]*`)
	// our own tokens: a prefix that says what it is, then the secret
	ownToken = regexp.MustCompile(`\b(gw_[a-z0-9]+_)[0-9A-Za-z]{16,}`)
	// webhook secrets, Stripe's and GitHub's keys
	foreignKey = regexp.MustCompile(`\b(whsec_|(?:sk|rk)_(?:live|test)_|gh[opsur]_|github_pat_)[\w+/=-]{8,}`)
	// what stands before the @ of a URL; a password that was not escaped may hold / and @
	databaseURL = regexp.MustCompile(`\b(postgres(?:ql)?|rediss?|smtps?|amqps?|mysql)://[^\s"'@]*@(?:[^\s"'/]*@)?`)
	anyURL      = regexp.MustCompile(`\b([a-zA-Z][a-zA-Z0-9+.-]*)://[^\s/?#@"']+@`)
	// Authorization values
	credentials = regexp.MustCompile(`\b([Bb]earer|[Bb]asic)\s+[\w.~+/=-]{16,}`)
	// password=…, ?token=…, "secret": "…"
	assignment = regexp.MustCompile(`(?i)\b([\w-]*(?:password|passwd|secret|token|api_?key|master_key))(=|\\?"\s*:\s*\\?")[^\s&"'\\]+`)
	privateKey = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`)
)

// Redact returns s without what has the shape of a secret: tokens, keys, passwords in URLs.
func Redact(s string) string {
	// Most lines hold nothing of the kind: a look for a telling part is far cheaper than the expressions.
	if strings.Contains(s, "eyJ") {
		s = jsonWebToken.ReplaceAllString(s, redacted)
	}
	if strings.Contains(s, "_") {
		s = ownToken.ReplaceAllString(s, "${1}"+redacted)
		s = foreignKey.ReplaceAllString(s, "${1}"+redacted)
	}
	if strings.Contains(s, "://") && strings.Contains(s, "@") {
		s = databaseURL.ReplaceAllString(s, "${1}://"+redacted+"@")
		s = anyURL.ReplaceAllString(s, "${1}://"+redacted+"@")
	}
	if strings.Contains(s, "earer ") || strings.Contains(s, "asic ") {
		s = credentials.ReplaceAllString(s, "${1} "+redacted)
	}
	if strings.Contains(s, "=") || strings.Contains(s, `"`) {
		s = assignment.ReplaceAllString(s, "${1}${2}"+redacted)
	}
	if strings.Contains(s, "PRIVATE KEY") {
		s = privateKey.ReplaceAllString(s, redacted)
	}
	return s
}

// isSensitive says whether the name of a field promises a secret: refresh_token, ClientSecret, Set-Cookie. The id or
// the type of a secret is none.
func isSensitive(name string) bool {
	name = strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(name), "_", ""), "-", "")
	for _, harmless := range [...]string{"id", "ids", "type", "count"} {
		if strings.HasSuffix(name, harmless) {
			return false
		}
	}
	for _, word := range [...]string{
		"password", "passwd", "passphrase", "secret", "token", "authorization", "cookie", "credential",
		"apikey", "masterkey", "privatekey", "signingkey", "databaseurl", "redisurl", "recoverycode",
	} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return name == "dsn" || name == "otp"
}

func redactField(name string, value any) any {
	if !isSensitive(name) {
		return redactValue(value)
	}
	if v := reflect.ValueOf(value); !v.IsValid() || v.IsZero() {
		return value // that a secret is missing is worth knowing
	}
	return redacted
}

// redactValue returns the value as it may be logged. What is not plain is turned into what JSON makes of it, so that
// fields inside it are found by name.
func redactValue(value any) any {
	switch v := value.(type) {
	case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64, time.Time, json.Number:
		return v
	case string:
		return Redact(v)
	case error:
		return Redact(v.Error())
	case time.Duration:
		return v.String()
	case []byte:
		return Redact(string(v))
	case fmt.Stringer:
		if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && p.IsNil() {
			return nil
		}
		return Redact(v.String())
	case map[string]any:
		clean := make(map[string]any, len(v))
		for name, inner := range v {
			clean[name] = redactField(name, inner)
		}
		return clean
	case []any:
		clean := make([]any, len(v))
		for i, inner := range v {
			clean[i] = redactValue(inner)
		}
		return clean
	default:
		return redactStructure(v)
	}
}

func redactStructure(value any) any {
	encoded, err := json.Marshal(value)
	if err != nil {
		return Redact(fmt.Sprint(value))
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var plain any
	if err = decoder.Decode(&plain); err != nil {
		return Redact(string(encoded))
	}
	return redactValue(plain)
}
