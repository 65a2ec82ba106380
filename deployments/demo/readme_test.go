package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the README says a resource costs is counted, so that it stays true.
func TestReadme(t *testing.T) {
	t.Parallel()
	t.Run("counts_the_lines_of_a_resource", func(t *testing.T) {
		t.Parallel()
		root := filepath.Join("..", "..")
		page, err := os.ReadFile(filepath.Join(root, "README.md"))
		require.NoError(t, err)
		rows := regexp.MustCompile(`(?m)^\| \[[^\]]+\]\(((?:domain/customers|migrations)/[^)]+)\) \| (\d+) \|`).
			FindAllStringSubmatch(string(page), -1)
		require.Len(t, rows, 2)
		for _, row := range rows {
			file, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(row[1])))
			require.NoError(t, err)
			assert.Equal(t, strconv.Itoa(bytes.Count(file, []byte("\n"))), row[2], row[1])
		}
	})
}
