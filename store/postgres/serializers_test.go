package postgres

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTextList(t *testing.T) {
	t.Parallel()
	for _, list := range [][]string{{}, {""}, {"", ""}, {"a", "b c"}, {`"`, `\`, `a\"b`}, {",", "{", "}", "{}"}, {"NULL", "null"}, {"ü\n\t"}} {
		text, err := textList(list).Value()
		require.NoError(t, err)
		require.IsType(t, "", text)
		back, err := parseTextList(fmt.Sprint(text))
		require.NoError(t, err, text)
		assert.Equal(t, list, back, text)
	}
	for text, want := range map[string][]string{
		`{a,b}`: {"a", "b"}, `{"a b",c}`: {"a b", "c"}, `{"",x}`: {"", "x"}, `{a\"b}`: {`a"b`}, `{}`: {},
	} {
		list, err := parseTextList(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, list)
	}
	for _, text := range []string{"", "a", "{a", "a}", `{"a}`, "{{a},{b}}", "[0:1]={a,b}"} {
		_, err := parseTextList(text)
		require.ErrorIs(t, err, errNotTextList, text)
	}
}
