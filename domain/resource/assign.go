package resource

import (
	"reflect"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Assign gives the field a value of the type that Value returns; nil makes it empty: null where it is Nullable. It
// checks nothing: what may be written, and by whom, is its caller's to know.
func (f *Field) Assign(e Entity, value any) {
	assign(reflect.ValueOf(e).Elem().FieldByIndex(f.index), value)
}

func assign(v reflect.Value, value any) {
	switch {
	case value == nil:
		v.SetZero()
	case v.Kind() == reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		assign(p.Elem(), value)
		v.Set(p)
	default:
		v.Set(reflect.ValueOf(value).Convert(v.Type()))
	}
}

// Items are the scalar fields of the structs that a List holds; none for other kinds.
func (f *Field) Items() []Field {
	if f.Kind != List {
		return nil
	}
	var items []Field
	t := f.typ.Elem()
	for i := range t.NumField() {
		sf := t.Field(i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		kind := scalarKind(sf.Type)
		if !sf.IsExported() || !isName(name) || kind == "" {
			continue
		}
		items = append(items, Field{
			Name: name, Kind: kind, Nullable: sf.Type.Kind() == reflect.Pointer, index: []int{i},
			ReadOnly: strings.Contains(sf.Tag.Get("api"), "readonly"),
		})
	}
	return items
}

// scalarKind is the kind of a scalar type; "" for what is none.
func scalarKind(t reflect.Type) Kind {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return Time
	case t == reflect.TypeFor[tenancy.ID]():
		return ID
	case t.Kind() == reflect.String:
		return Text
	case t.Kind() == reflect.Int64, t.Kind() == reflect.Int:
		return Integer
	case t.Kind() == reflect.Bool:
		return Boolean
	default:
		return ""
	}
}

// Item is one element of a List: values of the fields that Items returned.
type Item map[*Field]any

// AssignItems gives a List its elements.
func (f *Field) AssignItems(e Entity, items []Item) {
	target := reflect.ValueOf(e).Elem().FieldByIndex(f.index)
	list := reflect.MakeSlice(target.Type(), len(items), len(items))
	for i, item := range items {
		for field, value := range item {
			assign(list.Index(i).FieldByIndex(field.index), value)
		}
	}
	target.Set(list)
}
