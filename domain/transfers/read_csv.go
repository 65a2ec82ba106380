package transfers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// csvDocument is a file of CSV (RFC 4180), with whatever separator.
type csvDocument struct {
	contents io.ReadCloser
	whole    io.Reader // the contents from their beginning; nil once they are being read
	reopen   func() (io.ReadCloser, error)
	size     int64
	format   Format
}

func (d *csvDocument) has(string) bool { return false }

func (d *csvDocument) close() error { return d.contents.Close() }

func (d *csvDocument) open(sheet string) (table, error) {
	if sheet != "" {
		return nil, badFile("sheet", fmt.Sprintf("The file is CSV and has no sheet %q; leave the sheet out, or send XLSX.", shortened(sheet)))
	}
	if d.whole == nil {
		contents, err := d.reopen()
		if err != nil {
			return nil, err
		}
		_ = d.contents.Close() // it was read
		d.contents, d.whole = contents, contents
	}
	counted := &counting{from: d.whole}
	d.whole = nil
	text, err := decoded(counted, d.format.Encoding)
	if err != nil {
		return nil, err
	}
	t := &csvTable{text: text, counted: counted, size: d.size, separator: ','}
	if d.format.Separator != "" {
		t.separator = d.format.Separator[0]
		return t, nil
	}
	return t, t.detect()
}

// counting counts what is read.
type counting struct {
	from io.Reader
	n    int64
}

// Read reads on.
func (c *counting) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}

// csvTable reads rows. It holds one at a time and never one without end.
type csvTable struct {
	text      *bufio.Reader
	counted   *counting
	size      int64
	separator byte

	number int64
	buffer []byte
	ends   []int // of the cells, in the buffer
	row    row
}

func (t *csvTable) position() (done, size int64) { return t.counted.n, t.size }

func (t *csvTable) isRagged() bool { return false }

// detect takes for the separator what stands most often in the first row, outside of quotation marks.
func (t *csvTable) detect() error {
	head, err := t.text.Peek(readAhead)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	counts := map[byte]int{}
	inQuotes, begun := false, false
	for _, b := range head {
		switch {
		case b == '"':
			inQuotes = !inQuotes
		case inQuotes:
		case b == ',' || b == ';' || b == '\t' || b == '|':
			counts[b]++
		}
		if (b == '\n' || b == '\r') && !inQuotes {
			if begun {
				break
			}
			continue
		}
		begun = true
	}
	for _, candidate := range []byte{';', '\t', '|'} {
		if counts[candidate] > counts[t.separator] {
			t.separator = candidate
		}
	}
	return nil
}

// next reads a row. Blank lines are none, and are counted.
func (t *csvTable) next() (*row, error) {
	for {
		err := t.read()
		if err != nil {
			return nil, err
		}
		if len(t.ends) > 1 || len(t.buffer) > 0 || t.row.problem != nil {
			return t.finish(), nil
		}
	}
}

// Where the reader stands in a cell.
const (
	atStart = iota
	plainText
	quotedText
	afterQuote // of a quoted text: its end, or one half of a doubled mark
)

// read reads one record into the buffer.
func (t *csvTable) read() error {
	t.number++
	t.buffer, t.ends, t.row = t.buffer[:0], t.ends[:0], row{number: t.number}
	state, read := atStart, 0
	for {
		b, err := t.text.ReadByte()
		if errors.Is(err, io.EOF) {
			return t.end(state, read)
		}
		if err != nil {
			return err
		}
		if read++; read > maxRowBytes {
			return errTooLong(t.number)
		}
		if state == quotedText {
			if b == '"' {
				state = afterQuote
			} else {
				t.buffer = append(t.buffer, b)
			}
			continue
		}
		switch {
		case b == t.separator:
			t.cell()
			state = atStart
		case b == '\n':
			t.cell()
			return nil
		case b == '\r':
			t.cell()
			return t.skipLineFeed()
		case b == '"' && state == atStart:
			state = quotedText
		case b == '"' && state == afterQuote:
			t.buffer = append(t.buffer, b)
			state = quotedText
		default:
			if state == afterQuote {
				t.bad("quotes", "has more behind a quotation mark that closes; double the marks that belong to the text")
			}
			t.buffer = append(t.buffer, b)
			state = plainText
		}
	}
}

// end is the end of the file, where the last row may have no line feed.
func (t *csvTable) end(state, read int) error {
	if read == 0 {
		return io.EOF
	}
	if state == quotedText {
		t.bad("quotes", "has a quotation mark that is never closed")
	}
	t.cell()
	return nil
}

func (t *csvTable) skipLineFeed() error {
	b, err := t.text.ReadByte()
	if err == nil && b != '\n' {
		err = t.text.UnreadByte()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (t *csvTable) cell() {
	if len(t.ends) == maxColumns {
		t.bad("columns", fmt.Sprintf("has more than %d columns", maxColumns))
		return
	}
	t.ends = append(t.ends, len(t.buffer))
}

// bad notes what is wrong with the row; the first mistake counts.
func (t *csvTable) bad(code, reason string) {
	if t.row.problem == nil {
		t.row.problem = &problem{code: code, reason: reason}
	}
}

// finish makes a row of the buffer.
func (t *csvTable) finish() *row {
	text := string(t.buffer)
	t.row.cells = make([]string, len(t.ends))
	begin := 0
	for i, end := range t.ends {
		t.row.cells[i] = text[begin:end]
		begin = end
	}
	checkText(&t.row, text)
	return &t.row
}

// checkText notes where a row is no text. Beyond that its cells can be shown: what is wrong in them is replaced.
func checkText(r *row, text string) {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return
	}
	for i, cell := range r.cells {
		p := &problem{index: i + 1, code: "encoding"}
		switch {
		case !utf8.ValidString(cell):
			p.reason = "is not in the encoding of the file, UTF-8; save the file as UTF-8, or say in format.encoding which it is (windows-1252)"
		case strings.IndexByte(cell, 0) >= 0:
			p.reason = "holds a NUL; remove it, or say in format.encoding that the file is utf-16"
		default:
			continue
		}
		r.cells[i] = strings.ReplaceAll(strings.ToValidUTF8(cell, "\uFFFD"), "\x00", "\uFFFD")
		if p.value = r.cells[i]; r.problem == nil {
			r.problem = p
		}
	}
}
