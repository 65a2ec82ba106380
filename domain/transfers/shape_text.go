package transfers

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// TextOf is a JSON value as it would stand in a cell: null is "", and lists and objects are JSON.
func TextOf(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return plainInteger(v.String())
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return ""
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// plainInteger writes a whole number without the exponent and the zeros behind the point that some senders give it: 1.0 and 1e3
// are codes and amounts like 1 and 1000. Others stay as they were sent.
func plainInteger(number string) string {
	if strings.Trim(number, "-0123456789") == "" {
		return number
	}
	const most = 1 << 53 // what is larger a float does not hold exactly
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != float64(int64(f)) || f >= most || f <= -most {
		return number
	}
	return strconv.FormatInt(int64(f), 10)
}

// unfit says what is wrong with a value as such: one that holds a NUL, and an object or a list where the mapping wants a
// single value; nil where nothing is.
func (s *Shape) unfit(column int, value any, text string) *problem {
	name := s.columns[column]
	if strings.IndexByte(text, 0) >= 0 {
		return &problem{column: name, code: "printable", reason: "holds a NUL, which cannot be kept"}
	}
	_, isObject := value.(map[string]any)
	_, isList := value.([]any)
	if !isObject && !isList {
		return nil
	}
	for i := range s.batcher.targets {
		t := &s.batcher.targets[i]
		for _, at := range t.at {
			if at == column && t.key == "" && !mayBe(t.field.Kind, isList) {
				return &problem{column: name, code: "type", reason: "is an object or a list; map one value inside of it, such as " + name + ".0 or " + name + ".name"}
			}
		}
	}
	return nil
}

// mayBe says whether a field takes an object, or a list.
func mayBe(kind resource.Kind, isList bool) bool {
	switch kind {
	case resource.TextList, resource.List:
		return isList
	case resource.Object:
		return !isList
	case resource.Text, resource.Integer, resource.Boolean, resource.Time, resource.ID:
	}
	return false
}
