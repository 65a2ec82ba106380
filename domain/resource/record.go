package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/events"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Record is what is written beside a change, in its transaction.
type Record struct {
	Entry audit.Entry
	Event events.Event
	// Refers are the references that the record comes to have by this. What they refer to must be there, and live, when
	// the change is kept; what it referred to before may have been deleted since.
	Refers []Reference
}

// The acts on every resource, in the past tense as events name them.
const (
	Created  = "created"
	Updated  = "updated"
	Deleted  = "deleted"
	Restored = "restored"
	Purged   = "purged"
)

// record tells of an act: before and after are the same record's states, before nil for one that is new.
func (d *Definition) record(scope tenancy.Scope, act string, before, after Entity, now time.Time) (*Record, error) {
	data, err := json.Marshal(after)
	if err != nil {
		return nil, fmt.Errorf("write %s as JSON: %w", d.Name, err)
	}
	head := after.Head()
	entry := d.entry(scope, act, head.ID, head.Version, now)
	entry.Changes = d.changes(before, after)
	return &Record{
		Entry: entry, Refers: d.refers(before, after),
		Event: events.Event{
			ID: tenancy.NewID(), At: now, Type: entry.Action, Resource: d.Name, ResourceID: head.ID, Version: head.Version,
			Data: data,
		},
	}, nil
}

func (d *Definition) entry(scope tenancy.Scope, act string, id tenancy.ID, version int64, now time.Time) audit.Entry {
	entry := audit.Entry{
		ID: tenancy.NewID(), At: now, ActorKind: scope.Actor.Kind, RequestID: scope.RequestID,
		Action: d.Name + "." + act, Resource: d.Name, ResourceID: id, Version: version, Changes: []audit.Change{},
	}
	if !scope.Actor.ID.IsZero() {
		entry.ActorID = &scope.Actor.ID
	}
	return entry
}

// changes lists the fields that differ, personal values masked. What Groundwork itself keeps (version, times) is left
// out: the entry says it.
func (d *Definition) changes(before, after Entity) []audit.Change {
	changes := []audit.Change{}
	for i := range d.Fields {
		f := &d.Fields[i]
		if f.base {
			continue
		}
		var from any
		if before != nil {
			from = f.Value(before)
		}
		to := f.Value(after)
		if same(f.Kind, from, to) {
			continue
		}
		if f.Personal {
			from, to = audit.Mask(from), audit.Mask(to)
		}
		changes = append(changes, audit.Change{Field: f.Name, From: from, To: to})
	}
	return changes
}

// same compares two values of a field; an empty list or object is the same as none.
func same(kind Kind, a, b any) bool {
	switch kind { //nolint:exhaustive // the others compare as they are
	case Time:
		x, xok := a.(time.Time)
		y, yok := b.(time.Time)
		return xok == yok && x.Equal(y)
	case TextList, Object, List:
		if length(a) == 0 && length(b) == 0 {
			return true
		}
		if kind != TextList {
			x, errX := json.Marshal(a)
			y, errY := json.Marshal(b)
			return errX == nil && errY == nil && bytes.Equal(x, y)
		}
		return reflect.DeepEqual(a, b)
	default:
		return a == b
	}
}

func length(v any) int {
	if v == nil {
		return 0
	}
	return reflect.ValueOf(v).Len()
}

// clone copies a record deeply enough that changing one leaves the other as it was.
func (d *Definition) clone(e Entity) Entity {
	c := d.New()
	reflect.ValueOf(c).Elem().Set(reflect.ValueOf(e).Elem())
	for i := range d.Fields {
		target := reflect.ValueOf(c).Elem().FieldByIndex(d.Fields[i].index)
		target.Set(deepCopy(target))
	}
	return c
}

func deepCopy(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		c := reflect.New(v.Type().Elem())
		c.Elem().Set(deepCopy(v.Elem()))
		return c
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			c.Index(i).Set(deepCopy(v.Index(i)))
		}
		return c
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		c := reflect.MakeMapWithSize(v.Type(), v.Len())
		for _, key := range v.MapKeys() {
			c.SetMapIndex(key, deepCopy(v.MapIndex(key)))
		}
		return c
	case reflect.Struct:
		c := reflect.New(v.Type()).Elem()
		c.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				c.Field(i).Set(deepCopy(v.Field(i)))
			}
		}
		return c
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		c := reflect.New(v.Type()).Elem()
		c.Set(deepCopy(v.Elem()))
		return c
	default:
		return v
	}
}
