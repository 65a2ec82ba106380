package transfers

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// Format is how a file writes what it holds; zero values mean what is said of each. What a sheet of XLSX keeps as a number
// or a date is read as such, whatever the format says.
type Format struct {
	// Separator stands between the columns of CSV: one of , ; | or a tab; "" is whichever the first row has.
	Separator string `json:"separator,omitempty" doc:"What separates the columns of CSV: , ; | or a tab; found out where it is left out." example:";"`
	// Encoding is "utf-8", "utf-16" or "windows-1252"; "" is what the file's first bytes say, else UTF-8.
	Encoding string `json:"encoding,omitempty" doc:"utf-8, utf-16 or windows-1252; where it is left out, a byte order mark decides, else it is utf-8." example:"windows-1252"`
	// Decimal is what stands before the fraction; "" is ".".
	Decimal string `json:"decimal,omitempty" doc:"What stands before a number's fraction: . or a comma; . where it is left out." example:","`
	// Thousands groups digits by three; "" is none.
	Thousands string `json:"thousands,omitempty" doc:"What groups a number's digits by three: . , ' or a space; none where it is left out." example:"."`
	// Date is a pattern of YYYY, MM, DD, HH, mm and ss, beside which ISO 8601 is always read.
	Date string `json:"date,omitempty" doc:"How dates are written, with YYYY, MM, DD, HH, mm and ss; ISO 8601 is always read." example:"DD.MM.YYYY"`
	// TimeZone is that of times which name none; "" is UTC.
	TimeZone string `json:"time_zone,omitempty" doc:"The IANA time zone of times that name none; UTC where it is left out." example:"Europe/Berlin"`
}

// locale is a format, ready to read with.
type locale struct {
	decimal, thousands string
	layouts            []string
	zone               *time.Location
}

// check reads the format, and says what is wrong with it.
func (f Format) check() (locale, []fault.Violation) {
	var found []fault.Violation
	among := func(name, value string, allowed ...string) {
		if value != "" && !slices.Contains(allowed, value) {
			found = append(found, fault.Violation{
				Pointer: "/format/" + name, Code: "oneof", Detail: "must be one of: " + strings.Join(quoted(allowed), " "),
			})
		}
	}
	among("separator", f.Separator, ",", ";", "|", "\t")
	among("encoding", f.Encoding, utf8Encoding, utf16Encoding, windows1252)
	among("decimal", f.Decimal, ".", ",")
	among("thousands", f.Thousands, ".", ",", "'", " ")
	l := locale{decimal: f.Decimal, thousands: f.Thousands, zone: time.UTC}
	if l.decimal == "" {
		l.decimal = "."
	}
	if l.decimal == l.thousands {
		found = append(found, fault.Violation{Pointer: "/format/thousands", Code: "range", Detail: "cannot be what stands before the fraction, too"})
	}
	if f.TimeZone != "" {
		zone, err := time.LoadLocation(f.TimeZone)
		if err != nil || f.TimeZone == "Local" {
			found = append(found, fault.Violation{Pointer: "/format/time_zone", Code: "timezone", Detail: "is not an IANA time zone; write it as Europe/Berlin"})
		} else {
			l.zone = zone
		}
	}
	layouts, ok := layoutsOf(f.Date)
	if !ok {
		found = append(found, fault.Violation{
			Pointer: "/format/date", Code: "format", Detail: "must hold YYYY, MM and DD, and may hold HH, mm and ss; write it as DD.MM.YYYY or MM/DD/YYYY HH:mm",
		})
	}
	l.layouts = layouts
	return l, found
}

func quoted(texts []string) []string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = strconv.Quote(text)
	}
	return all
}

// layoutsOf makes Go's layouts of a pattern, and adds the forms of ISO 8601.
func layoutsOf(pattern string) ([]string, bool) {
	iso := []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02 15:04:05Z07:00"}
	if pattern == "" {
		return iso, true
	}
	if len(pattern) > 40 || strings.Count(pattern, "YYYY") != 1 || strings.Count(pattern, "MM") != 1 || strings.Count(pattern, "DD") != 1 {
		return nil, false
	}
	if strings.Trim(regexp.MustCompile(`YYYY|MM|DD|HH|mm|ss`).ReplaceAllString(pattern, ""), " .,:/-T") != "" {
		return nil, false
	}
	layout := strings.NewReplacer("YYYY", "2006", "MM", "1", "DD", "2", "HH", "15", "mm", "04", "ss", "05").Replace(pattern)
	own := []string{layout}
	if !strings.Contains(pattern, "HH") {
		own = append(own, layout+" 15:04", layout+" 15:04:05")
	}
	return append(own, iso...), true
}

// time reads a time; one that names no zone is of the locale's.
func (l locale) time(text string) (time.Time, bool) {
	for _, layout := range l.layouts {
		if t, err := time.ParseInLocation(layout, text, l.zone); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// exactLocale is how what a sheet keeps as numbers and dates is written down.
func exactLocale(zone *time.Location) locale {
	layouts, _ := layoutsOf("")
	return locale{decimal: ".", layouts: layouts, zone: zone}
}

// integer reads a decimal as a whole number of its places: "1.234,5" of scale 2 is 123450.
func (l locale) integer(text string, scale int) (int64, error) {
	negative := false
	digits := text
	if rest, ok := strings.CutPrefix(digits, "-"); ok {
		negative, digits = true, rest
	} else {
		digits = strings.TrimPrefix(digits, "+")
	}
	whole, fraction, _ := strings.Cut(digits, l.decimal)
	whole, grouped := l.ungroup(whole)
	if !grouped || whole == "" || !isDigits(whole) || !isDigits(fraction) || strings.HasSuffix(digits, l.decimal) {
		return 0, fmt.Errorf("is no number; write it as %s", l.example(scale))
	}
	kept := strings.TrimRight(fraction, "0")
	if len(kept) > scale {
		if scale == 0 {
			return 0, fmt.Errorf("must be a whole number")
		}
		return 0, fmt.Errorf("has more than %d decimal places", scale)
	}
	if negative {
		whole = "-" + whole
	}
	n, err := strconv.ParseInt(whole+kept+strings.Repeat("0", scale-len(kept)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("is too large a number")
	}
	return n, nil
}

func (l locale) example(scale int) string {
	if scale == 0 {
		return "1234"
	}
	return "1234" + l.decimal + strings.Repeat("5", min(scale, 2))
}

// ungroup takes the separators of thousands out of digits; ok is false where they do not stand at each third.
func (l locale) ungroup(digits string) (string, bool) {
	if l.thousands == "" {
		return digits, true
	}
	if l.thousands == " " { // spreadsheets write ones that do not break
		digits = strings.NewReplacer("\u00a0", " ", "\u202f", " ").Replace(digits)
	}
	groups := strings.Split(digits, l.thousands)
	for i, group := range groups {
		if i > 0 && len(group) != 3 || i == 0 && len(groups) > 1 && (group == "" || len(group) > 3) {
			return "", false
		}
	}
	return strings.Join(groups, ""), true
}

func isDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }
