package mailsink

import (
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// session is one client's; it takes mails one after another.
type session struct {
	box  *box
	from string
	to   []string
}

// Mail takes the sender.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

// Rcpt takes a recipient.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

// Data takes the mail, and keeps it before it says so.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read the mail: %w", err)
	}
	if err := s.box.add(s.from, s.to, raw); err != nil {
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "the mail could not be kept"}
	}
	return nil
}

// Reset forgets the mail under way.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout does nothing.
func (*session) Logout() error { return nil }

// AuthMechanisms are those of servers that ask for a password.
func (*session) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth believes everybody: the password of a real server works here too.
func (*session) Auth(mechanism string) (sasl.Server, error) {
	if mechanism != sasl.Plain {
		return nil, errors.New("this is not spoken here")
	}
	return sasl.NewPlainServer(func(string, string, string) error { return nil }), nil
}
