//go:build signers

package webhooks_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// The library of Standard Webhooks that receivers use verifies what we sign, and nothing else. It needs Node: make
// check-signers.
func TestSigners(t *testing.T) {
	t.Parallel()
	type message struct {
		Secret  string            `json:"secret"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	var messages bytes.Buffer
	write := json.NewEncoder(&messages)
	var want []bool
	for _, body := range []string{`{"type":"order.paid","data":{"total_cents":1250}}`, `{"name":"Zoë ☃ 𝄞"}`, `""`} {
		own, old, another := webhooks.NewSecret(), webhooks.NewSecret(), webhooks.NewSecret()
		headers := func(at time.Time) map[string]string {
			return map[string]string{
				"webhook-id": "msg_1", "webhook-timestamp": strconv.FormatInt(at.Unix(), 10),
				"webhook-signature": webhooks.Sign("msg_1", at, []byte(body), own, old),
			}
		}
		now := time.Now()
		for _, each := range []struct {
			message
			good bool
		}{
			{message{own.Reveal(), headers(now), body}, true},
			{message{old.Reveal(), headers(now), body}, true},
			{message{another.Reveal(), headers(now), body}, false},
			{message{own.Reveal(), headers(now), body + " "}, false},
			{message{own.Reveal(), headers(now.Add(-time.Hour)), body}, false},
		} {
			require.NoError(t, write.Encode(each.message))
			want = append(want, each.good)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", "verify.mjs")
	cmd.Dir, cmd.Stdin = "../inbound/providers/testdata/signers", &messages
	out, err := cmd.Output()
	require.NoError(t, err)
	var got []bool
	for line := range bytes.Lines(out) {
		got = append(got, string(bytes.TrimSpace(line)) == "true")
	}
	assert.Equal(t, want, got)
}
