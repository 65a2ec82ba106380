package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Operators are those that a filter by the field may have.
func (f *Field) Operators() []Op {
	var ops []Op
	switch f.Kind {
	case Text, ID:
		ops = []Op{Eq, Ne}
	case Boolean:
		ops = []Op{Eq}
	case Integer, Time:
		ops = []Op{Eq, Ne, Gt, Gte, Lt, Lte}
	case TextList:
		return []Op{Any, All}
	case Object:
		return []Op{Eq}
	case List:
		return nil
	}
	if f.Nullable {
		ops = append(ops, Null)
	}
	return ops
}

// parseFilter reads "status", "total_cents[gte]", "tags[any]" or "custom.color" with its value.
func (d *Definition) parseFilter(param, value string) (filter Filter, code, problem string) {
	name, op := param, Eq
	if base, bracket, ok := strings.Cut(param, "["); ok {
		inner, found := strings.CutSuffix(bracket, "]")
		if !found {
			return Filter{}, "unknown_parameter", "is not written as field[operator]"
		}
		name, op = base, Op(inner)
	}
	name, path, isPath := strings.Cut(name, ".")
	f := d.byName[name]
	if f == nil || !f.Filter {
		return Filter{}, "unknown_parameter", fmt.Sprintf("is not known here; filters are: %s",
			strings.Join(d.names(func(f *Field) bool { return f.Filter }), ", "))
	}
	if isPath != (f.Kind == Object) || (isPath && path == "") {
		return Filter{}, "unknown_parameter", "is not written as " + f.example()
	}
	if ops := f.Operators(); !slices.Contains(ops, op) {
		return Filter{}, "operator", fmt.Sprintf("has no operator %q; those of %s are: %s", clip(string(op)), name, join(ops))
	}
	if problem := checkText(path); problem != "" {
		return Filter{}, "value", problem
	}
	filter = Filter{Field: f, Op: op, Path: path}
	if op == Null {
		if value != "true" && value != "false" {
			return Filter{}, "value", "must be true or false"
		}
		filter.Values = []any{value == "true"}
		return filter, "", ""
	}
	texts := splitValues(value)
	if len(texts) > maxFilterValues {
		return Filter{}, "too_many", fmt.Sprintf("has too many values; at most %d", maxFilterValues)
	}
	if len(texts) > 1 && op != Eq && op != Any && op != All {
		return Filter{}, "value", "takes one value; write a comma inside a value as \\,"
	}
	for _, text := range texts {
		v, problem := f.parse(text)
		if problem != "" {
			return Filter{}, "value", problem
		}
		filter.Values = append(filter.Values, v)
	}
	return filter, "", ""
}

func (f *Field) example() string {
	if f.Kind == Object {
		return f.Name + ".key"
	}
	return f.Name
}

func join(ops []Op) string {
	texts := make([]string, len(ops))
	for i, op := range ops {
		texts[i] = string(op)
	}
	return strings.Join(texts, ", ")
}

// splitValues splits at commas; \, is a comma inside a value and \\ a backslash.
func splitValues(s string) []string {
	var values []string
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == ',' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		case s[i] == ',':
			values = append(values, b.String())
			b.Reset()
		default:
			b.WriteByte(s[i])
		}
	}
	return append(values, b.String())
}

// parse reads one value of the field's kind from text; problem says what is wrong with it.
func (f *Field) parse(text string) (value any, problem string) {
	if problem := checkText(text); problem != "" {
		return nil, problem
	}
	switch f.Kind {
	case List:
	case Text:
		if f.Enum != nil && !slices.Contains(f.Enum, text) {
			return nil, fmt.Sprintf("has no value %q; one of: %s", clip(text), strings.Join(f.Enum, ", "))
		}
		return text, ""
	case TextList:
		return text, ""
	case Object:
		return parseCustom(text)
	case Integer:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Sprintf("%q is not a whole number of 64 bits", clip(text))
		}
		return n, ""
	case Boolean:
		if text != "true" && text != "false" {
			return nil, "must be true or false"
		}
		return text == "true", ""
	case Time:
		return parseTime(text)
	case ID:
		id, err := tenancy.ParseID(text)
		if err != nil {
			return nil, fmt.Sprintf("%q is not a UUID", clip(text))
		}
		return id, ""
	}
	return nil, "cannot be filtered"
}

func checkText(text string) (problem string) {
	switch {
	case utf8.RuneCountInString(text) > maxValueLength:
		return fmt.Sprintf("has a value that is too long; at most %d characters", maxValueLength)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return "is not UTF-8 text without NUL"
	default:
		return ""
	}
}

// parseTime reads an RFC 3339 time, or a date, which is its first moment in UTC.
func parseTime(text string) (any, string) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t, err = time.Parse(time.DateOnly, text)
	}
	if err != nil {
		return nil, fmt.Sprintf("%q is not an RFC 3339 time; write it as 2006-01-02T15:04:05Z or 2006-01-02", clip(text))
	}
	if !TimeInRange(t) {
		return nil, "is a time outside of the years 0001 to 9999"
	}
	return t.UTC(), ""
}

// TimeInRange says whether a time can be kept and written as RFC 3339 in UTC: the years 0001 to 9999.
func TimeInRange(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}

// parseCustom gives a value inside an object the JSON type that it reads as: 3 is a number, true a boolean, red a
// string; a string that reads as something else is written in quotes, as in JSON.
func parseCustom(text string) (value any, problem string) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return text, ""
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return text, ""
	}
	switch v := v.(type) {
	case json.Number:
		if !NumberInRange(v) {
			return nil, "is a number out of range"
		}
		return v, ""
	case string:
		return v, checkText(v)
	case bool:
		return v, ""
	default:
		return text, ""
	}
}

// The greatest number inside an object, and the least exponent that one may be written with: beyond them a decimal takes
// absurd space.
const (
	maxNumber   = 1e300
	minExponent = -400
)

// NumberInRange says whether a number can be kept inside an object.
func NumberInRange(n json.Number) bool {
	f, err := n.Float64()
	if err != nil || math.Abs(f) > maxNumber {
		return false
	}
	if at := strings.IndexAny(n.String(), "eE"); at >= 0 {
		exponent, err := strconv.Atoi(n.String()[at+1:])
		return err == nil && exponent >= minExponent
	}
	return true
}

// Position returns where a page ends that ends with this record.
func (q *Query) Position(e Entity) []any {
	values := make([]any, len(q.Sort))
	for i, s := range q.Sort {
		if v := s.Field.Value(e); v != nil {
			values[i] = textOf(v)
		}
	}
	return values
}

// ParsePosition reads what Position, or RankedPosition of a list by rank, wrote, back into values of the fields' kinds.
func (q *Query) ParsePosition(texts []any) ([]any, error) {
	if q.Ranked {
		return q.parseRankedPosition(texts)
	}
	return q.parsePosition(texts)
}

func (q *Query) parsePosition(texts []any) ([]any, error) {
	if len(texts) != len(q.Sort) {
		return nil, fmt.Errorf("a position in this order has %d values, not %d", len(q.Sort), len(texts))
	}
	values := make([]any, len(texts))
	for i, s := range q.Sort {
		if texts[i] == nil {
			if !s.Field.Nullable {
				return nil, fmt.Errorf("%s is never null", s.Field.Name)
			}
			continue
		}
		text, ok := texts[i].(string)
		if !ok {
			return nil, fmt.Errorf("%s is not text", s.Field.Name)
		}
		if s.Field.Kind == Text {
			values[i] = text
			continue
		}
		v, problem := s.Field.parse(text)
		if problem != "" {
			return nil, fmt.Errorf("%s: %s", s.Field.Name, problem)
		}
		values[i] = v
	}
	return values, nil
}
