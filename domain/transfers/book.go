package transfers

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A workbook is written by hand here and not by a library: those keep sheets, in memory or in files, until all of them are
// there. Here one sheet after the other goes into the package as its rows come, and what names the sheets goes last.

// maxSheetRows is how many rows a sheet holds, its header among them, by Excel's limits. Further ones go into a next sheet.
const maxSheetRows = 1 << 20

// book writes an Office Open XML workbook (ECMA-376). It keeps no row.
type book struct {
	zip     *zip.Writer
	out     *bufio.Writer
	at      time.Time
	maxRows int
	sheets  []string

	// The sheet under way, its parts counted, and its rows.
	name   string
	header []string
	part   int
	rows   int
	line   []byte
}

// newBook returns a workbook that goes to w as it comes. A sheet gets so many rows, and the next ones go into a next part.
func newBook(w io.Writer, at time.Time, maxRows int) *book {
	b := &book{zip: zip.NewWriter(w), at: at, maxRows: maxRows, out: bufio.NewWriterSize(nil, writeBuffer)}
	b.zip.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(out, flate.BestSpeed)
	})
	return b
}

// sheet ends the sheet under way and begins one of that name, with a row of names that stays in view.
func (b *book) sheet(name string, header []string) error {
	b.name, b.header, b.part = name, header, 0
	return b.nextPart()
}

// maxSheetName is how long the name of a sheet may be, in characters, by Excel's limits.
const maxSheetName = 31

func (b *book) nextPart() error {
	if err := b.endSheet(); err != nil {
		return err
	}
	b.part++
	suffix := ""
	if b.part > 1 {
		suffix = " " + strconv.Itoa(b.part)
	}
	b.sheets = append(b.sheets, b.name[:min(len(b.name), maxSheetName-len(suffix))]+suffix)
	if err := b.open(sheetPath(len(b.sheets))); err != nil {
		return err
	}
	b.rows = 0
	_, _ = b.out.WriteString(xmlHead + `<worksheet xmlns="` + spreadsheetML + `"><sheetViews><sheetView workbookViewId="0">` +
		`<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>`)
	names := make([]cell, len(b.header))
	for i, name := range b.header {
		names[i] = cell{name, textCell}
	}
	return b.write(names, ` s="1"`)
}

func sheetPath(n int) string { return "xl/worksheets/sheet" + strconv.Itoa(n) + ".xml" }

// row writes a row.
func (b *book) row(cells []cell) error {
	if b.rows == b.maxRows {
		if err := b.nextPart(); err != nil {
			return err
		}
	}
	return b.write(cells, "")
}

func (b *book) write(cells []cell, style string) error {
	b.rows++
	number := strconv.Itoa(b.rows)
	line := append(append(append(b.line[:0], `<row r="`...), number...), `">`...)
	for i, c := range cells {
		if c.kind == emptyCell {
			continue
		}
		line = append(append(append(line, `<c r="`...), columnName(i)...), number...)
		line = append(append(line, '"'), style...)
		switch {
		case c.kind == booleanCell:
			value := `0`
			if c.text == "true" {
				value = `1`
			}
			line = append(append(append(line, ` t="b"><v>`...), value...), `</v></c>`...)
		case c.kind == numberCell && len(strings.TrimPrefix(c.text, "-")) <= exactDigits:
			line = append(append(append(line, `><v>`...), c.text...), `</v></c>`...)
		default:
			line = append(line, ` t="inlineStr"><is><t xml:space="preserve">`...)
			line = append(appendXML(line, c.text), `</t></is></c>`...)
		}
	}
	b.line = append(line, `</row>`...)
	_, err := b.out.Write(b.line)
	return err
}

// exactDigits is how many digits of a number a spreadsheet keeps; longer ones are written as text.
const exactDigits = 15

// columnName is A for 0, Z for 25, AA for 26.
func columnName(i int) string {
	const letters = 26
	if i < letters {
		return string(rune('A' + i))
	}
	return columnName(i/letters-1) + string(rune('A'+i%letters))
}

// appendXML appends text as it stands in a cell. What XML cannot hold is written as _xHHHH_, and what is written like that
// with its underscore so (ECMA-376 part 1, 22.9.2.19). So is a carriage return, which XML would make a line feed.
func appendXML(b []byte, text string) []byte {
	for i, r := range text {
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '_' && isEscape(text[i:]):
			b = append(b, "_x005F_"...)
		case r < ' ' && r != '\t' && r != '\n', r == '\uFFFE', r == '\uFFFF':
			b = fmt.Appendf(b, "_x%04X_", r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// isEscape says whether text begins with _xHHHH_.
func isEscape(text string) bool {
	const length = len("_x0000_")
	return len(text) >= length && text[1] == 'x' && text[6] == '_' && strings.Trim(text[2:6], "0123456789abcdefABCDEF") == ""
}

const (
	xmlHead       = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	spreadsheetML = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	relationships = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	packageML     = "http://schemas.openxmlformats.org/package/2006/"
	documentTypes = "application/vnd.openxmlformats-officedocument.spreadsheetml."
)

// open begins a part of the package.
func (b *book) open(path string) error {
	w, err := b.zip.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Deflate, Modified: b.at})
	b.out.Reset(w)
	return err
}

func (b *book) endSheet() error {
	if len(b.sheets) == 0 {
		return nil
	}
	_, _ = b.out.WriteString(`</sheetData></worksheet>`)
	return b.out.Flush()
}

// close ends the last sheet and writes what makes a workbook of the sheets.
func (b *book) close() error {
	if err := b.endSheet(); err != nil {
		return err
	}
	var types, related, sheets strings.Builder
	for i, name := range b.sheets {
		id := strconv.Itoa(i + 1)
		types.WriteString(`<Override PartName="/` + sheetPath(i+1) + `" ContentType="` + documentTypes + `worksheet+xml"/>`)
		related.WriteString(`<Relationship Id="rId` + id + `" Type="` + relationships + `/worksheet" Target="worksheets/sheet` + id + `.xml"/>`)
		sheets.WriteString(`<sheet name="` + name + `" sheetId="` + id + `" r:id="rId` + id + `"/>`) // names are a definition's
	}
	for _, part := range []struct{ path, content string }{
		{"xl/styles.xml", `<styleSheet xmlns="` + spreadsheetML + `"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>` +
			`<font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill>` +
			`<fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>` +
			`<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>` +
			`<cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>` +
			`<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs></styleSheet>`},
		{"xl/workbook.xml", `<workbook xmlns="` + spreadsheetML + `" xmlns:r="` + relationships + `"><sheets>` + sheets.String() + `</sheets></workbook>`},
		{"xl/_rels/workbook.xml.rels", `<Relationships xmlns="` + packageML + `relationships">` + related.String() +
			`<Relationship Id="rIdStyles" Type="` + relationships + `/styles" Target="styles.xml"/></Relationships>`},
		{"_rels/.rels", `<Relationships xmlns="` + packageML + `relationships"><Relationship Id="rId1" Type="` + relationships +
			`/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
		{"[Content_Types].xml", `<Types xmlns="` + packageML + `content-types">` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Default Extension="xml" ContentType="application/xml"/>` +
			`<Override PartName="/xl/workbook.xml" ContentType="` + documentTypes + `sheet.main+xml"/>` +
			`<Override PartName="/xl/styles.xml" ContentType="` + documentTypes + `styles+xml"/>` + types.String() + `</Types>`},
	} {
		if err := b.open(part.path); err != nil {
			return err
		}
		_, _ = b.out.WriteString(xmlHead + part.content)
		if err := b.out.Flush(); err != nil {
			return err
		}
	}
	return b.zip.Close()
}
