package transfers

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
)

// sheetWriter writes a workbook: a sheet with a row for each record, and for each field that is a list a sheet with a row
// for each item, which names its record by a key. The records are read once for each.
type sheetWriter struct {
	book *book
	def  *resource.Definition
	// columns are those of the records' sheet; lists are the fields that have one of their own.
	columns, lists []*resource.Field
	// key is the field by which items name their record.
	key   *resource.Field
	cells []cell
}

func newSheetWriter(b *book, d *resource.Definition, chosen []*resource.Field) *sheetWriter {
	w := &sheetWriter{book: b, def: d}
	for _, f := range chosen {
		if f.Kind == resource.List {
			w.lists = append(w.lists, f)
		} else {
			w.columns = append(w.columns, f)
		}
	}
	w.key = nameOf(d, w.lists)
	if len(w.lists) > 0 && !slices.Contains(w.columns, w.key) {
		w.columns = append([]*resource.Field{w.key}, w.columns...)
	}
	return w
}

// nameOf is what names a record to people: its first unique field that is never null, or its id. No item of a list that it
// is to stand beside has a field of that name.
func nameOf(d *resource.Definition, lists []*resource.Field) *resource.Field {
	isTaken := func(name string) bool {
		return slices.ContainsFunc(lists, func(f *resource.Field) bool { return slices.Contains(listingOf(d, f).names, name) })
	}
	for i := range d.Fields {
		if f := &d.Fields[i]; f.Unique && !f.Nullable && !isTaken(f.Name) {
			return f
		}
	}
	return d.Field("id")
}

func (w *sheetWriter) passes() []pass {
	all := []pass{{
		doing: "writing",
		begin: func() error { return w.book.sheet(w.def.Plural, columnNames(w.columns)) },
		write: w.record,
	}}
	for _, f := range w.lists {
		items := listingOf(w.def, f)
		all = append(all, pass{
			doing: "writing " + f.Name,
			begin: func() error {
				return w.book.sheet(w.sheetOf(f), append([]string{w.key.Name}, items.names...))
			},
			write: func(e resource.Entity) error { return w.items(e, f, items) },
		})
	}
	return all
}

// sheetOf is the name of a list's sheet.
func (w *sheetWriter) sheetOf(f *resource.Field) string {
	if f.Name == w.def.Plural {
		return w.def.Name + "_" + f.Name
	}
	return f.Name
}

func (w *sheetWriter) record(e resource.Entity) error {
	w.cells = w.cells[:0]
	for _, f := range w.columns {
		if err := w.add(e, f.Name, f.Value(e)); err != nil {
			return err
		}
	}
	return w.book.row(w.cells)
}

func (w *sheetWriter) items(e resource.Entity, f *resource.Field, items listing) error {
	list := reflect.ValueOf(f.Value(e))
	for i := range list.Len() {
		w.cells = w.cells[:0]
		if err := w.add(e, w.key.Name, w.key.Value(e)); err != nil {
			return err
		}
		for j, index := range items.index {
			if err := w.add(e, f.Name+"."+items.names[j], plain(list.Index(i).Field(index))); err != nil {
				return err
			}
		}
		if err := w.book.row(w.cells); err != nil {
			return err
		}
	}
	return nil
}

// maxCell is how much text a cell holds, in UTF-16 units, by Excel's limits.
const maxCell = 32_767

// add adds a cell. Text that no cell holds ends the export: a part of it would be imported as if it were all.
func (w *sheetWriter) add(e resource.Entity, name string, value any) error {
	c, err := asCell(value)
	if err != nil {
		return err
	}
	if len(c.text) > maxCell && units(c.text) > maxCell {
		return jobs.Permanent(fmt.Errorf("the field %s of the %s %s holds more than the %d characters that a cell of a spreadsheet takes; "+
			"export as csv or jsonl, or without this field", name, w.def.Name, e.Head().ID, maxCell))
	}
	w.cells = append(w.cells, c)
	return nil
}

// units is how long a text is in UTF-16.
func units(text string) int {
	n := 0
	for _, r := range text {
		if n++; r > 0xFFFF {
			n++
		}
	}
	return n
}

func (w *sheetWriter) close() error { return w.book.close() }

// listing is the fields of a list's items.
type listing struct {
	names []string
	index []int
}

func listingOf(d *resource.Definition, f *resource.Field) listing {
	var all listing
	item := reflect.TypeOf(f.Value(d.New())).Elem()
	for i := range item.NumField() {
		field := item.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.IsExported() && name != "-" {
			if name == "" {
				name = field.Name
			}
			all.names, all.index = append(all.names, name), append(all.index, i)
		}
	}
	return all
}

// plain is a value of an item as one of the kinds that fields have; what is none of them stays as it is.
func plain(v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Bool:
		return v.Bool()
	default:
		return v.Interface()
	}
}
