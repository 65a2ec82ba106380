package connectors

import (
	"strconv"
	"strings"
)

// Value finds a value in JSON by a path: "address.city", "emails.0.value", "data.-1.id" for the last of a list. A key that
// has points in it is found by its very name. found is false where nothing stands there; a null is nil, and found.
func Value(in any, path string) (value any, found bool) {
	if path == "" {
		return in, true
	}
	switch in := in.(type) {
	case map[string]any:
		if v, ok := in[path]; ok {
			return v, true
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
