package reports

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// look keeps what was rendered where REPORTS_LOOK says, so that somebody can look at it.
func look(t *testing.T, name string, data []byte) {
	t.Helper()
	if dir := os.Getenv("REPORTS_LOOK"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
}

func renderPage(t *testing.T, d Document) string {
	t.Helper()
	pages, err := readPages()
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, pages.page.Execute(&b, d))
	return b.String()
}

func renderMail(t *testing.T, d Document) string {
	t.Helper()
	pages, err := readPages()
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, pages.mail.Execute(&b, d))
	return b.String()
}

func readTable(t *testing.T, d Document) [][]string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, writeCSV(&b, d))
	rows, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	return rows
}

func isHTML(t *testing.T, text string) {
	t.Helper()
	assert.NotContains(t, text, "<script")
	assert.NotContains(t, text, "ZgotmplZ", "a value stands where a template does not let it")
	assert.Equal(t, strings.Count(text, "<table"), strings.Count(text, "</table>"))
}
