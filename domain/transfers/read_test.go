package transfers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// readCSV reads all rows of a text: their numbers, cells and problems.
func readCSV(tb testing.TB, text string, format Format) (rows []string, err error) {
	tb.Helper()
	d := &csvDocument{contents: io.NopCloser(strings.NewReader("")), whole: strings.NewReader(text), size: int64(len(text)), format: format}
	t, err := d.open("")
	require.NoError(tb, err)
	return readTable(t)
}

func readTable(t table) (rows []string, err error) {
	for {
		r, err := t.next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		line := fmt.Sprintf("%d:%s", r.number, strings.Join(r.cells, "|"))
		if r.problem != nil {
			line += "!" + r.problem.code
		}
		rows = append(rows, line)
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text   string
		format Format
		want   []string
	}{
		"plain":                {"a,b\n1,2\n", Format{}, []string{"1:a|b", "2:1|2"}},
		"no last line feed":    {"a,b\n1,", Format{}, []string{"1:a|b", "2:1|"}},
		"a byte order mark":    {"\xef\xbb\xbfa;b\r\n1;2\r\n", Format{}, []string{"1:a|b", "2:1|2"}},
		"old line ends":        {"a\tb\r1\t2", Format{}, []string{"1:a|b", "2:1|2"}},
		"quotes":               {"a,b\n\"x \"\"y\"\", z\n1\",2\n5\" pipe,3\n", Format{}, []string{"1:a|b", "2:x \"y\", z\n1|2", "3:5\" pipe|3"}},
		"separators in quotes": {"\"a;b;c\",d\n1,2\n", Format{}, []string{"1:a;b;c|d", "2:1|2"}},
		"a given separator":    {"a;b,c\n", Format{Separator: ","}, []string{"1:a;b|c"}},
		"blank lines count":    {"a\n\n\n1\n", Format{}, []string{"1:a", "4:1"}},
		"behind a quote":       {"a,b\n\"x\"y,2\n3,4\n", Format{}, []string{"1:a|b", "2:xy|2!quotes", "3:3|4"}},
		"an open quote":        {"a,b\n\"x,2\n", Format{}, []string{"1:a|b", "2:x,2\n!quotes"}},
		"a NUL":                {"a,b\n1\x00,2\n", Format{}, []string{"1:a|b", "2:1\uFFFD|2!encoding"}},
		"not UTF-8":            {"a,b\nK\xf6ln,2\n3,4\n", Format{}, []string{"1:a|b", "2:K\uFFFDln|2!encoding", "3:3|4"}},
		"windows-1252":         {"a,b\nK\xf6ln \x80,2\n", Format{Encoding: windows1252}, []string{"1:a|b", "2:Köln €|2"}},
		"many columns":         {strings.Repeat("a,", 1_000_000) + "\n", Format{}, []string{"1:" + strings.Repeat("a|", maxColumns-1) + "a!columns"}},
		"nothing":              {"", Format{}, nil},
	} {
		if name == "many columns" { // within the longest row
			c.text = strings.Repeat("a,", 400_000) + "\n"
		}
		rows, err := readCSV(t, c.text, c.format)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, rows, name)
	}
	for _, order := range []string{"little", "big"} {
		var text bytes.Buffer
		for _, unit := range utf16.Encode([]rune("\uFEFFa;b\nKöln;😀\n")) {
			if order == "little" {
				text.Write([]byte{byte(unit), byte(unit >> 8)})
			} else {
				text.Write([]byte{byte(unit >> 8), byte(unit)})
			}
		}
		rows, err := readCSV(t, text.String(), Format{})
		require.NoError(t, err, order)
		assert.Equal(t, []string{"1:a|b", "2:Köln|😀"}, rows, order)
	}
	for name, text := range map[string]string{
		"one endless line": "a,b\n" + strings.Repeat("x", maxRowBytes+10),
		"an endless quote": "a,b\n\"" + strings.Repeat("x,\n", maxRowBytes/3+10),
	} {
		rows, err := readCSV(t, text, Format{})
		assert.True(t, fault.Is(err, "import.row_too_long"), name)
		assert.Equal(t, []string{"1:a|b"}, rows, name)
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("a,b\n\"x\"\"\",2\r\n")
	f.Add("\xff\xfea\x00;")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := readCSV(t, text, Format{})
		if err == nil && len(rows) > strings.Count(text, "\n")+strings.Count(text, "\r")+strings.Count(text, "\x00")+1 {
			t.Fatalf("%d rows of %q", len(rows), text)
		}
	})
}

func TestFormat(t *testing.T) {
	t.Parallel()
	german, wrong := Format{Decimal: ",", Thousands: ".", Date: "DD.MM.YYYY", TimeZone: "Europe/Berlin"}.check()
	require.Empty(t, wrong)
	plain, wrong := Format{}.check()
	require.Empty(t, wrong)
	for _, c := range []struct {
		locale locale
		text   string
		scale  int
		want   int64
		bad    string
	}{
		{plain, "14.5", 2, 1450, ""},
		{plain, "0.15", 4, 1500, ""},
		{plain, "-3.10", 2, -310, ""},
		{plain, "1.0", 0, 1, ""},
		{plain, "1.5", 0, 0, "must be a whole number"},
		{plain, "1.005", 2, 0, "more than 2 decimal places"},
		{plain, "1,234", 0, 0, "is no number"},
		{plain, "", 0, 0, "is no number"},
		{plain, "--1", 0, 0, "is no number"},
		{plain, "1e3", 0, 0, "is no number"},
		{plain, "99999999999999999999", 0, 0, "too large"},
		{german, "1.234,50", 2, 123450, ""},
		{german, "1.234.567", 0, 1234567, ""},
		{german, "12.34", 2, 0, "is no number; write it as 1234,55"},
		{german, ",5", 2, 0, "is no number"},
	} {
		n, err := c.locale.integer(c.text, c.scale)
		if c.bad != "" {
			require.ErrorContains(t, err, c.bad, c.text)
			continue
		}
		require.NoError(t, err, c.text)
		assert.Equal(t, c.want, n, c.text)
	}
	for text, want := range map[string]string{
		"24.12.2026": "2026-12-23T23:00:00Z", "1.7.2026 08:30": "2026-07-01T06:30:00Z", "2026-07-01": "2026-06-30T22:00:00Z",
		"2026-07-01T08:30:00Z": "2026-07-01T08:30:00Z", "1996-07-04 00:00:00.000": "1996-07-03T22:00:00Z",
	} {
		at, ok := german.time(text)
		assert.True(t, ok, text)
		assert.Equal(t, want, at.Format("2006-01-02T15:04:05Z07:00"), text)
	}
	for _, text := range []string{"12/24/2026", "24.13.2026", "yesterday", "45000"} {
		_, ok := german.time(text)
		assert.False(t, ok, text)
	}
	for _, guard := range []string{"=1", "+1", "-1", "@x", "\tx", "\rx", "'x", "plain", "", "'", "''"} {
		assert.Equal(t, guard, Unguard(Guard(guard)), "%q", guard)
	}
}
