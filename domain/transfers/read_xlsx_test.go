package transfers

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// book is a workbook of one sheet, whose parts a test may replace.
func bookOf(tb testing.TB, sheet string, replaced map[string]string) []byte {
	tb.Helper()
	parts := map[string]string{
		"_rels/.rels":     `<Relationships><Relationship Id="r" Type="http://x/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml": `<?xml version="1.0"?><!-- > --><workbook xmlns:r="x"><sheets><sheet name="People &amp; more" r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="rId1" Type="http://x/worksheet" Target="worksheets/sheet1.xml"/>` +
			`<Relationship Id="rId2" Type="http://x/sharedStrings" Target="/xl/sharedStrings.xml"/><Relationship Id="rId3" Type="http://x/styles" Target="styles.xml"/></Relationships>`,
		"xl/styles.xml": `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="yyyy\-mm\-dd"/><numFmt numFmtId="165" formatCode="0.00&quot;d&quot;"/></numFmts>` +
			`<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>`,
		"xl/sharedStrings.xml":     `<sst><si><t>name</t></si><si><r><t>An</t></r><r><t xml:space="preserve">na </t></r><rPh><t>x</t></rPh></si></sst>`,
		"xl/worksheets/sheet1.xml": `<worksheet><sheetData>` + sheet + `</sheetData></worksheet>`,
	}
	maps.Copy(parts, replaced)
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	for name, content := range parts {
		if content == "" {
			continue
		}
		part, err := w.Create(name)
		require.NoError(tb, err)
		_, err = part.Write([]byte(content))
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	return file.Bytes()
}

func readBook(tb testing.TB, file []byte, sheet string) ([]string, error) {
	tb.Helper()
	d, err := openWorkbook(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	defer func() { assert.NoError(tb, d.close()) }()
	t, err := d.open(sheet)
	if err != nil {
		return nil, err
	}
	return readTable(t)
}

func TestWorkbook(t *testing.T) {
	t.Parallel()
	rows, err := readBook(t, bookOf(t, `<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="inlineStr"><is><t>a &lt; b &#x263A;</t></is></c></row>`+
		`<row r="3" spans="1:3"><c r="A3" t="s"><v>1</v></c><c r="B3" s="1"><v>45000.5</v></c><c r="C3" s="3"><v>0.15000000000000002</v></c></row>`+
		`<row r="4"/><row r="5"><c t="b"><v>1</v></c><c s="2"><v>45000</v></c><c t="str"><f>A1&amp;"&lt;"</f><v><![CDATA[<x>]]></v></c></row>`+
		`<row><c r="B6" t="e"><v>#REF!</v></c></row><row><c r="A7"><v>1E-3</v></c></row>`, nil), "people & MORE")
	require.NoError(t, err)
	assert.Equal(t, []string{
		"1:name||a < b ☺", "3:Anna |2023-03-15T12:00:00|0.15", "5:true|2023-03-15|<x>", "6:|#REF!!value", "7:0.001",
	}, rows)

	data, err := os.ReadFile("testdata/excelize.xlsx")
	require.NoError(t, err)
	rows, err = readBook(t, data, "Orders")
	require.NoError(t, err)
	assert.Equal(t, []string{"1:number|placed_at|total|paid|note", "2:A-1|2026-03-29T14:30:00|1234.5|true|Zoë's \"first\"", "3:A-2|2026-12-24|-0.15|false|<b>&</b>"}, rows)
	rows, err = readBook(t, data, "lines")
	require.NoError(t, err)
	assert.Len(t, rows, 3)

	_, err = readBook(t, data, "nope")
	assert.True(t, fault.Is(err, "import.sheet"))
	assert.ErrorContains(t, err, "it has: Orders, lines")
}

func TestWorkbook_that_is_hostile(t *testing.T) {
	t.Parallel()
	row := `<row r="1"><c t="inlineStr"><is><t>x</t></is></c></row>`
	many := strings.Repeat(`<row><c><v>1</v></c></row>`, 10)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"no zip":           {[]byte("PK\x03\x04 and no more"), "its packing is broken"},
		"no workbook":      {bookOf(t, row, map[string]string{"xl/workbook.xml": ""}), "is missing"},
		"billion laughs":   {bookOf(t, row, map[string]string{"xl/sharedStrings.xml": `<!DOCTYPE x [<!ENTITY a "ha">]><sst><si><t>&a;</t></si></sst>`}), "document type"},
		"unknown entity":   {bookOf(t, `<row><c t="inlineStr"><is><t>&lol;</t></is></c></row>`, nil), `the entity "lol"`},
		"long text":        {bookOf(t, `<row><c t="inlineStr"><is><t>`+strings.Repeat("x", maxPiece+1)+`</t></is></c></row>`, nil), "longer than"},
		"long tag":         {bookOf(t, `<row><c x="`+strings.Repeat("<>", maxPiece)+`"></c></row>`, nil), "longer than"},
		"long row":         {bookOf(t, `<row>`+strings.Repeat(`<c t="str"><v>`+strings.Repeat("x", 30_000)+`</v></c>`, 40)+`</row>`, nil), "longer than"},
		"a text not there": {bookOf(t, `<row><c t="s"><v>7</v></c></row>`, nil), "text 7, which is not there"},
		"rows backwards":   {bookOf(t, `<row r="5"/><row r="4"/>`, nil), "does not stand behind row 5"},
		"cut off":          {bookOf(t, row+`</sheetData>`, map[string]string{"xl/worksheets/sheet1.xml": `<worksheet><sheetData><row><c><v>1`}), "XML is broken"},
		"no number":        {bookOf(t, `<row><c><v>NaN</v></c></row>`, nil), "XML is broken"},
	} {
		_, err := readBook(t, c.file, "")
		assert.True(t, fault.Is(err, "import.format"), "%s: %v", name, err)
		require.ErrorContains(t, err, c.want, name)
	}
	for name, sheet := range map[string]string{
		"far columns":       `<row r="1"><c r="ZZZ1"><v>1</v></c></row>`,
		"columns backwards": `<row r="1"><c r="C1"><v>1</v></c><c r="A1"><v>1</v></c></row>`,
	} {
		rows, err := readBook(t, bookOf(t, sheet+many, nil), "")
		require.NoError(t, err, name)
		assert.Contains(t, rows[0], "!columns", name)
		assert.Len(t, rows, 11, name)
	}
}

// A sheet that was packed to a thousandth is given up, in no memory to speak of.
//
//nolint:paralleltest // it counts what is allocated: nobody else may run
func TestWorkbook_that_is_a_bomb(t *testing.T) {
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	for name, content := range map[string]string{
		"xl/workbook.xml":            `<workbook><sheets><sheet name="A" id="r"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="r" Type="x/worksheet" Target="sheet.xml"/></Relationships>`,
	} {
		part, err := w.Create(name)
		require.NoError(t, err)
		_, err = part.Write([]byte(content))
		require.NoError(t, err)
	}
	part, err := w.Create("xl/sheet.xml")
	require.NoError(t, err)
	_, err = part.Write([]byte("<worksheet><sheetData>"))
	require.NoError(t, err)
	chunk := []byte("<!--" + strings.Repeat(" ", 1<<20) + "-->")
	for range bombBytes>>20 + 1 {
		_, err = part.Write(chunk)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = readBook(t, file.Bytes(), "")
	runtime.ReadMemStats(&after)
	require.ErrorContains(t, err, "unpacks to more than")
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20))
}

func TestWorkbook_with_too_many_parts(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	for n := range 20_000 {
		_, err := w.Create(fmt.Sprintf("xl/part%d.xml", n))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	_, err := readBook(t, file.Bytes(), "")
	assert.ErrorContains(t, err, "more parts than a workbook has")
}
