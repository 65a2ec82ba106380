package printer

import (
	"github.com/groundwork-saas/groundwork/domain/reports"
)

// The tiles of figures.
const (
	tilesAcross         = 3
	tileGap, tilePad    = 4.0, 4.0
	labelSize, noteSize = 8.5, 8.0
	valueSize           = 16.0
	noteHeight          = 4.0
)

// figures are laid out in rows of tiles: four where there are four, else three, and of those that are left as many as
// there are.
func (s *sheet) figures(figures []reports.Figure) {
	across := tilesAcross
	if len(figures) == tilesAcross+1 {
		across = len(figures)
	}
	for begin := 0; begin < len(figures); begin += across {
		row := figures[begin:min(begin+across, len(figures))]
		width := (textWidth - tileGap*float64(len(row)-1)) / float64(len(row))
		notes := 0
		size := noteSize
		for _, f := range row {
			notes = max(notes, len(f.Notes))
			for _, n := range f.Notes {
				size = s.fit(printable(n.String()), noteStyle, size, width-2*tilePad)
			}
		}
		height := 2*tilePad + 4.5 + 8.5 + float64(notes)*noteHeight
		s.room(height + tileGap)
		y := s.GetY()
		for i, f := range row {
			s.tile(f, box{margin + float64(i)*(width+tileGap), y, width, height}, size)
		}
		s.SetY(y + height + tileGap)
	}
}

// box is a place and a size.
type box struct{ x, y, width, height float64 }

// fit is the size at which a text fits into a width, at most size.
func (s *sheet) fit(text, style string, size, width float64) float64 {
	const least, step = 5.0, 0.25
	for ; size > least; size -= step {
		s.SetFont(family, style, size)
		if s.GetStringWidth(text) <= width {
			break
		}
	}
	return size
}

// noteStyle is that of a note's first half, which is the wider one.
const noteStyle = "B"

// tile is one figure, its notes of a size.
func (s *sheet) tile(f reports.Figure, b box, notes float64) {
	s.fill(s.tint)
	s.SetDrawColor(s.palette.line.r, s.palette.line.g, s.palette.line.b)
	s.SetLineWidth(0.25)
	s.RoundedRect(b.x, b.y, b.width, b.height, 1.8, "1234", "FD")
	left, inner := b.x+tilePad, b.width-2*tilePad
	s.SetY(b.y + tilePad)
	s.write(s.soft, "", labelSize)
	s.line(left, inner, 4.5, f.Label)
	text := printable(f.Value.String())
	s.write(s.ink, "B", s.fit(text, "B", valueSize, inner))
	s.line(left, inner, 8.5, text)
	for _, n := range f.Notes {
		s.note(n, left, notes)
	}
}

func (s *sheet) note(n reports.Note, left, size float64) {
	y := s.GetY()
	if n.Change != "" {
		colour := s.soft
		switch {
		case n.Trend > 0:
			colour = s.up
		case n.Trend < 0:
			colour = s.down
		}
		s.write(colour, "B", size)
		text := printable(n.Change)
		s.line(left, s.GetStringWidth(text), noteHeight, text)
		left += s.GetStringWidth(text + " ")
	}
	s.SetY(y)
	s.write(s.soft, "", size)
	text := printable(n.Text)
	s.line(left, s.GetStringWidth(text), noteHeight, text)
	s.SetY(y + noteHeight)
}

// The chart, in units of its own and in millimetres.
const (
	plotWidth, plotHeight = 780.0, 230.0
	perUnit               = textWidth / plotWidth
)

func (s *sheet) chart(c reports.Chart) {
	s.Ln(2)
	s.room(8 + plotHeight*perUnit)
	s.write(s.ink, "B", 10)
	s.line(margin, textWidth, 6, printable(c.Title))
	x, y := margin, s.GetY()+1
	plot := reports.PlotOf(c, plotWidth, plotHeight)
	at := func(dx, dy float64) (float64, float64) { return x + dx*perUnit, y + dy*perUnit }
	s.SetDrawColor(s.palette.line.r, s.palette.line.g, s.palette.line.b)
	s.SetLineWidth(0.2)
	s.write(s.soft, "", 7)
	for _, line := range plot.Lines {
		left, height := at(plot.Left, line.Y)
		s.Line(left, height, margin+textWidth, height)
		s.SetXY(margin, height-2)
		s.CellFormat(left-margin-1.5, 4, line.Label, "", 0, "R", false, 0, "")
	}
	for _, bar := range plot.Bars {
		if bar.H <= 0 {
			continue
		}
		s.fill(s.bar)
		if bar.IsMarked {
			s.fill(s.mark)
		}
		left, top := at(bar.X, bar.Y)
		s.Rect(left, top, bar.W*perUnit, bar.H*perUnit, "F")
	}
	for _, mark := range plot.Marks {
		const wide = 20.0
		centre, below := at(mark.X, plot.Base)
		s.SetXY(min(centre-wide/2, margin+textWidth-wide+5), below+0.8)
		s.CellFormat(wide, 4, mark.Label, "", 0, "C", false, 0, "")
	}
	s.SetY(y + plotHeight*perUnit + 2)
}

// rowHeight is a row of a table.
const rowHeight = 5.6

func (s *sheet) table(t reports.Table) {
	s.Ln(2)
	s.room(8 + 4*rowHeight)
	s.write(s.ink, "B", 10)
	s.line(margin, textWidth, 7, printable(t.Title))
	if len(t.Rows) == 0 {
		s.write(s.soft, "", 9.5)
		s.line(margin, textWidth, rowHeight, printable(t.Empty))
		return
	}
	widths := s.columns(t)
	s.head(t, widths)
	for _, row := range t.Rows {
		if s.GetY()+rowHeight > pageHeight-bottom {
			s.AddPage()
			s.head(t, widths)
		}
		y := s.GetY()
		s.SetX(margin)
		for i, c := range row {
			text, align := printable(c.String()), "R"
			if i == 0 {
				align = "L"
			}
			text = s.fitted(text, "", 9, widths[i]-2)
			s.write(s.ink, "", 9)
			s.CellFormat(widths[i], rowHeight, text, "", 0, align, false, 0, "")
		}
		s.SetY(y + rowHeight)
		s.rule()
	}
}

// columns are the widths: each of the numbers' is as wide as its widest, the first has what is left.
func (s *sheet) columns(t reports.Table) []float64 {
	const gap, least = 8.0, 22.0
	widths := make([]float64, len(t.Columns))
	left := textWidth
	for i := 1; i < len(t.Columns); i++ {
		s.SetFont(family, "B", 9)
		widths[i] = max(least, s.GetStringWidth(t.Columns[i])+gap)
		for _, row := range t.Rows {
			widths[i] = max(widths[i], s.GetStringWidth(row[i].String())+gap)
		}
		left -= widths[i]
	}
	widths[0] = left
	return widths
}

func (s *sheet) head(t reports.Table, widths []float64) {
	s.write(s.soft, "B", 8.5)
	s.SetX(margin)
	for i, title := range t.Columns {
		align := "R"
		if i == 0 {
			align = "L"
		}
		s.CellFormat(widths[i], rowHeight, title, "", 0, align, false, 0, "")
	}
	s.SetY(s.GetY() + rowHeight)
	s.rule()
}

// rule draws a line across, below the last row.
func (s *sheet) rule() {
	s.SetDrawColor(s.palette.line.r, s.palette.line.g, s.palette.line.b)
	s.SetLineWidth(0.2)
	s.Line(margin, s.GetY(), margin+textWidth, s.GetY())
}
