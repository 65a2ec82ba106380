package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, name := range []string{"0001_first.sql", "0012_last.sql", "embed.go"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), nil, 0o600))
	}
	var out bytes.Buffer
	require.NoError(t, run([]string{"customers", folder}, &out))
	path := filepath.Join(folder, "0013_customers.sql")
	assert.Equal(t, path+"\n", out.String())
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(written), "CREATE TABLE customers (")

	require.ErrorContains(t, run([]string{"customers", folder}, &out), "there is 0013_customers.sql already")
	require.ErrorContains(t, run([]string{"nonesuch", folder}, &out), "it has: customers, orders")
	require.ErrorIs(t, run(nil, &out), errUsage)
	require.ErrorIs(t, run([]string{"", folder}, &out), errUsage)
}
