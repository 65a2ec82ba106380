package transfers

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// source is where a value comes from: a column of the file, or a text that is the same for all rows.
type source struct {
	column string
	value  *string
	// scale makes whole numbers of decimals: 14.5 of scale 2 is 1450.
	scale int
	// values replace what stands in a cell; "*" replaces what is not named, unless it is empty.
	values map[string]string
	// fold is "lower" or "upper" where the text is to be written so.
	fold string
	// split separates the elements of a list; "," where it is "".
	split string
}

// target is one value of a record and where it comes from. A list of texts may have several sources, one element each.
type target struct {
	field *resource.Field
	// key is the key within an Object; "" for the whole.
	key     string
	sources []source
	// lookup finds the record that a reference is to by this unique field; nil where the cell holds the id.
	lookup *resource.Field
	// joins says that each source is one element of a list of texts.
	joins bool
}

// detail is how the elements of a List come in: as rows of another sheet or file, which name the row that they belong to.
type detail struct {
	field *resource.Field
	file  tenancy.ID // zero: the main file
	sheet string
	// key is the column, there, that names the main row, and parent the column in which the main row has that name.
	key, parent string
	targets     []target
}

// mapping says how records are made of rows. An automatic one takes the columns by the fields' names and aliases.
type mapping struct {
	automatic bool
	targets   []target
	details   []detail
}

// reading reads a mapping as it was sent, and collects what is wrong with it.
type reading struct {
	definition *resource.Definition
	// history says that the actor may set what is history.
	history bool
	found   []fault.Violation
}

func (r *reading) bad(pointer, code, detail string) {
	const most = 50
	if len(r.found) < most {
		r.found = append(r.found, fault.Violation{Pointer: pointer, Code: code, Detail: detail})
	}
}

// readMapping reads what was sent as "mapping"; nil is an automatic one.
func readMapping(d *resource.Definition, sent map[string]any, history bool) (mapping, []fault.Violation) {
	if sent == nil {
		return mapping{automatic: true}, nil
	}
	r := &reading{definition: d, history: history}
	var m mapping
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		r.entry(&m, name, sent[name])
	}
	if len(sent) == 0 {
		r.bad("/mapping", "required", "is empty; name at least one field, or leave the mapping out")
	}
	return m, r.found
}

// entry reads one member of the mapping: a field's name, or a key of an object's as in "custom.city".
func (r *reading) entry(m *mapping, name string, sent any) {
	pointer := "/mapping/" + escaped(name)
	base, key, isKey := strings.Cut(name, ".")
	f := r.definition.Field(base)
	if f == nil {
		r.bad(pointer, "unknown_field", "is no field of a "+r.definition.Name+"; the fields are: "+strings.Join(r.writable(), ", "))
		return
	}
	if !r.mayWrite(f, pointer) {
		return
	}
	if isKey && (f.Kind != resource.Object || key == "") {
		r.bad(pointer, "unknown_field", base+" has no keys of its own; map "+base)
		return
	}
	if object, ok := sent.(map[string]any); ok && f.Kind == resource.List && object["fields"] != nil {
		m.details = append(m.details, r.detail(f, object, pointer))
		return
	}
	m.targets = append(m.targets, r.target(target{field: f, key: key}, sent, pointer))
}

func (r *reading) mayWrite(f *resource.Field, pointer string) bool {
	switch {
	case f.Backfill && !r.history:
		r.bad(pointer, "read_only", "is history, which takes the permission "+r.definition.BackfillPermission()+" to bring in")
	case f.ReadOnly:
		r.bad(pointer, "read_only", "is set by the server; leave it out")
	default:
		return true
	}
	return false
}

// writable are the names of the fields that the import may set.
func (r *reading) writable() []string {
	var names []string
	for i := range r.definition.Fields {
		if f := &r.definition.Fields[i]; !f.ReadOnly && (r.history || !f.Backfill) {
			names = append(names, f.Name)
		}
	}
	return names
}

// target reads where one value comes from: a column's name, an object, or of a list of texts several of them.
func (r *reading) target(t target, sent any, pointer string) target {
	if list, ok := sent.([]any); ok {
		if t.field.Kind != resource.TextList {
			r.bad(pointer, "type", "takes one column; only a list of texts takes several")
			return t
		}
		t.joins = true
		for i, one := range list {
			t.sources = append(t.sources, r.source(&t, one, fmt.Sprintf("%s/%d", pointer, i)))
		}
		if len(list) == 0 || len(list) > maxSources {
			r.bad(pointer, "max", fmt.Sprintf("takes 1 to %d columns", maxSources))
		}
		return t
	}
	t.sources = []source{r.source(&t, sent, pointer)}
	return t
}

// maxSources is how many columns may be elements of one list of texts.
const maxSources = 50

func (r *reading) source(t *target, sent any, pointer string) source {
	if column, ok := sent.(string); ok {
		sent = map[string]any{"column": column}
	}
	object, ok := sent.(map[string]any)
	if !ok {
		r.bad(pointer, "type", `must be a column's name, or an object such as {"column": "Name"}`)
		return source{}
	}
	var s source
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at, value := pointer+"/"+escaped(name), object[name]
		switch name {
		case "column":
			s.column = r.text(value, at)
		case "value":
			text := r.anyText(value, at)
			s.value = &text
		case "lookup":
			t.lookup = r.lookup(t.field, value, at)
		case "scale":
			s.scale = r.scale(t.field, value, at)
		case "values":
			s.values = r.values(value, at)
		case "case":
			if s.fold = r.anyText(value, at); s.fold != "lower" && s.fold != "upper" {
				r.bad(at, "oneof", "must be one of: lower, upper")
			}
		case "split":
			if s.split = r.text(value, at); t.field.Kind != resource.TextList {
				r.bad(at, "type", "is for lists of texts alone")
			}
		default:
			r.bad(at, "unknown_field", "is not known here; the fields are: case, column, lookup, scale, split, value, values")
		}
	}
	if (object["column"] == nil) == (object["value"] == nil) {
		r.bad(pointer, "required", `needs either a "column" or a "value"`)
	}
	return s
}

// detail reads how the elements of a list come in.
func (r *reading) detail(f *resource.Field, object map[string]any, pointer string) detail {
	d := detail{field: f}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at, value := pointer+"/"+escaped(name), object[name]
		switch name {
		case "file_id":
			id, err := tenancy.ParseID(r.anyText(value, at))
			if err != nil {
				r.bad(at, "uuid", "is not a UUID")
			}
			d.file = id
		case "sheet":
			d.sheet = r.text(value, at)
		case "key":
			d.key = r.text(value, at)
		case "parent":
			d.parent = r.text(value, at)
		case "fields":
			d.targets = r.items(f, value, at)
		default:
			r.bad(at, "unknown_field", "is not known here; the fields are: fields, file_id, key, parent, sheet")
		}
	}
	if d.key == "" {
		r.bad(pointer+"/key", "required", "is required: the column that names the row to which these belong")
	}
	if d.parent == "" {
		d.parent = d.key
	}
	if d.file.IsZero() && d.sheet == "" {
		r.bad(pointer, "required", `needs a "file_id" or a "sheet" in which these rows stand`)
	}
	return d
}

func (r *reading) items(f *resource.Field, sent any, pointer string) []target {
	object, ok := sent.(map[string]any)
	if !ok || len(object) == 0 {
		r.bad(pointer, "type", "must be an object that names at least one field")
		return nil
	}
	items := f.Items()
	var targets []target
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := pointer + "/" + escaped(name)
		i := slices.IndexFunc(items, func(item resource.Field) bool { return item.Name == name })
		switch {
		case i < 0:
			r.bad(at, "unknown_field", "is no field of "+f.Name+"; the fields are: "+strings.Join(namesOf(items), ", "))
		case items[i].ReadOnly:
			r.bad(at, "read_only", "is set by the server; leave it out")
		default:
			targets = append(targets, r.target(target{field: &items[i]}, object[name], at))
		}
	}
	return targets
}

func namesOf(fields []resource.Field) []string {
	var names []string
	for i := range fields {
		if !fields[i].ReadOnly {
			names = append(names, fields[i].Name)
		}
	}
	return names
}

// lookup reads "customers.code": the unique field by which a reference's record is found.
func (r *reading) lookup(f *resource.Field, sent any, pointer string) *resource.Field {
	text := r.anyText(sent, pointer)
	if f.References == nil {
		r.bad(pointer, "type", f.Name+" is no reference to another record")
		return nil
	}
	plural, name, _ := strings.Cut(text, ".")
	by := f.References.Field(name)
	if plural != f.References.Plural || by == nil || !by.Unique || by.Kind != resource.Text {
		var unique []string
		for i := range f.References.Fields {
			if field := &f.References.Fields[i]; field.Unique && field.Kind == resource.Text {
				unique = append(unique, f.References.Plural+"."+field.Name)
			}
		}
		r.bad(pointer, "oneof", "must be one of: "+strings.Join(unique, ", "))
		return nil
	}
	return by
}

func (r *reading) scale(f *resource.Field, sent any, pointer string) int {
	n, ok := wholeNumber(sent)
	if !ok || n < 0 || n > maxScale || f.Kind != resource.Integer {
		r.bad(pointer, "range", fmt.Sprintf("must be 0 to %d, and goes with whole numbers alone: 14.50 of scale 2 is 1450", maxScale))
		return 0
	}
	return n
}

const maxScale = 9

func (r *reading) values(sent any, pointer string) map[string]string {
	object, ok := sent.(map[string]any)
	if !ok {
		r.bad(pointer, "type", `must be an object such as {"yes": "true", "*": "false"}`)
		return nil
	}
	values := make(map[string]string, len(object))
	for name, value := range object {
		values[name] = r.anyText(value, pointer+"/"+escaped(name))
	}
	return values
}

func (r *reading) anyText(sent any, pointer string) string {
	text, ok := sent.(string)
	if !ok {
		r.bad(pointer, "type", "must be a text")
	}
	return text
}

func (r *reading) text(sent any, pointer string) string {
	text := strings.TrimSpace(r.anyText(sent, pointer))
	if text == "" {
		r.bad(pointer, "required", "must be a text that is not empty")
	}
	return text
}

// wholeNumber reads a number as any reader of JSON leaves it.
func wholeNumber(v any) (int, bool) {
	switch v := v.(type) {
	case float64:
		return int(v), v == float64(int(v))
	case fmt.Stringer: // json.Number
		var n int
		_, err := fmt.Sscanf(v.String(), "%d", &n)
		return n, err == nil && fmt.Sprint(n) == v.String()
	default:
		return 0, false
	}
}

// escaped is a name as a part of a pointer (RFC 6901).
func escaped(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
