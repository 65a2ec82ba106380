// Package printer writes reports as PDF and as workbooks, with the libraries that the domain does not know.
//
// The API and the worker are handed one by their cmd packages. It lays out what the domain has put together, and decides
// nothing about it. The same document is always the same PDF; of a workbook only the
// contents are the same.
package printer

import (
	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"

	"github.com/groundwork-saas/groundwork/domain/reports"
)

// Printer prints reports. It holds nothing and may be used by many goroutines.
type Printer struct{}

var _ reports.Printer = Printer{}

// fonts are Liberation Sans (SIL Open Font License): it has the letters of Latin, Greek and Cyrillic.
func fonts() (regular, bold []byte) { return liberationsansregular.TTF, liberationsansbold.TTF }

// hasGlyph says whether the font has a letter, by the blocks that it covers.
func hasGlyph(r rune) bool {
	switch {
	case r >= 0x20 && r <= 0x24f, r >= 0x2b0 && r <= 0x36f, r >= 0x370 && r <= 0x3ff, r >= 0x400 && r <= 0x52f:
		return true
	case r >= 0x1e00 && r <= 0x1fff, r >= 0x2010 && r <= 0x2044, r >= 0x20a0 && r <= 0x20bf:
		return true
	case r == 0x2116, r == 0x2122, r == 0x2190, r == 0x2192, r == 0x2212, r == 0x25a1:
		return true
	default:
		return false
	}
}

// printable is a text as the font can show it: a box stands for what it cannot.
func printable(text string) string {
	runes := []rune(text)
	for i, r := range runes {
		if !hasGlyph(r) {
			runes[i] = '\u25a1'
		}
	}
	return string(runes)
}
