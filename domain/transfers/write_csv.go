package transfers

import (
	"bufio"
	"io"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// writeBuffer is how much is gathered before it goes on, in bytes.
const writeBuffer = 64 << 10

// csvWriter writes RFC 4180: lines end with CR LF, and what is not plain stands in quotes.
type csvWriter struct {
	out     *bufio.Writer
	columns []*resource.Field
	line    []byte
}

func newCSVWriter(w io.Writer, columns []*resource.Field) *csvWriter {
	return &csvWriter{out: bufio.NewWriterSize(w, writeBuffer), columns: columns}
}

func (w *csvWriter) passes() []pass {
	return []pass{{doing: "writing", begin: w.header, write: w.record}}
}

func (w *csvWriter) header() error {
	w.line = w.line[:0]
	for _, name := range columnNames(w.columns) {
		w.add(name)
	}
	return w.end()
}

func (w *csvWriter) record(e resource.Entity) error {
	w.line = w.line[:0]
	for _, f := range w.columns {
		c, err := asCell(f.Value(e))
		if err != nil {
			return err
		}
		w.add(c.text)
	}
	return w.end()
}

// add adds a cell and the comma behind it. Quotes stand around more than RFC 4180 asks for: around whatever another
// separator than ours would split, so that no part of a text becomes a cell, and a formula, of its own.
func (w *csvWriter) add(text string) {
	if !strings.ContainsAny(text, "\",;|\t\r\n") && strings.TrimSpace(text) == text {
		w.line = append(append(w.line, text...), ',')
		return
	}
	w.line = append(w.line, '"')
	for i := range len(text) {
		if text[i] == '"' {
			w.line = append(w.line, '"')
		}
		w.line = append(w.line, text[i])
	}
	w.line = append(w.line, '"', ',')
}

// end writes the line. One with a single empty cell is written in quotes: else it would be a blank line, which readers
// pass over.
func (w *csvWriter) end() error {
	line := w.line[:len(w.line)-1]
	if len(line) == 0 {
		line = append(line, '"', '"')
	}
	_, err := w.out.Write(append(line, '\r', '\n'))
	return err
}

func (w *csvWriter) close() error { return w.out.Flush() }
