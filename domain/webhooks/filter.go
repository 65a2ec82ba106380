package webhooks

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// The limits of a filter.
const (
	maxConditions  = 10
	maxAlternates  = 50
	maxPath        = 200
	maxSteps       = 8
	maxFilterValue = 200
)

// checkFilter says what is wrong with a filter: {"data.status": ["paid", "shipped"], "data.currency": "EUR"}.
func checkFilter(filter map[string]any) []fault.Violation {
	var violations []fault.Violation
	bad := func(path, code, detail string) {
		pointer := "/filter"
		if path != "" {
			pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(path)
		}
		violations = append(violations, fault.Violation{Pointer: pointer, Code: code, Detail: detail})
	}
	if len(filter) > maxConditions {
		bad("", "max", "has too many conditions; at most "+strconv.Itoa(maxConditions))
		return violations
	}
	for _, path := range slices.Sorted(maps.Keys(filter)) {
		steps := strings.Split(path, ".")
		if len(path) > maxPath || len(steps) < 2 || len(steps) > maxSteps || steps[0] != "data" || slices.Contains(steps, "") {
			bad(path, "path", "is no path into the payload; write it as data.status or data.custom.color, at most "+
				strconv.Itoa(maxSteps)+" names deep")
			continue
		}
		values := alternates(filter[path])
		if len(values) == 0 || len(values) > maxAlternates {
			bad(path, "values", "needs 1 to "+strconv.Itoa(maxAlternates)+" values, one of which must stand there")
		}
		for _, v := range values {
			text, isText := v.(string)
			if !isScalar(v) || isText && len(text) > maxFilterValue {
				bad(path, "value", "holds a value that is no text (of at most "+strconv.Itoa(maxFilterValue)+" bytes), number, true, false or null")
				break
			}
		}
	}
	return violations
}

// alternates are the values of which one must stand at the path.
func alternates(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func isScalar(v any) bool {
	switch v.(type) {
	case nil, string, bool, json.Number, float64, int64:
		return true
	default:
		return false
	}
}

// PassesFilter says whether an event's data meets each condition of a filter. Where a path leads into a list, one of its
// items has to meet it. Numbers compare by value; what is not there is null.
func PassesFilter(filter map[string]any, data []byte) bool {
	if len(filter) == 0 {
		return true
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var payload any
	if decoder.Decode(&payload) != nil {
		return false
	}
	for path, wanted := range filter {
		steps := strings.Split(path, ".")[1:]
		if !anyAt(payload, steps, func(found any) bool {
			return slices.ContainsFunc(alternates(wanted), func(w any) bool { return equal(w, found) })
		}) {
			return false
		}
	}
	return true
}

// anyAt says whether one of the values at the path is accepted.
func anyAt(v any, steps []string, accepts func(any) bool) bool {
	if list, ok := v.([]any); ok {
		return slices.ContainsFunc(list, func(item any) bool { return anyAt(item, steps, accepts) })
	}
	if len(steps) == 0 {
		return accepts(v)
	}
	object, _ := v.(map[string]any)
	return anyAt(object[steps[0]], steps[1:], accepts)
}

func equal(a, b any) bool {
	x, y := number(a), number(b)
	if x == "" || y == "" {
		return isScalar(a) && isScalar(b) && a == b // an object is equal to nothing; Go would not compare two
	}
	if x == y {
		return true
	}
	const exact = 1 << 53 // up to here a float64 tells whole numbers apart
	f, errF := strconv.ParseFloat(x, 64)
	g, errG := strconv.ParseFloat(y, 64)
	return errF == nil && errG == nil && f == g && f < exact && f > -exact
}

// number is a number as it was written; "" for what is none.
func number(v any) string {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case int64:
		return strconv.FormatInt(v, 10)
	default:
		return ""
	}
}
