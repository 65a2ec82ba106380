package transfers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// assignment is one value of a record, read and ready.
type assignment struct {
	field *resource.Field
	key   string // within an Object
	value any    // nil is empty
	items []resource.Item
	// isItems says that the value is items.
	isItems bool
}

// apply brings the value into a record.
func (a assignment) apply(e resource.Entity) {
	switch {
	case a.isItems:
		a.field.AssignItems(e, a.items)
	case a.key != "":
		object, _ := a.field.Value(e).(map[string]any)
		object = maps.Clone(object)
		if object == nil {
			object = map[string]any{}
		}
		if delete(object, a.key); a.value != nil {
			object[a.key] = a.value
		}
		a.field.Assign(e, object)
	default:
		a.field.Assign(e, a.value)
	}
}

// problem is what is wrong with a cell, or with a row as such.
type problem struct {
	column string
	// index is the cell's place, from 1 on, where its column's name is not known yet.
	index               int
	value, code, reason string
}

// text is what a source says of a row: its cell as the mapping rewrites it, and whether the cell is exact.
func (b *bound) text(i int, r *row) (text string, exact bool) {
	s := b.sources[i]
	if s.value != nil {
		return *s.value, true
	}
	at := b.at[i]
	if at < len(r.cells) {
		text, exact = Unguard(r.cells[at]), r.isExact(at)
	}
	if s.values != nil {
		if replaced, ok := s.values[text]; ok {
			return replaced, true
		} else if rest, ok := s.values["*"]; ok && text != "" {
			return rest, true
		}
	}
	switch s.fold {
	case "lower":
		text = strings.ToLower(text)
	case "upper":
		text = strings.ToUpper(text)
	}
	return text, exact
}

// read reads a target's value off a row. skip says that the cell is empty and the field has no empty value: it is left as
// it is.
func (b *bound) read(r *row, l locale) (a assignment, skip bool, bad *problem) {
	a = assignment{field: b.field, key: b.key}
	if b.joins {
		texts := []string{}
		for i := range b.sources {
			if text, _ := b.text(i, r); strings.TrimSpace(text) != "" {
				texts = append(texts, text)
			}
		}
		a.value = texts
		return a, false, nil
	}
	text, exact := b.text(0, r)
	if exact {
		l = exactLocale(l.zone)
	}
	trimmed := strings.TrimSpace(text)
	var err error
	switch {
	case trimmed == "":
		return a, b.key == "" && !b.hasEmpty(), nil
	case b.key != "":
		a.value = text
	case b.lookup != nil:
		a.value = trimmed // found with those of the other rows
	default:
		err = b.convert(&a, text, trimmed, l)
	}
	if err != nil {
		return a, false, &problem{column: b.column(), value: text, code: codeOf(b.field.Kind), reason: err.Error()}
	}
	return a, false, nil
}

// column is the first that the value comes from; "" where it comes from none.
func (b *bound) column() string { return b.sources[0].column }

// hasEmpty says whether an empty cell is a value of the field: null, no text, no elements.
func (b *bound) hasEmpty() bool {
	switch b.field.Kind {
	case resource.Text:
		return !b.field.Sequence || b.field.Nullable
	case resource.TextList, resource.Object:
		return true
	case resource.Integer, resource.Boolean, resource.Time, resource.ID, resource.List:
	}
	return b.field.Nullable
}

func codeOf(kind resource.Kind) string {
	if kind == resource.ID {
		return "uuid"
	}
	return string(kind)
}

var (
	errBoolean = errors.New("must be true or false (yes, no, 1 and 0 are read, too)")
	errTime    = errors.New("is no date or time; write it as 2006-01-02 or 2006-01-02T15:04:05Z, or say in format.date how it is written")
	errID      = errors.New("is no id of 36 characters; where it is a code or a name, map it with a lookup")
)

// convert reads a text as the field's kind.
func (b *bound) convert(a *assignment, text, trimmed string, l locale) (err error) {
	f, s := b.field, b.sources[0]
	switch f.Kind {
	case resource.Text:
		a.value = text
	case resource.Integer:
		a.value, err = anyOf(l.integer(trimmed, s.scale))
	case resource.Boolean:
		switch strings.ToLower(trimmed) {
		case "true", "yes", "1", "y":
			a.value = true
		case "false", "no", "0", "n":
			a.value = false
		default:
			err = errBoolean
		}
	case resource.Time:
		t, ok := l.time(trimmed)
		if !ok || !resource.TimeInRange(t) {
			return errTime
		}
		a.value = t
	case resource.ID:
		id, parsed := tenancy.ParseID(trimmed)
		if parsed != nil {
			return errID
		}
		a.value = id
	case resource.TextList:
		a.value, err = anyOf(texts(trimmed, s.split))
	case resource.Object:
		object := map[string]any{}
		if err := decode(trimmed, &object); err != nil {
			return fmt.Errorf("must be a JSON object, or its keys mapped one by one as %s.key", f.Name)
		}
		a.value = object
	case resource.List:
		a.isItems = true
		a.items, err = itemsOf(f, trimmed, l)
	}
	return err
}

func anyOf[T any](value T, err error) (any, error) { return value, err }

// texts reads a list: as JSON, or separated.
func texts(text, split string) ([]string, error) {
	if strings.HasPrefix(text, "[") {
		var list []string
		if err := decode(text, &list); err != nil {
			return nil, errors.New(`must be texts, separated by commas or as JSON: ["a", "b"]`)
		}
		return list, nil
	}
	if split == "" {
		split = ","
	}
	list := []string{}
	for part := range strings.SplitSeq(text, split) {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list, nil
}

// decode reads exactly one JSON value.
func decode(text string, into any) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind it")
	}
	if strings.Contains(text, `\u0000`) {
		return errors.New("it holds a NUL")
	}
	return nil
}

// itemsOf reads the elements of a list as JSON. What the server computes is passed over, so that an export can come back.
func itemsOf(f *resource.Field, text string, l locale) ([]resource.Item, error) {
	var objects []map[string]any
	if err := decode(text, &objects); err != nil {
		return nil, errors.New("must be a list of objects as JSON")
	}
	fields := f.Items()
	items := make([]resource.Item, len(objects))
	for i, object := range objects {
		items[i] = resource.Item{}
		for name, value := range object {
			at := slices.IndexFunc(fields, func(field resource.Field) bool { return field.Name == name })
			if at < 0 {
				return nil, fmt.Errorf("element %d has the field %q, which is not known; the fields are: %s", i+1, shortened(name), strings.Join(namesOf(fields), ", "))
			}
			if fields[at].ReadOnly || value == nil {
				continue
			}
			b := bound{target: target{field: &fields[at], sources: []source{{}}}}
			var a assignment
			said := fmt.Sprint(value)
			if err := b.convert(&a, said, said, exactLocale(l.zone)); err != nil {
				return nil, fmt.Errorf("%s of element %d %w", name, i+1, err)
			}
			items[i][&fields[at]] = a.value
		}
	}
	return items, nil
}
