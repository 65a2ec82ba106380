package body

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

type field struct {
	index    []int
	readOnly bool
	backfill bool // read-only but for who may bring history in
}

// known keeps what was read off each type, since reflection over tags is not for every request.
//
//nolint:gochecknoglobals // a cache of pure values
var known sync.Map

// fieldsOf returns a struct's fields by their JSON names, those of embedded structs among them as read-only: what is
// embedded (resource.Base) is set by the server.
func fieldsOf(t reflect.Type) map[string]field {
	if cached, ok := known.Load(t); ok {
		return cached.(map[string]field) //nolint:forcetypeassert,errcheck // only this function stores
	}
	fields := map[string]field{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			for name, inner := range fieldsOf(f.Type) {
				fields[name] = field{index: append([]int{i}, inner.index...), readOnly: true}
			}
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		class := strings.Split(f.Tag.Get("api"), ",")
		fields[name] = field{
			index: []int{i}, readOnly: slices.Contains(class, "readonly"), backfill: slices.Contains(class, "backfill"),
		}
	}
	known.Store(t, fields)
	return fields
}
