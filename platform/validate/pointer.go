package validate

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// pointerTo turns validator's path of Go names ("Order.Lines[0].Quantity") into a JSON pointer. The path is not enough
// to do so: a map's key may hold any character. So it walks the value along the path. Where it loses its way it returns
// what it found so far.
func pointerTo(value reflect.Value, path string) string {
	if name := value.Type().Name(); name != "" {
		path = strings.TrimPrefix(path, name+".")
	}
	pointer, _ := walk(value, path, "")
	return pointer
}

// walk follows path from value, which stands at pointer, and says whether it came to the end.
func walk(value reflect.Value, path, pointer string) (string, bool) {
	if path == "" {
		return pointer, true
	}
	value = indirect(value)
	switch value.Kind() {
	case reflect.Struct:
		path = strings.TrimPrefix(path, ".")
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		field, ok := value.Type().FieldByName(path[:end])
		if !ok || len(field.Index) != 1 {
			return pointer, false
		}
		return walk(value.FieldByIndex(field.Index), path[end:], pointer+segment(field))
	case reflect.Slice, reflect.Array:
		index, rest, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
		i, err := strconv.Atoi(index)
		if !ok || err != nil || i < 0 || i >= value.Len() {
			return pointer, false
		}
		return walk(value.Index(i), rest, pointer+"/"+index)
	case reflect.Map:
		for _, key := range value.MapKeys() {
			rest, ok := strings.CutPrefix(path, fmt.Sprintf("[%v]", key))
			if !ok {
				continue
			}
			if found, ok := walk(value.MapIndex(key), rest, pointer+"/"+escape(keyText(key))); ok {
				return found, true
			}
		}
	}
	return pointer, false
}

// segment is what a field adds to a pointer: nothing where JSON takes it for a part of the outer struct.
func segment(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	switch {
	case name != "" && name != "-":
		return "/" + escape(name)
	case field.Anonymous:
		return ""
	default:
		return "/" + escape(field.Name)
	}
}

// escape writes a name as a part of a pointer (RFC 6901, section 3).
func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

func keyText(key reflect.Value) string {
	if key.Kind() == reflect.String {
		return key.String()
	}
	return fmt.Sprint(key)
}

// indirect follows pointers and interfaces; the zero Value stands for nil.
func indirect(value reflect.Value) reflect.Value {
	for value.Kind() == reflect.Pointer || value.Kind() == reflect.Interface {
		value = value.Elem()
	}
	return value
}
