package postgres

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/schema"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Reading rows is most of what gorm costs: it looks each column up by name, scans it into a value from a pool, and sets
// the field from that. Here the columns of a registered model, all of them in their order, as QueryFields asks for them,
// are scanned straight into its fields by a plan that is made once. Whatever is not that is left to gorm.

// rowPlan reads the whole rows of a model.
type rowPlan struct {
	model   reflect.Type
	columns []string
	fields  []fieldPlan
}

// fieldPlan sets one field from what the driver gives for its column.
type fieldPlan struct {
	index []int
	set   func(field reflect.Value, src any) error
}

// newRowPlan returns nil for a model with a field that the plan cannot set as gorm does.
func newRowPlan(s *schema.Schema) *rowPlan {
	p := &rowPlan{model: s.ModelType, columns: s.DBNames, fields: make([]fieldPlan, len(s.DBNames))}
	for i, name := range s.DBNames {
		f := s.FieldsByDBName[name]
		set := setterOf(f)
		at, ok := s.ModelType.FieldByName(f.Name)
		if set == nil || !ok || !f.Readable || throughPointer(s.ModelType, at.Index) {
			return nil
		}
		p.fields[i] = fieldPlan{index: at.Index, set: set}
	}
	return p
}

// throughPointer says whether the way to a field leads through an embedded pointer, which may be nil.
func throughPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		if t = t.Field(i).Type; t.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}

func setterOf(f *schema.Field) func(reflect.Value, any) error {
	switch f.Serializer.(type) {
	case nil:
	case jsonSerializer:
		if holdsAnything(f.FieldType, nil) {
			return setLooseJSON
		}
		return setJSON
	case textListSerializer:
		return setTextList
	default:
		return nil
	}
	switch f.FieldType {
	case reflect.TypeFor[tenancy.ID]():
		return setID
	case reflect.TypeFor[time.Time]():
		return setTime
	case reflect.TypeFor[*time.Time]():
		return setOptionalTime
	case reflect.TypeFor[*string]():
		return setOptionalText
	}
	if reflect.PointerTo(f.FieldType).Implements(reflect.TypeFor[sql.Scanner]()) {
		return nil
	}
	switch f.FieldType.Kind() {
	case reflect.String:
		return setText
	case reflect.Int64:
		return setInteger
	case reflect.Bool:
		return setBool
	default:
		return nil
	}
}

// cell is where a column of the row at hand goes. It is a sql.Scanner, which database/sql hands values to as they are.
type cell struct {
	plan  *fieldPlan
	field reflect.Value
}

// Scan sets the field. Nothing of src is kept that the driver may use again.
func (c *cell) Scan(src any) error { return c.plan.set(c.field, src) }

// query is gorm's callback of that name, with the plan.
func (db *DB) query(tx *gorm.DB) {
	if tx.Error != nil {
		return
	}
	callbacks.BuildQuerySQL(tx)
	if tx.DryRun || tx.Error != nil {
		return
	}
	st := tx.Statement
	rows, err := st.ConnPool.QueryContext(st.Context, st.SQL.String(), st.Vars...)
	if err != nil {
		_ = tx.AddError(err)
		return
	}
	defer func() {
		if err := rows.Close(); err != nil {
			_ = tx.AddError(err)
		}
	}()
	if plan := db.planFor(st, rows); plan != nil {
		plan.scan(tx, rows)
	} else {
		gorm.Scan(rows, tx, 0)
	}
	if st.Result != nil {
		st.Result.RowsAffected = tx.RowsAffected
	}
}

// planFor is the plan that reads the rows into the statement's destination; nil where gorm must.
func (db *DB) planFor(st *gorm.Statement, rows *sql.Rows) *rowPlan {
	m := db.modelOf(st.Schema)
	if m == nil || m.rows == nil || len(st.Joins) > 0 || len(st.ColumnMapping) > 0 || !st.ReflectValue.IsValid() {
		return nil
	}
	t := st.ReflectValue.Type()
	if t.Kind() == reflect.Slice {
		if t = t.Elem(); t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
	}
	if t != m.rows.model {
		return nil
	}
	columns, err := rows.Columns()
	if err != nil || !slices.Equal(columns, m.rows.columns) {
		return nil
	}
	return m.rows
}

// reader returns what reads the row at hand into a struct of the model's.
func (p *rowPlan) reader(rows *sql.Rows) func(row reflect.Value) error {
	cells := make([]cell, len(p.fields))
	targets := make([]any, len(p.fields))
	for i := range p.fields {
		cells[i].plan = &p.fields[i]
		targets[i] = &cells[i]
	}
	return func(row reflect.Value) error {
		for i := range cells {
			cells[i].field = row.FieldByIndex(p.fields[i].index)
		}
		return rows.Scan(targets...)
	}
}

// scan reads all rows into a slice, or the first one into a struct, as gorm.Scan does.
func (p *rowPlan) scan(tx *gorm.DB, rows *sql.Rows) {
	tx.RowsAffected = 0
	next := p.reader(rows)
	read := func(row reflect.Value) {
		tx.RowsAffected++
		if err := next(row); err != nil {
			_ = tx.AddError(err)
		}
	}
	dst := tx.Statement.ReflectValue
	if dst.Kind() == reflect.Struct {
		if rows.Next() {
			read(dst)
		}
	} else {
		const usual = 26 // a page and the row that tells of a next one
		all := dst
		if all.Cap() == 0 {
			all = reflect.MakeSlice(dst.Type(), 0, usual)
		}
		all = all.Slice(0, 0)
		byPointer := dst.Type().Elem().Kind() == reflect.Pointer
		for rows.Next() {
			row := reflect.New(p.model)
			read(row.Elem())
			if !byPointer {
				row = row.Elem()
			}
			all = reflect.Append(all, row)
		}
		dst.Set(all)
	}
	if err := rows.Err(); err != nil {
		_ = tx.AddError(err)
	}
	if tx.RowsAffected == 0 && tx.Statement.RaiseErrorOnNotFound && tx.Error == nil {
		_ = tx.AddError(gorm.ErrRecordNotFound)
	}
}

// errValue is a value that does not fit the field: the column has another type than the model says.
func errValue(field reflect.Value, src any) error {
	return fmt.Errorf("postgres: a %T does not fit a %s", src, field.Type())
}

func setText(field reflect.Value, src any) error {
	switch v := src.(type) {
	case string:
		field.SetString(v)
	case []byte:
		field.SetString(string(v))
	case nil:
		field.SetString("")
	default:
		return errValue(field, src)
	}
	return nil
}

func setOptionalText(field reflect.Value, src any) error {
	v, ok := src.(string)
	switch {
	case src == nil:
		field.SetZero()
	case ok:
		field.Set(reflect.ValueOf(&v))
	default:
		return errValue(field, src)
	}
	return nil
}

func setInteger(field reflect.Value, src any) error {
	v, ok := src.(int64)
	if !ok && src != nil {
		return errValue(field, src)
	}
	field.SetInt(v)
	return nil
}

func setBool(field reflect.Value, src any) error {
	v, ok := src.(bool)
	if !ok && src != nil {
		return errValue(field, src)
	}
	field.SetBool(v)
	return nil
}

func setTime(field reflect.Value, src any) error {
	v, ok := src.(time.Time)
	if at, isTime := field.Addr().Interface().(*time.Time); isTime && (ok || src == nil) {
		*at = v
		return nil
	}
	return errValue(field, src)
}

func setOptionalTime(field reflect.Value, src any) error {
	v, ok := src.(time.Time)
	at, isTime := field.Addr().Interface().(**time.Time)
	switch {
	case !isTime || !ok && src != nil:
		return errValue(field, src)
	case src == nil:
		*at = nil
	default:
		*at = &v
	}
	return nil
}

func setID(field reflect.Value, src any) error {
	id, ok := field.Addr().Interface().(*tenancy.ID)
	if !ok {
		return errValue(field, src)
	}
	if src == nil {
		*id = tenancy.ID{}
		return nil
	}
	return id.Scan(src) //nolint:wrapcheck // database/sql names the column
}

// setJSON reads JSON into a type that says all of it.
func setJSON(field reflect.Value, src any) error {
	field.SetZero()
	text, ok := bytesOf(src)
	if !ok {
		return nil
	}
	return json.Unmarshal(text, field.Addr().Interface()) //nolint:wrapcheck // database/sql names the column
}

// setLooseJSON reads JSON whose numbers stay as they were written.
func setLooseJSON(field reflect.Value, src any) error {
	field.SetZero()
	text, ok := bytesOf(src)
	if !ok {
		return nil
	}
	if custom, isMap := field.Addr().Interface().(*map[string]any); isMap && string(text) == "{}" {
		*custom = map[string]any{} // as most are
		return nil
	}
	return readJSON(text, field.Addr().Interface())
}

// holdsAnything says whether a value of the type may hold an interface, into which a number would be read as a float.
func holdsAnything(t reflect.Type, within []reflect.Type) bool {
	if slices.Contains(within, t) {
		return false
	}
	within = append(slices.Clip(within), t)
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return holdsAnything(t.Elem(), within)
	case reflect.Map:
		return holdsAnything(t.Key(), within) || holdsAnything(t.Elem(), within)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && holdsAnything(f.Type, within) {
				return true
			}
		}
	}
	return false
}

func setTextList(field reflect.Value, src any) error {
	list := []string{}
	if text, ok := bytesOf(src); ok {
		var err error
		if list, err = parseTextList(string(text)); err != nil {
			return err
		}
	}
	field.Set(reflect.ValueOf(list))
	return nil
}
