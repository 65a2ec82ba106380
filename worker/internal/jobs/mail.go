package jobs

import (
	"context"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
	"github.com/groundwork-saas/groundwork/platform/mail"
)

// Mail is the kinds of mails. See docs/mail.md for the list.
func Mail(n *notices.Service) []jobs.Handler {
	return []jobs.Handler{
		jobs.Handle(n.Welcome),
		jobs.Handle(n.EmailVerification),
		jobs.Handle(n.PasswordReset),
		jobs.Handle(n.PasswordChanged),
		jobs.Handle(n.SessionEnded),
		jobs.Handle(n.Invitation),
		jobs.Handle(n.APIKeyCreated),
		jobs.Handle(n.WebhookDisabled),
		jobs.Handle(n.Report),
		jobs.Handle(n.ExportReady),
	}
}

// MailDisabled returns what enqueues the mail about an endpoint that is disabled, in the transaction that does so.
func MailDisabled(queue jobs.Queue) func(context.Context, tenancy.Scope, webhooks.Endpoint) error {
	return func(ctx context.Context, scope tenancy.Scope, e webhooks.Endpoint) error {
		_, err := jobs.Enqueue(ctx, queue, scope, notices.WebhookDisabled{EndpointID: e.ID})
		return err
	}
}

// Outbox sends mails by a mail server. What the server refuses for good ends the job; everything else is tried again.
type Outbox struct{ Sender *mail.Sender }

// Send hands a mail to the server.
func (o Outbox) Send(ctx context.Context, m notices.Mail) error {
	files := make([]mail.Attachment, len(m.Files))
	for i, f := range m.Files {
		files[i] = mail.Attachment(f)
	}
	err := o.Sender.Send(ctx, mail.Message{
		To:      mail.Address{Name: m.Name, Email: m.Email},
		Subject: m.Subject, Text: m.Text, HTML: m.HTML, Key: m.Key, Date: m.Date,
		Attachments: files,
	})
	if mail.IsPermanent(err) {
		return jobs.Permanent(err)
	}
	return err
}
