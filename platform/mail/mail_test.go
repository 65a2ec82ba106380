package mail_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"mime"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/mail"
)

// server is a mail server whose answers a test chooses.
type server struct {
	url   string
	trust *tls.Config

	onMail, onRcpt, onData error

	mu     sync.Mutex
	bodies [][]byte
	from   []string
	to     []string
	utf8   []bool
}

type session struct {
	*server

	isIn bool
}

func (s *session) Mail(from string, options *smtp.MailOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from, s.utf8 = append(s.from, from), append(s.utf8, options.UTF8)
	return s.onMail
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = append(s.to, to)
	return s.onRcpt
}

func (s *session) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, body)
	return s.onData
}

func (*session) Reset()                   {}
func (*session) Logout() error            { return nil }
func (*session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "ada" || password != "p/ss:w@rd" {
			return smtp.ErrAuthFailed
		}
		s.isIn = true
		return nil
	}), nil
}

// how is how a server is reached.
type how int

const (
	plain how = iota
	startTLS
	implicit
)

func newServer(tb testing.TB, reach how, change ...func(*server, *smtp.Server)) *server {
	tb.Helper()
	s := &server{}
	inner := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{server: s}, nil }))
	inner.Domain, inner.ErrorLog = "localhost", quiet{}
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	s.url = "smtp://" + listener.Addr().String()
	if reach != plain {
		certificate, pool := newCertificate(tb)
		s.trust = &tls.Config{RootCAs: pool}
		inner.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
		if reach == implicit {
			listener = tls.NewListener(listener, inner.TLSConfig)
			s.url = "smtps://" + listener.Addr().String()
		}
	}
	for _, c := range change {
		c(s, inner)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = inner.Serve(listener) }()
	tb.Cleanup(func() { _ = inner.Close(); <-done })
	return s
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func newCertificate(tb testing.TB) (tls.Certificate, *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(tb, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(tb, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func (s *server) sender(tb testing.TB, change ...func(*mail.Config)) *mail.Sender {
	tb.Helper()
	config := mail.Config{URL: s.url, From: mail.Address{Name: "Grün & Söhne", Email: "no-reply@example.com"}, TLS: s.trust}
	for _, c := range change {
		c(&config)
	}
	sender, err := mail.NewSender(config)
	require.NoError(tb, err)
	return sender
}

func allowPlain(c *mail.Config) { c.AllowPlain = true }

func as(user string) func(*mail.Config) {
	return func(c *mail.Config) { c.URL = strings.Replace(c.URL, "://", "://"+user+"@", 1) }
}

func message() mail.Message {
	return mail.Message{
		To: mail.Address{Name: "Ada", Email: "ada@example.net"}, Subject: "Hello", Text: "A text.\n.\nwith a dot\n", HTML: "<p>A text.</p>",
		Key: "0198-job/mail", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func (s *server) only(tb testing.TB) *netmail.Message {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(tb, s.bodies, 1)
	m, err := netmail.ReadMessage(bytes.NewReader(s.bodies[0]))
	require.NoError(tb, err)
	return m
}

func TestSend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reach  how
		change []func(*mail.Config)
	}{
		"over_a_plain_line_where_that_is_allowed": {plain, []func(*mail.Config){allowPlain}},
		"over_STARTTLS":                 {startTLS, nil},
		"over_STARTTLS_with_a_password": {startTLS, []func(*mail.Config){as("ada:p%2Fss%3Aw%40rd")}},
		"over_TLS_with_a_password":      {implicit, []func(*mail.Config){as("ada:p%2Fss%3Aw%40rd")}},
		"over_TLS":                      {implicit, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, c.reach)
			require.NoError(t, s.sender(t, c.change...).Send(t.Context(), message()))
			m := s.only(t)
			assert.Equal(t, "<0198-job.mail@example.com>", m.Header.Get("Message-ID"))
			assert.Equal(t, "auto-generated", m.Header.Get("Auto-Submitted"))
			assert.Equal(t, "Fri, 02 Jan 2026 03:04:05 +0000", m.Header.Get("Date"))
			assert.Empty(t, m.Header.Get("Precedence"))
			assert.Empty(t, m.Header.Get("User-Agent"))
			kind, _, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
			require.NoError(t, err)
			assert.Equal(t, "multipart/alternative", kind)
			from, err := m.Header.AddressList("From")
			require.NoError(t, err)
			assert.Equal(t, "Grün & Söhne", from[0].Name)
			assert.Equal(t, []string{"ada@example.net"}, s.to)
			assert.Equal(t, []bool{false}, s.utf8, "SMTPUTF8 is not asked for without need")
		})
	}
}

// What people wrote into names and subjects can neither end a header nor begin a command.
func TestSend_keeps_what_people_wrote_in_its_place(t *testing.T) {
	t.Parallel()
	s := newServer(t, plain)
	sender := s.sender(t, allowPlain)
	m := message()
	m.To.Name = "Eve\r\nBcc: all@example.org\r\n\r\nbody \u2028 \"quoted\" <x@y.example>"
	m.Subject = "Hi\nX-Evil: 1\r\n\x00 " + strings.Repeat("ü", 500)
	m.Headers = map[string]string{"X-Note": "a\r\nX-Other: b", "List-Id": "reports.example.com"}
	require.NoError(t, sender.Send(t.Context(), m))
	got := s.only(t)
	for _, name := range []string{"Bcc", "X-Evil", "X-Other"} {
		assert.Empty(t, got.Header.Get(name))
	}
	assert.Equal(t, []string{"ada@example.net"}, s.to)
	to, err := got.Header.AddressList("To")
	require.NoError(t, err)
	require.Len(t, to, 1)
	assert.Equal(t, `Eve Bcc: all@example.org body "quoted" <x@y.example>`, to[0].Name)
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(subject, "Hi X-Evil: 1 üü"), subject)
	assert.Len(t, []rune(subject), 200)
	assert.Equal(t, "reports.example.com", got.Header.Get("List-Id"))
	for line := range bytes.Lines(s.bodies[0]) {
		assert.LessOrEqual(t, len(line), 100, "%s", line)
	}

	for _, bad := range []string{
		"", "ada", "@example.com", "ada@", "a@b@c", "ada@example.com\r\nRCPT TO:<x@y.example>", "ada@exa mple.com", "<ada@example.com>",
		"ada@example.com,eve@example.com", "ada\n@example.com", strings.Repeat("a", 65) + "@example.com", "ada@" + strings.Repeat("a", 300),
	} {
		m := message()
		m.To.Email = bad
		err := sender.Send(t.Context(), m)
		require.Error(t, err, "%q", bad)
		assert.True(t, mail.IsPermanent(err), "%q: %v", bad, err)
	}
	for _, bad := range []string{"", "Subject", "bcc", "X Y", "X:Y", "X\r\nY", "message-id"} {
		m := message()
		m.Headers = map[string]string{bad: "x"}
		assert.True(t, mail.IsPermanent(sender.Send(t.Context(), m)), "%q", bad)
	}
	assert.Len(t, s.bodies, 1, "none of them reached the server")
}

func TestSend_to_domains_and_names_in_any_script(t *testing.T) {
	t.Parallel()
	s := newServer(t, plain, func(_ *server, inner *smtp.Server) { inner.EnableSMTPUTF8 = true })
	sender := s.sender(t, allowPlain)
	m := message()
	m.To = mail.Address{Name: "李小龍", Email: "info@bücher.example"}
	require.NoError(t, sender.Send(t.Context(), m))
	m.To.Email = "jürgen@bücher.example"
	require.NoError(t, sender.Send(t.Context(), m))
	assert.Equal(t, []string{"info@xn--bcher-kva.example", "jürgen@xn--bcher-kva.example"}, s.to)
	assert.Equal(t, []bool{false, true}, s.utf8)
}

func TestSend_tells_what_may_pass_from_what_will_not(t *testing.T) {
	t.Parallel()
	answer := func(code int) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: "no"}
	}
	for name, c := range map[string]struct {
		set       func(*server)
		permanent bool
		code      int
	}{
		"a recipient who does not exist":      {func(s *server) { s.onRcpt = answer(550) }, true, 550},
		"a mailbox that is full":              {func(s *server) { s.onRcpt = answer(452) }, false, 452},
		"a recipient who is greylisted":       {func(s *server) { s.onRcpt = answer(451) }, false, 451},
		"a server that closes":                {func(s *server) { s.server421() }, false, 421},
		"a mail that is refused":              {func(s *server) { s.onData = answer(554) }, true, 554},
		"a mail that cannot be taken now":     {func(s *server) { s.onData = answer(451) }, false, 451},
		"a sender whom the server lets not":   {func(s *server) { s.onMail = answer(550) }, false, 550},
		"a server that asks for a password":   {func(s *server) { s.onRcpt = answer(530) }, false, 530},
		"a server that cannot for the moment": {func(s *server) { s.onMail = answer(421) }, false, 421},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, plain)
			c.set(s)
			err := s.sender(t, allowPlain).Send(t.Context(), message())
			require.Error(t, err)
			assert.Equal(t, c.permanent, mail.IsPermanent(err), "%v", err)
			var e *mail.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, c.code, e.Code)
		})
	}
}

func (s *server) server421() {
	s.onRcpt = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "shutting down"}
}

func TestSend_waits_where_the_installation_is_wrong(t *testing.T) {
	t.Parallel()
	later := func(t *testing.T, err error) string {
		t.Helper()
		require.Error(t, err)
		assert.False(t, mail.IsPermanent(err), "%v", err)
		assert.NotContains(t, err.Error(), "p%2Fss")
		assert.NotContains(t, err.Error(), "secret")
		return err.Error()
	}
	t.Run("a_wrong_password", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, startTLS)
		assert.Contains(t, later(t, s.sender(t, as("ada:secret")).Send(t.Context(), message())), "535")
	})
	t.Run("a_line_that_is_not_encrypted", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, plain)
		assert.Contains(t, later(t, s.sender(t).Send(t.Context(), message())), "STARTTLS")
		assert.Empty(t, s.bodies)
	})
	t.Run("a_certificate_of_somebody_else", func(t *testing.T) {
		t.Parallel()
		for _, reach := range []how{startTLS, implicit} {
			s := newServer(t, reach)
			s.trust = nil
			later(t, s.sender(t, as("ada:secret")).Send(t.Context(), message()))
			assert.Empty(t, s.bodies)
		}
	})
	t.Run("nobody_who_listens", func(t *testing.T) {
		t.Parallel()
		s := &server{url: "smtp://127.0.0.1:1"}
		later(t, s.sender(t).Send(t.Context(), message()))
	})
}

func TestSend_of_a_cut_or_slow_line(t *testing.T) {
	t.Parallel()
	// talk answers a script, and then does what end does.
	talk := func(t *testing.T, script []string, end func(net.Conn)) *server {
		t.Helper()
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			buffer := make([]byte, 64<<10)
			for i, line := range script {
				if i > 0 {
					for read := ""; ; {
						n, err := conn.Read(buffer)
						if err != nil {
							return
						}
						read += string(buffer[:n])
						if script[i-1][:3] != "354" || strings.HasSuffix(read, "\r\n.\r\n") {
							break
						}
					}
				}
				_, _ = conn.Write([]byte(line + "\r\n"))
			}
			end(conn)
		}()
		return &server{url: "smtp://" + listener.Addr().String()}
	}
	untilDATA := []string{"220 hi", "250 hi", "250 ok", "250 ok", "354 go"}
	hangUp := func(net.Conn) {}
	wait := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	hurried := func(c *mail.Config) { c.Timeout = 150 * time.Millisecond }

	t.Run("is_tried_again_where_it_was_cut_in_DATA", func(t *testing.T) {
		t.Parallel()
		err := talk(t, untilDATA, hangUp).sender(t, allowPlain).Send(t.Context(), message())
		require.Error(t, err)
		assert.False(t, mail.IsPermanent(err))
	})
	t.Run("is_tried_again_where_no_answer_came_to_the_mail", func(t *testing.T) {
		t.Parallel()
		err := talk(t, untilDATA, wait).sender(t, allowPlain, hurried).Send(t.Context(), message())
		require.Error(t, err)
		assert.False(t, mail.IsPermanent(err))
	})
	t.Run("is_done_where_it_was_cut_after_the_yes", func(t *testing.T) {
		t.Parallel()
		script := append(append([]string{}, untilDATA...), "250 taken")
		require.NoError(t, talk(t, script, hangUp).sender(t, allowPlain).Send(t.Context(), message()))
		// Who takes longer to say good-bye than the sender waits; a machine that stands still needs the longer time to get so far.
		var err error
		for _, timeout := range []time.Duration{150 * time.Millisecond, 5 * time.Second, 30 * time.Second} {
			err = talk(t, script, wait).sender(t, allowPlain, func(c *mail.Config) { c.Timeout = timeout }).Send(t.Context(), message())
			if err == nil {
				break
			}
		}
		require.NoError(t, err)
	})
	t.Run("ends_with_its_time", func(t *testing.T) {
		t.Parallel()
		for _, script := range [][]string{nil, {"220 hi"}, {"220 hi", "250 hi"}} {
			err := talk(t, script, wait).sender(t, allowPlain, hurried).Send(t.Context(), message())
			require.Error(t, err)
			assert.False(t, mail.IsPermanent(err))
		}
	})
	t.Run("ends_with_its_context", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		s := talk(t, untilDATA[:3], func(conn net.Conn) { cancel(); wait(conn) })
		err := s.sender(t, allowPlain).Send(ctx, message())
		require.ErrorIs(t, err, context.Canceled)
		assert.False(t, mail.IsPermanent(err))
	})
}

func TestNewSender_refuses_what_is_no_server(t *testing.T) {
	t.Parallel()
	from := mail.Address{Email: "no-reply@example.com"}
	for _, bad := range []string{
		"", "localhost:25", "http://mail.example.com", "smtp://", "smtp://user:pa/ss@host:587", "smtp://host:0", "smtp://host:99999",
		"smtp://host/path", "smtp://host?tls=off", "smtp://host?starttls=never&a=b",
		"smtp://user:password@host?starttls=never", "smtps://host?starttls=never", "smtp://user:p%zz@host",
	} {
		_, err := mail.NewSender(mail.Config{URL: bad, From: from})
		require.Error(t, err, bad)
		assert.NotContains(t, err.Error(), "pa/ss")
		assert.NotContains(t, err.Error(), "p%zz")
	}
	_, err := mail.NewSender(mail.Config{URL: "smtp://host"})
	require.Error(t, err)

	a, err := mail.ParseAddress("Groundwork <no-reply@example.com>")
	require.NoError(t, err)
	assert.Equal(t, mail.Address{Name: "Groundwork", Email: "no-reply@example.com"}, a)
	for _, bad := range []string{"", "Groundwork", "a@b, c@d", "x <a@b> y"} {
		_, err := mail.ParseAddress(bad)
		require.Error(t, err, bad)
	}
	assert.False(t, mail.IsPermanent(nil))
	assert.False(t, mail.IsPermanent(errors.New("other")))
}
