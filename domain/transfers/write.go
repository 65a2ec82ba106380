package transfers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// recordWriter writes records into a file.
type recordWriter interface {
	// passes are how often, and as what, all records are written. They come in the same order each time.
	passes() []pass
	// close writes what stands at the end.
	close() error
}

// pass is one reading of all records.
type pass struct {
	// doing says what it does, for the job's progress.
	doing string
	begin func() error
	write func(resource.Entity) error
}

func newRecordWriter(w io.Writer, format ExportFormat, d *resource.Definition, fields []string, at time.Time) (recordWriter, error) {
	switch format {
	case CSV:
		return newCSVWriter(w, columnsOf(d, fields)), nil
	case XLSX:
		return newSheetWriter(newBook(w, at, maxSheetRows), d, columnsOf(d, fields)), nil
	case JSONL:
		return newLineWriter(w, d, fields), nil
	}
	return nil, fmt.Errorf("there is no format %q", format)
}

// columnsOf are the fields of those names, in that order; all of them for nil.
func columnsOf(d *resource.Definition, names []string) []*resource.Field {
	var columns []*resource.Field
	if names == nil {
		for i := range d.Fields {
			columns = append(columns, &d.Fields[i])
		}
		return columns
	}
	for _, name := range names {
		if f := d.Field(name); f != nil && !slices.Contains(columns, f) {
			columns = append(columns, f)
		}
	}
	return columns
}

func columnNames(columns []*resource.Field) []string {
	names := make([]string, len(columns))
	for i, f := range columns {
		names[i] = f.Name
	}
	return names
}

// cell is a value as a table holds it.
type cell struct {
	text string
	kind cellKind
}

type cellKind int

const (
	emptyCell cellKind = iota
	textCell
	numberCell
	booleanCell
)

// asCell is a field's value in a table. What holds several values is JSON; nothing, be it null or a list without values,
// is an empty cell.
func asCell(value any) (cell, error) {
	switch v := value.(type) {
	case nil:
		return cell{}, nil
	case string:
		return textOf(Guard(v)), nil
	case int64:
		return cell{strconv.FormatInt(v, 10), numberCell}, nil
	case bool:
		return cell{strconv.FormatBool(v), booleanCell}, nil
	case time.Time:
		return textOf(v.UTC().Format(time.RFC3339Nano)), nil
	case tenancy.ID:
		return textOf(v.String()), nil
	case []string:
		if len(v) == 0 {
			return cell{}, nil
		}
	case map[string]any:
		if len(v) == 0 {
			return cell{}, nil
		}
	}
	text, err := jsonOf(value)
	if err != nil || text == "null" || text == "[]" || text == "{}" {
		return cell{}, err
	}
	return textOf(text), nil
}

func textOf(text string) cell {
	if text == "" {
		return cell{}
	}
	return cell{text, textCell}
}

// Guard is a text as a table may hold it: one that a spreadsheet could take for a formula, since it begins with = + - @,
// a tab or a carriage return, is led by an apostrophe; so is one that begins with an apostrophe, so that Unguard knows
// which one was added. (OWASP, "CSV Injection".)
func Guard(text string) string {
	if text != "" && strings.IndexByte(formulaStarts, text[0]) >= 0 {
		return "'" + text
	}
	return text
}

// Unguard takes off what Guard added.
func Unguard(text string) string {
	if len(text) > 1 && text[0] == '\'' && strings.IndexByte(formulaStarts, text[1]) >= 0 {
		return text[1:]
	}
	return text
}

// formulaStarts are the first characters of texts that Guard changes.
const formulaStarts = "=+-@\t\r'"

// jsonOf is a value as the API writes it.
func jsonOf(value any) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", fmt.Errorf("write JSON: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
