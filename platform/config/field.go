package config

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// field is a setting and the place in the struct that takes it.
type field struct {
	Variable
	value   reflect.Value
	oneof   []string
	schemes []string
	min     string
	max     string
}

// fieldsOf returns the settings of a struct; it panics where the struct is not a proper declaration.
func fieldsOf(cfg any) []field {
	v := reflect.ValueOf(cfg)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: want a pointer to a struct, not %T", cfg))
	}
	var fields []field
	seen := make(map[string]bool)
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		for i := range v.NumField() {
			t := v.Type().Field(i)
			if t.Anonymous && t.Type.Kind() == reflect.Struct {
				walk(v.Field(i))
				continue
			}
			f := newField(t, v.Field(i))
			if (f.Name != "" && seen[f.Name]) || (f.Flag != "" && seen["--"+f.Flag]) {
				panic(fmt.Sprintf("config: %s is declared twice", t.Name))
			}
			seen[f.Name], seen["--"+f.Flag] = true, true
			fields = append(fields, f)
		}
	}
	walk(v.Elem())
	return fields
}

func newField(t reflect.StructField, v reflect.Value) field {
	f := field{
		Variable: Variable{
			Name: t.Tag.Get("env"), Flag: t.Tag.Get("flag"), Help: t.Tag.Get("help"), Default: t.Tag.Get("default"),
			Required: t.Tag.Get("required") == "true", Secret: t.Type == reflect.TypeFor[Secret](),
		},
		value:   v,
		oneof:   strings.Fields(t.Tag.Get("oneof")),
		schemes: strings.Fields(t.Tag.Get("schemes")),
		min:     t.Tag.Get("min"),
		max:     t.Tag.Get("max"),
	}
	complain := func(what string) { panic(fmt.Sprintf("config: field %s %s", t.Name, what)) }
	switch {
	case !t.IsExported():
		complain("is not exported")
	case f.Name == "" && f.Flag == "":
		complain("has neither an env nor a flag tag")
	case f.Secret && f.Name == "":
		complain("is a secret, which must not stand on a command line: give it an env tag")
	case f.Secret && f.Flag != "":
		complain("is a secret, which must not stand on a command line: take its flag tag away")
	case f.Help == "":
		complain("has no help tag")
	case f.Required && f.Default != "":
		complain("is required and has a default")
	}
	if f.Kind = f.kind(t.Type); f.Kind == "" {
		complain("has the type " + t.Type.String() + ", which config cannot read")
	}
	if f.Default != "" {
		scratch := f
		scratch.value = reflect.New(t.Type).Elem()
		if err := scratch.set(f.Default); err != nil {
			complain("has a bad default: " + err.Error())
		}
	}
	return f
}

func (f *field) isBool() bool { return f.value.Kind() == reflect.Bool }

// kind describes the form of a value, "" where the type is not supported.
func (f *field) kind(t reflect.Type) string {
	if len(f.oneof) > 0 {
		return strings.Join(f.oneof, " or ")
	}
	if len(f.schemes) > 0 {
		return "URL (" + strings.Join(f.schemes, "://… or ") + "://…)"
	}
	kind := ""
	switch {
	case t == reflect.TypeFor[time.Duration]():
		kind = "duration (30s, 15m, 2h)"
	case t == reflect.TypeFor[netip.Prefix]():
		kind = "address or network (10.0.0.0/8)"
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		kind = "text"
		if k, ok := reflect.New(t).Interface().(interface{ Kind() string }); ok {
			kind = k.Kind()
		}
	case t.Kind() == reflect.Slice:
		element := f.kind(t.Elem())
		if element == "" || t.Elem().Kind() == reflect.Slice {
			return ""
		}
		return "list of " + element + ", separated by commas"
	case t.Kind() == reflect.String:
		kind = "text"
	case t.Kind() == reflect.Bool:
		kind = "true or false"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		kind = "whole number"
	case t.Kind() == reflect.Float64:
		kind = "number"
	}
	switch {
	case kind == "":
	case f.min != "" && f.max != "":
		kind += " from " + f.min + " to " + f.max
	case f.min != "":
		kind += ", at least " + f.min
	case f.max != "":
		kind += ", at most " + f.max
	}
	return kind
}

// set parses raw into the field. An error names the value unless it is a secret.
func (f *field) set(raw string) error {
	parsed := reflect.New(f.value.Type()).Elem()
	err := f.parse(parsed, raw)
	switch {
	case err == nil:
		f.value.Set(parsed)
		return nil
	case f.Secret:
		return fmt.Errorf("the value (not shown) %w; want %s", err, f.Kind)
	default:
		return fmt.Errorf("%s %w; want %s", quote(raw), err, f.Kind)
	}
}

// errForm is what is wrong with a value that has not the form of its type. What the standard library says would
// repeat the value, which may be a secret.
var errForm = errors.New("is not valid")

// errURL is the usual cause where a URL with a password cannot be read.
var errURL = errors.New("is not a URL (special characters in a password are written as %XX)")

func (f *field) parse(into reflect.Value, raw string) error {
	if into.Kind() == reflect.Slice {
		for part := range strings.SplitSeq(raw, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			element := reflect.New(into.Type().Elem()).Elem()
			if err := f.parse(element, part); err != nil {
				return err
			}
			into.Set(reflect.Append(into, element))
		}
		return nil
	}
	if len(f.oneof) > 0 && !slices.Contains(f.oneof, raw) {
		return errForm
	}
	if len(f.schemes) > 0 {
		u, err := url.Parse(raw)
		switch {
		case err != nil:
			return errURL
		case !slices.Contains(f.schemes, u.Scheme), u.Opaque != "", u.Host == "" && u.Path == "":
			return errForm
		}
	}
	if err := scan(into, raw); err != nil {
		return err
	}
	return f.checkBounds(into)
}

// checkBounds compares a value with min and max, which are in the form of the value.
func (f *field) checkBounds(v reflect.Value) error {
	for _, bound := range []struct {
		raw, complaint string
		sign           int
	}{{f.min, "is too small", -1}, {f.max, "is too large", 1}} {
		if bound.raw == "" {
			continue
		}
		limit := reflect.New(v.Type()).Elem()
		if err := scan(limit, bound.raw); err != nil {
			panic(fmt.Sprintf("config: %s has a bad bound %q: %v", f.Name, bound.raw, err))
		}
		if compare(v, limit) == bound.sign {
			return errors.New(bound.complaint)
		}
	}
	return nil
}

func compare(a, b reflect.Value) int {
	switch {
	case a.CanInt() && a.Int() < b.Int(), a.CanFloat() && a.Float() < b.Float():
		return -1
	case a.CanInt() && a.Int() > b.Int(), a.CanFloat() && a.Float() > b.Float():
		return 1
	default:
		return 0
	}
}

// scan parses one value that is not a slice.
func scan(into reflect.Value, raw string) error {
	switch target := into.Addr().Interface().(type) {
	case *time.Duration:
		return assign(target, raw, time.ParseDuration)
	case *netip.Prefix:
		return assign(target, raw, parsePrefix)
	case encoding.TextUnmarshaler:
		return target.UnmarshalText([]byte(raw))
	}
	switch into.Kind() {
	case reflect.String:
		into.SetString(raw)
	case reflect.Bool:
		parsed, err := strconv.ParseBool(raw)
		if err != nil {
			return errForm
		}
		into.SetBool(parsed)
	case reflect.Int, reflect.Int64:
		parsed, err := strconv.ParseInt(raw, 10, into.Type().Bits())
		if err != nil {
			return errForm
		}
		into.SetInt(parsed)
	case reflect.Float64:
		parsed, err := strconv.ParseFloat(raw, 64)
		if err != nil || parsed != parsed { // not a number
			return errForm
		}
		into.SetFloat(parsed)
	}
	return nil
}

func assign[T any](into *T, raw string, parse func(string) (T, error)) error {
	parsed, err := parse(raw)
	if err != nil {
		return errForm
	}
	*into = parsed
	return nil
}

func parsePrefix(raw string) (netip.Prefix, error) {
	if strings.Contains(raw, "/") {
		return netip.ParsePrefix(raw)
	}
	address, err := netip.ParseAddr(raw)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(address, address.BitLen()), nil
}

// quote shortens what may be long.
func quote(raw string) string {
	const most = 80
	if len(raw) > most {
		raw = raw[:most] + "…"
	}
	return strconv.Quote(raw)
}
