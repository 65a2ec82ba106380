package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// DefaultTimeout bounds what the server may take for getting in, and again for taking a mail.
const DefaultTimeout = 20 * time.Second

// farewell is how long the server may take to say goodbye.
const farewell = time.Second

// Config says where mails go out.
type Config struct {
	// URL is the server: smtp://user:password@host:587, where STARTTLS is required, or smtps://…:465, which is encrypted
	// from its first byte. User and password are percent-encoded, and left out where the server asks for none. A server in
	// one's own network that has no STARTTLS is smtp://host:25?starttls=never, without a password.
	URL string
	// From is the sender of mails that name none.
	From Address
	// AllowPlain lets a server do without STARTTLS: for one's own machine.
	AllowPlain bool
	// Timeout bounds getting in, and again the taking of a mail; 0 is DefaultTimeout.
	Timeout time.Duration
	// TLS is for tests: the authorities that are believed. nil is the system's.
	TLS *tls.Config
	// Hello is the name that this machine gives itself; "" is the sender's domain.
	Hello string
}

// Sender sends mails over one server. A connection lives for one mail, so that replicas never hold on to any.
type Sender struct {
	config   Config
	host     string
	port     int
	implicit bool // TLS from the first byte
	never    bool // no TLS at all
	user     string
	password string
}

// NewSender checks the settings; it does not connect. Its errors never hold the URL, which has a password.
func NewSender(config Config) (*Sender, error) {
	u, err := url.Parse(config.URL)
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"smtp", "smtps"}, u.Scheme) {
		return nil, errors.New("is not an SMTP server; write it as smtp://user:password@host:587 or smtps://user:password@host:465")
	}
	s := &Sender{config: config, host: u.Hostname(), port: 587, implicit: u.Scheme == "smtps", never: u.RawQuery == "starttls=never"}
	if (u.Path != "" && u.Path != "/") || (u.RawQuery != "" && !s.never) || u.Fragment != "" {
		return nil, errors.New("has something behind the port; a special character in the password is written with %, such as %2F for /")
	}
	if s.never && (s.implicit || u.User != nil) {
		return nil, errors.New("says starttls=never, which goes with smtp:// and without a password only: anybody on the way could read it")
	}
	if s.implicit {
		s.port = 465
	}
	if u.Port() != "" {
		if s.port, err = strconv.Atoi(u.Port()); err != nil || s.port < 1 || s.port > 65535 {
			return nil, errors.New("has no port from 1 to 65535")
		}
	}
	s.user = u.User.Username()
	s.password, _ = u.User.Password()
	from, err := config.From.onWire()
	if err != nil {
		return nil, fmt.Errorf("the sender's address %w", err)
	}
	if s.config.Hello == "" {
		s.config.Hello = domainOf(from.Address)
	}
	if s.config.Timeout <= 0 {
		s.config.Timeout = DefaultTimeout
	}
	return s, nil
}

// Send hands a mail to the server. Once the server has taken it, Send returns nil, whatever happens to the connection
// then. An error that IsPermanent would come again; after any other the mail may be tried again, and may have been
// taken already: the same Message-ID lets the server drop it then.
func (s *Sender) Send(ctx context.Context, m Message) error {
	msg, err := compose(m, s.config.From)
	if err != nil {
		return &Error{IsPermanent: true, cause: fmt.Errorf("write the mail: %w", err)}
	}
	line, err := s.line(ctx, isASCII(strings.TrimSuffix(m.To.Email, domainOf(m.To.Email))))
	if err != nil {
		return fmt.Errorf("prepare the connection: %w", err)
	}
	defer line.close()
	client, err := line.client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return s.failed(ctx, "reach the mail server", err)
	}
	err = line.client.SendWithSMTPClient(client, msg)
	if err != nil && !msg.IsDelivered() { // what goes wrong after the server's yes concerns nobody
		return s.failed(ctx, "send the mail", err)
	}
	// A farewell that is not heard changes nothing, and is not waited for.
	_ = line.conn.SetDeadline(time.Now().Add(farewell))
	_ = line.client.CloseWithSMTPClient(client)
	return nil
}

// line is a connection, and what speaks on it.
type line struct {
	client *gomail.Client
	conn   net.Conn
	undo   func() bool
}

func (l *line) close() {
	if l.conn != nil {
		l.undo()
		_ = l.conn.Close() // a second time, where all went well
	}
}

// line prepares a connection, which is cut when the context ends: the library only knows times of its own, for each step.
//
//nolint:revive // whether all is ASCII is what the server must know
func (s *Sender) line(ctx context.Context, plain bool) (*line, error) {
	l := &line{}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.config.TLS != nil {
		trust = s.config.TLS.Clone()
	}
	trust.ServerName = s.host
	policy := gomail.TLSMandatory
	switch {
	case s.never:
		policy = gomail.NoTLS
	case s.implicit, s.config.AllowPlain:
		policy = gomail.TLSOpportunistic
	}
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(s.config.Timeout), gomail.WithHELO(s.config.Hello),
		gomail.WithTLSConfig(trust), gomail.WithTLSPolicy(policy), gomail.WithoutNoop(),
		gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
			conn, err := s.dial(dialing, network, address, trust)
			if err == nil {
				l.conn, l.undo = conn, context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		}),
	}
	if plain {
		// Asked for without need, SMTPUTF8 would make servers further on refuse the mail that do not speak it.
		options = append(options, gomail.WithoutSMTPUTF8())
	}
	if s.user != "" {
		options = append(options, gomail.WithUsername(s.user), gomail.WithPassword(s.password),
			// The library's own choice takes NTLM before PLAIN over TLS. PLAIN and LOGIN refuse a line that is not encrypted.
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	var err error
	l.client, err = gomail.NewClient(s.host, options...)
	return l, err
}

func (s *Sender) dial(ctx context.Context, network, address string, trust *tls.Config) (net.Conn, error) {
	if s.implicit {
		return (&tls.Dialer{Config: trust}).DialContext(ctx, network, address) //nolint:wrapcheck // the caller says what it was about
	}
	return (&net.Dialer{}).DialContext(ctx, network, address) //nolint:wrapcheck // the caller says what it was about
}

// Error is why a mail was not sent.
type Error struct {
	// IsPermanent says that another attempt would be refused as well.
	IsPermanent bool
	// Code is the server's answer, 0 where it gave none.
	Code  int
	cause error
}

// Error says what was attempted and what the server answered.
func (e *Error) Error() string { return e.cause.Error() }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.cause }

// IsPermanent says whether another attempt to send the same mail would be refused as well.
func IsPermanent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.IsPermanent
}

// failed tells what may pass from what will not. The server's no (5xx) to a recipient or to a mail is about this mail. Its
// no to our name, password, encryption or sender is about the installation, which somebody will mend: the mail waits.
func (s *Sender) failed(ctx context.Context, act string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", act, errors.Join(ctx.Err(), err))
	}
	e := &Error{cause: fmt.Errorf("%s: %w", act, err)}
	var answer *textproto.Error
	if errors.As(err, &answer) {
		e.Code = answer.Code
	}
	var refused *gomail.SendError
	if errors.As(err, &refused) {
		e.Code = refused.ErrorCode()
		switch refused.Reason { //nolint:exhaustive // the others are about the line or the installation
		case gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
			e.IsPermanent = e.Code >= 500 && e.Code < 600 && !isAboutUs(e.Code)
		case gomail.ErrNoUnencoded, gomail.ErrGetSender, gomail.ErrGetRcpts:
			e.IsPermanent = true
		}
	}
	return e
}

// isAboutUs are the server's answers to who sends, not to what is sent: authentication required, or too weak.
func isAboutUs(code int) bool { return code == 530 || code == 534 || code == 535 || code == 538 }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
