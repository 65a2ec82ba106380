package files_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestKey(t *testing.T) {
	t.Parallel()
	tenant, id := tenancy.NewID(), tenancy.NewID()
	key := files.Key(tenant, id)
	gotTenant, gotID, ok := files.ParseKey(key)
	require.True(t, ok)
	assert.Equal(t, tenant, gotTenant)
	assert.Equal(t, id, gotID)
	for _, other := range []string{
		"", key[1:], key + "x", strings.ToUpper(key), key[:37] + "zz" + key[39:], strings.ReplaceAll(key, "/", "-"),
	} {
		_, _, ok := files.ParseKey(other)
		assert.False(t, ok, "%q", other)
	}
}

func TestCleanName(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"a.txt": "a.txt", "../../etc/passwd": "passwd", `C:\x\y.csv`: "y.csv", "a\x00b\x1b\x7f\u0085.txt": "ab.txt",
		"photo\u202egpj.exe": "photogpj.exe", "\u2066x\u2069.txt": "x.txt", "a\tb\nc": "a b c", "name. . .": "name",
		"👩\u200d💻.png": "👩\u200d💻.png", "\ufeffa": "a", "bad\xff": "bad\uFFFD",
		strings.Repeat("x", 300): strings.Repeat("x", 255), strings.Repeat("x", 300) + ".csv": strings.Repeat("x", 251) + ".csv",
	} {
		got, err := files.CleanName(sent)
		require.NoError(t, err, "%q", sent)
		assert.Equal(t, want, got, "%q", sent)
	}
	for _, sent := range []string{"", ".", "..", "/", "x/", "\x00", "\u202e", " . "} {
		_, err := files.CleanName(sent)
		require.Error(t, err, "%q", sent)
	}
}

func FuzzCleanName(f *testing.F) {
	f.Add("../a\u202eb.txt")
	f.Add(strings.Repeat("é.", 200))
	f.Fuzz(func(t *testing.T, sent string) {
		name, err := files.CleanName(sent)
		if err != nil {
			return
		}
		assert.NotEmpty(t, name)
		assert.LessOrEqual(t, len(name), files.MaxName)
		assert.True(t, utf8.ValidString(name))
		assert.NotContains(t, []string{".", ".."}, name)
		assert.False(t, strings.ContainsAny(name, "/\\\x00"))
		assert.False(t, strings.ContainsFunc(name, unicode.IsControl))
		again, err := files.CleanName(name)
		require.NoError(t, err)
		assert.Equal(t, name, again, "a clean name stays as it is")
	})
}
