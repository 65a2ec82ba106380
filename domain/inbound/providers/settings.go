package providers

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is one thing that a source may say about how its provider signs.
type Setting struct {
	Name string
	// Help says what it means, with its unit.
	Help string
	// Default is a string or an int64; what a source leaves out has it.
	Default any
	// OneOf are the only values that a string may have; nil for any.
	OneOf []string
	// Min and Max bound a number.
	Min, Max int64
	// Check says what is wrong with a string, and what would be right; nil checks nothing.
	Check func(value string) string
}

// Settings are a source's, complete and checked.
type Settings map[string]any

// Problem is a setting that is wrong.
type Problem struct{ Name, Code, Detail string }

// Rules is a provider with rules across its settings.
type Rules interface {
	CheckSettings(s Settings) []Problem
}

// Complete checks what a source sets and fills in the rest. Numbers may be of any kind that JSON is read into.
func Complete(p Provider, given map[string]any) (Settings, []Problem) {
	complete, known := Settings{}, map[string]Setting{}
	for _, s := range p.Settings() {
		known[s.Name] = s
		complete[s.Name] = s.Default
	}
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(given)) {
		s, ok := known[name]
		if !ok {
			problems = append(problems, Problem{name, "unknown_field", unknown(p, known)})
			continue
		}
		value, problem := s.read(given[name])
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		complete[name] = value
	}
	if rules, ok := p.(Rules); ok && len(problems) == 0 {
		problems = rules.CheckSettings(complete)
	}
	return complete, problems
}

func unknown(p Provider, known map[string]Setting) string {
	if len(known) == 0 {
		return "is not known; the provider " + p.Name() + " has no settings"
	}
	return "is not known; the settings of " + p.Name() + " are: " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
}

func (s Setting) read(given any) (any, *Problem) {
	bad := func(code, detail string) (any, *Problem) { return nil, &Problem{s.Name, code, detail} }
	if _, isNumber := s.Default.(int64); isNumber {
		n, ok := number(given)
		if !ok || n < s.Min || n > s.Max {
			return bad("range", fmt.Sprintf("must be a whole number from %d to %d", s.Min, s.Max))
		}
		return n, nil
	}
	text, ok := given.(string)
	switch {
	case !ok:
		return bad("type", "must be a string")
	case s.OneOf != nil && !slices.Contains(s.OneOf, text):
		return bad("oneof", "must be one of: "+strings.Join(s.OneOf, ", "))
	case len(text) > maxSetting:
		return bad("max", "is too long; at most "+strconv.Itoa(maxSetting)+" bytes")
	case s.Check != nil && text != "":
		if wrong := s.Check(text); wrong != "" {
			return bad("invalid", wrong)
		}
	}
	return text, nil
}

// maxSetting is how long a setting may be, in bytes.
const maxSetting = 200

func number(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case int:
		return int64(v), true
	case float64:
		return int64(v), float64(int64(v)) == v && v > -1e15 && v < 1e15
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	default:
		return 0, false
	}
}

// text is a setting that is a string.
func (s Settings) text(name string) string {
	v, _ := s[name].(string)
	return v
}

// tolerance is the setting of that name; DefaultTolerance where the provider's settings were never completed.
func (s Settings) tolerance() time.Duration {
	if n, ok := number(s[toleranceName]); ok && n > 0 {
		return time.Duration(n) * time.Second
	}
	return DefaultTolerance
}

const toleranceName = "tolerance_seconds"

func toleranceSetting() Setting {
	return Setting{
		Name: toleranceName, Help: "How far the timestamp may be from this server's clock, before or after, in seconds.",
		Default: int64(DefaultTolerance / time.Second), Min: 10, Max: 3600,
	}
}

// checkHeaderName is the rule for a setting that names a header (RFC 9110, 5.1).
func checkHeaderName(name string) string {
	for _, c := range []byte(name) {
		isToken := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
		if !isToken {
			return "is not the name of a header; write it as X-Signature"
		}
	}
	switch strings.ToLower(name) {
	case "authorization", "cookie", "proxy-authorization", "host", "content-length", "transfer-encoding":
		return "is a header that is never kept; name the one that holds the value"
	}
	return ""
}
