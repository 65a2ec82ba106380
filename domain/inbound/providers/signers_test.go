//go:build signers

package providers_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/inbound/providers"
)

// The providers' own libraries sign, and their messages verify. It needs Node: make check-signers.
func TestSigners(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "node", "sign.mjs")
	cmd.Dir = "testdata/signers"
	out, err := cmd.Output()
	require.NoError(t, err)
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	require.GreaterOrEqual(t, len(lines), 11)
	for _, line := range lines {
		var signed struct {
			Provider, Secret, Body string
			Headers                map[string]string
		}
		require.NoError(t, json.Unmarshal(line, &signed))
		m := message{headers: map[string][]string{}, body: signed.Body, secrets: []string{signed.Secret}, now: time.Now()}
		for name, value := range signed.Headers {
			m.headers[name] = []string{value}
		}
		require.Empty(t, providers.Find(signed.Provider).CheckSecret(signed.Secret))
		_, err := m.verify(t, signed.Provider)
		require.NoError(t, err, "%s", line)
		m.body += " "
		m.refused(t, signed.Provider, "fits none")
	}
}
