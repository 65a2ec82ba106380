package resource

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Kind is what a field holds.
type Kind string

// The kinds of fields, by the Go type that declares them.
const (
	Text     Kind = "text"      // string
	Integer  Kind = "integer"   // int, int64
	Boolean  Kind = "boolean"   // bool
	Time     Kind = "time"      // time.Time
	ID       Kind = "id"        // tenancy.ID
	TextList Kind = "text_list" // []string
	Object   Kind = "object"    // map[string]any
	List     Kind = "list"      // a slice of structs, which belong to the record
)

// Field is one field of a resource. Its name is the same in JSON, in the database and in the API.
type Field struct {
	Name string
	Kind Kind
	// Nullable fields are pointers.
	Nullable bool
	// Filter allows conditions on the field, Sort ordering by it. Both need an index, unless Scan says that a scan of
	// the tenant's rows is meant.
	Filter, Sort, Scan bool
	// Unique fields hold no value twice among a tenant's live records; an upsert may go by them.
	Unique bool
	// Search includes the field in full-text search.
	Search bool
	// Personal values are masked in the audit.
	Personal bool
	// ReadOnly fields are set by Groundwork or by business acts, never by a body.
	ReadOnly bool
	// Backfill fields are read-only too, but for who may bring history in.
	Backfill bool
	// Sequence fields are given in turn where they are left out: 1, 2, 3 and so on.
	Sequence bool
	// References is whose id the field holds; nil for nobody's.
	References *Definition
	// Enum are the values a text may have; nil for any.
	Enum []string
	// Aliases are other names by which the field is known in files that are imported: "e-mail".
	Aliases []string

	typ   reflect.Type
	index []int
	base  bool
}

// Options are what a definition needs besides the struct.
type Options struct {
	// Name is the singular in snake_case: "customer". It begins event types.
	Name string
	// Plural is the table, the path and the permission's first part: "customers".
	Plural string
	// DefaultSort is the order of a list that asks for none; "-id" (newest first) where it is "".
	DefaultSort string
	// References are the fields that hold ids of other resources' records, which must be there and live.
	References map[string]*Definition
	// Aliases are other names of fields, by which columns of imported files are known: what people call them.
	Aliases map[string][]string
	// Acts are what can be done to a record besides changing it.
	Acts []Act
	// Example is a record as documentation shows it; its head is filled in by whoever shows it. Nil where none is given.
	Example Entity
}

// Definition is a resource as everything but its business knows it.
type Definition struct {
	Name        string
	Plural      string
	DefaultSort []Sort
	Fields      []Field
	Acts        []Act
	// Example is a record as documentation shows it; nil where none was given.
	Example Entity

	typ        reflect.Type
	byName     map[string]*Field
	references map[string]*Field
}

// Define reads the definition off T's tags. It panics with a message that names the field where the declaration does
// not add up: that is a mistake in the program, seen at its start.
//
// The `api` tag classifies each field, by a list of: filter, sort, scan, unique, search, personal, readonly, backfill,
// sequence, or plain for none of them.
func Define[T any, P interface {
	*T
	Entity
}](options Options,
) *Definition {
	d := &Definition{
		Name: options.Name, Plural: options.Plural, Acts: options.Acts, Example: options.Example,
		typ: reflect.TypeFor[T](), byName: map[string]*Field{}, references: map[string]*Field{},
	}
	if d.Name == "" || d.Plural == "" {
		panic(fmt.Sprintf("resource: %s needs a name and a plural", d.typ))
	}
	d.Fields = append(baseFields(), read(d.typ)...)
	for i := range d.Fields {
		f := &d.Fields[i]
		if d.byName[f.Name] != nil {
			panic(fmt.Sprintf("resource: %s has two fields named %q", d.typ, f.Name))
		}
		d.byName[f.Name] = f
	}
	for name, referred := range options.References {
		d.refer(name, referred)
	}
	for name, aliases := range options.Aliases {
		if d.byName[name] == nil {
			panic(fmt.Sprintf("resource: %s gives aliases to %q, which is no field of it", d.typ, name))
		}
		d.byName[name].Aliases = aliases
	}
	for _, act := range options.Acts {
		if problem := act.problem(); problem != "" {
			panic(fmt.Sprintf("resource: the act %q of %s %s", act.Name, d.typ, problem))
		}
	}
	order := options.DefaultSort
	if order == "" {
		order = "-id"
	}
	sorts, problem := d.parseSort(order)
	if problem != "" {
		panic(fmt.Sprintf("resource: the default sort of %s: %s", d.typ, problem))
	}
	d.DefaultSort = sorts
	return d
}

// refer makes a field a reference.
func (d *Definition) refer(name string, referred *Definition) {
	f := d.byName[name]
	as, isNamedSo := strings.CutSuffix(name, "_id")
	switch {
	case f == nil || f.base || f.Kind != ID || !isNamedSo || as == "":
		panic(fmt.Sprintf("resource: %s refers by %q, which is no field that holds an id and is named so", d.typ, name))
	case d.byName[as] != nil:
		panic(fmt.Sprintf("resource: %s refers by %q, which is answered as %q, and has a field of that name", d.typ, name, as))
	case referred == nil:
		panic(fmt.Sprintf("resource: %s refers by %q to nothing", d.typ, name))
	}
	f.References = referred
	d.references[as] = f
}

func baseFields() []Field {
	base := reflect.TypeFor[Base]()
	field := func(goName, name string, kind Kind, sortable, nullable bool) Field {
		f, _ := base.FieldByName(goName)
		return Field{
			Name: name, Kind: kind, Nullable: nullable, ReadOnly: true, Filter: name != "version", Sort: sortable,
			index: append([]int{0}, f.Index...), base: true,
		}
	}
	return []Field{
		field("ID", "id", ID, true, false),
		field("Version", "version", Integer, false, false),
		field("CreatedAt", "created_at", Time, true, false),
		field("UpdatedAt", "updated_at", Time, true, false),
		field("DeletedAt", "deleted_at", Time, false, true),
	}
}

// read reads the fields of a resource's struct that stand behind its base.
func read(t reflect.Type) []Field {
	if t.Kind() != reflect.Struct || t.NumField() == 0 || t.Field(0).Type != reflect.TypeFor[Base]() {
		panic(fmt.Sprintf("resource: the first field of %s must be resource.Base", t))
	}
	var fields []Field
	for i := 1; i < t.NumField(); i++ {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if !isName(name) {
			panic(fmt.Sprintf("resource: %s.%s needs a json name in snake_case", t, sf.Name))
		}
		class, ok := sf.Tag.Lookup("api")
		if !ok || class == "" {
			panic(fmt.Sprintf("resource: %s.%s is not classified; add an api tag (filter, sort, scan, unique, search, "+
				"personal, readonly, backfill, sequence) or api:\"plain\"", t, sf.Name))
		}
		f := Field{Name: name, index: []int{i}}
		f.kind(t, sf)
		f.classify(t, sf, class)
		fields = append(fields, f)
	}
	return fields
}

// isName says whether a field may be called that: it stands in JSON, in SQL and in a list's parameters.
func isName(name string) bool {
	if name == "" || name == "tenant_id" || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

func (f *Field) kind(t reflect.Type, sf reflect.StructField) {
	typ := sf.Type
	if typ.Kind() == reflect.Pointer {
		f.Nullable, typ = true, typ.Elem()
	}
	f.typ = typ
	switch {
	case typ == reflect.TypeFor[time.Time]():
		f.Kind = Time
	case typ == reflect.TypeFor[tenancy.ID]():
		f.Kind = ID
	case typ.Kind() == reflect.String:
		f.Kind = Text
	case typ.Kind() == reflect.Int64, typ.Kind() == reflect.Int:
		f.Kind = Integer
	case typ.Kind() == reflect.Bool:
		f.Kind = Boolean
	case typ == reflect.TypeFor[[]string]() && !f.Nullable:
		f.Kind = TextList
	case typ == reflect.TypeFor[map[string]any]() && !f.Nullable:
		f.Kind = Object
	case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct && !f.Nullable:
		f.Kind = List
	default:
		panic(fmt.Sprintf("resource: %s.%s has a type that a resource cannot keep: %s", t, sf.Name, sf.Type))
	}
	if how := serializers(f.Kind); how != "" && !strings.Contains(sf.Tag.Get("gorm"), how) {
		panic(fmt.Sprintf("resource: %s.%s holds %s and does not say how it is kept; tag it gorm:%q", t, sf.Name, f.Kind, how))
	}
	for rule := range strings.SplitSeq(sf.Tag.Get("validate"), ",") {
		if values, ok := strings.CutPrefix(rule, "oneof="); ok && f.Kind == Text {
			f.Enum = strings.Fields(values)
		}
	}
}

// serializers name how what is no scalar is kept, in the words of its gorm tag.
func serializers(kind Kind) string {
	switch kind { //nolint:exhaustive // the others are scalars
	case TextList:
		return "serializer:text_list"
	case Object, List:
		return "serializer:json"
	default:
		return ""
	}
}

func (f *Field) classify(t reflect.Type, sf reflect.StructField, class string) {
	for option := range strings.SplitSeq(class, ",") {
		switch option {
		case "filter":
			f.Filter = true
		case "sort":
			f.Sort = true
		case "scan":
			f.Scan = true
		case "unique":
			f.Unique = true
		case "search":
			f.Search = true
		case "personal":
			f.Personal = true
		case "readonly":
			f.ReadOnly = true
		case "backfill":
			f.Backfill = true
		case "sequence":
			f.Sequence = true
		case "plain":
		default:
			panic(fmt.Sprintf("resource: %s.%s has an unknown api option %q", t, sf.Name, option))
		}
	}
	problem := ""
	switch {
	case f.Filter && isReserved(f.Name):
		problem = "cannot be filtered by: a list's parameter has this name"
	case f.Sort && (f.Kind == TextList || f.Kind == Object || f.Kind == Boolean):
		problem = fmt.Sprintf("holds %s, which has no order to sort by", f.Kind)
	case f.Unique && (f.Kind == TextList || f.Kind == Object || f.Kind == Boolean):
		problem = fmt.Sprintf("holds %s, which cannot be unique", f.Kind)
	case (f.Filter || f.Sort || f.Unique) && f.Kind == List:
		problem = "is a list, which can only be plain"
	case f.Sequence && (f.Kind != Text || f.Nullable || !f.Unique):
		problem = "is a sequence, which must be a string and unique"
	case f.Search && f.Kind != Text && f.Kind != TextList:
		problem = fmt.Sprintf("holds %s, which has no text to search", f.Kind)
	case f.Scan && !f.Filter && !f.Sort:
		problem = "is marked scan, which says nothing without filter or sort"
	}
	if problem != "" {
		panic(fmt.Sprintf("resource: %s.%s %s", t, sf.Name, problem))
	}
}

// New returns an empty record.
func (d *Definition) New() Entity { return entity(reflect.New(d.typ)) }

// entity is a pointer to a record as what Define has proved it to be.
func entity(p reflect.Value) Entity { return p.Interface().(Entity) } //nolint:forcetypeassert,errcheck // Define proved it

// NewList returns a pointer to an empty slice of pointers to records, for a store to read into.
func (d *Definition) NewList(capacity int) any {
	slice := reflect.MakeSlice(reflect.SliceOf(reflect.PointerTo(d.typ)), 0, capacity)
	p := reflect.New(slice.Type())
	p.Elem().Set(slice)
	return p.Interface()
}

// Entities returns the records of a list that NewList made.
func (d *Definition) Entities(list any) []Entity {
	v := reflect.ValueOf(list).Elem()
	entities := make([]Entity, v.Len())
	for i := range entities {
		entities[i] = entity(v.Index(i))
	}
	return entities
}

// ListOf returns the records as a slice of their own type, for a store to write from.
func (d *Definition) ListOf(entities []Entity) any {
	list := reflect.MakeSlice(reflect.SliceOf(reflect.PointerTo(d.typ)), len(entities), len(entities))
	for i, e := range entities {
		list.Index(i).Set(reflect.ValueOf(e))
	}
	return list.Interface()
}

// Field returns the field of that name, or nil.
func (d *Definition) Field(name string) *Field { return d.byName[name] }

// Value returns the field's value in the record; nil for null. Text is a string and an integer an int64, whatever type
// of its own the struct gives them.
func (f *Field) Value(e Entity) any {
	v := reflect.ValueOf(e).Elem().FieldByIndex(f.index)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	switch f.Kind { //nolint:exhaustive // the others have one type each
	case Text:
		return v.String()
	case Integer:
		return v.Int()
	case Boolean:
		return v.Bool()
	default:
		return v.Interface()
	}
}

// Permissions are what may be granted on the resource.
func (d *Definition) Permissions() []string {
	permissions := []string{d.Plural + ":read", d.Plural + ":write", d.Plural + ":delete"}
	for i := range d.Fields {
		if d.Fields[i].Backfill {
			return append(permissions, d.BackfillPermission())
		}
	}
	return permissions
}

// BackfillPermission is what one needs to bring history in.
func (d *Definition) BackfillPermission() string { return d.Plural + ":backfill" }
