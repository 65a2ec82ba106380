package transfers

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// How large the parts of a workbook may be when they are unpacked, and how much they may be packed.
const (
	maxSheetBytes   = 16 << 30
	maxStringsBytes = 4 << 30
	maxPartBytes    = 16 << 20
	// maxDirectory is how large the list of the parts may be.
	maxDirectory = 1 << 20
	// A part that is larger than bombBytes and packed to less than one in bombRatio was made to do harm.
	bombBytes = 64 << 20
	bombRatio = 400
)

// workbook is a file of XLSX (ECMA-376).
type workbook struct {
	file   scratch
	parts  map[string]*zip.File
	sheets []sheetPart
	// isDate says of each style of cells whether it shows a number as a date.
	isDate   []bool
	from1904 bool
	texts    *sharedTexts
	opened   []io.Closer
}

type sheetPart struct{ name, path string }

// badWorkbook is a workbook that cannot be read.
func badWorkbook(cause error) error {
	return badFile("format", "The file is no workbook that can be read: "+cause.Error()+"; save it anew as .xlsx, or as CSV.")
}

// openWorkbook copies a workbook where its parts can be found, and reads what it says of its sheets.
func openWorkbook(from io.Reader) (document, error) {
	file, err := newScratch()
	if err != nil {
		return nil, err
	}
	w := &workbook{file: file, parts: map[string]*zip.File{}}
	size, err := io.Copy(file, from)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("copy the file: %w", err), w.close())
	}
	if err := w.index(size); err != nil {
		return nil, errors.Join(badWorkbook(err), w.close())
	}
	return w, nil
}

// index finds the parts, and reads the small ones.
func (w *workbook) index(size int64) error {
	if err := checkDirectory(w.file, size); err != nil {
		return err
	}
	archive, err := zip.NewReader(w.file, size)
	if err != nil {
		return errors.New("its packing is broken")
	}
	for _, f := range archive.File {
		w.parts[strings.TrimPrefix(path.Clean("/"+f.Name), "/")] = f
	}
	at := "xl/workbook.xml"
	for _, r := range w.relations("") {
		if strings.HasSuffix(r.kind, "/officeDocument") {
			at = r.target
		}
	}
	related := map[string]relation{}
	var styles, texts string
	for _, r := range w.relations(at) {
		related[r.id] = r
		switch {
		case strings.HasSuffix(r.kind, "/styles"):
			styles = r.target
		case strings.HasSuffix(r.kind, "/sharedStrings"):
			texts = r.target
		}
	}
	err = w.each(at, func(t tag) {
		switch t.name {
		case "sheet":
			if r, ok := related[t.attr("id")]; ok && strings.HasSuffix(r.kind, "/worksheet") {
				w.sheets = append(w.sheets, sheetPart{t.attr("name"), r.target})
			}
		case "workbookPr":
			w.from1904 = t.attr("date1904") == "1" || t.attr("date1904") == "true"
		}
	})
	if err != nil {
		return err
	}
	if len(w.sheets) == 0 {
		return errors.New("it has no sheets")
	}
	if err := w.readStyles(styles); err != nil {
		return err
	}
	return w.readTexts(texts)
}

// checkDirectory refuses a list of parts that is larger than any workbook's: archive/zip would read all of it.
func checkDirectory(from io.ReaderAt, size int64) error {
	const record, most = 22, 22 + 1<<16 - 1
	tail := make([]byte, min(size, most))
	if _, err := from.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the file: %w", err)
	}
	at := strings.LastIndex(string(tail), "PK\x05\x06")
	if at < 0 || len(tail)-at < record {
		return errors.New("its packing is broken")
	}
	length := int64(binary.LittleEndian.Uint32(tail[at+12:]))
	offset := int64(binary.LittleEndian.Uint32(tail[at+16:]))
	if length > maxDirectory || size-offset > maxDirectory {
		return errors.New("it has more parts than a workbook has")
	}
	return nil
}

type relation struct{ id, kind, target string }

// relations are what a part refers to; those of "" are the package's.
func (w *workbook) relations(of string) []relation {
	dir, base := path.Split(of)
	var all []relation
	_ = w.each(dir+"_rels/"+base+".rels", func(t tag) { // a part may refer to nothing
		if t.name != "Relationship" {
			return
		}
		target := t.attr("Target")
		if !strings.HasPrefix(target, "/") {
			target = dir + target
		}
		all = append(all, relation{t.attr("Id"), t.attr("Type"), strings.TrimPrefix(path.Clean("/"+target), "/")})
	})
	return all
}

// each calls visit for the start tags of a small part.
func (w *workbook) each(name string, visit func(tag)) error {
	from, err := w.part(name, maxPartBytes)
	if err != nil {
		return err
	}
	defer from.Close()
	m := markup{from: bufio.NewReaderSize(from, readAhead)}
	for {
		p, err := m.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case p == startTag:
			visit(m.tag)
		}
	}
}

// unpacked reads a part, and stops where it is larger than it should be.
type unpacked struct {
	io.ReadCloser

	packed, n, most int64
}

// Read reads on.
func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	u.n += int64(n)
	if u.n > u.most || (u.n > bombBytes && u.n > bombRatio*u.packed) {
		return 0, fmt.Errorf("it unpacks to more than %d bytes", min(u.n-1, u.most))
	}
	return n, err //nolint:wrapcheck // a reader's own
}

func (w *workbook) part(name string, most int64) (*unpacked, error) {
	f := w.parts[name]
	if f == nil {
		return nil, fmt.Errorf("its part %q is missing", shortened(name))
	}
	from, err := f.Open()
	if err != nil {
		return nil, errors.New("its packing is broken")
	}
	return &unpacked{ReadCloser: from, packed: int64(f.CompressedSize64), most: most}, nil //nolint:gosec // of a file that was measured
}

// readStyles finds out which styles show dates: by the number of a format that every workbook has, or by its code.
func (w *workbook) readStyles(name string) error {
	if name == "" || w.parts[name] == nil {
		return nil
	}
	dates := map[string]bool{}
	for _, known := range [][2]int{{14, 22}, {27, 36}, {45, 47}, {50, 58}} {
		for n := known[0]; n <= known[1]; n++ {
			dates[fmt.Sprint(n)] = true
		}
	}
	inCells := false
	return w.each(name, func(t tag) {
		switch t.name {
		case "numFmt":
			dates[t.attr("numFmtId")] = showsDates(t.attr("formatCode"))
		case "cellXfs":
			inCells = true
		case "cellStyles", "dxfs":
			inCells = false
		case "xf":
			if inCells {
				w.isDate = append(w.isDate, dates[t.attr("numFmtId")])
			}
		}
	})
}

// showsDates says whether a format's code has a part of a date or a time outside of quotes and brackets.
func showsDates(code string) bool {
	var in byte
	for i := 0; i < len(code); i++ {
		switch b := code[i]; {
		case in != 0:
			if b == in {
				in = 0
			}
		case b == '"':
			in = '"'
		case b == '[':
			in = ']'
		case b == '\\' || b == '_' || b == '*':
			i++
		case strings.IndexByte("yYmMdDhHsS", b) >= 0:
			return true
		}
	}
	return false
}

func (w *workbook) has(sheet string) bool {
	return slices.ContainsFunc(w.sheets, func(s sheetPart) bool { return strings.EqualFold(s.name, sheet) })
}

func (w *workbook) open(sheet string) (table, error) {
	at := 0
	if sheet != "" {
		at = slices.IndexFunc(w.sheets, func(s sheetPart) bool { return strings.EqualFold(s.name, sheet) })
	}
	if at < 0 {
		names := make([]string, len(w.sheets))
		for i, s := range w.sheets {
			names[i] = shortened(s.name)
		}
		return nil, badFile("sheet", fmt.Sprintf("The workbook has no sheet %q; it has: %s.", shortened(sheet), strings.Join(names, ", ")))
	}
	from, err := w.part(w.sheets[at].path, maxSheetBytes)
	if err != nil {
		return nil, badWorkbook(err)
	}
	w.opened = append(w.opened, from)
	size := int64(w.parts[w.sheets[at].path].UncompressedSize64) //nolint:gosec // what is claimed is for progress alone
	return &sheetTable{
		workbook: w, name: w.sheets[at].name, from: from, size: size,
		markup: markup{from: bufio.NewReaderSize(from, readAhead)},
	}, nil
}

func (w *workbook) close() error {
	for _, part := range w.opened {
		_ = part.Close() // it was read
	}
	if w.texts != nil {
		_ = w.texts.close() // it is gone in any case
	}
	return w.file.Close()
}
