package passwords

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The lengths that a password may have, in characters (code points). There are no rules about what kind they are of.
const (
	MinLength = 8
	MaxLength = 256
)

// commonList has a password a line, in lower case.
//
//go:embed common.txt
var commonList string

// Check says what is wrong with a password that somebody wants, as the rest of a sentence about it, or "". about is
// what it must not be: their name, their e-mail address, its part before the @, whatever the case and the space.
func Check(password string, about ...string) string {
	length := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password):
		return "is not text in UTF-8"
	case length < MinLength:
		return fmt.Sprintf("is too short; use at least %d characters", MinLength)
	case length > MaxLength:
		return fmt.Sprintf("is too long; use at most %d characters", MaxLength)
	case isCommon(password):
		return "is one of those that attackers try first; choose another one"
	case isAbout(password, about):
		return "is your name or your e-mail address; choose another one"
	default:
		return ""
	}
}

func isCommon(password string) bool {
	// The list is short and this is rare: a search takes microseconds, the hash that follows milliseconds.
	if strings.Contains(commonList, "\n"+strings.ToLower(password)+"\n") {
		return true
	}
	first, _ := utf8.DecodeRuneInString(password)
	return strings.Trim(password, string(first)) == "" // one character over and over
}

func isAbout(password string, about []string) bool {
	password = squeeze(password)
	for _, fact := range about {
		local, _, isAddress := strings.Cut(fact, "@")
		if password == squeeze(fact) || (isAddress && password == squeeze(local)) {
			return true
		}
	}
	return false
}

// squeeze takes case and white space away.
func squeeze(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), "")) }
