package transfers

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// How many failures the result of a job shows itself, and how many bytes they may take. The file has all of them.
const (
	maxShown      = 100
	maxShownBytes = 32 << 10
)

// failedRows keeps rows that were refused in a file of this process's own.
type failedRows struct {
	file scratch
	out  *bufio.Writer
}

func newFailedRows() (*failedRows, error) {
	file, err := newScratch()
	if err != nil {
		return nil, err
	}
	return &failedRows{file: file, out: bufio.NewWriter(file)}, nil
}

func (f *failedRows) close() error { return f.file.Close() }

// restart forgets what was added.
func (f *failedRows) restart() error {
	f.out.Reset(f.file)
	_, err := f.file.Seek(0, io.SeekStart)
	return errors.Join(err, f.file.Truncate(0))
}

func (f *failedRows) add(rows ...FailedRow) error {
	encoder := json.NewEncoder(f.out)
	for i := range rows {
		if err := encoder.Encode(&rows[i]); err != nil {
			return fmt.Errorf("write a temporary file: %w", err)
		}
	}
	return nil
}

// each calls visit for the rows in their order.
func (f *failedRows) each(visit func(FailedRow) error) error {
	err := f.out.Flush()
	if _, sought := f.file.Seek(0, io.SeekStart); err == nil {
		err = sought
	}
	decoder := json.NewDecoder(bufio.NewReader(f.file))
	for err == nil {
		var row FailedRow
		if err = decoder.Decode(&row); err == nil {
			err = visit(row)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// eachFailed calls visit for the rows of this import that were refused.
func (w *importRun) eachFailed(ctx context.Context, visit func(FailedRow) error) error {
	if w.refused != nil {
		return w.refused.each(visit)
	}
	return w.imports.needs.Store.ListFailedRows(ctx, w.run.Scope, w.args.Import, visit)
}

// errEnough ends a list of which enough was seen.
var errEnough = errors.New("transfers: enough was seen")

// result says what came of the import, and makes the file of the rows that were refused.
func (w *importRun) result(ctx context.Context) (ImportResult, error) {
	r := ImportResult{
		ImportCounts: w.state.ImportCounts, DryRun: w.args.Request.DryRun, Incomplete: w.state.Incomplete,
		IgnoredColumns: []string{}, Errors: []ImportFailure{},
	}
	size := 0
	for _, name := range w.ignored {
		if size += len(name); size < maxShownBytes/4 {
			r.IgnoredColumns = append(r.IgnoredColumns, name)
		}
	}
	if w.state.Failed == 0 {
		return r, nil
	}
	size = 0
	err := w.eachFailed(ctx, func(row FailedRow) error {
		for _, f := range row.Failures {
			f.Value = w.shownValue(f)
			data, err := json.Marshal(f)
			if err != nil {
				return fmt.Errorf("write what is wrong with a row: %w", err)
			}
			if size += len(data); len(r.Errors) == maxShown || size > maxShownBytes {
				return errEnough
			}
			r.Errors = append(r.Errors, f)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return r, err
	}
	id, err := jobs.Once(ctx, w.run, "errors_file", func(ctx context.Context, _ string) (tenancy.ID, error) { return w.errorsFile(ctx) })
	r.ErrorsFileID = &id
	return r, err
}

// shownValue hides what is personal: the result of a job is read by more people than the records are.
func (b *batcher) shownValue(f ImportFailure) string {
	for i := range b.targets {
		if t := &b.targets[i]; t.field.Personal && f.Part == "" && shortened(t.column()) == f.Column {
			masked, _ := audit.Mask(f.Value).(string)
			return masked
		}
	}
	return f.Value
}

// errorsFile makes the file of the rows that were refused: as they came in, with what is wrong behind them. Once that is
// mended it can be imported as it is.
func (w *importRun) errorsFile(ctx context.Context) (tenancy.ID, error) {
	name := strings.TrimSuffix(w.main.Name, path.Ext(w.main.Name)) + "-errors.csv"
	meta := files.Meta{Name: name, Purpose: files.ForErrors, ContentType: "text/csv", Permission: w.service.Definition.Plural + ":write"}
	file, err := w.imports.needs.Files.Create(ctx, w.run.Scope, meta, func(out io.Writer) error {
		table := csv.NewWriter(out)
		columns := len(w.header.names)
		line := make([]string, 0, columns+3)
		write := func(cells []string, row, column, reason string) error {
			line = line[:0]
			for i := range columns {
				cell := ""
				if i < len(cells) {
					cell = Guard(Unguard(cells[i]))
				}
				line = append(line, cell)
			}
			return table.Write(append(line, row, Guard(column), Guard(reason)))
		}
		if err := write(w.header.names, "import_row", "import_column", "import_reason"); err != nil {
			return err
		}
		err := w.eachFailed(ctx, func(row FailedRow) error {
			columns, reasons := told(row.Failures)
			return write(row.Cells, strconv.FormatInt(row.Row, 10), columns, reasons)
		})
		table.Flush()
		return errors.Join(err, table.Error())
	})
	return file.ID, err
}

// told are the columns and the reasons of a row's failures in a line.
func told(failures []ImportFailure) (columns, reasons string) {
	const most = 20
	var names, all []string
	for _, f := range failures[:min(len(failures), most)] {
		name, reason := f.Column, strings.TrimSpace(f.Column+" "+f.Reason)
		if f.Part != "" {
			name = strings.TrimSuffix(f.Part+"."+f.Column, ".")
			reason = fmt.Sprintf("row %d of %s: %s", f.Row, f.Part, reason)
		}
		names, all = append(names, name), append(all, reason)
	}
	return strings.Join(names, ", "), strings.Join(all, "; ")
}
