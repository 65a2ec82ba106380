package files

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// MaxName is how long a file's name may be, in bytes of UTF-8: what file systems take.
const MaxName = 255

// CleanName makes a name of what was sent: the last part of a path, in valid UTF-8, without control characters and
// without what turns the direction of writing (by which "exe.gpj" reads as a picture). A longer one is cut before its
// extension. Where nothing is left, it is a fault at /file.
func CleanName(sent string) (string, error) {
	name := strings.ToValidUTF8(sent, "\uFFFD")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		if isHidden(r) {
			return -1
		}
		return r
	}, name)
	name = strings.Join(strings.Fields(name), " ")
	name = strings.TrimRight(shorten(name), ". ") // Windows takes them off, and ".." is no name
	if name == "" {
		return "", fault.Values(fault.Violation{
			Pointer: "/file", Code: "filename", Detail: `has no usable name; send one, such as filename="customers.csv"`,
		})
	}
	return name, nil
}

// isHidden says whether a character has no place in a name: controls, and formats that change how others are shown.
func isHidden(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
		return false // a space, by strings.Fields
	case r == '\u200c' || r == '\u200d':
		return false // joiners, which scripts and emoji are written with
	default:
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs)
	}
}

func shorten(name string) string {
	if len(name) <= MaxName {
		return name
	}
	extension := ""
	if dot := strings.LastIndexByte(name, '.'); dot > 0 && len(name)-dot <= 20 {
		extension = name[dot:]
	}
	end := MaxName - len(extension)
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end] + extension
}
