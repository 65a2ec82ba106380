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

// age is how long ago something was, for people: 12s, 7m, 3h, 5d; "-" for never.
func age(t *time.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	switch d := max(now.Sub(*t), 0); {
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Hour).String(), "0m0s")
	default:
		return days(d)
	}
}

func days(d time.Duration) string { return strconv.Itoa(int(d/(24*time.Hour))) + "d" }
