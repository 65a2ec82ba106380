package body

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Decode reads a JSON object into the struct that dst points to. Fields that the struct does not have, or that its tags
// mark as read-only, are violations.
func Decode(data []byte, dst any) error {
	return bindInto(data, dst, binder{})
}

// Merge applies an RFC 7396 merge patch to the struct that dst points to: null clears a field, an object merges into an
// object, everything else replaces.
func Merge(data []byte, dst any) error {
	return bindInto(data, dst, binder{patch: true})
}

func bindInto(data []byte, dst any, b binder) error {
	v, err := parse(data)
	if err != nil {
		return err
	}
	o, ok := v.(*object)
	if !ok {
		return malformed("The body is JSON, but not an object; send an object.")
	}
	return b.bind(o, dst)
}

func (b *binder) bind(o *object, dst any) error {
	b.violations = nil
	b.object(reflect.ValueOf(dst).Elem(), o, "")
	if len(b.violations) > 0 {
		return fault.Values(b.violations...)
	}
	return nil
}

type binder struct {
	patch bool
	// history lets fields be set that are brought in with a record's past.
	history    bool
	violations []fault.Violation
}

// maxViolations bounds an answer: the first hundred mistakes are enough to start with.
const maxViolations = 100

func (b *binder) bad(pointer, code, detail string) {
	if len(b.violations) < maxViolations {
		b.violations = append(b.violations, fault.Violation{Pointer: pointer, Code: code, Detail: detail})
	}
}

// object binds an object's members to a struct's fields.
func (b *binder) object(dst reflect.Value, o *object, pointer string) {
	fields := fieldsOf(dst.Type())
	for _, key := range o.keys {
		at := join(pointer, key)
		f, ok := fields[key]
		switch {
		case !ok:
			names := slices.Sorted(maps.Keys(fields))
			names = slices.DeleteFunc(names, func(n string) bool { return fields[n].readOnly })
			b.bad(at, "unknown_field", "is not known here; the fields are: "+strings.Join(names, ", "))
		case f.backfill && !b.history:
			b.bad(at, "read_only", "is set by acts on the record; history comes in by bulk or import, with the permission to backfill")
		case f.readOnly:
			b.bad(at, "read_only", "is set by the server; leave it out")
		default:
			b.value(dst.FieldByIndex(f.index), o.values[key], at)
		}
	}
}

func (b *binder) value(dst reflect.Value, v any, pointer string) {
	if v == nil {
		switch dst.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			dst.SetZero()
		default:
			b.bad(pointer, "null", "cannot be null")
		}
		return
	}
	if dst.Kind() == reflect.Pointer {
		fresh := reflect.New(dst.Type().Elem())
		if !dst.IsNil() && fresh.Elem().Kind() == reflect.Struct {
			fresh.Elem().Set(dst.Elem())
		}
		b.value(fresh.Elem(), v, pointer)
		dst.Set(fresh)
		return
	}
	switch dst.Interface().(type) {
	case time.Time:
		b.time(dst, v, pointer)
		return
	case tenancy.ID:
		b.id(dst, v, pointer)
		return
	case map[string]any:
		b.custom(dst, v, pointer)
		return
	}
	switch dst.Kind() {
	case reflect.String:
		if s, ok := v.(string); ok {
			dst.SetString(s)
			return
		}
		b.wrongType(pointer, "a string", v)
	case reflect.Bool:
		if t, ok := v.(bool); ok {
			dst.SetBool(t)
			return
		}
		b.wrongType(pointer, "true or false", v)
	case reflect.Int, reflect.Int64:
		b.integer(dst, v, pointer)
	case reflect.Struct:
		if o, ok := v.(*object); ok {
			b.object(dst, o, pointer)
			return
		}
		b.wrongType(pointer, "an object", v)
	case reflect.Slice:
		b.list(dst, v, pointer)
	default:
		panic(fmt.Sprintf("body: %s cannot be read from JSON", dst.Type()))
	}
}

func (b *binder) integer(dst reflect.Value, v any, pointer string) {
	n, ok := v.(json.Number)
	if !ok {
		b.wrongType(pointer, "a whole number", v)
		return
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil {
		b.bad(pointer, "integer", "must be a whole number of 64 bits, without fraction or exponent")
		return
	}
	dst.SetInt(i)
}

func (b *binder) time(dst reflect.Value, v any, pointer string) {
	s, ok := v.(string)
	if !ok {
		b.wrongType(pointer, "an RFC 3339 time", v)
		return
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || !resource.TimeInRange(t) {
		b.bad(pointer, "time", "must be an RFC 3339 time of the years 0001 to 9999; write it as 2006-01-02T15:04:05Z")
		return
	}
	dst.Set(reflect.ValueOf(t.UTC().Truncate(time.Microsecond)))
}

func (b *binder) id(dst reflect.Value, v any, pointer string) {
	s, ok := v.(string)
	if !ok {
		b.wrongType(pointer, "a UUID", v)
		return
	}
	id, err := tenancy.ParseID(s)
	if err != nil {
		b.bad(pointer, "uuid", "is not a UUID")
		return
	}
	dst.Set(reflect.ValueOf(id))
}

func (b *binder) list(dst reflect.Value, v any, pointer string) {
	items, ok := v.([]any)
	if !ok {
		b.wrongType(pointer, "a list", v)
		return
	}
	list := reflect.MakeSlice(dst.Type(), len(items), len(items))
	for i, item := range items {
		b.value(list.Index(i), item, pointer+"/"+strconv.Itoa(i))
	}
	dst.Set(list)
}

// custom binds a free object; a patch merges into the one that is there.
func (b *binder) custom(dst reflect.Value, v any, pointer string) {
	o, ok := v.(*object)
	if !ok {
		b.wrongType(pointer, "an object", v)
		return
	}
	var target map[string]any
	if existing, ok := dst.Interface().(map[string]any); ok && b.patch {
		target = existing
	}
	dst.Set(reflect.ValueOf(b.merge(target, o)))
}

func (b *binder) merge(target map[string]any, o *object) map[string]any {
	if target == nil {
		target = make(map[string]any, len(o.keys))
	}
	for _, key := range o.keys {
		switch v := o.values[key].(type) {
		case nil:
			if b.patch {
				delete(target, key)
			} else {
				target[key] = nil
			}
		case *object:
			inner, _ := target[key].(map[string]any)
			target[key] = b.merge(inner, v)
		default:
			target[key] = plain(v)
		}
	}
	return target
}

// plain turns what parse made into what encoding/json would have.
func plain(v any) any {
	switch v := v.(type) {
	case *object:
		return new(binder).merge(nil, v)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
		return v
	default:
		return v
	}
}

func (b *binder) wrongType(pointer, want string, v any) {
	got := "an object"
	switch v.(type) {
	case string:
		got = "a string"
	case json.Number:
		got = "a number"
	case bool:
		got = "a boolean"
	case []any:
		got = "a list"
	}
	b.bad(pointer, "type", fmt.Sprintf("must be %s, not %s", want, got))
}
