package printer

import (
	"fmt"
	"io"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"github.com/groundwork-saas/groundwork/domain/reports"
)

// The page, in millimetres: A4 with its margins.
const (
	pageWidth, pageHeight = 210.0, 297.0
	margin, bottom        = 18.0, 20.0
	textWidth             = pageWidth - 2*margin
	family                = "sans"
	// numberWidth is the room for the number of a page.
	numberWidth = 20.0
)

// rgb is a colour.
type rgb struct{ r, g, b int }

// palette are the colours of the page, which are the product's.
type palette struct{ ink, soft, line, bar, mark, up, down, tint rgb }

func colours() palette {
	return palette{
		ink: rgb{28, 36, 48}, soft: rgb{102, 112, 127}, line: rgb{225, 230, 237}, bar: rgb{169, 189, 240}, mark: rgb{36, 87, 214},
		up: rgb{20, 113, 63}, down: rgb{179, 38, 30}, tint: rgb{247, 249, 251},
	}
}

// sheet is a PDF under way.
type sheet struct {
	*fpdf.Fpdf
	palette
}

// PDF writes a document as PDF, of A4.
func (Printer) PDF(w io.Writer, d reports.Document, made time.Time) error {
	s := newSheet(d, made)
	s.heading(d)
	for i, section := range d.Sections {
		s.section(section, i)
	}
	s.notes(d.Footer)
	if err := s.Output(w); err != nil {
		return fmt.Errorf("write the PDF: %w", err)
	}
	return nil
}

func newSheet(d reports.Document, made time.Time) *sheet {
	s := &sheet{Fpdf: fpdf.New("P", "mm", "A4", ""), palette: colours()}
	regular, bold := fonts()
	s.AddUTF8FontFromBytes(family, "", regular)
	s.AddUTF8FontFromBytes(family, "B", bold)
	s.SetCatalogSort(true)
	s.SetCreationDate(made.UTC())
	s.SetModificationDate(made.UTC())
	s.SetProducer("Groundwork", true)
	s.SetTitle(d.Title+", "+d.Subtitle, true)
	s.SetAuthor(d.Organization, true)
	s.SetLang("en")
	s.SetMargins(margin, margin, margin)
	s.SetCellMargin(0)
	s.SetAutoPageBreak(false, bottom)
	s.AliasNbPages("{pages}")
	head := s.fitted(printable(d.Organization), "", 8, textWidth/2) + "  ·  " + d.Title + ", " + d.Subtitle
	s.SetFooterFunc(func() {
		s.SetY(-14)
		s.write(s.soft, "", 8)
		s.CellFormat(numberWidth, 4, fmt.Sprintf("%d / {pages}", s.PageNo()), "", 0, "L", false, 0, "")
		s.CellFormat(textWidth-numberWidth, 4, head, "", 0, "R", false, 0, "")
	})
	s.AddPage()
	return s
}

// write chooses the pen for what is written next.
func (s *sheet) write(c rgb, style string, size float64) {
	s.SetFont(family, style, size)
	s.SetTextColor(c.r, c.g, c.b)
}

func (s *sheet) fill(c rgb) { s.SetFillColor(c.r, c.g, c.b) }

// room begins a page where less than height is left of this one.
func (s *sheet) room(height float64) {
	if s.GetY()+height > pageHeight-bottom {
		s.AddPage()
	}
}

// line writes one line in a width, from x on, and goes on below it.
func (s *sheet) line(x, width, height float64, text string) {
	s.SetX(x)
	s.CellFormat(width, height, text, "", 2, "L", false, 0, "")
}

// paragraph writes text in lines of the full width.
func (s *sheet) paragraph(x, width, height float64, text string) {
	for _, line := range s.SplitText(printable(text), width) {
		s.room(height)
		s.line(x, width, height, line)
	}
}

// fitted is a text cut to a width, with an ellipsis.
func (s *sheet) fitted(text, style string, size, width float64) string {
	s.SetFont(family, style, size)
	if s.GetStringWidth(text) <= width {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && s.GetStringWidth(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

func (s *sheet) heading(d reports.Document) {
	s.fill(s.mark)
	s.Rect(margin, margin, 14, 1.2, "F")
	s.SetY(margin + 4)
	organization := s.fitted(printable(d.Organization), "B", 10, textWidth)
	s.write(s.soft, "B", 10)
	s.line(margin, textWidth, 5, organization)
	s.write(s.ink, "B", 22)
	s.line(margin, textWidth, 10.5, printable(d.Title))
	s.write(s.soft, "", 12)
	s.line(margin, textWidth, 6, d.Subtitle)
	s.Ln(5)
	if d.Revision != "" {
		s.revision(d)
	}
}

// maxPrintedChanges is how many changes a PDF lists.
const maxPrintedChanges = 12

func (s *sheet) revision(d reports.Document) {
	const pad, height = 4.0, 4.6
	changes := d.Changes
	more := len(changes) - maxPrintedChanges
	if more > 0 {
		changes = changes[:maxPrintedChanges]
	}
	rows := len(changes) + 1
	if more > 0 {
		rows++
	}
	y := s.GetY()
	box := float64(rows)*height + 2*pad
	s.fill(s.tint)
	s.Rect(margin, y, textWidth, box, "F")
	s.fill(s.mark)
	s.Rect(margin, y, 1, box, "F")
	s.SetY(y + pad)
	s.write(s.ink, "B", 9.5)
	s.line(margin+pad+1, textWidth-2*pad, height, d.Revision)
	for _, c := range changes {
		text := s.fitted(printable(c.Sentence()), "", 9, textWidth-2*pad-2)
		s.write(s.soft, "", 9)
		s.line(margin+pad+1, textWidth-2*pad, height, text)
	}
	if more > 0 {
		s.write(s.soft, "", 9)
		s.line(margin+pad+1, textWidth-2*pad, height, fmt.Sprintf("and %d more", more))
	}
	s.SetY(y + box + 6)
}

// atLeast is the height that the top of a section needs to look like one.
const atLeast = 92.0

func (s *sheet) section(section reports.Section, index int) {
	if index > 0 {
		s.Ln(4)
		if section.Chart != nil {
			s.room(atLeast)
		}
	}
	if section.Title != "" {
		s.room(16)
		s.write(s.ink, "B", 14)
		s.line(margin, textWidth, 8, printable(section.Title))
		s.Ln(1)
	}
	if section.Intro != "" {
		s.write(s.soft, "", 10)
		s.paragraph(margin, textWidth, 5, section.Intro)
		s.Ln(2)
	}
	s.figures(section.Figures)
	if section.Chart != nil {
		s.chart(*section.Chart)
	}
	for _, t := range section.Tables {
		s.table(t)
	}
}

// notes end the document.
func (s *sheet) notes(texts []string) {
	s.Ln(4)
	for _, text := range texts {
		s.write(s.soft, "", 8.5)
		s.paragraph(margin, textWidth, 4.2, text)
	}
}
