package transfers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/files"
)

// What a file may be. What is larger is told and not read: it is a mistake or an attack.
const (
	// maxRowBytes is how long one row may be, as text.
	maxRowBytes = 1 << 20
	// maxColumns is how many columns a row may have.
	maxColumns = 1000
)

// row is one row of a table. Its texts are good until the next one is read.
type row struct {
	// number is what a spreadsheet shows beside it: the header is 1.
	number int64
	cells  []string
	// exact says which cells are numbers or dates by themselves, whatever the format says; nil for none.
	exact []bool
	// problem is what is wrong with the row as such; nil where it could be read.
	problem *problem
}

func (r *row) isExact(i int) bool { return i < len(r.exact) && r.exact[i] }

// isBlank says whether there is nothing in the row.
func (r *row) isBlank() bool {
	for _, cell := range r.cells {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return r.problem == nil
}

// table is rows, one after the other.
type table interface {
	// next returns the next row; io.EOF behind the last. Other errors end the reading: a fault says what is wrong with
	// the file.
	next() (*row, error)
	// position is how much of size was read, in whatever unit.
	position() (done, size int64)
	// isRagged says that rows may leave their last cells out.
	isRagged() bool
}

// document is an open file that holds tables.
type document interface {
	// open returns a sheet; the first one where it is "". CSV is one sheet, whose name does not matter.
	open(sheet string) (table, error)
	// has says whether there is a sheet of that name.
	has(sheet string) bool
	close() error
}

// openDocument opens a file for reading, as what its first bytes say that it is.
func openDocument(ctx context.Context, service *files.Service, file files.File, format Format) (document, error) {
	contents, err := service.Open(ctx, file, 0, -1)
	if err != nil {
		return nil, err
	}
	head := make([]byte, 8)
	n, err := io.ReadFull(contents, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.Join(err, contents.Close())
	}
	whole := io.MultiReader(strings.NewReader(string(head[:n])), contents)
	switch begins := string(head[:n]); {
	case strings.HasPrefix(begins, "PK\x03\x04"):
		defer func() { _ = contents.Close() }() // it was read
		return openWorkbook(whole)
	case strings.HasPrefix(begins, "\xd0\xcf\x11\xe0"):
		err = badFile("format", "The file is an Excel workbook of before 2007, or has a password; save it as .xlsx without one, or as CSV.")
	case strings.HasPrefix(begins, "%PDF"):
		err = badFile("format", "The file is a PDF; send CSV or XLSX.")
	default:
		return &csvDocument{
			contents: contents, whole: whole, size: file.Size, format: format,
			reopen: func() (io.ReadCloser, error) { return service.Open(ctx, file, 0, -1) },
		}, nil
	}
	return nil, errors.Join(err, contents.Close())
}

// errTooLong ends the reading where a row has no end.
func errTooLong(number int64) error {
	return badFile("row_too_long", fmt.Sprintf(
		"Row %d is longer than %d bytes: a quotation mark may be left open there, or the lines do not end. Nothing behind it was read.", number, maxRowBytes))
}

// scratch is a file of this process's own, which is gone when it is closed, or dies.
type scratch struct{ *os.File }

func newScratch() (scratch, error) {
	f, err := os.CreateTemp("", "groundwork-import-*")
	if err != nil {
		return scratch{}, fmt.Errorf("make a temporary file: %w", err)
	}
	_ = os.Remove(f.Name()) // where that cannot be done while it is open, Close does it
	return scratch{f}, nil
}

// Close removes the file.
func (s scratch) Close() error {
	err := s.File.Close()
	_ = os.Remove(s.Name())
	return err
}
