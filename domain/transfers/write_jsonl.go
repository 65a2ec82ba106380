package transfers

import (
	"bufio"
	"encoding/json"
	"io"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// lineWriter writes a JSON object on each line. What belongs to a record stands in it, whole.
type lineWriter struct {
	out     *bufio.Writer
	encoder *json.Encoder
	// columns are the fields that were asked for; nil writes records as they are.
	columns []*resource.Field
	names   []string
}

func newLineWriter(w io.Writer, d *resource.Definition, fields []string) *lineWriter {
	l := &lineWriter{out: bufio.NewWriterSize(w, writeBuffer)}
	l.encoder = json.NewEncoder(l.out)
	l.encoder.SetEscapeHTML(false)
	if fields != nil {
		l.columns = columnsOf(d, fields)
		l.names = columnNames(l.columns)
	}
	return l
}

func (w *lineWriter) passes() []pass {
	return []pass{{doing: "writing", begin: func() error { return nil }, write: w.record}}
}

func (w *lineWriter) record(e resource.Entity) error {
	if w.columns == nil {
		return w.encoder.Encode(e)
	}
	separator := byte('{')
	for i, f := range w.columns {
		value, err := jsonOf(f.Value(e))
		if err != nil {
			return err
		}
		_ = w.out.WriteByte(separator) // the writer keeps its first error, which the last line returns
		_, _ = w.out.WriteString(`"` + w.names[i] + `":` + value)
		separator = ','
	}
	_, err := w.out.WriteString("}\n")
	return err
}

func (w *lineWriter) close() error { return w.out.Flush() }
