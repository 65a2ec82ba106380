// Package mail sends mails over SMTP.
//
// It owns what a mail is made of on its way (headers, encodings, addresses) and what the server's answer means: try
// again, or never. The worker calls it; what is written and to whom is not known here. It keeps nothing, retries
// nothing and never logs a mail: whoever calls it does.
package mail

import (
	"bytes"
	"errors"
	"fmt"
	netmail "net/mail"
	"net/textproto"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"
)

// Address is a mailbox, with the name of whom it belongs to; the name may be "".
type Address struct{ Name, Email string }

// ParseAddress reads an address as people write it: "Ada Lovelace <ada@example.com>", or the mailbox alone.
func ParseAddress(s string) (Address, error) {
	parsed, err := netmail.ParseAddress(s)
	if err != nil {
		return Address{}, errors.New("is not an address; write it as: Name <name@example.com>")
	}
	a := Address{Name: parsed.Name, Email: parsed.Address}
	if _, err := a.onWire(); err != nil {
		return Address{}, err
	}
	return a, nil
}

// Message is a mail to one recipient.
type Message struct {
	// From is who sends it; zero is the sender's own address.
	From Address
	To   Address
	// ReplyTo is where answers go; zero is From.
	ReplyTo Address
	// Subject is cut to one line.
	Subject string
	// Text and HTML are the same in two forms; a reader's program shows the one it likes. HTML may be "".
	Text, HTML string
	// Attachments go with it.
	Attachments []Attachment
	// Key names the mail: two attempts to send one mail have the same, and so the same Message-ID (RFC 5322 §3.6.4), by
	// which servers drop the second.
	Key string
	// Date is when it was written.
	Date time.Time
	// Headers are further ones, by name, such as List-Unsubscribe; those that are set here cannot be named.
	Headers map[string]string
}

// Attachment is a file that goes with a mail. Its name is cut to one line.
type Attachment struct {
	Name, ContentType string
	Data              []byte
}

// maxSubject is how long a subject may be, in runes: longer ones are cut by every reader's program.
const maxSubject = 200

// compose returns the mail as the library sends it.
func compose(m Message, from Address) (*gomail.Msg, error) {
	if m.From == (Address{}) {
		m.From = from
	}
	sender, err := m.From.onWire()
	if err != nil {
		return nil, fmt.Errorf("the sender's address: %w", err)
	}
	recipient, err := m.To.onWire()
	if err != nil {
		return nil, fmt.Errorf("the recipient's address: %w", err)
	}
	// A long line of base64 or of text is broken by the encoding: no line is over 76 characters.
	msg := gomail.NewMsg(gomail.WithEncoding(gomail.EncodingQP), gomail.WithCharset(gomail.CharsetUTF8), gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(sender)
	msg.ToMailAddress(recipient)
	if m.ReplyTo != (Address{}) {
		reply, err := m.ReplyTo.onWire()
		if err != nil {
			return nil, fmt.Errorf("the address for answers: %w", err)
		}
		msg.ReplyToMailAddress(reply)
	}
	msg.Subject(cut(oneLine(m.Subject), maxSubject))
	msg.SetDateWithValue(m.Date)
	msg.SetMessageIDWithValue(messageID(m.Key, sender.Address))
	// RFC 3834: no machine answers, no absence note comes back.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	for name, value := range m.Headers {
		if err := checkHeader(name); err != nil {
			return nil, err
		}
		msg.SetGenHeader(gomail.Header(name), oneLine(value))
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	for _, a := range m.Attachments {
		name := cut(oneLine(a.Name), maxSubject)
		if err := msg.AttachReader(name, bytes.NewReader(a.Data), gomail.WithFileContentType(gomail.ContentType(a.ContentType))); err != nil {
			return nil, fmt.Errorf("attach %s: %w", name, err)
		}
	}
	return msg, nil
}

// onWire is the address as it travels: its domain in ASCII (IDNA 2008), its name on one line.
func (a Address) onWire() (*netmail.Address, error) {
	at := strings.LastIndexByte(a.Email, '@')
	if at < 1 || at > 64 || len(a.Email) > 254 {
		return nil, errors.New("is not an address; write it as name@example.com")
	}
	local, domain := a.Email[:at], a.Email[at+1:]
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || ascii == "" {
		return nil, errors.New("has a domain that is none")
	}
	address := local + "@" + ascii
	parsed, err := netmail.ParseAddress("<" + address + ">")
	if err != nil || parsed.Address != address || strings.ContainsFunc(address, notInAddress) {
		return nil, errors.New("is not an address; write it as name@example.com")
	}
	return &netmail.Address{Name: cut(oneLine(a.Name), maxSubject), Address: address}, nil
}

// notInAddress says whether a rune may not stand in an address: a line break would begin a header or a command.
func notInAddress(r rune) bool {
	return unicode.IsControl(r) || unicode.IsSpace(r) || r == '<' || r == '>'
}

// messageID is the key at the sender's domain. What may not stand in one is written as a dot.
func messageID(key, sender string) string {
	left := strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_') {
			return r
		}
		return '.'
	}, key)
	return strings.Trim(left, ".") + "@" + domainOf(sender)
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// checkHeader refuses a name that is none, and those of headers that are set by what a message is.
func checkHeader(name string) error {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }) {
		return fmt.Errorf("%q is no name of a header", name)
	}
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "From", "To", "Cc", "Bcc", "Sender", "Reply-To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type",
		"Content-Transfer-Encoding", "Auto-Submitted", "Return-Path", "Received":
		return fmt.Errorf("the header %s is set by what the message is", name)
	}
	return nil
}

// oneLine has a space for each control character and each line break, so that no header ends early.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Join(strings.Fields(s), " ")
}

func cut(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}
