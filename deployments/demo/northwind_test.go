package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNorthwind(t *testing.T) {
	t.Parallel()
	t.Run("gives_each_customer_a_code_of_its_own", func(t *testing.T) {
		t.Parallel()
		codes, err := northwindCodes()
		require.NoError(t, err)
		require.Len(t, codes, 91)
		seen := map[string]bool{}
		for _, code := range codes {
			assert.False(t, seen[code], code)
			seen[code] = true
		}
	})
	t.Run("maps_columns_that_are_there", func(t *testing.T) {
		t.Parallel()
		orders := ordersMapping("")
		lines, ok := orders["lines"].(map[string]any)
		require.True(t, ok)
		delete(orders, "lines")
		for text, mapping := range map[string]map[string]any{
			customersCSV: customersMapping(), ordersCSV: orders, detailsCSV: lines["fields"].(map[string]any), //nolint:forcetypeassert,errcheck // see ordersMapping
		} {
			header, _, _ := strings.Cut(text, "\n")
			columns := strings.Split(strings.TrimSpace(header), ",")
			for field, from := range mapping {
				for _, column := range columnsOf(from) {
					assert.Contains(t, columns, column, field)
				}
			}
		}
	})
}

// columnsOf are the columns that one entry of a mapping names.
func columnsOf(from any) []string {
	switch from := from.(type) {
	case string:
		return []string{from}
	case []any:
		var all []string
		for _, one := range from {
			all = append(all, columnsOf(one)...)
		}
		return all
	case map[string]any:
		if column, ok := from["column"].(string); ok {
			return []string{column}
		}
	}
	return nil
}
