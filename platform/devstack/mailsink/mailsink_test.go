package mailsink_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack/mailsink"
	"github.com/groundwork-saas/groundwork/platform/mail"
)

func start(tb testing.TB, config mailsink.Config) *mailsink.Sink {
	tb.Helper()
	s, err := mailsink.Start(tb.Context(), config)
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, s.Stop(context.WithoutCancel(tb.Context()))) })
	return s
}

func send(tb testing.TB, s *mailsink.Sink, change func(*mail.Message)) {
	tb.Helper()
	require.NoError(tb, deliver(tb.Context(), s, change))
}

func deliver(ctx context.Context, s *mailsink.Sink, change func(*mail.Message)) error {
	sender, err := mail.NewSender(mail.Config{
		URL:  strings.Replace(s.SMTPURL(), "://", "://any:password@", 1),
		From: mail.Address{Name: "Groundwork", Email: "no-reply@example.com"}, AllowPlain: true,
	})
	if err != nil {
		return err
	}
	m := mail.Message{
		To: mail.Address{Name: "Ada", Email: "ada@example.com"}, Subject: "Grüße", Key: "k", Date: time.Now(),
		Text: "Look: https://app.example.com/verify-email#token=abc. And <b>this</b>.",
		HTML: `<!doctype html><html><head></head><body><script>parent.x=1</script>` +
			`<a href="https://app.example.com/a?b=1&amp;c=2">go</a></body></html>`,
	}
	change(&m)
	return sender.Send(ctx, m)
}

// get asks the sink's page, under the name that a browser would give.
func get(tb testing.TB, s *mailsink.Sink, method, path string, change ...func(*http.Request)) (int, http.Header, string) {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), method, s.PageURL()+path, http.NoBody)
	require.NoError(tb, err)
	for _, c := range change {
		c(request)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(tb, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(tb, err)
	return response.StatusCode, response.Header, string(body)
}

func TestSink_takes_mails_that_come_as_to_a_relay_without_STARTTLS(t *testing.T) {
	t.Parallel()
	s := start(t, mailsink.Config{})
	from := mail.Address{Name: "Groundwork", Email: "no-reply@example.com"}
	m := mail.Message{To: mail.Address{Email: "ada@example.com"}, Subject: "Hello", Key: "k", Date: time.Now(), Text: "Hello.", HTML: "<p>Hello.</p>"}

	strict, err := mail.NewSender(mail.Config{URL: s.SMTPURL(), From: from})
	require.NoError(t, err)
	require.ErrorContains(t, strict.Send(t.Context(), m), "STARTTLS")

	plain, err := mail.NewSender(mail.Config{URL: s.SMTPURL() + "?starttls=never", From: from})
	require.NoError(t, err)
	require.NoError(t, plain.Send(t.Context(), m))
	assert.Len(t, s.Mails(), 1)
}

func TestSink_shows_what_it_catches(t *testing.T) {
	t.Parallel()
	s := start(t, mailsink.Config{})
	_, _, empty := get(t, s, http.MethodGet, "/")
	assert.Contains(t, empty, "No mails yet")

	send(t, s, func(*mail.Message) {})
	m, err := s.Await(t.Context(), func(m mailsink.Mail) bool { return m.Subject == "Grüße" })
	require.NoError(t, err)
	assert.Equal(t, []string{"ada@example.com"}, m.Recipients)
	assert.Equal(t, "no-reply@example.com", m.Sender)
	assert.Equal(t, "<k@example.com>", m.MessageID)
	assert.Equal(t, "Ada <ada@example.com>", m.To)
	assert.Equal(t, []string{"https://app.example.com/verify-email#token=abc", "https://app.example.com/a?b=1&c=2"}, m.Links)

	status, header, page := get(t, s, http.MethodGet, "/")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
	assert.Contains(t, page, `<iframe sandbox="allow-popups allow-popups-to-escape-sandbox"`)
	assert.Contains(t, page, `<a href="https://app.example.com/verify-email#token=abc"`)
	assert.Contains(t, page, "&lt;b&gt;this&lt;/b&gt;")
	assert.NotContains(t, page, "<script>parent")
	_, header, html := get(t, s, http.MethodGet, "/mail/1/html")
	assert.Contains(t, header.Get("Content-Security-Policy"), "sandbox")
	assert.NotContains(t, header.Get("Content-Security-Policy"), "allow-scripts")
	assert.True(t, strings.HasPrefix(html, `<!doctype html><html><head><base target="_blank">`), html)
	_, header, raw := get(t, s, http.MethodGet, "/mail/1/raw")
	assert.Equal(t, "text/plain; charset=utf-8", header.Get("Content-Type"))
	assert.Contains(t, raw, "Subject: =?UTF-8?")

	send(t, s, func(m *mail.Message) { m.To.Email, m.Subject = "grace@example.com", "Second" })
	var listed []mailsink.Mail
	_, _, body := get(t, s, http.MethodGet, "/messages")
	require.NoError(t, json.Unmarshal([]byte(body), &listed))
	require.Len(t, listed, 2)
	assert.Equal(t, "Second", listed[0].Subject, "newest first")
	_, _, body = get(t, s, http.MethodGet, "/messages?to=ada@example.com")
	require.NoError(t, json.Unmarshal([]byte(body), &listed))
	require.Len(t, listed, 1)
	assert.Contains(t, listed[0].Text, "verify-email#token=abc")
	_, _, body = get(t, s, http.MethodGet, "/messages/2")
	assert.Contains(t, body, `"subject": "Second"`)

	for _, path := range []string{"/mail/99", "/mail/x", "/messages/0", "/nothing"} {
		status, _, _ := get(t, s, http.MethodGet, path)
		assert.Equal(t, http.StatusNotFound, status, path)
	}
	status, _, _ = get(t, s, http.MethodDelete, "/messages")
	assert.Equal(t, http.StatusNoContent, status)
	assert.Empty(t, s.Mails())
}

// A page of somewhere else must not read mails through a browser on this machine, nor delete them.
func TestSink_is_for_this_machine_only(t *testing.T) {
	t.Parallel()
	s := start(t, mailsink.Config{})
	named := func(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }
	for host, want := range map[string]int{
		"evil.example": http.StatusForbidden, "localhost.evil.example:80": http.StatusForbidden, "": http.StatusOK,
		"localhost:8025": http.StatusOK, "127.0.0.1": http.StatusOK, "[::1]:8025": http.StatusOK, "mail.localhost": http.StatusOK,
	} {
		status, _, _ := get(t, s, http.MethodGet, "/messages", named(host))
		assert.Equal(t, want, status, host)
	}
	status, _, _ := get(t, s, http.MethodDelete, "/messages", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	assert.Equal(t, http.StatusForbidden, status)
}

func TestSink_keeps_the_last_mails_over_a_restart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mail")
	config := mailsink.Config{Dir: dir, Keep: 3}
	first, err := mailsink.Start(t.Context(), config)
	require.NoError(t, err)
	for n := range 5 {
		send(t, first, func(m *mail.Message) { m.Subject = fmt.Sprint("Mail ", n) })
	}
	require.NoError(t, first.Stop(t.Context()))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "00000009.json"), []byte(`{"id":9,"ra`), 0o600), "one that a crash cut off")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README.txt"), []byte("not a mail"), 0o600))

	second := start(t, config)
	subjects := func() (all []string) {
		for _, m := range second.Mails() {
			all = append(all, m.Subject)
		}
		return all
	}
	assert.Equal(t, []string{"Mail 4", "Mail 3", "Mail 2"}, subjects())
	send(t, second, func(m *mail.Message) { m.Subject = "Mail 5" })
	assert.Equal(t, []string{"Mail 5", "Mail 4", "Mail 3"}, subjects())
	assert.Equal(t, 10, second.Mails()[0].ID, "no number is used twice")
	info, err := os.Stat(filepath.Join(dir, "00000010.json"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestSink_takes_mails_at_once(t *testing.T) {
	t.Parallel()
	s := start(t, mailsink.Config{})
	done := make(chan error, 16)
	for n := range cap(done) {
		go func() { done <- deliver(t.Context(), s, func(m *mail.Message) { m.Subject = fmt.Sprint("Mail ", n) }) }()
	}
	for range cap(done) {
		require.NoError(t, <-done)
	}
	require.Len(t, s.Mails(), 16)
	ids := map[int]bool{}
	for _, m := range s.Mails() {
		ids[m.ID] = true
	}
	assert.Len(t, ids, 16)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Await(ctx, func(mailsink.Mail) bool { return false })
	require.ErrorIs(t, err, context.Canceled)
}

func TestStart_says_what_is_in_the_way(t *testing.T) {
	t.Parallel()
	s := start(t, mailsink.Config{})
	taken := strings.TrimPrefix(s.PageURL(), "http://")
	for _, config := range []mailsink.Config{{PageAddr: taken}, {SMTPAddr: taken}, {SMTPAddr: "nonsense"}} {
		_, err := mailsink.Start(t.Context(), config)
		require.Error(t, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := mailsink.Start(t.Context(), mailsink.Config{Dir: file})
	require.ErrorContains(t, err, "folder of mails")
}
