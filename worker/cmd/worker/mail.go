package main

import (
	"fmt"
	"net/url"

	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/mail"
	"github.com/groundwork-saas/groundwork/platform/secrets"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

// mailSettings are where mails go out, and what they say of the product.
type mailSettings struct {
	// SMTPURL is the mail server. Without it mails wait until a worker has one.
	SMTPURL config.Secret `env:"SMTP_URL" schemes:"smtp smtps" help:"The mail server: smtp://user:password@host:587 (STARTTLS is required outside development) or smtps://user:password@host:465, or, in one's own network, smtp://host:25?starttls=never; without it mails wait."`
	// MailFrom is the sender of all mails.
	MailFrom string `env:"MAIL_FROM" help:"The sender of mails, as Name <name@example.com>; required with SMTP_URL."`
	// ProductName is how mails call the product.
	ProductName string `env:"PRODUCT_NAME" default:"Groundwork" help:"How mails call the product."`
	// AppURL is where the links in mails lead.
	AppURL string `env:"APP_URL" help:"The origin of the web app, where links in mails lead, such as https://app.example.com; required with SMTP_URL."`
}

// check says what is wrong with them together.
func (m mailSettings) check(environment config.Environment) []config.Problem {
	if m.SMTPURL.Reveal() == "" {
		return nil
	}
	var problems []config.Problem
	from, err := mail.ParseAddress(m.MailFrom)
	if err != nil {
		problems = append(problems, config.Problem{Name: "MAIL_FROM", Detail: err.Error()})
	} else if _, err := mail.NewSender(m.config(from, environment)); err != nil {
		problems = append(problems, config.Problem{Name: "SMTP_URL", Detail: err.Error()})
	}
	app, err := url.Parse(m.AppURL)
	if err != nil || (app.Scheme != "https" && app.Scheme != "http") || app.Host == "" || app.User != nil || app.RawQuery != "" || app.Fragment != "" {
		problems = append(problems, config.Problem{
			Name: "APP_URL", Detail: "is not the origin of a web app; write it as https://app.example.com",
		})
	}
	return problems
}

func (m mailSettings) config(from mail.Address, environment config.Environment) mail.Config {
	return mail.Config{URL: m.SMTPURL.Reveal(), From: from, AllowPlain: environment == config.Development}
}

// newNotices wires the mails; nil where there is no mail server.
func newNotices(p *process, endpoints notices.EndpointStore, reported notices.ReportWriter) (*notices.Service, error) {
	m := p.cfg.mailSettings
	if m.SMTPURL.Reveal() == "" {
		p.log.Warn("SMTP_URL is not set: mails wait until a worker has a mail server")
		return nil, nil //nolint:nilnil // no mail server is no error
	}
	from, err := mail.ParseAddress(m.MailFrom)
	if err != nil {
		return nil, fmt.Errorf("MAIL_FROM %w", err)
	}
	sender, err := mail.NewSender(m.config(from, p.cfg.Environment))
	if err != nil {
		return nil, fmt.Errorf("SMTP_URL %w", err)
	}
	return notices.NewService(notices.Needs{
		Store:     postgres.NewIdentity(p.base.DB),
		Endpoints: endpoints,
		Reports:   reported,
		Sender:    jobs.Outbox{Sender: sender},
		Secrets:   members.Secrets{New: secrets.Token, Check: secrets.Check, Hash: secrets.Hash},
		Product:   notices.Product{Name: m.ProductName, URL: m.AppURL},
		Now:       p.now,
	})
}
