package transfers

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/orders"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// written is what a format makes of records.
func written(tb testing.TB, format ExportFormat, d *resource.Definition, fields []string, records ...resource.Entity) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := newRecordWriter(&b, format, d, fields, time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC))
	require.NoError(tb, err)
	require.NoError(tb, all(w, records))
	return b.Bytes()
}

func all(w recordWriter, records []resource.Entity) error {
	for _, p := range w.passes() {
		if err := p.begin(); err != nil {
			return err
		}
		for _, e := range records {
			if err := p.write(e); err != nil {
				return err
			}
		}
	}
	return w.close()
}

// readWorkbook is a workbook's sheets by name, and their names in order.
func readWorkbook(tb testing.TB, data []byte) (sheets map[string][][]string, names []string) {
	tb.Helper()
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	require.NoError(tb, err)
	part := func(name string, into any) {
		file, err := archive.Open(name)
		require.NoError(tb, err, name)
		defer file.Close()
		require.NoError(tb, xml.NewDecoder(file).Decode(into), name)
	}
	var book struct {
		Sheets []struct {
			Name string `xml:"name,attr"`
		} `xml:"sheets>sheet"`
	}
	part("xl/workbook.xml", &book)
	sheets = map[string][][]string{}
	for i, s := range book.Sheets {
		names = append(names, s.Name)
		var sheet struct {
			Rows []struct {
				Cells []struct {
					Ref   string `xml:"r,attr"`
					Type  string `xml:"t,attr"`
					Value string `xml:"v"`
					Text  string `xml:"is>t"`
				} `xml:"c"`
			} `xml:"sheetData>row"`
		}
		part("xl/worksheets/sheet"+strconv.Itoa(i+1)+".xml", &sheet)
		rows := [][]string{}
		for n, row := range sheet.Rows {
			var cells []string
			for _, c := range row.Cells {
				at := 0
				for ; !strings.HasPrefix(c.Ref, columnName(at)+strconv.Itoa(n+1)) || c.Ref != columnName(at)+strconv.Itoa(n+1); at++ {
					require.Less(tb, at, 1000, c.Ref)
				}
				for len(cells) < at {
					cells = append(cells, "")
				}
				text := c.Value
				if c.Type == "inlineStr" {
					text = unescaped(c.Text)
				}
				cells = append(cells, text)
			}
			rows = append(rows, cells)
		}
		sheets[s.Name] = rows
	}
	return sheets, names
}

// unescaped reads _xHHHH_ as spreadsheets do.
func unescaped(text string) string {
	return regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`).ReplaceAllStringFunc(text, func(s string) string {
		n, err := strconv.ParseUint(s[2:6], 16, 32)
		if err != nil {
			return s
		}
		return string(rune(n))
	})
}

func sample() (*orders.Order, *orders.Order) {
	placed := time.Date(1996, 7, 4, 1, 2, 3, 4000, time.UTC)
	full := &orders.Order{
		CustomerID: tenancy.NewID(), Number: "=1042", Currency: "EUR", Status: orders.Placed, PlacedAt: &placed, TotalCents: 9_007_199_254_740_993,
		Note: "-2+3\r\n\"x\"; <b>&_x0041_\u0001 😀,", Tags: []string{"a,b", "@c"}, Custom: map[string]any{"n": json.Number("1.50"), "t": "<"},
		Lines: []orders.Line{{SKU: "+A", Description: "it's", Quantity: 2, UnitPriceCents: 5}, {SKU: "B", Quantity: 1, DiscountBP: 100}},
	}
	full.ID, full.Version, full.CreatedAt, full.UpdatedAt, full.DeletedAt = tenancy.NewID(), 3, placed, placed, &placed
	bare := &orders.Order{Number: "2", Tags: []string{}, Custom: map[string]any{}}
	return full, bare
}

func TestWriteCSV(t *testing.T) {
	t.Parallel()
	full, bare := sample()
	d := orders.Definition()
	text := string(written(t, CSV, d, nil, full, bare))
	assert.Equal(t, 3+1, strings.Count(text, "\r\n"), "three lines, and one inside of a note")
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 3)
	at := func(row int, name string) string {
		for i, n := range rows[0] {
			if n == name {
				return rows[row][i]
			}
		}
		require.Fail(t, "no column", name)
		return ""
	}
	assert.Equal(t, "'=1042", at(1, "number"))
	assert.Equal(t, full.ID.String(), at(1, "id"))
	assert.Equal(t, "9007199254740993", at(1, "total_cents"))
	assert.Equal(t, "1996-07-04T01:02:03.000004Z", at(1, "placed_at"))
	assert.Equal(t, full.Note, strings.ReplaceAll(Unguard(at(1, "note")), "\n", "\r\n"), "but for what the reader makes of line ends")
	assert.JSONEq(t, `["a,b","@c"]`, at(1, "tags"))
	assert.JSONEq(t, `{"n":1.50,"t":"<"}`, at(1, "custom"))
	var lines []orders.Line
	require.NoError(t, json.Unmarshal([]byte(at(1, "lines")), &lines))
	assert.Equal(t, full.Lines, lines)
	for _, name := range []string{"placed_at", "tags", "custom", "lines", "note", "deleted_at"} {
		assert.Empty(t, at(2, name), name)
	}

	assert.True(t, strings.HasPrefix(string(written(t, CSV, d, []string{"note", "number"}, full)), "note,number\r\n\"'-2+3\r\n\"\"x\"\";"))
	c := &customers.Customer{}
	assert.Equal(t, "code\r\n\"\"\r\n", string(written(t, CSV, customers.Definition(), []string{"code"}, c)), "no blank line")
}

func TestCSV_is_one_cell_whatever_separates(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"x;=1+1", "x\t=1+1", "x|=1", "a,=1", " =1", "x\r=1"} {
		text := string(written(t, CSV, customers.Definition(), []string{"name"}, &customers.Customer{Name: name}))
		assert.Equal(t, "name\r\n\""+name+"\"\r\n", text)
	}
}

func TestXLSX(t *testing.T) {
	t.Parallel()
	full, bare := sample()
	d := orders.Definition()
	sheets, names := readWorkbook(t, written(t, XLSX, d, nil, full, bare))
	assert.Equal(t, []string{"orders", "lines"}, names)
	head, row := sheets["orders"][0], sheets["orders"][1]
	assert.NotContains(t, head, "lines")
	at := func(name string) string { return row[index(head, name)] }
	assert.Equal(t, "'=1042", at("number"))
	assert.Equal(t, full.Note, Unguard(at("note")))
	assert.Equal(t, "9007199254740993", at("total_cents"), "as text: a spreadsheet would round it")
	assert.Equal(t, "1996-07-04T01:02:03.000004Z", at("placed_at"))
	assert.JSONEq(t, `["a,b","@c"]`, at("tags"))
	assert.Len(t, sheets["orders"], 3)
	assert.Equal(t, [][]string{
		{"number", "sku", "description", "quantity", "unit_price_cents", "discount_bp", "total_cents"},
		{"'=1042", "'+A", "it's", "2", "5", "0", "0"},
		{"'=1042", "B", "", "1", "0", "100", "0"},
	}, sheets["lines"])

	t.Run("has_the_fields_that_are_asked_for", func(t *testing.T) {
		t.Parallel()
		sheets, names := readWorkbook(t, written(t, XLSX, d, []string{"status", "currency"}, full))
		assert.Equal(t, []string{"orders"}, names)
		assert.Equal(t, [][]string{{"status", "currency"}, {"placed", "EUR"}}, sheets["orders"])
		sheets, names = readWorkbook(t, written(t, XLSX, d, []string{"lines", "currency"}, full))
		assert.Equal(t, []string{"orders", "lines"}, names)
		assert.Equal(t, []string{"number", "currency"}, sheets["orders"][0], "with what its lines name it by")
	})
	t.Run("is_a_workbook_without_records", func(t *testing.T) {
		t.Parallel()
		sheets, _ := readWorkbook(t, written(t, XLSX, customers.Definition(), nil))
		assert.Len(t, sheets["customers"], 1)
	})
	t.Run("goes_on_in_another_sheet", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		book := newBook(&b, time.Now(), 3)
		long := strings.Repeat("n", 40)
		require.NoError(t, book.sheet(long, []string{"a"}))
		for i := range 5 {
			require.NoError(t, book.row([]cell{{strconv.Itoa(i), numberCell}}))
		}
		require.NoError(t, book.close())
		sheets, names := readWorkbook(t, b.Bytes())
		assert.Equal(t, []string{long[:31], long[:29] + " 2", long[:29] + " 3"}, names)
		assert.Equal(t, [][]string{{"a"}, {"2"}, {"3"}}, sheets[names[1]])
		assert.Equal(t, [][]string{{"a"}, {"4"}}, sheets[names[2]])
	})
	t.Run("refuses_what_no_cell_holds", func(t *testing.T) {
		t.Parallel()
		fits := &customers.Customer{Custom: map[string]any{"x": strings.Repeat("ä", maxCell-len(`{"x":""}`))}}
		written(t, XLSX, customers.Definition(), nil, fits)
		w, err := newRecordWriter(io.Discard, XLSX, customers.Definition(), nil, time.Now())
		require.NoError(t, err)
		err = all(w, []resource.Entity{&customers.Customer{Custom: map[string]any{"x": strings.Repeat("😀", maxCell/2)}}})
		require.ErrorContains(t, err, "custom")
		state, _ := jobs.Decide(jobs.Kind{}.Complete(), err, 1, 20, time.Now())
		assert.Equal(t, jobs.Dead, state)
	})
}

func index(list []string, name string) int {
	for i, s := range list {
		if s == name {
			return i
		}
	}
	return -1
}

func TestJSONL(t *testing.T) {
	t.Parallel()
	full, bare := sample()
	d := orders.Definition()
	lines := strings.Split(string(written(t, JSONL, d, nil, full, bare)), "\n")
	require.Len(t, lines, 3)
	want, err := json.Marshal(full)
	require.NoError(t, err)
	assert.JSONEq(t, string(want), lines[0])
	assert.Contains(t, lines[0], "=1042", "it is no table: nothing is guarded")
	assert.Equal(t, "{\"number\":\"2\",\"placed_at\":null,\"tags\":[],\"lines\":null}\n", //nolint:testifylint // in this order, on one line
		string(written(t, JSONL, d, []string{"number", "placed_at", "tags", "lines"}, bare)))
}

func TestColumnName(t *testing.T) {
	t.Parallel()
	for i, want := range map[int]string{0: "A", 25: "Z", 26: "AA", 51: "AZ", 52: "BA", 701: "ZZ", 702: "AAA", 16383: "XFD"} {
		assert.Equal(t, want, columnName(i))
	}
}

// FuzzGuard holds that a guarded text is none that a spreadsheet takes for a formula, and comes back as it was, through
// CSV and XLSX too.
func FuzzGuard(f *testing.F) {
	for _, text := range []string{"", "=1", "'=1", "''", "'", "a", "\t", "\r", "-1", "@x", "'x", "_x000D_", "\x1f\uFFFE"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		guarded := Guard(text)
		assert.Equal(t, text, Unguard(guarded))
		assert.False(t, guarded != "" && strings.IndexByte("=+-@\t\r", guarded[0]) >= 0, "%q", guarded)
		if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			return
		}
		d := customers.Definition()
		sheets, _ := readWorkbook(t, written(t, XLSX, d, []string{"name"}, &customers.Customer{Name: text}))
		got := ""
		if row := sheets["customers"][1]; len(row) > 0 {
			got = row[0]
		}
		assert.Equal(t, text, Unguard(got))
		if strings.Contains(text, "\r") {
			return // encoding/csv makes line feeds of them
		}
		rows, err := csv.NewReader(bytes.NewReader(written(t, CSV, d, []string{"name"}, &customers.Customer{Name: text}))).ReadAll()
		require.NoError(t, err)
		assert.Equal(t, text, Unguard(rows[1][0]))
	})
}
