package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/standin"
	"github.com/groundwork-saas/groundwork/platform/devstack/mailsink"
)

// mailAddress is the variable with the address of the page of mails.
const mailAddress = "MAIL_ADDR"

// startMails has mails caught, unless there is a mail server to send them by. Where they are taken is nobody's business
// but the worker's, so it is on any free port.
func (s *stack) startMails(ctx context.Context) error {
	if s.smtpURL != "" {
		return nil
	}
	app, err := standin.Handler(s.addresses["API_ADDR"].origin())
	if err != nil {
		return err
	}
	sink, err := mailsink.Start(ctx, mailsink.Config{
		Dir: filepath.Join(s.dir, "mail"), PageAddr: s.addresses[mailAddress].String(), Beside: app, Now: s.now,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", mailAddress, err)
	}
	s.mails = sink
	return nil
}

// stopMails gives pages that are being read a moment.
func (s *stack) stopMails(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return s.mails.Stop(ctx)
}

// mailVariables are what the processes are told of mails; what the environment says of it wins.
func (s *stack) mailVariables() map[string]string {
	own := map[string]string{
		"MAIL_FROM": "Groundwork <no-reply@localhost.localdomain>", "APP_URL": s.addresses[mailAddress].origin(),
	}
	if s.mails == nil {
		own["APP_URL"] = "http://localhost:3000"
	}
	for name := range own {
		if value := s.variables[name]; value != "" {
			own[name] = value
		}
	}
	if s.mails != nil {
		own["SMTP_URL"] = s.mails.SMTPURL()
	}
	return own
}
