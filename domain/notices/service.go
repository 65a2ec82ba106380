package notices

import (
	"context"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/accounts"
	"github.com/groundwork-saas/groundwork/domain/apikeys"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// Mail is a mail as it is handed to the sender.
type Mail struct {
	// Name and Email are whom it goes to.
	Name, Email string
	Subject     string
	// Text and HTML say the same.
	Text, HTML string
	Files      []File
	// Key is the same whenever the same mail is sent again, so that servers can drop the second.
	Key string
	// Date is when it was written.
	Date time.Time
}

// File is attached to a mail.
type File struct {
	Name, ContentType string
	Data              []byte
}

// Sender sends mails. An error for which another attempt is of no use is jobs.Permanent.
type Sender interface {
	Send(ctx context.Context, mail Mail) error
}

// NewToken is a token about to be mailed.
type NewToken struct {
	Purpose accounts.Purpose
	User    tenancy.ID
	// Email is where it goes.
	Email string
	Hash  []byte
	// Request is the job that sends it.
	Request              tenancy.ID
	CreatedAt, ExpiresAt time.Time
}

// ErrSuperseded is the store's word for a token that nobody needs: a newer one was mailed already.
var ErrSuperseded = errors.New("notices: a newer mail was sent meanwhile")

// OpenInvitation is an invitation with what its mail says.
type OpenInvitation struct {
	members.Invitation

	TenantName string
	// Inviter is the name of who asked; "" where a key did.
	Inviter string
}

// MadeKey is an API key with what its mail says.
type MadeKey struct {
	apikeys.Key

	TenantName string
	// Maker is the name of who made it; "" where a key did.
	Maker string
	// Told are those who are told: the maker, or the owners where a key made it.
	Told []users.User
}

// Owners are those who answer for a tenant.
type Owners struct {
	TenantName string
	// Told are the owners who may sign in, of very many the first.
	Told []users.User
}

// EndpointStore has the webhook endpoints, which lie in their tenants' databases.
type EndpointStore interface {
	// FindEndpoint returns an endpoint of the scope's tenant, with its health. What is not there is a NotFound fault.
	FindEndpoint(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (webhooks.Endpoint, error)
}

// ReportWriter writes reports as they are mailed.
type ReportWriter interface {
	// Letter writes a report for the subscribers of a schedule; clean makes what people wrote fit for a mail.
	Letter(ctx context.Context, scope tenancy.Scope, m reports.Mailing, clean func(string) string) (reports.Letter, error)
}

// Store is what mails are written from. What is not there is a NotFound fault.
type Store interface {
	// FindAccount returns a user.
	FindAccount(ctx context.Context, user tenancy.ID) (users.User, error)
	// SaveToken keeps a token's hash and retires the user's older ones of the purpose; those of the same request stay
	// good. ErrSuperseded where a newer request has one already.
	SaveToken(ctx context.Context, token NewToken) error
	// FindEndedSession returns a session of a user's.
	FindEndedSession(ctx context.Context, user, session tenancy.ID) (sessions.Session, error)
	// FindOpenInvitation returns an invitation of the scope's tenant.
	FindOpenInvitation(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (OpenInvitation, error)
	// SaveInvitationToken keeps the hash of one more token that accepts an invitation.
	SaveInvitationToken(ctx context.Context, scope tenancy.Scope, id tenancy.ID, hash []byte, now time.Time) error
	// FindMadeKey returns a key of the scope's tenant.
	FindMadeKey(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (MadeKey, error)
	// FindOwners returns the owners of the scope's tenant.
	FindOwners(ctx context.Context, scope tenancy.Scope) (Owners, error)
	// FindTenant returns the scope's tenant.
	FindTenant(ctx context.Context, scope tenancy.Scope) (tenants.Tenant, error)
	// FindMember returns a member of the scope's tenant.
	FindMember(ctx context.Context, scope tenancy.Scope, user tenancy.ID) (members.Membership, error)
}

// Product is what mails say of the product.
type Product struct {
	// Name is how it calls itself.
	Name string
	// URL is the origin of its web app, where links lead; without a slash at its end.
	URL string
}

// Needs is what the service works with.
type Needs struct {
	Store     Store
	Endpoints EndpointStore
	Reports   ReportWriter
	Sender    Sender
	Secrets   members.Secrets
	Product   Product
	Now       func() time.Time
}

// Service writes mails and has them sent. Each method runs the jobs of a kind.
type Service struct {
	Needs

	letters *Letters
}

// NewService returns the service.
func NewService(needs Needs) (*Service, error) {
	needs.Product.URL = strings.TrimRight(needs.Product.URL, "/")
	letters, err := NewLetters(needs.Product)
	if err != nil {
		return nil, err
	}
	return &Service{Needs: needs, letters: letters}, nil
}

// Welcome greets a new user.
func (s *Service) Welcome(ctx context.Context, run *jobs.Run, args Welcome) error {
	return s.toUser(ctx, run, args.UserID, func(ctx context.Context, u users.User) (string, Values, error) {
		if u.IsEmailVerified() {
			return "welcome", Values{Link: s.link("/")}, nil
		}
		link, err := s.tokenLink(ctx, run, u, accounts.VerifyEmail)
		return "welcome_verify", Values{Link: link, Hours: hours(accounts.VerifyEmail.Life())}, err
	})
}

// EmailVerification asks a user to verify their address.
func (s *Service) EmailVerification(ctx context.Context, run *jobs.Run, args EmailVerification) error {
	return s.toUser(ctx, run, args.UserID, func(ctx context.Context, u users.User) (string, Values, error) {
		if u.IsEmailVerified() {
			return "", Values{}, jobs.Cancel(errors.New("the address was verified meanwhile"))
		}
		link, err := s.tokenLink(ctx, run, u, accounts.VerifyEmail)
		return "email_verification", Values{Link: link, Hours: hours(accounts.VerifyEmail.Life())}, err
	})
}

// PasswordReset lets a user set a new password.
func (s *Service) PasswordReset(ctx context.Context, run *jobs.Run, args PasswordReset) error {
	return s.toUser(ctx, run, args.UserID, func(ctx context.Context, u users.User) (string, Values, error) {
		link, err := s.tokenLink(ctx, run, u, accounts.ResetPassword)
		return "password_reset", Values{Link: link, Hours: hours(accounts.ResetPassword.Life())}, err
	})
}

// PasswordChanged tells a user that their password was changed.
func (s *Service) PasswordChanged(ctx context.Context, run *jobs.Run, args PasswordChanged) error {
	return s.toUser(ctx, run, args.UserID, func(context.Context, users.User) (string, Values, error) {
		return "password_changed", Values{Link: s.link("/forgot-password"), At: run.Job.CreatedAt}, nil
	})
}

// SessionEnded tells a user that a session was ended for their safety.
func (s *Service) SessionEnded(ctx context.Context, run *jobs.Run, args SessionEnded) error {
	return s.toUser(ctx, run, args.UserID, func(ctx context.Context, _ users.User) (string, Values, error) {
		session, err := s.Store.FindEndedSession(ctx, args.UserID, args.SessionID)
		return "session_ended", Values{
			Link: s.link("/settings/sessions"), At: run.Job.CreatedAt, Device: session.UserAgent, Address: session.Address,
			Began: session.CreatedAt,
		}, gone(err, "the session")
	})
}

// Invitation invites somebody into a tenant.
func (s *Service) Invitation(ctx context.Context, run *jobs.Run, args Invitation) error {
	return s.send(ctx, run, "mail", func(ctx context.Context) (letter, error) {
		inv, err := s.Store.FindOpenInvitation(ctx, run.Scope, args.InvitationID)
		if err != nil {
			return letter{}, gone(err, "the invitation")
		}
		now := s.moment()
		if state := inv.State(now); state != "pending" {
			return letter{}, jobs.Cancel(fmt.Errorf("the invitation is %s", state))
		}
		token := s.Secrets.New("gw_inv_", members.TokenBytes)
		if err := s.Store.SaveInvitationToken(ctx, run.Scope, inv.ID, s.Secrets.Hash(token), now); err != nil {
			return letter{}, gone(err, "the invitation")
		}
		return letter{to: users.User{Email: inv.Email}, name: "invitation", values: Values{
			Link: s.link("/accept-invitation#token=" + token), Organization: inv.TenantName, Who: inv.Inviter, Role: inv.Role,
			Until: inv.ExpiresAt,
		}}, nil
	})
}

// APIKeyCreated tells who made a key, or the owners where a key did. Each is told once.
func (s *Service) APIKeyCreated(ctx context.Context, run *jobs.Run, args APIKeyCreated) error {
	key, err := s.Store.FindMadeKey(ctx, run.Scope, args.KeyID)
	if err != nil {
		return gone(err, "the key")
	}
	return s.toEach(ctx, run, key.Told, func() letter {
		return letter{name: "api_key_created", values: Values{
			Link: s.link("/settings/api-keys"), Organization: key.TenantName, Who: key.Maker, Thing: key.Name,
			Scopes: strings.Join(key.Scopes, ", "), At: key.CreatedAt,
		}}
	})
}

// WebhookDisabled tells the owners that an endpoint was disabled, unless somebody has seen to it meanwhile. Each is told
// once.
func (s *Service) WebhookDisabled(ctx context.Context, run *jobs.Run, args WebhookDisabled) error {
	e, err := s.Endpoints.FindEndpoint(ctx, run.Scope, args.EndpointID)
	if err != nil {
		return gone(err, "the endpoint")
	}
	if e.State != webhooks.Disabled {
		return jobs.Cancel(fmt.Errorf("the endpoint is %s again", e.State))
	}
	owners, err := s.Store.FindOwners(ctx, run.Scope)
	if err != nil {
		return gone(err, "the tenant")
	}
	return s.toEach(ctx, run, owners.Told, func() letter {
		return letter{name: "webhook_disabled", values: Values{
			Link: s.link("/settings/webhooks"), Organization: owners.TenantName, Thing: e.Description, URL: withoutQuery(e.URL),
			Gone: valueOf(e.DisabledReason) == webhooks.ReasonGone, At: valueOf(e.DisabledAt), Began: valueOf(e.Health.FailingSince),
		}}
	})
}

// Report sends a report to those who subscribe to it. Each is told once.
func (s *Service) Report(ctx context.Context, run *jobs.Run, args reports.Mailing) error {
	report, err := s.Reports.Letter(ctx, run.Scope, args, quiet)
	if err != nil {
		return err
	}
	told := make([]users.User, len(report.Told))
	for i, p := range report.Told {
		told[i] = users.User{ID: p.ID, Name: p.Name, Email: p.Email}
	}
	files := make([]File, len(report.Files))
	for i, f := range report.Files {
		files[i] = File(f)
	}
	return s.toEach(ctx, run, told, func() letter {
		return letter{name: "report", files: files, values: Values{
			Link: s.link("/reports/" + report.ReportID.String()), Organization: report.Organization, Report: report.Title, Day: report.Day,
			Thing: report.Summary, Revised: report.Version > 1,
			Rich:  htmltemplate.HTML(report.HTML), //nolint:gosec // it was rendered by a template
			Plain: report.Text,
		}}
	})
}

// ExportReady tells who asked for an export that its file is there, unless they have left the organization meanwhile. The
// link leads into the product, which asks who is there: it lets nobody in.
func (s *Service) ExportReady(ctx context.Context, run *jobs.Run, args ExportReady) error {
	return s.toUser(ctx, run, args.UserID, func(ctx context.Context, _ users.User) (string, Values, error) {
		if _, err := s.Store.FindMember(ctx, run.Scope, args.UserID); err != nil {
			return "", Values{}, gone(err, "the membership")
		}
		tenant, err := s.Store.FindTenant(ctx, run.Scope)
		return "export_ready", Values{
			Link: s.link("/exports#job=" + args.ExportID.String()), Organization: tenant.Name, Thing: args.Resource,
			Format: strings.ToUpper(args.Format), Count: args.Rows, At: run.Job.CreatedAt,
		}, gone(err, "the tenant")
	})
}

// toEach sends a mail to each of several, once. Where it fails at some, the others are told all the same.
func (s *Service) toEach(ctx context.Context, run *jobs.Run, told []users.User, write func() letter) error {
	var refused, failed error
	for _, u := range told {
		err := s.send(ctx, run, "mail/"+u.ID.String(), func(context.Context) (letter, error) {
			l := write()
			l.to = u
			return l, nil
		})
		if isFinal(err) {
			refused = errors.Join(refused, err)
		} else {
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil { // those who may yet be told; who was refused is tried with them
		return failed
	}
	return refused
}

// toUser sends a mail about their account to a user who may sign in.
func (s *Service) toUser(ctx context.Context, run *jobs.Run, id tenancy.ID,
	write func(context.Context, users.User) (name string, values Values, err error),
) error {
	return s.send(ctx, run, "mail", func(ctx context.Context) (letter, error) {
		u, err := s.Store.FindAccount(ctx, id)
		if err != nil {
			return letter{}, gone(err, "the account")
		}
		if !u.IsActive() {
			return letter{}, jobs.Cancel(errors.New("the account is disabled"))
		}
		name, values, err := write(ctx, u)
		return letter{to: u, name: name, values: values}, err
	})
}

// letter is a mail before it is rendered.
type letter struct {
	to     users.User
	name   string
	values Values
	files  []File
}

// sent is what is noted of a mail that was sent.
type sent struct {
	At time.Time `json:"at"`
}

// send writes and sends the mail of a step, unless an earlier attempt has. Between the sending and the note of it the
// process may die: the mail is sent again then, with the same key and so the same Message-ID.
func (s *Service) send(ctx context.Context, run *jobs.Run, step string, write func(context.Context) (letter, error)) error {
	_, err := jobs.Once(ctx, run, step, func(ctx context.Context, key string) (sent, error) {
		l, err := write(ctx)
		if err != nil {
			return sent{}, err
		}
		l.values.Name = l.to.Name
		mail, err := s.letters.Write(l.name, l.values)
		if err != nil {
			return sent{}, jobs.Permanent(err)
		}
		mail.Name, mail.Email, mail.Key, mail.Date = l.to.Name, l.to.Email, key, s.moment()
		mail.Files = l.files
		return sent{At: mail.Date}, s.Sender.Send(ctx, mail)
	})
	return err
}

// tokenLink makes a token for the user, keeps its hash, and returns the link that it stands in: in the fragment, which
// no browser sends to a server and so no server logs.
func (s *Service) tokenLink(ctx context.Context, run *jobs.Run, u users.User, purpose accounts.Purpose) (string, error) {
	token, now := s.Secrets.New(purpose.Prefix(), members.TokenBytes), s.moment()
	err := s.Store.SaveToken(ctx, NewToken{
		Purpose: purpose, User: u.ID, Email: u.Email, Hash: s.Secrets.Hash(token), Request: run.Job.ID,
		CreatedAt: now, ExpiresAt: now.Add(purpose.Life()),
	})
	if errors.Is(err, ErrSuperseded) {
		return "", jobs.Cancel(err)
	}
	path := "/verify-email"
	if purpose == accounts.ResetPassword {
		path = "/reset-password"
	}
	return s.link(path + "#token=" + token), gone(err, "the account")
}

func (s *Service) link(path string) string { return s.Product.URL + path }

// withoutQuery is a URL as a mail may show it: what stands behind the question mark is often a secret.
func withoutQuery(text string) string {
	shown, _, _ := strings.Cut(text, "?")
	return shown
}

func valueOf[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// gone ends a job whose subject is no longer there.
func gone(err error, what string) error {
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return jobs.Cancel(fmt.Errorf("%s is gone: %w", what, err))
	}
	return err
}

// isFinal says whether another attempt would be of no use.
func isFinal(err error) bool {
	state, _ := jobs.Decide(jobs.Kind{}.Complete(), err, 0, 1, time.Time{})
	return state.IsFinal()
}

func hours(d time.Duration) int { return int(d / time.Hour) }

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Service) moment() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
