package resource

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// settle gives a record's values the form that they will be read back in, so that what is answered for a change is what
// a later read answers, and a repeated change is seen to change nothing: times in UTC to the microsecond, empty lists
// and objects instead of none, numbers inside objects without an exponent.
func (d *Definition) settle(e Entity) {
	record := reflect.ValueOf(e).Elem()
	for i := range d.Fields {
		f := &d.Fields[i]
		v := record.FieldByIndex(f.index)
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				continue
			}
			v = v.Elem()
		}
		if f.Kind == List && v.IsNil() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
			continue
		}
		switch kept := v.Interface().(type) {
		case time.Time:
			v.Set(reflect.ValueOf(kept.UTC().Truncate(time.Microsecond)))
		case []string:
			if kept == nil {
				v.Set(reflect.ValueOf([]string{}))
			}
		case map[string]any:
			if kept == nil {
				v.Set(reflect.ValueOf(map[string]any{}))
			}
			settleNumbers(kept)
		}
	}
}

// settleNumbers rewrites the numbers inside of what was read from JSON, in place where it has elements.
func settleNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = settleNumbers(inner)
		}
		return v
	case []any:
		for i, inner := range v {
			v[i] = settleNumbers(inner)
		}
		return v
	case json.Number:
		return json.Number(plainNumber(string(v)))
	default:
		return v
	}
}

// plainNumber writes a JSON number as PostgreSQL's numeric does: its digits, with neither an exponent nor the sign of a
// zero. What would be absurdly long stays as it is.
func plainNumber(s string) string {
	mantissa, exponent, scaled := strings.Cut(strings.ToLower(s), "e")
	digits, negative := strings.CutPrefix(mantissa, "-")
	if scaled {
		by, err := strconv.Atoi(exponent)
		if err != nil || by > 1000 || by < -1000 {
			return s
		}
		digits = shift(digits, by)
	}
	if negative && strings.Trim(digits, "0.") != "" {
		return "-" + digits
	}
	return digits
}

// shift moves the point of a decimal to the right by so many digits, to the left where they are negative.
func shift(decimal string, by int) string {
	whole, fraction, _ := strings.Cut(decimal, ".")
	if by >= 0 {
		fraction += strings.Repeat("0", max(0, by-len(fraction)))
		whole, fraction = whole+fraction[:by], fraction[by:]
	} else {
		whole = strings.Repeat("0", max(0, 1-by-len(whole))) + whole
		whole, fraction = whole[:len(whole)+by], whole[len(whole)+by:]+fraction
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}
