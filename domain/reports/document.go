package reports

import (
	"fmt"
	"slices"
	"strconv"
)

// Document is a report as it is laid out: what a page, a mail, a PDF and a workbook all show. It holds no markup.
type Document struct {
	// Organization, Title and Subtitle head it.
	Organization, Title, Subtitle string
	// Revision says why there is more than one version; "" for the first. Changes are what it changed.
	Revision string
	Changes  []Change
	Sections []Section
	// Footer says when the figures were read, and how they are counted.
	Footer []string
}

// Section is a part of a document, such as all about one currency. What it has none of is left out.
type Section struct {
	// Title may be "".
	Title   string
	Intro   string
	Figures []Figure
	Chart   *Chart
	Tables  []Table
}

// Figure is a number that matters.
type Figure struct {
	Label string
	Value Cell
	// Notes say what it was: "+12.5 % on the day before (8)".
	Notes []Note
}

// Note compares a figure. Trend is 1 for more, -1 for less, 0 for neither, or where more is neither good nor bad.
type Note struct {
	Change, Text string
	Trend        int
}

// Chart shows a number for each of some days as bars.
type Chart struct {
	Title string
	Bars  []Bar
	// Unit formats the scale's numbers.
	Unit Cell
}

// Bar is one day's.
type Bar struct {
	Label, Long string
	Value       Cell
	// IsMarked is the bar that the report is about.
	IsMarked bool
}

// Most is the greatest value of the bars, at least 0.
func (c Chart) Most() (most int64) {
	for _, b := range c.Bars {
		most = max(most, b.Value.Number)
	}
	return most
}

// Peak says in words which bar is the highest; "" where there is none.
func (c Chart) Peak() string {
	for _, b := range c.Bars {
		if b.Value.Number > 0 && b.Value.Number == c.Most() {
			return "most on " + b.Long + ": " + b.Value.String()
		}
	}
	return ""
}

// Table is rows under titles. A mail shows the first MailRows of them, all where that is 0, none where it is negative.
type Table struct {
	Title string
	// PartTitle heads the part that a mail shows; "" for Title.
	PartTitle string
	Columns   []string
	Rows      [][]Cell
	MailRows  int
	// Empty is said in the place of rows.
	Empty string
}

// CellKind is what a cell holds.
type CellKind int

// The kinds of cells.
const (
	// TextCell holds Text.
	TextCell CellKind = iota
	// CountCell holds a number of things.
	CountCell
	// MoneyCell holds minor units of Currency.
	MoneyCell
	// NoCell holds nothing: there is no such number.
	NoCell
)

// Cell is a value: what a workbook keeps as a number and the others show as text.
type Cell struct {
	Kind     CellKind
	Text     string
	Number   int64
	Currency string
}

// TextOf is a cell with a text.
func TextOf(text string) Cell { return Cell{Kind: TextCell, Text: text} }

// CountOf is a cell with a number of things.
func CountOf(n int64) Cell { return Cell{Kind: CountCell, Number: n} }

// MoneyOf is a cell with minor units of a currency.
func MoneyOf(cents int64, currency string) Cell {
	return Cell{Kind: MoneyCell, Number: cents, Currency: currency}
}

// String is the cell as people read it. The currency is the heading's to say.
func (c Cell) String() string {
	switch c.Kind {
	case TextCell:
		return c.Text
	case CountCell:
		return grouped(c.Number, 0)
	case MoneyCell:
		return grouped(c.Number, exponent(c.Currency))
	case NoCell:
	}
	return "–"
}

// Plain is the cell as a program reads it: without grouping, with a hyphen for less, empty for nothing.
func (c Cell) Plain() string {
	switch c.Kind {
	case TextCell:
		return c.Text
	case CountCell:
		return strconv.FormatInt(c.Number, 10)
	case MoneyCell:
		return c.decimal()
	case NoCell:
	}
	return ""
}

func (c Cell) decimal() string {
	digits := exponent(c.Currency)
	sign, text := "", strconv.FormatInt(c.Number, 10)
	if text[0] == '-' {
		sign, text = "-", text[1:]
	}
	if digits == 0 {
		return sign + text
	}
	text = fmt.Sprintf("%0*s", digits+1, text)
	return sign + text[:len(text)-digits] + "." + text[len(text)-digits:]
}

// Digits is how many stand behind the point.
func (c Cell) Digits() int {
	if c.Kind == MoneyCell {
		return exponent(c.Currency)
	}
	return 0
}

// IsNumber says whether the cell is aligned as one.
func (c Cell) IsNumber() bool { return c.Kind != TextCell }

// withTexts is the document with every text that people wrote changed, such as the names in its tables.
func (d Document) withTexts(change func(string) string) Document {
	d.Organization = change(d.Organization)
	d.Changes = slices.Clone(d.Changes)
	for i, c := range d.Changes {
		d.Changes[i] = Change{Figure: change(c.Figure), From: change(c.From), To: change(c.To)}
	}
	d.Sections = slices.Clone(d.Sections)
	for s := range d.Sections {
		tables := slices.Clone(d.Sections[s].Tables)
		for t := range tables {
			rows := make([][]Cell, len(tables[t].Rows))
			for r, row := range tables[t].Rows {
				rows[r] = slices.Clone(row)
				for c := range rows[r] {
					if rows[r][c].Kind == TextCell {
						rows[r][c].Text = change(rows[r][c].Text)
					}
				}
			}
			tables[t].Rows = rows
		}
		d.Sections[s].Tables = tables
	}
	return d
}

// Fact is a figure by which versions are compared. Facts of the same label are the same figure.
type Fact struct {
	Label string
	Value Cell
}

// differences are the facts that are not as they were, in the order of the new ones.
func differences(before, after []Fact) []Change {
	was := make(map[string]Cell, len(before))
	for _, f := range before {
		was[f.Label] = f.Value
	}
	changes := []Change{}
	for _, f := range after {
		old, known := was[f.Label]
		delete(was, f.Label)
		switch {
		case !known:
			changes = append(changes, Change{Figure: f.Label, To: f.Value.String()})
		case old != f.Value:
			changes = append(changes, Change{Figure: f.Label, From: old.String(), To: f.Value.String()})
		}
	}
	for _, f := range before {
		if _, gone := was[f.Label]; gone {
			changes = append(changes, Change{Figure: f.Label, From: f.Value.String()})
		}
	}
	return changes
}

// MailTitle is the table's title where a mail shows a part of its rows.
func (t Table) MailTitle() string {
	if t.MailRows > 0 && t.MailRows < len(t.Rows) && t.PartTitle != "" {
		return t.PartTitle
	}
	return t.Title
}

// IsLong says whether the cell needs more room than most.
func (c Cell) IsLong() bool { return len(c.String()) > 13 }
