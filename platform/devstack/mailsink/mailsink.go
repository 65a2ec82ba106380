// Package mailsink catches the mails of a stack that runs on a developer's machine, or in a test, and shows them.
//
// It owns an SMTP server that takes everything from everybody and delivers nothing, the last mails that it took, and a
// page that shows them. deployments/local runs it, and tests wait for mails with it. It is never linked into a process
// of the product, and listens on the loopback interface unless it is told otherwise: mails hold links that let in.
package mailsink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// DefaultKeep is how many mails are kept.
const DefaultKeep = 500

// maxMail is how large a mail may be, in bytes.
const maxMail = 25 << 20

// Config says where the sink listens and what it keeps.
type Config struct {
	// Dir is where mails are kept, so that they outlive the process; "" keeps them in memory.
	Dir string
	// SMTPAddr and PageAddr are where mails are taken and shown; port 0 is a free one. "" is 127.0.0.1:0.
	SMTPAddr, PageAddr string
	// Keep is how many mails are kept; 0 is DefaultKeep.
	Keep int
	// Beside serves what the page of mails does not, at its origin; nil is nothing.
	Beside http.Handler
	// Now is the time of arrival; nil is the clock.
	Now func() time.Time
}

// Sink is a sink that runs.
type Sink struct {
	box    *box
	mails  net.Listener
	pages  net.Listener
	smtp   *smtp.Server
	http   *http.Server
	served sync.WaitGroup
}

// Start listens, and reads what an earlier sink has kept. It goes on until Stop.
func Start(ctx context.Context, config Config) (*Sink, error) {
	if config.Keep <= 0 {
		config.Keep = DefaultKeep
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	kept, err := openBox(config)
	if err != nil {
		return nil, err
	}
	s := &Sink{box: kept}
	if s.mails, err = listen(ctx, config.SMTPAddr); err != nil {
		return nil, fmt.Errorf("listen for mails: %w", err)
	}
	if s.pages, err = listen(ctx, config.PageAddr); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for the page of mails: %w", err), s.mails.Close())
	}
	s.smtp = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{box: kept}, nil }))
	s.smtp.Domain = "localhost"
	s.smtp.MaxMessageBytes, s.smtp.MaxRecipients = maxMail, 100
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = time.Minute, time.Minute
	s.smtp.EnableSMTPUTF8, s.smtp.AllowInsecureAuth = true, true
	s.smtp.ErrorLog = log.New(io.Discard, "", 0) // a client that hangs up is no news
	s.http = &http.Server{Handler: newPage(kept, config.Beside), ReadHeaderTimeout: 5 * time.Second}
	s.served.Go(func() { _ = s.smtp.Serve(s.mails) })
	s.served.Go(func() { _ = s.http.Serve(s.pages) })
	return s, nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", address) //nolint:wrapcheck // the caller says what for
}

// SMTPURL is where mails are sent to, as SMTP_URL takes it.
func (s *Sink) SMTPURL() string { return "smtp://" + s.mails.Addr().String() }

// PageURL is the origin of the page.
func (s *Sink) PageURL() string { return "http://" + s.pages.Addr().String() }

// Mails are those that are kept, newest first.
func (s *Sink) Mails() []Mail { return s.box.list() }

// Await waits for a mail that matches, one that is there already among them, and returns the newest.
func (s *Sink) Await(ctx context.Context, matches func(Mail) bool) (Mail, error) {
	for {
		arrived := s.box.next()
		for _, m := range s.box.list() {
			if matches(m) {
				return m, nil
			}
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return Mail{}, fmt.Errorf("wait for a mail: %w", ctx.Err())
		}
	}
}

// Stop ends the sink; mails under way are lost where ctx ends first.
func (s *Sink) Stop(ctx context.Context) error {
	err := errors.Join(s.smtp.Shutdown(ctx), s.http.Shutdown(ctx))
	if err != nil {
		err = errors.Join(err, s.smtp.Close(), s.http.Close())
	}
	_ = s.mails.Close() // which a server that was stopped before it served does not know of
	s.served.Wait()
	return err
}
