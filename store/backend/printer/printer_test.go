package printer_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"github.com/groundwork-saas/groundwork/domain/reports/reportstest"
	"github.com/groundwork-saas/groundwork/store/backend/printer"
)

// look keeps what was printed where REPORTS_LOOK says, so that somebody can look at it.
func look(t *testing.T, name string, data []byte) {
	t.Helper()
	if dir := os.Getenv("REPORTS_LOOK"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)
	for name, d := range reportstest.Cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pdf, again, book bytes.Buffer
			require.NoError(t, printer.Printer{}.PDF(&pdf, d, made))
			require.NoError(t, printer.Printer{}.PDF(&again, d, made))
			require.NoError(t, printer.Printer{}.XLSX(&book, d, made))
			look(t, name+".pdf", pdf.Bytes())
			look(t, name+".xlsx", book.Bytes())
			assert.True(t, bytes.HasPrefix(pdf.Bytes(), []byte("%PDF-1.")))
			assert.Equal(t, pdf.Bytes(), again.Bytes(), "the same document is the same PDF")
			assert.Less(t, pdf.Len(), 400_000)

			file, err := excelize.OpenReader(&book)
			require.NoError(t, err)
			defer func() { assert.NoError(t, file.Close()) }()
			for _, sheet := range file.GetSheetList() {
				rows, err := file.GetRows(sheet)
				require.NoError(t, err)
				for r, row := range rows {
					for c := range row {
						cell, err := excelize.CoordinatesToCellName(c+1, r+1)
						require.NoError(t, err)
						formula, err := file.GetCellFormula(sheet, cell)
						require.NoError(t, err)
						assert.Empty(t, formula, "%s %s: a text is a text", sheet, cell)
					}
				}
			}
			found, err := file.SearchSheet("Summary", d.Title)
			require.NoError(t, err)
			assert.Len(t, found, 1)
		})
	}
}
