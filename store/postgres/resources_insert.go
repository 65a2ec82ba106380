package postgres

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// deferInserts writes new records with the transaction's next round trip. Many go as columns, in one statement that is
// the same for any number: PostgreSQL takes longer over a list of a thousand values than over the rows that they make.
func deferInserts(tx *gorm.DB, scope tenancy.Scope, d *resource.Definition, records []resource.Entity) error {
	if len(records) == 1 {
		return DeferCreate(tx, records[0])
	}
	columns := make([]textColumn, len(d.Fields))
	for _, e := range records {
		if e.Head().TenantID != scope.Tenant {
			return errOtherTenant
		}
		for i := range d.Fields {
			if err := columns[i].addValue(&d.Fields[i], e); err != nil {
				return err
			}
		}
	}
	args := make([]any, 0, len(columns)+1)
	args = append(args, scope.Tenant)
	for i := range columns {
		args = append(args, columns[i].String())
	}
	return Defer(tx, insertManySQL(d), args...)
}

// insertManySQL is the statement that inserts records given as columns of texts, in the order of the definition's fields.
func insertManySQL(d *resource.Definition) string {
	var names, values, arrays, columns []string
	for i := range d.Fields {
		f := &d.Fields[i]
		name := quoted(f.Name)
		names = append(names, name)
		values = append(values, "r."+name+"::"+columnTypes[f.Kind])
		arrays = append(arrays, fmt.Sprintf("$%d::text[]", i+2))
		columns = append(columns, name)
	}
	return "INSERT INTO " + d.Plural + " (tenant_id, " + strings.Join(names, ", ") + ") SELECT $1, " + strings.Join(values, ", ") +
		" FROM unnest(" + strings.Join(arrays, ", ") + ") AS r (" + strings.Join(columns, ", ") + ")"
}

// addValue appends a record's value of a field, in the text form of the field's column.
func (c *textColumn) addValue(f *resource.Field, e resource.Entity) error {
	switch v := f.Value(e).(type) {
	case nil:
		c.addNull()
	case string:
		c.add(v)
	case int64:
		c.add(strconv.FormatInt(v, 10))
	case bool:
		c.add(strconv.FormatBool(v))
	case time.Time:
		c.add(v.Format(time.RFC3339Nano))
	case tenancy.ID:
		c.add(v.String())
	case []string:
		var list textColumn
		for _, text := range v {
			list.add(text)
		}
		c.add(list.String())
	default: // an object, or a list of what belongs to the record
		data, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("write %s as JSON: %w", f.Name, err)
		}
		c.add(string(data))
	}
	return nil
}
