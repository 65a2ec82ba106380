package printer

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/groundwork-saas/groundwork/domain/reports"
)

// XLSX writes a document as a workbook: a sheet of its figures, and one for each section with its tables and its chart.
func (Printer) XLSX(w io.Writer, d reports.Document, made time.Time) (err error) {
	file := excelize.NewFile()
	defer func() { err = errors.Join(err, file.Close()) }()
	b := &book{file: file, styles: map[string]int{}, names: map[string]bool{}}
	stamp := made.UTC().Format(time.RFC3339)
	b.try(file.SetDocProps(&excelize.DocProperties{
		Title: d.Title + ", " + d.Subtitle, Creator: "Groundwork", Subject: d.Organization, Created: stamp, Modified: stamp,
	}))
	first := b.name("Summary")
	b.try(file.SetSheetName("Sheet1", first))
	b.summary(first, d)
	for _, section := range d.Sections {
		if len(section.Tables) > 0 {
			b.section(section)
		}
	}
	if b.err != nil {
		return fmt.Errorf("write the workbook: %w", b.err)
	}
	if err := file.Write(w); err != nil {
		return fmt.Errorf("write the workbook: %w", err)
	}
	return nil
}

// book is a workbook under way. The first error ends it.
type book struct {
	file   *excelize.File
	styles map[string]int
	names  map[string]bool
	err    error
}

func (b *book) try(err error) {
	if b.err == nil {
		b.err = err
	}
}

// name is a free name for a sheet: at most 31 characters, none of []:*?/\.
func (b *book) name(wanted string) string {
	clean := []rune(strings.Map(func(r rune) rune {
		if strings.ContainsRune(`[]:*?/\'`, r) {
			return ' '
		}
		return r
	}, wanted))
	const most = 28
	text := string(clean[:min(len(clean), most)])
	for n, try := 2, text; ; n++ {
		if !b.names[try] {
			b.names[try] = true
			return try
		}
		try = fmt.Sprintf("%s %d", text, n)
	}
}

func (b *book) style(key string, style excelize.Style) int {
	if id, known := b.styles[key]; known {
		return id
	}
	id, err := b.file.NewStyle(&style)
	b.try(err)
	b.styles[key] = id
	return id
}

// at is the name of a cell.
func at(column, row int) string {
	name, err := excelize.CoordinatesToCellName(column, row)
	if err != nil {
		return "A1" // neither is below 1, nor so many
	}
	return name
}

// text writes a text, never a formula, in a style.
func (b *book) text(sheet, cell, value string, style int) {
	b.try(b.file.SetCellStr(sheet, cell, value))
	b.try(b.file.SetCellStyle(sheet, cell, cell, style))
}

// mostExact is the largest integer that a number of a workbook holds exactly.
const mostExact = 1 << 53

// value writes a cell: a number as one, unless it is too large to be kept as it is.
func (b *book) value(sheet, cell string, c reports.Cell) {
	switch {
	case c.Kind == reports.NoCell:
		return
	case c.Kind == reports.TextCell, c.Number > mostExact, c.Number < -mostExact:
		b.text(sheet, cell, c.String(), b.style("text", excelize.Style{}))
	default:
		number := float64(c.Number)
		for range c.Digits() {
			number /= 10
		}
		format := "#,##0"
		if digits := c.Digits(); digits > 0 {
			format += "." + strings.Repeat("0", digits)
		}
		b.try(b.file.SetCellValue(sheet, cell, number))
		b.try(b.file.SetCellStyle(sheet, cell, cell, b.style(format, excelize.Style{CustomNumFmt: &format})))
	}
}

func (b *book) title() int {
	return b.style("title", excelize.Style{Font: &excelize.Font{Bold: true, Size: 16, Color: "1C2430"}})
}

func (b *book) strong() int {
	return b.style("strong", excelize.Style{Font: &excelize.Font{Bold: true, Color: "1C2430"}})
}

func (b *book) soft() int {
	return b.style("soft", excelize.Style{Font: &excelize.Font{Color: "66707F"}})
}

// head is a column's title: the numbers' stands over their right end.
func (b *book) head(column int) int {
	key, align := "head", "right"
	if column == 1 {
		key, align = "head-left", "left"
	}
	return b.style(key, excelize.Style{
		Font: &excelize.Font{Bold: true, Color: "66707F"}, Alignment: &excelize.Alignment{Horizontal: align},
		Border: []excelize.Border{{Type: "bottom", Color: "C5CCD6", Style: 1}},
	})
}

func (b *book) widths(sheet string) {
	b.try(b.file.SetColWidth(sheet, "A", "A", 38))
	b.try(b.file.SetColWidth(sheet, "B", "D", 18))
	b.try(b.file.SetColWidth(sheet, "E", "F", 36))
}

func (b *book) summary(sheet string, d reports.Document) {
	b.widths(sheet)
	b.text(sheet, at(1, 1), d.Organization, b.soft())
	b.text(sheet, at(1, 2), d.Title, b.title())
	b.text(sheet, at(1, 3), d.Subtitle, b.soft())
	row := 5
	if d.Revision != "" {
		b.text(sheet, at(1, row), d.Revision, b.strong())
		row++
		for _, c := range d.Changes {
			b.text(sheet, at(1, row), c.Sentence(), b.soft())
			row++
		}
		row++
	}
	for _, section := range d.Sections {
		if section.Title != "" {
			b.text(sheet, at(1, row), section.Title, b.strong())
			row++
		}
		if section.Intro != "" {
			b.text(sheet, at(1, row), section.Intro, b.soft())
			row++
		}
		for _, f := range section.Figures {
			b.text(sheet, at(1, row), f.Label, b.style("text", excelize.Style{}))
			b.value(sheet, at(2, row), f.Value)
			for i, n := range f.Notes {
				b.text(sheet, at(5+i, row), n.String(), b.soft())
			}
			row++
		}
		row++
	}
	for _, text := range d.Footer {
		b.text(sheet, at(1, row), text, b.soft())
		row++
	}
}

// section is a sheet with the tables of a section, one below the other, and its chart beside them.
func (b *book) section(section reports.Section) {
	sheet := b.name(section.Title)
	_, err := b.file.NewSheet(sheet)
	b.try(err)
	b.widths(sheet)
	b.text(sheet, at(1, 1), section.Title, b.title())
	row := 3
	for _, t := range section.Tables {
		b.text(sheet, at(1, row), t.Title, b.strong())
		row++
		for i, title := range t.Columns {
			b.text(sheet, at(1+i, row), title, b.head(i+1))
		}
		row++
		if len(t.Rows) == 0 {
			b.text(sheet, at(1, row), t.Empty, b.soft())
			row++
		}
		for _, cells := range t.Rows {
			for i, c := range cells {
				b.value(sheet, at(1+i, row), c)
			}
			row++
		}
		row++
	}
	if section.Chart != nil {
		b.chart(sheet, row, *section.Chart)
	}
}

// chart writes a chart's numbers below the tables, in the order of the days, and the chart itself to their right.
func (b *book) chart(sheet string, row int, c reports.Chart) {
	b.text(sheet, at(1, row), c.Title, b.strong())
	first := row + 1
	for i, bar := range c.Bars {
		b.text(sheet, at(1, first+i), bar.Long, b.style("text", excelize.Style{}))
		b.value(sheet, at(2, first+i), bar.Value)
	}
	last := first + len(c.Bars) - 1
	b.try(b.file.AddChart(sheet, "F3", &excelize.Chart{
		Type: excelize.Col,
		Series: []excelize.ChartSeries{{
			Name:       fmt.Sprintf("'%s'!$A$%d", sheet, row),
			Categories: fmt.Sprintf("'%s'!$A$%d:$A$%d", sheet, first, last),
			Values:     fmt.Sprintf("'%s'!$B$%d:$B$%d", sheet, first, last),
			Fill:       excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"2457D6"}},
		}},
		Title: excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: c.Title}}}, Legend: excelize.ChartLegend{Position: "none"},
		Dimension: excelize.ChartDimension{Width: 760, Height: 320}, PlotArea: excelize.ChartPlotArea{},
	}))
}
