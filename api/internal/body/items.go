package body

import (
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Object is a JSON object that was read and is bound later, perhaps more than once.
type Object struct{ o *object }

// Items reads a JSON object that holds a list of objects under the name, beside the fields of the struct that dst points
// to. An item that is no object is nil in its place.
func Items(data []byte, name string, dst any) ([]*Object, error) {
	v, err := parse(data)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*object)
	if !ok {
		return nil, malformed("The body is JSON, but not an object; send an object.")
	}
	listed, given := o.values[name]
	list, ok := listed.([]any)
	if given && !ok {
		return nil, fault.Values(fault.Violation{Pointer: "/" + name, Code: "type", Detail: "must be a list of objects"})
	}
	rest := &object{values: o.values}
	for _, key := range o.keys {
		if key != name {
			rest.keys = append(rest.keys, key)
		}
	}
	if err := (&binder{}).bind(rest, dst); err != nil {
		return nil, err
	}
	items := make([]*Object, len(list))
	for i, item := range list {
		if o, ok := item.(*object); ok {
			items[i] = &Object{o: o}
		}
	}
	return items, nil
}

// TakeID returns the id under the name and leaves the rest of the object.
func (o *Object) TakeID(name string) (tenancy.ID, error) {
	text, given := o.o.values[name].(string)
	id, err := tenancy.ParseID(text)
	if err != nil {
		code, detail := "uuid", "is not a UUID"
		if !given {
			code, detail = "required", "is required; name the record's id"
		}
		return tenancy.ID{}, fault.Values(fault.Violation{Pointer: "/" + name, Code: code, Detail: detail})
	}
	rest := &object{values: o.o.values}
	for _, key := range o.o.keys {
		if key != name {
			rest.keys = append(rest.keys, key)
		}
	}
	o.o = rest
	return id, nil
}

// IsEmpty says whether nothing is left in the object.
func (o *Object) IsEmpty() bool { return len(o.o.keys) == 0 }

// Decode binds the object to a new record. History lets fields be set that are brought in with a record's past.
func (o *Object) Decode(dst any, history bool) error {
	return (&binder{history: history}).bind(o.o, dst)
}

// Merge applies the object as a merge patch.
func (o *Object) Merge(dst any, history bool) error {
	return (&binder{patch: true, history: history}).bind(o.o, dst)
}
