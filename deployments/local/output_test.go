package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOutput(t *testing.T) {
	t.Parallel()
	var screen, log bytes.Buffer
	o := newOutput(newTerminal(&screen), "api", &log)
	for _, part := range []string{"one\ntw", "o\n", "three"} {
		n, err := fmt.Fprint(o, part)
		require.NoError(t, err)
		assert.Equal(t, len(part), n)
	}
	assert.Equal(t, "api       | one\napi       | two\n", screen.String())
	assert.Equal(t, "one\ntwo\nthree", log.String())
	assert.Equal(t, "one\ntwo\nthree", o.last())
	fmt.Fprint(o, strings.Repeat("\nmore", 50))
	assert.Len(t, strings.Split(o.last(), "\n"), 16)
}
