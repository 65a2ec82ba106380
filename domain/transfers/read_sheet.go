package transfers

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// sheetTable reads the rows of one sheet.
type sheetTable struct {
	workbook *workbook
	name     string
	from     *unpacked
	size     int64
	markup   markup

	number int64
	bytes  int
}

func (t *sheetTable) position() (done, size int64) { return t.from.n, max(t.size, t.from.n) }

func (t *sheetTable) isRagged() bool { return true }

// next returns the next row that has cells.
func (t *sheetTable) next() (*row, error) {
	for {
		p, err := t.markup.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case err != nil:
			return nil, t.broken(err)
		case p != startTag || t.markup.tag.name != "row":
			continue
		}
		number := t.number + 1
		if said := t.markup.tag.attr("r"); said != "" {
			if number, err = strconv.ParseInt(said, 10, 32); err != nil || number <= t.number {
				return nil, t.broken(fmt.Errorf("row %q does not stand behind row %d", shortened(said), t.number))
			}
		}
		t.number, t.bytes = number, 0
		r := &row{number: number}
		if err := t.cells(r); err != nil {
			return nil, t.broken(err)
		}
		if len(r.cells) > 0 || r.problem != nil {
			checkText(r, strings.Join(r.cells, ""))
			return r, nil
		}
	}
}

// broken keeps a fault as it is, and makes one of what is wrong with the sheet.
func (t *sheetTable) broken(err error) error {
	if errors.Is(err, io.EOF) {
		err = errMarkup
	}
	return badFile("format", fmt.Sprintf("The sheet %q cannot be read behind row %d: %s. Nothing behind it was read.", shortened(t.name), t.number, err))
}

// cells reads a row's cells, as far as its end tag.
func (t *sheetTable) cells(r *row) error {
	for {
		p, err := t.markup.next()
		switch {
		case err != nil:
			return err
		case p == endTag && t.markup.tag.name == "row":
			return nil
		case p != startTag || t.markup.tag.name != "c":
			continue
		}
		tag := t.markup.tag
		at, kind, style := len(r.cells), tag.attr("t"), tag.attr("s")
		if ref := tag.attr("r"); ref != "" {
			at = columnOf(ref)
		}
		text, err := t.cell(kind)
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		if t.bytes += len(text); t.bytes > maxRowBytes {
			return fmt.Errorf("row %d is longer than %d bytes", r.number, maxRowBytes)
		}
		if at < len(r.cells) || at >= maxColumns {
			r.problem = &problem{code: "columns", reason: fmt.Sprintf("has cells out of their order, or more than %d columns", maxColumns)}
			continue
		}
		for len(r.cells) <= at {
			r.cells, r.exact = append(r.cells, ""), append(r.exact, false)
		}
		if err := t.set(r, at, kind, style, text); err != nil {
			return err
		}
	}
}

// columnOf is the column of a reference such as "AB12": 27.
func columnOf(reference string) int {
	at := 0
	for i := 0; i < len(reference) && i < 4; i++ {
		b := reference[i] &^ ('a' - 'A')
		if b < 'A' || b > 'Z' {
			break
		}
		at = at*26 + int(b-'A') + 1
	}
	return at - 1
}

// cell reads what stands in a cell, as far as its end tag: its value, or its inline text without what is said of how to
// pronounce it.
func (t *sheetTable) cell(kind string) (string, error) {
	var text strings.Builder
	in, silent := "", false
	for {
		p, err := t.markup.next()
		if err != nil {
			return "", err
		}
		switch name := t.markup.tag.name; {
		case p == startTag && name == "rPh":
			silent = true
		case p == endTag && name == "rPh":
			silent = false
		case p == startTag:
			in = name
		case p == endTag && name == "c":
			return text.String(), nil
		case p == endTag:
			in = ""
		case p == someText && !silent && (in == "v" || in == "t" && kind == "inlineStr"):
			if text.Write(t.markup.text); text.Len() > maxRowBytes {
				return "", fmt.Errorf("a cell is longer than %d bytes", maxRowBytes)
			}
		}
	}
}

// set puts a cell into the row as what it is.
func (t *sheetTable) set(r *row, at int, kind, style, text string) error {
	switch kind {
	case "s":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errMarkup
		}
		r.cells[at], err = t.workbook.text(n)
		t.bytes += len(r.cells[at])
		return err
	case "inlineStr", "str":
		r.cells[at] = text
	case "b":
		r.cells[at], r.exact[at] = strconv.FormatBool(text == "1" || text == "true"), true
	case "e":
		r.cells[at] = text
		if r.problem == nil {
			r.problem = &problem{index: at + 1, value: text, code: "value", reason: "is an error of the spreadsheet's formula"}
		}
	case "d":
		r.cells[at], r.exact[at] = text, true
	default:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return errMarkup
		}
		r.exact[at] = true
		if s, err := strconv.Atoi(style); err == nil && s >= 0 && s < len(t.workbook.isDate) && t.workbook.isDate[s] {
			r.cells[at] = dateOf(n, t.workbook.from1904)
			return nil
		}
		r.cells[at] = shown(n)
	}
	return nil
}

// shown is a number as a spreadsheet shows it: 15 digits of the 17 that a float needs, so that 0.15 is 0.15.
func shown(n float64) string {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(n, 'g', 15, 64), 64)
	if err != nil {
		rounded = n
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// dateOf is the date that a number of days stands for. The days are those of 1900, which a spreadsheet takes for a leap
// year, or of 1904.
func dateOf(days float64, from1904 bool) string {
	const most = 2_958_466 // the end of 9999
	if days < 0 || days >= most {
		return shown(days)
	}
	first := time.Date(1899, time.December, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case from1904:
		first = time.Date(1904, time.January, 1, 0, 0, 0, 0, time.UTC)
	case days < 60:
		days++
	}
	whole, fraction := math.Modf(days)
	t := first.AddDate(0, 0, int(whole)).Add(time.Duration(math.Round(fraction*24*60*60*1000)) * time.Millisecond)
	if fraction == 0 {
		return t.Format(time.DateOnly)
	}
	return t.Format("2006-01-02T15:04:05.999")
}
