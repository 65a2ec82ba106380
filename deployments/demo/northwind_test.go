package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNorthwind(t *testing.T) {
	t.Parallel()
	customers, err := northwind()
	require.NoError(t, err)
	require.Len(t, customers, 91)

	t.Run("maps_the_columns", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, newCustomer{
			Code: "ANATR", Name: "Ana Trujillo Emparedados y helados", Tags: []string{"mexico", "owner"},
			Custom: map[string]string{
				"contact_name": "Ana Trujillo", "contact_title": "Owner", "address": "Avda. de la Constitución 2222",
				"city": "México D.F.", "postal_code": "05021", "country": "Mexico",
				"phone": "(5) 555-4729", "fax": "(5) 555-3745",
			},
		}, customers[1])
	})
	t.Run("gives_each_a_code_of_its_own_and_no_empty_value", func(t *testing.T) {
		t.Parallel()
		codes := map[string]bool{}
		germans := 0
		for _, c := range customers {
			assert.False(t, codes[c.Code], c.Code)
			codes[c.Code] = true
			assert.NotContains(t, c.Custom, "")
			for key, value := range c.Custom {
				assert.NotEmpty(t, value, "%s of %s", key, c.Code)
			}
			if c.Custom["country"] == "Germany" {
				germans++
			}
		}
		assert.Equal(t, 11, germans)
	})
}
