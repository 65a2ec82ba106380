package mailsink

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestParse(t *testing.T) {
	t.Parallel()
	read := func(raw string) Mail {
		return parse(kept{ID: 1, At: time.Now(), From: "a@example.com", To: []string{"b@example.com", "c@example.com"}, Raw: []byte(raw)})
	}
	m := read("no headers at all")
	assert.Equal(t, "no headers at all", m.Text)
	assert.Equal(t, "b@example.com, c@example.com", m.To)

	m = read("Subject: x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+aGk8L2I+\r\n")
	assert.Equal(t, "<b>hi</b>", m.HTML)
	assert.Equal(t, "x", m.Subject)

	m = read("Content-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\nContent-Type: multipart/alternative; boundary=B\r\n\r\n" +
		"--B\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC=\r\n!\r\n--B--\r\n--A--\r\n")
	assert.Equal(t, "ü!", m.Text)

	for _, broken := range []string{
		"", "\x00\xff", "Content-Type: multipart/mixed\r\n\r\n--x\r\n", "Content-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\nX",
		"Content-Transfer-Encoding: base64\r\n\r\n!!!", "Subject: =?nonsense?Q?=FF?=\r\n\r\nx",
		strings.Repeat("Content-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\n", 1000),
	} {
		assert.NotPanics(t, func() { read(broken) })
	}
}
