// Package notices owns the mails of the product: which there are, what calls for each, and what is written in it.
//
// Each mail is a kind of job on the queue critical. It is enqueued in the transaction of the change that calls for it, with ids as its
// only arguments; the worker has it written and sent. What lets in (a link with a token) is made when the mail is
// written, and kept as a hash. The package speaks no SMTP: a Sender does.
package notices

import (
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// kind is a mail. Ten attempts take an hour and a half: what comes later is of no use to somebody who waits.
func kind(name string) jobs.Kind {
	return jobs.Kind{Name: "mail." + name, Queue: jobs.Critical, MaxAttempts: 10, Timeout: time.Minute}
}

// lasting is a mail that is of use days later still: it is tried for two days.
func lasting(name string) jobs.Kind {
	k := kind(name)
	k.MaxAttempts = jobs.DefaultMaxAttempts
	return k
}

// once is a mail that somebody asks for by a button: it is sent once a minute, however often they press it.
func once(name string) jobs.Kind {
	k := kind(name)
	k.Unique, k.UniqueFor = jobs.UniqueForPeriod, time.Minute
	return k
}

// Welcome greets a user who is new, and asks them to verify their address if it is not proven. It is a job of the
// system's tenant, as are all mails about an account.
type Welcome struct {
	UserID tenancy.ID `json:"user_id"`
}

// JobKind declares the kind.
func (Welcome) JobKind() jobs.Kind { return lasting("welcome") }

// EmailVerification asks a user once more to verify their address.
type EmailVerification struct {
	UserID tenancy.ID `json:"user_id"`
}

// JobKind declares the kind.
func (EmailVerification) JobKind() jobs.Kind { return once("email_verification") }

// PasswordReset lets a user set a new password.
type PasswordReset struct {
	// UserID is the user's; where the address has none it is nobody's, and no mail is sent.
	UserID tenancy.ID `json:"user_id"`
	// Key is the address' digest: whether two requests are about one address does not depend on whether it has a user.
	Key string `json:"-"`
}

// JobKind declares the kind.
func (PasswordReset) JobKind() jobs.Kind { return once("password_reset") }

// JobKey is the address' digest.
func (p PasswordReset) JobKey() string { return p.Key }

// PasswordChanged tells a user that their password is another one.
type PasswordChanged struct {
	UserID tenancy.ID `json:"user_id"`
}

// JobKind declares the kind.
func (PasswordChanged) JobKind() jobs.Kind { return lasting("password_changed") }

// SessionEnded tells a user that a session was ended whose refresh token was used twice, as a stolen one is.
type SessionEnded struct {
	UserID    tenancy.ID `json:"user_id"`
	SessionID tenancy.ID `json:"session_id"`
}

// JobKind declares the kind.
func (SessionEnded) JobKind() jobs.Kind { return lasting("session_ended") }

// Invitation invites somebody into the job's tenant.
type Invitation struct {
	InvitationID tenancy.ID `json:"invitation_id"`
}

// JobKind declares the kind.
func (Invitation) JobKind() jobs.Kind { return lasting("invitation") }

// APIKeyCreated tells the job's tenant that it has another API key: who made it, or its owners where a key did.
type APIKeyCreated struct {
	KeyID tenancy.ID `json:"key_id"`
}

// JobKind declares the kind.
func (APIKeyCreated) JobKind() jobs.Kind { return lasting("api_key_created") }

// WebhookDisabled tells the owners of the job's tenant that one of its webhook endpoints was disabled because it failed.
type WebhookDisabled struct {
	EndpointID tenancy.ID `json:"endpoint_id"`
}

// JobKind declares the kind.
func (WebhookDisabled) JobKind() jobs.Kind { return lasting("webhook_disabled") }

// ExportReady tells who asked for an export of the job's tenant that its file is there.
type ExportReady struct {
	UserID tenancy.ID `json:"user_id"`
	// ExportID is the job that made it, where the file is found.
	ExportID tenancy.ID `json:"export_id"`
	// Resource, Format and Rows say what is in the file.
	Resource string `json:"resource"`
	Format   string `json:"format"`
	Rows     int64  `json:"rows"`
}

// JobKind declares the kind.
func (ExportReady) JobKind() jobs.Kind { return lasting("export_ready") }
