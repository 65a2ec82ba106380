package validate

import (
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // the zones are the same on every machine, and are there where none are installed
	"unicode"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"
)

// currencies are the codes of ISO 4217 without metals, units of account, and those for tests and for no currency.
const currencies = "iso4217,ne=XXX,ne=XTS,ne=XAU,ne=XAG,ne=XPD,ne=XPT,ne=XBA,ne=XBB,ne=XBC,ne=XBD,ne=XDR,ne=XSU,ne=XUA"

var (
	// An area keeps out what only some machines have: posix/…, localtime, EST5EDT.
	zoneName = regexp.MustCompile(`^(?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Etc|Europe|Indian|Pacific)/[A-Za-z0-9_+/-]+$`)
	slug     = regexp.MustCompile(`^[a-z0-9]+(?:-[a-z0-9]+)*$`)
)

func isTimeZone(fl validator.FieldLevel) bool {
	name := fl.Field().String()
	if name == "UTC" {
		return true
	}
	if !zoneName.MatchString(name) {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}

func isSlug(fl validator.FieldLevel) bool { return slug.MatchString(fl.Field().String()) }

func isNotBlank(fl validator.FieldLevel) bool {
	return strings.TrimFunc(fl.Field().String(), func(r rune) bool { return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' }) != ""
}

func isPrintable(fl validator.FieldLevel) bool {
	text, lines := fl.Field().String(), fl.Param() == "lines"
	if !utf8.ValidString(text) {
		return false
	}
	return strings.IndexFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && (!lines || (r != '\n' && r != '\r' && r != '\t'))
	}) < 0
}
