package notices_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/notices"
)

func letters(tb testing.TB) *notices.Letters {
	tb.Helper()
	l, err := notices.NewLetters(notices.Product{Name: "Groundwork", URL: "https://app.example.com"})
	require.NoError(tb, err)
	return l
}

func example() notices.Values {
	at := time.Date(2026, 11, 25, 16, 20, 0, 0, time.UTC)
	return notices.Values{
		Name: "Ada Lovelace", Link: "https://app.example.com/verify-email#token=gw_verify_" + strings.Repeat("Ab3", 13), Hours: 48,
		Organization: "Northwind Traders", Who: "Grace Hopper", Role: "member", Thing: "CI", Scopes: "customers:read, orders:write",
		Device: "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5)", Address: "203.0.113.7", URL: "https://hooks.example.com/groundwork", At: at, Began: at.Add(-72 * time.Hour),
		Format: "XLSX", Count: 1_000_000,
		Until: at.Add(7 * 24 * time.Hour),
	}
}

func TestLetters(t *testing.T) {
	t.Parallel()
	l := letters(t)
	require.Len(t, l.Names(), 11)
	for _, name := range l.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for which, values := range map[string]notices.Values{"full": example(), "bare": {Link: example().Link}} {
				m, err := l.Write(name, values)
				require.NoError(t, err)
				if dir := os.Getenv("SHOW_MAILS"); dir != "" && which == "full" {
					require.NoError(t, os.WriteFile(filepath.Join(dir, name+".html"), []byte(m.HTML), 0o600))
					require.NoError(t, os.WriteFile(filepath.Join(dir, name+".txt"), []byte(m.Subject+"\n\n"+m.Text), 0o600))
				}
				assert.NotEmpty(t, m.Subject)
				assert.NotContains(t, m.Subject, "\n")
				assert.Contains(t, m.Text, "\n"+values.Link+"\n", "the link stands on a line of its own")
				assert.Contains(t, m.HTML, `href="`+values.Link+`"`)
				assert.NotContains(t, m.Text+m.HTML, "<no value>")
				assert.NotContains(t, m.Text+m.HTML, "ZgotmplZ")
				assert.NotContains(t, m.HTML, "<img", "it is whole without images")
				assert.NotRegexp(t, `\n\n\n`, m.Text)
				for line := range strings.Lines(m.Text) {
					assert.True(t, len([]rune(line)) <= 80 || strings.Contains(line, "://"), "%q is long", line)
				}
			}
		})
	}
	_, err := l.Write("no-such", notices.Values{})
	require.Error(t, err)
}

// What somebody wrote is sent in our name to others: it must not carry anything that can be clicked, or that looks
// like a part of the mail.
func TestLetters_carry_nothing_that_somebody_wrote_but_as_words(t *testing.T) {
	t.Parallel()
	l := letters(t)
	values := example()
	values.Who = "<a href='https://evil.example/x'>Win</a>\r\nBcc: all@evil.example\r\n\r\nVisit www.evil.example/now or http://evil.example"
	values.Organization = "{{.Link}} \u202Eevil <script>alert(1)</script> " + strings.Repeat("long ", 100)
	m, err := l.Write("invitation", values)
	require.NoError(t, err)
	link := regexp.MustCompile(`(?i)(?:https?://|www\.)[^\s"'<>]+|[a-z0-9-]+\.example\b|[^\s]+@[a-z]`)
	for _, text := range []string{m.Subject, m.Text, m.HTML} {
		for _, found := range link.FindAllString(text, -1) {
			assert.NotContains(t, found, "evil")
		}
		assert.NotContains(t, text, "\u202E")
		assert.NotContains(t, text, "\nBcc:")
	}
	assert.NotContains(t, m.HTML, "<script")
	assert.Contains(t, m.Text, "{{\u2024Link}}", "a template in a name is words too")
	assert.Less(t, len([]rune(m.Subject)), 300)

	values.Who, values.Organization = "J. R. Öztürk-O'Neil 李", "Smith & Sons Ltd."
	m, err = l.Write("invitation", values)
	require.NoError(t, err)
	assert.Equal(t, "J. R. Öztürk-O'Neil 李 invites you to Smith & Sons Ltd. on Groundwork", m.Subject)
	assert.Contains(t, m.HTML, "Smith &amp; Sons Ltd.")
}
