package reports

import (
	"bytes"
	"context"
	"embed"
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Format is a form in which a report is answered.
type Format string

// The formats.
const (
	HTML Format = "html"
	PDF  Format = "pdf"
	XLSX Format = "xlsx"
	CSV  Format = "csv"
)

// Formats are all of them.
func Formats() []Format { return []Format{HTML, PDF, XLSX, CSV} }

// ContentType is the format's media type.
func (f Format) ContentType() string {
	switch f {
	case HTML:
		return "text/html; charset=utf-8"
	case PDF:
		return "application/pdf"
	case XLSX:
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	case CSV:
		return "text/csv; charset=utf-8"
	}
	return "application/octet-stream"
}

// Printer writes what needs more than text.
type Printer interface {
	PDF(w io.Writer, d Document, made time.Time) error
	XLSX(w io.Writer, d Document, made time.Time) error
}

// Rendered is a report in a format.
type Rendered struct {
	Name, ContentType string
	Data              []byte
}

// IsRepeatable says whether the same report is always the same bytes in the format, so that parts of it fit together.
func (f Format) IsRepeatable() bool { return f != XLSX }

// Render renders a report.
func (s *Service) Render(ctx context.Context, scope tenancy.Scope, id tenancy.ID, format Format) (Rendered, error) {
	report, document, err := s.document(ctx, scope, id)
	if err != nil {
		return Rendered{}, err
	}
	return s.render(report.Head, document, format)
}

func (s *Service) document(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Report, Document, error) {
	report, err := s.needs.Store.FindReport(ctx, scope, id)
	if err != nil {
		return Report{}, Document{}, err
	}
	kind, known := s.needs.kind(report.Kind)
	if !known {
		return Report{}, Document{}, ErrNotFound()
	}
	tenant, err := s.needs.Directory.FindTenant(ctx, scope)
	if err != nil {
		return Report{}, Document{}, err
	}
	document, err := kind.Document(report, tenant.Name)
	return report, document, err
}

func (s *Service) render(head Head, d Document, format Format) (Rendered, error) {
	out := Rendered{ContentType: format.ContentType(), Name: fmt.Sprintf("%s-%s", strings.ReplaceAll(head.Kind, "_", "-"), head.Day)}
	if head.Version > 1 {
		out.Name += fmt.Sprintf("-v%d", head.Version)
	}
	out.Name += "." + string(format)
	var b bytes.Buffer
	var err error
	switch format {
	case HTML:
		err = s.pages.page.Execute(&b, d)
	case PDF:
		err = s.needs.Printer.PDF(&b, d, head.CreatedAt)
	case XLSX:
		err = s.needs.Printer.XLSX(&b, d, head.CreatedAt)
	case CSV:
		err = writeCSV(&b, d)
	}
	if err != nil {
		return Rendered{}, fmt.Errorf("render a report as %s: %w", format, err)
	}
	out.Data = b.Bytes()
	return out, nil
}

//go:embed templates
var templates embed.FS

// pages are the templates.
type pages struct{ page, mail *template.Template }

func readPages() (*pages, error) {
	functions := template.FuncMap{
		"plot": func(c Chart) Plot { return PlotOf(c, pageWidth, pageHeight) }, "coord": coordinate, "columns": mailBars,
		"rows": mailRows, "first": func(i int) bool { return i == 0 }, "add": func(a, b float64) float64 { return a + b },
	}
	read := func(name string) (*template.Template, error) {
		t, err := template.New(name).Funcs(functions).ParseFS(templates, "templates/"+name)
		if err != nil {
			return nil, fmt.Errorf("read the template of reports %s: %w", name, err)
		}
		return t, nil
	}
	page, err := read("page.html")
	if err != nil {
		return nil, err
	}
	mail, err := read("mail.html")
	return &pages{page: page, mail: mail}, err
}

// The chart of a page, in units of its own: it is drawn as wide as the page is.
const pageWidth, pageHeight = 780, 220

// coordinate is a length as SVG takes it.
func coordinate(f float64) string { return fmt.Sprintf("%.1f", f) }

// mailHeight is how high the bars of a mail are at most, in pixels.
const mailHeight = 88

// mailBar is a bar in a mail: a cell of a table, with a height.
type mailBar struct {
	Height   int
	Title    string
	IsMarked bool
}

func mailBars(c Chart) []mailBar {
	bars := make([]mailBar, len(c.Bars))
	most := c.Most()
	for i, b := range c.Bars {
		bars[i] = mailBar{Height: 1, Title: b.Long + ": " + b.Value.String(), IsMarked: b.IsMarked}
		if most > 0 && b.Value.Number > 0 {
			bars[i].Height = max(int(float64(mailHeight)*float64(b.Value.Number)/float64(most)), 2)
		}
	}
	return bars
}

// mailRows are the rows of a table that a mail shows.
func mailRows(t Table) [][]Cell {
	switch {
	case t.MailRows < 0:
		return nil
	case t.MailRows == 0:
		return t.Rows
	default:
		return t.Rows[:min(t.MailRows, len(t.Rows))]
	}
}

// writeCSV writes a document as one table (RFC 4180): a line for each number, saying where it stands.
func writeCSV(w io.Writer, d Document) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	write := func(section, table, row, column string, value Cell) {
		text := value.Plain()
		if value.Kind == TextCell {
			text = harmless(text)
		}
		_ = out.Write([]string{section, table, harmless(row), column, text}) // the error is kept and told by Error
	}
	_ = out.Write([]string{"section", "table", "row", "column", "value"})
	for _, s := range d.Sections {
		section := s.Title
		if section == "" {
			section = d.Title
		}
		for _, f := range s.Figures {
			write(section, "Figures", f.Label, d.Subtitle, f.Value)
		}
		for _, t := range s.Tables {
			for _, row := range t.Rows {
				for i := 1; i < len(row); i++ {
					write(section, t.Title, row[0].Plain(), t.Columns[i], row[i])
				}
			}
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

// harmless is a text that a spreadsheet takes for a text: one that begins as a formula has an apostrophe in front.
func harmless(text string) string {
	if strings.IndexAny(text, "=+-@\t\r") == 0 {
		return "'" + text
	}
	return text
}

// plainText is a document as the text part of a mail.
func plainText(d Document) string {
	var b strings.Builder
	line := func(format string, values ...any) { _, _ = fmt.Fprintf(&b, format+"\n", values...) }
	if d.Revision != "" {
		line("%s", d.Revision)
		for _, c := range d.Changes {
			line("  * %s", c.Sentence())
		}
		line("")
	}
	for _, s := range d.Sections {
		if s.Title != "" {
			line("%s\n%s", strings.ToUpper(s.Title), strings.Repeat("=", utf8.RuneCountInString(s.Title)))
		}
		if s.Intro != "" {
			line("%s", s.Intro)
		}
		for _, f := range s.Figures {
			line("%s%s", padded(f.Label+":", 18), f.Value)
			for _, n := range f.Notes {
				line("%s%s", strings.Repeat(" ", 18), n)
			}
		}
		if s.Chart != nil && s.Chart.Peak() != "" {
			line("\n%s: %s", s.Chart.Title, s.Chart.Peak())
		}
		for _, t := range s.Tables {
			writeTable(&b, t)
		}
		line("")
	}
	for _, text := range d.Footer {
		line("%s", text)
	}
	return strings.ReplaceAll(strings.TrimRight(b.String(), "\n"), space, " ")
}

// writeTable writes the rows that a mail shows, in columns.
func writeTable(b *strings.Builder, t Table) {
	rows := mailRows(t)
	_, _ = fmt.Fprintf(b, "\n%s\n", t.MailTitle())
	if len(rows) == 0 {
		_, _ = fmt.Fprintf(b, "  %s\n", t.Empty)
		return
	}
	widths := make([]int, len(t.Columns))
	lines := make([][]string, 0, len(rows)+1)
	lines = append(lines, t.Columns)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = shortened(c.String(), maxTextColumn)
		}
		lines = append(lines, cells)
	}
	for _, cells := range lines {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, cells := range lines {
		b.WriteString("  ")
		for i, c := range cells {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i == 0 {
				b.WriteString(c + gap)
			} else {
				b.WriteString("  " + gap + c)
			}
		}
		b.WriteByte('\n')
	}
}

// maxTextColumn is how wide a column of a text is at most.
const maxTextColumn = 32

func shortened(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

func padded(text string, width int) string {
	return text + strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 1))
}

// String is the note as a sentence has it.
func (n Note) String() string { return strings.TrimSpace(n.Change + " " + n.Text) }

// Sentence says a change in words.
func (c Change) Sentence() string {
	switch {
	case c.From == "":
		return c.Figure + ": " + c.To + " (new)"
	case c.To == "":
		return c.Figure + ": was " + c.From + ", and is not there any more"
	default:
		return c.Figure + ": " + c.From + " → " + c.To
	}
}
