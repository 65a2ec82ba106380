package main

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// table is aligned text.
type table struct{ lines []string }

func newTable(head ...string) *table {
	t := &table{}
	if len(head) > 0 {
		t.row(head...)
	}
	return t
}

// row adds a line. Cells hold what others wrote: nothing in them reaches the terminal but printable characters.
func (t *table) row(cells ...string) {
	clean := make([]string, len(cells))
	for i, cell := range cells {
		clean[i] = printable(cell)
	}
	t.lines = append(t.lines, strings.TrimRight(strings.Join(clean, "\t"), "\t"))
}

func (t *table) write(w io.Writer) {
	writer := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range t.lines {
		_, _ = io.WriteString(writer, line+"\n")
	}
	_ = writer.Flush() // where standard output is gone there is nobody to tell
}

// printable replaces what would move the cursor, break the line or change the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// shorten cuts a text for a column.
func shorten(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// writeJSON writes one value on one line.
func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// moment is a time for people; "-" for none.
func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// age is how long something has been so, for people: 12s, 7m, 3h, 5d; "-" for nothing.
func age(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	for _, unit := range []struct {
		seconds float64
		name    string
	}{{24 * 3600, "d"}, {3600, "h"}, {60, "m"}} {
		if *seconds >= 2*unit.seconds { // 90 minutes say more than 1 hour
			return strconv.Itoa(int(*seconds/unit.seconds)) + unit.name
		}
	}
	return strconv.Itoa(int(*seconds)) + "s"
}
