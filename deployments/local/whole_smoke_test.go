package main

import (
	"crypto/rand"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// assertSmoke looks at the running stack as a deployment does: the first time, when its account is made, the next, and with a
// password that is not the account's.
func assertSmoke(t *testing.T, r *wholeRun) {
	t.Helper()
	look := func(password string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "go", "run", "../smoke", r.stack.API)
		cmd.Env = append(os.Environ(), "SMOKE_PASSWORD="+password)
		said, err := cmd.CombinedOutput()
		assert.NotContains(t, string(said), password)
		return string(said), err
	}
	password := rand.Text()
	for range 2 {
		said, err := look(password)
		require.NoError(t, err, said)
		assert.Equal(t, 6, strings.Count(said, " ok, "), said)
	}
	said, err := look(rand.Text())
	require.Error(t, err)
	assert.Contains(t, said, "an account signs in: smoke@example.com has an account with another password")
}
