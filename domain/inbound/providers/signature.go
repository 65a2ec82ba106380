package providers

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// DefaultTolerance is how far a message's timestamp may be from now, before or after.
const DefaultTolerance = 5 * time.Minute

// sum is the HMAC of the parts, one after the other.
func sum(algorithm func() hash.Hash, key string, parts ...[]byte) []byte {
	mac := hmac.New(algorithm, []byte(key))
	for _, part := range parts {
		_, _ = mac.Write(part) // it never fails
	}
	return mac.Sum(nil)
}

// matches says whether one of the signatures is the HMAC of the parts under one of the keys. Every signature is compared
// with every key, each in constant time, so that the time taken tells nothing.
func matches(algorithm func() hash.Hash, keys []string, signatures [][]byte, parts ...[]byte) bool {
	found := false
	for _, key := range keys {
		want := sum(algorithm, key, parts...)
		for _, got := range signatures {
			if hmac.Equal(want, got) {
				found = true
			}
		}
	}
	return found
}

// maxSignatures is how many signatures of one message are looked at.
const maxSignatures = 20

// decode reads a signature: hexadecimal, or base64 with its padding.
func decode(encoding, text string) ([]byte, bool) {
	var (
		b   []byte
		err error
	)
	if encoding == "hex" {
		b, err = hex.DecodeString(text)
	} else {
		b, err = base64.StdEncoding.Strict().DecodeString(text)
	}
	return b, err == nil && len(b) > 0
}

// checkTime refuses a timestamp in seconds that is too far from now, and returns it as a time.
func checkTime(text, what string, tolerance time.Duration, now time.Time) (time.Time, error) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 || seconds > maxUnix {
		return time.Time{}, refuse("%s is no time in seconds", what)
	}
	return time.Unix(seconds, 0).UTC(), checkAge(time.Unix(seconds, 0), what, tolerance, now)
}

// maxUnix is the end of the year 9999.
const maxUnix = 253_402_300_799

func checkAge(at time.Time, what string, tolerance time.Duration, now time.Time) error {
	switch age := now.Sub(at); {
	case age > tolerance:
		return refuse("%s is %s old; at most %s are taken", what, age.Truncate(time.Second), tolerance)
	case -age > tolerance:
		return refuse("%s is %s ahead of this server's clock; at most %s are taken", what, (-age).Truncate(time.Second), tolerance)
	default:
		return nil
	}
}

// checkAnySecret is the rule for secrets whose form is the provider's affair.
func checkAnySecret(secret string) string {
	const least, most = 8, 500
	switch {
	case len(secret) < least || len(secret) > most:
		return "has " + strconv.Itoa(len(secret)) + " bytes; a secret has 8 to 500"
	case !utf8.ValidString(secret) || strings.ContainsAny(secret, "\x00\r\n\t"):
		return "holds characters that no secret has; copy it again, without line breaks"
	case strings.TrimSpace(secret) != secret:
		return "begins or ends with a space; copy it again without"
	default:
		return ""
	}
}

// read reads what it can of a JSON body into dst. A body that is none leaves it as it is: who sent it is proven, and it is kept
// all the same.
func read(body []byte, dst any) {
	_ = json.Unmarshal(body, dst)
}

// timeOf is a time in seconds; zero where there is none, or none that a calendar has.
func timeOf(seconds int64) time.Time {
	if seconds <= 0 || seconds > maxUnix {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// parsedTime is an RFC 3339 time; zero where it is none.
func parsedTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
