package connectors

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// Value finds a value in JSON by a path: "address.city", "emails.0.value", "data.-1.id" for the last of a list. A key that
// has points in it is found by its very name. found is false where nothing stands there, or null.
func Value(in any, path string) (value any, found bool) {
	if path == "" {
		return in, in != nil
	}
	switch in := in.(type) {
	case map[string]any:
		if v, ok := in[path]; ok {
			return v, v != nil
		}
		for at := strings.IndexByte(path, '.'); at >= 0; {
			if inner, ok := in[path[:at]]; ok {
				if v, found := Value(inner, path[at+1:]); found {
					return v, true
				}
			}
			next := strings.IndexByte(path[at+1:], '.')
			if next < 0 {
				break
			}
			at += 1 + next
		}
	case []any:
		first, rest, _ := strings.Cut(path, ".")
		n, err := strconv.Atoi(first)
		if n < 0 {
			n += len(in)
		}
		if err == nil && n >= 0 && n < len(in) {
			return Value(in[n], rest)
		}
	}
	return nil, false
}

// Text is a value as an import would find it in a cell: what is not there is "", and lists and objects are JSON.
func Text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return plain(v.String())
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return ""
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// plain writes a whole number without the exponent and the zeros behind the point that some senders give it: 1.0 and 1e3
// are codes and amounts like 1 and 1000. Others stay as they were sent.
func plain(number string) string {
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
