package redis

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParseInfo(t *testing.T) {
	t.Parallel()
	const text = "# Memory\r\nused_memory:1048576\r\nused_memory_human:1.00M\r\nmaxmemory:0\r\n# Stats\r\ntotal_commands_processed:17\r\n" +
		"evicted_keys:3\r\nrejected_connections:x\r\nconnected_clients:5\r\nnonsense\r\n"
	assert.Equal(t, Info{UsedBytes: 1 << 20, Clients: 5, Commands: 17, Evicted: 3}, parseInfo(text))
	assert.Zero(t, parseInfo(""))
}
