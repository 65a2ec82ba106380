package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/accounts"
	"github.com/groundwork-saas/groundwork/domain/apikeys"
	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/platform/devstack/mailsink"
	"github.com/groundwork-saas/groundwork/platform/mail"
	"github.com/groundwork-saas/groundwork/platform/passwords"
	"github.com/groundwork-saas/groundwork/platform/secrets"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/backend/printer"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
	workerjobs "github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

// office is the product as its users meet it, with the worker's mails: a database, the domain's services, the handlers,
// and a mail server that keeps what it is sent.
type office struct {
	*storetest.Stack

	sink     *mailsink.Sink
	sessions *sessions.Service
	accounts *accounts.Service
	users    *users.Service
	invites  *members.Invitations
	keys     *apikeys.Service
	// ledger is where the handlers note what they did.
	ledger   jobs.Effects
	handlers map[string]jobs.Handler
	queue    *postgres.Jobs
	// reporting is what reports are made with.
	reporting reports.Needs
	client    sessions.Client
}

// hasher is the platform's, fast.
type hasher struct{ *passwords.Hasher }

func (hasher) Check(password string, about ...string) string {
	return passwords.Check(password, about...)
}

func (h hasher) Verify(ctx context.Context, password, hash string) (ok, outdated bool, err error) {
	if hash == "" {
		return false, false, h.VerifyNothing(ctx, password)
	}
	return h.Hasher.Verify(ctx, password, hash)
}

// opaque stands for the signing of access tokens, which no mail depends on.
type opaque struct{}

func (opaque) Issue(context.Context, sessions.Claims) (string, time.Duration, error) {
	return "access", time.Minute, nil
}

func (opaque) Read(context.Context, string) (sessions.Claims, error) {
	return sessions.Claims{}, io.ErrUnexpectedEOF
}

func newOffice(tb testing.TB) *office {
	tb.Helper()
	o := &office{Stack: storetest.New(tb), handlers: map[string]jobs.Handler{}, client: sessions.Client{UserAgent: "Firefox", Address: "203.0.113.7"}}
	var err error
	o.sink, err = mailsink.Start(tb.Context(), mailsink.Config{})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, o.sink.Stop(context.WithoutCancel(tb.Context()))) })

	now, check, hash := time.Now, validate.New(), hasher{passwords.New(passwords.Config{Time: 1, MemoryKiB: 256})}
	secret := members.Secrets{New: secrets.Token, Check: secrets.Check, Hash: secrets.Hash}
	roles := members.NewRoles(catalog.Permissions())
	store := postgres.NewIdentity(o.DB)
	o.sessions = sessions.NewService(sessions.Needs{
		Store: store, Tokens: opaque{}, Passwords: hash, Secrets: secret, Roles: roles, Validate: check, Now: now,
	}, sessions.Config{ReuseGrace: time.Nanosecond})
	o.accounts = accounts.NewService(accounts.Needs{Store: store, Secrets: secret, Passwords: hash, Validate: check, Now: now})
	o.users = users.NewService(store, hash, check, now)
	o.invites = members.NewInvitations(store, secret, check, now)
	o.keys = apikeys.NewService(apikeys.Needs{Store: store, Secrets: secret, Roles: roles, Validate: check, Now: now})

	// The worker writes mails as its own role.
	worker := o.Open(tb, postgres.Config{URL: o.WorkerURL})
	o.queue = postgres.NewJobs(postgres.Shared{DB: worker}, nil)
	o.ledger = o.queue
	sender, err := mail.NewSender(mail.Config{URL: o.sink.SMTPURL(), From: mail.Address{Name: "Groundwork", Email: "no-reply@example.com"}, AllowPlain: true})
	require.NoError(tb, err)
	tables := postgres.NewReports(postgres.Shared{DB: worker})
	o.reporting = reports.Needs{
		Kinds: reports.Kinds(postgres.NewSales(postgres.Shared{DB: worker})), Store: tables, Schedules: tables,
		Directory: postgres.NewIdentity(worker), Queue: o.queue, Printer: printer.Printer{}, Rights: rightsOf(worker),
		Validate: check, Now: now,
	}
	reported, err := reports.NewService(o.reporting)
	require.NoError(tb, err)
	for _, handler := range workerjobs.Handlers(workerjobs.Needs{Reports: reported}) {
		o.handlers[handler.Kind.Name] = handler
	}
	service, err := notices.NewService(notices.Needs{
		Reports: reported,
		Store:   postgres.NewIdentity(worker), Sender: workerjobs.Outbox{Sender: sender}, Secrets: secret, Now: now,
		// Mails read endpoints without their secrets: nothing is opened.
		Endpoints: postgres.NewWebhooks(postgres.Shared{DB: worker}, nil, o.queue),
		Product:   notices.Product{Name: "Groundwork", URL: "https://app.example.com/"},
	})
	require.NoError(tb, err)
	for _, handler := range workerjobs.Mail(service) {
		o.handlers[handler.Kind.Name] = handler
	}
	return o
}

// pending are a tenant's jobs that wait, oldest first.
func (o *office) pending(tb testing.TB, tenant tenancy.ID) []jobs.Job {
	tb.Helper()
	query := jobs.Query{States: []jobs.State{jobs.Pending}}
	query.Limit = 100
	found, err := o.queue.ListJobs(tb.Context(), tenancy.AsSystem(tenant, ""), query)
	require.NoError(tb, err)
	for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
		found[i], found[j] = found[j], found[i]
	}
	return found
}

// run runs one attempt of a job, and nothing else: no completion is noted, as if the process died right then.
func (o *office) run(tb testing.TB, job jobs.Job) error {
	tb.Helper()
	handler, known := o.handlers[job.Kind]
	require.True(tb, known, "nobody runs %s", job.Kind)
	return handler.Run(tb.Context(), &jobs.Run{Job: job, Scope: tenancy.AsSystem(job.Tenant, job.RequestID), Effects: o.ledger})
}

// work runs all jobs that wait and are about mails to an address, and forgets them. It returns their errors.
func (o *office) work(tb testing.TB, tenant tenancy.ID) []error {
	tb.Helper()
	var all []error
	for _, job := range o.pending(tb, tenant) {
		all = append(all, o.run(tb, job))
		o.Exec(tb, "delete from jobs where id = $1", job.ID.String())
	}
	return all
}

// mailTo is the newest mail to an address.
func (o *office) mailTo(tb testing.TB, email string) mailsink.Mail {
	tb.Helper()
	for _, m := range o.sink.Mails() {
		if len(m.Recipients) == 1 && m.Recipients[0] == email {
			return m
		}
	}
	require.Fail(tb, "there is no mail", "to %s", email)
	return mailsink.Mail{}
}

func (o *office) countTo(email string) (n int) {
	for _, m := range o.sink.Mails() {
		if len(m.Recipients) == 1 && m.Recipients[0] == email {
			n++
		}
	}
	return n
}

// token is the one in a mail's link, which the text and the HTML both have.
func token(tb testing.TB, m mailsink.Mail, path string) string {
	tb.Helper()
	for _, link := range m.Links {
		u, err := url.Parse(link)
		require.NoError(tb, err)
		if u.Path == path {
			assert.Empty(tb, u.RawQuery, "a token in the query would be logged by servers")
			assert.Equal(tb, 1, strings.Count(m.Text, link))
			assert.Contains(tb, m.HTML, link)
			return strings.TrimPrefix(u.Fragment, "token=")
		}
	}
	require.Fail(tb, "the mail has no such link", "%s: %v", path, m.Links)
	return ""
}

const password = "correct horse battery staple"

// signUp makes a user with an organization, and has their mails sent.
func (o *office) signUp(tb testing.TB) (sessions.Grant, tenancy.Scope) {
	tb.Helper()
	email := "ada-" + tenancy.NewID().String() + "@example.com"
	grant, err := o.sessions.SignUp(tb.Context(), o.client, sessions.SignUp{Name: "Ada", Email: email, Password: password, Organization: "Northwind"})
	require.NoError(tb, err)
	for _, err := range o.work(tb, tenancy.SystemTenant) {
		require.NoError(tb, err)
	}
	return grant, scopeOf(grant)
}

func scopeOf(g sessions.Grant) tenancy.Scope {
	return tenancy.Scope{Tenant: g.Tenant.ID, RequestID: "req-1", Actor: tenancy.Actor{
		Kind: tenancy.User, ID: g.User.ID, Session: g.SessionID, Version: g.Version, Role: g.Role, Permissions: []string{"customers:read"},
	}}
}

func TestVerification(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	grant, scope := o.signUp(t)
	welcome := o.mailTo(t, grant.User.Email)
	assert.Equal(t, "Welcome to Groundwork: verify your e-mail address", welcome.Subject)
	first := token(t, welcome, "/verify-email")

	// A newer mail ends the link in the older one.
	require.NoError(t, o.accounts.Resend(t.Context(), scope))
	require.NoError(t, o.accounts.Resend(t.Context(), scope), "a second press of the button")
	assert.Equal(t, []error{nil}, o.work(t, tenancy.SystemTenant), "is the same mail")
	second := token(t, o.mailTo(t, grant.User.Email), "/verify-email")
	require.NotEqual(t, first, second)
	_, err := o.accounts.Verify(t.Context(), accounts.Verification{Token: first}, "")
	requireFault(t, err, "auth.link_replaced")

	for range 2 { // following the link twice does no harm
		user, err := o.accounts.Verify(t.Context(), accounts.Verification{Token: second}, "")
		require.NoError(t, err)
		assert.True(t, user.IsEmailVerified())
	}
	access, err := o.sessions.Current(t.Context(), scope)
	require.NoError(t, err)
	assert.True(t, access.User.IsEmailVerified())
	requireFault(t, o.accounts.Resend(t.Context(), scope), "auth.email_verified")

	for _, wrong := range []string{second + "x", "gw_verify_", secrets.Token("gw_verify_", 24), "\x00", "gw_reset_" + strings.TrimPrefix(second, "gw_verify_")} {
		_, err := o.accounts.Verify(t.Context(), accounts.Verification{Token: wrong}, "")
		requireFault(t, err, "auth.link_invalid")
	}
	_, err = o.accounts.Verify(t.Context(), accounts.Verification{}, "")
	requireFault(t, err, "validation_failed")
	requireFault(t, o.accounts.Reset(t.Context(), accounts.NewPassword{Token: second, Password: password}, ""), "auth.link_invalid")
}

func TestReset(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	grant, scope := o.signUp(t)
	email := grant.User.Email
	ask := func(address string) {
		t.Helper()
		require.NoError(t, o.accounts.Forgot(t.Context(), accounts.Forgotten{Email: address}, "req-9"))
	}

	// An address without an account looks the same up to the worker, and then no mail is sent.
	ask("nobody@example.com")
	waiting := o.pending(t, tenancy.SystemTenant)
	require.Len(t, waiting, 1)
	assert.NotContains(t, string(waiting[0].Args), "nobody")
	state, _ := jobs.Decide(o.handlers[waiting[0].Kind].Kind, o.work(t, tenancy.SystemTenant)[0], 1, 10, time.Now())
	assert.Equal(t, jobs.Cancelled, state)
	assert.Zero(t, o.countTo("nobody@example.com"))
	ask("nobody@example.com")
	assert.Empty(t, o.pending(t, tenancy.SystemTenant), "once a minute, for every address")

	ask(" " + strings.ToUpper(email))
	require.Equal(t, []error{nil}, o.work(t, tenancy.SystemTenant))
	reset := token(t, o.mailTo(t, email), "/reset-password")

	requireFault(t, o.accounts.Reset(t.Context(), accounts.NewPassword{Token: reset, Password: "password"}, ""), "validation_failed")
	require.NoError(t, o.accounts.Reset(t.Context(), accounts.NewPassword{Token: reset, Password: "another horse battery staple"}, "req-10"))
	requireFault(t, o.accounts.Reset(t.Context(), accounts.NewPassword{Token: reset, Password: "a third horse battery staple"}, ""), "auth.link_used")

	_, err := o.sessions.Current(t.Context(), scope)
	requireFault(t, err, "auth.revoked")
	_, err = o.sessions.Login(t.Context(), o.client, sessions.Login{Email: email, Password: password})
	requireFault(t, err, "auth.invalid_credentials")
	again, err := o.sessions.Login(t.Context(), o.client, sessions.Login{Email: email, Password: "another horse battery staple"})
	require.NoError(t, err)
	assert.True(t, again.User.IsEmailVerified(), "who could read the mail has proven the address")
	require.Equal(t, []error{nil}, o.work(t, tenancy.SystemTenant))
	assert.Equal(t, "Your Groundwork password was changed", o.mailTo(t, email).Subject)

	// A changed password ends a link that is open, and so does a changed address, and a newer mail.
	reopen := func() string {
		t.Helper()
		o.Exec(t, "delete from job_keys")
		ask(email)
		require.Equal(t, []error{nil}, o.work(t, tenancy.SystemTenant))
		return token(t, o.mailTo(t, email), "/reset-password")
	}
	refused := func(token, code string) {
		t.Helper()
		requireFault(t, o.accounts.Reset(t.Context(), accounts.NewPassword{Token: token, Password: "a third horse battery staple"}, ""), code)
	}
	open := reopen()
	require.NoError(t, o.users.ChangePassword(t.Context(), scopeOf(again), users.PasswordChange{Current: "another horse battery staple", New: password}))
	require.Equal(t, []error{nil}, o.work(t, tenancy.SystemTenant))
	refused(open, "auth.link_replaced")

	older, newer := reopen(), reopen()
	refused(older, "auth.link_replaced")
	o.Exec(t, "update account_tokens set expires_at = now() - interval '1 second' where used_at is null and retired_at is null")
	refused(newer, "auth.link_expired")

	open = reopen()
	o.Exec(t, "update users set email = 'moved-' || email where id = $1", grant.User.ID.String())
	refused(open, "auth.link_replaced")
	o.Exec(t, "update users set email = $2, state = 'disabled' where id = $1", grant.User.ID.String(), email)
	refused(open, "auth.link_invalid")
}

// TestReset_happens_once_however_many_follow_the_link_at_once has eight use one token.
func TestReset_happens_once_however_many_follow_the_link_at_once(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	grant, _ := o.signUp(t)
	require.NoError(t, o.accounts.Forgot(t.Context(), accounts.Forgotten{Email: grant.User.Email}, ""))
	require.Equal(t, []error{nil}, o.work(t, tenancy.SystemTenant))
	reset := token(t, o.mailTo(t, grant.User.Email), "/reset-password")
	results := make(chan error, 8)
	for range cap(results) {
		go func() {
			results <- o.accounts.Reset(t.Context(), accounts.NewPassword{Token: reset, Password: "another horse battery staple"}, "")
		}()
	}
	done := 0
	for range cap(results) {
		if err := <-results; err == nil {
			done++
		} else {
			requireFault(t, err, "auth.link_used")
		}
	}
	assert.Equal(t, 1, done)
	assert.Len(t, o.pending(t, tenancy.SystemTenant), 1, "one notice")
}

// TestInvitation has the invitation accepted by the token that was mailed, and by the one that the API showed.
func TestInvitation(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	grant, scope := o.signUp(t)
	accept := func(email, shown string, mailed bool) sessions.Grant {
		t.Helper()
		require.Equal(t, []error{nil}, o.work(t, grant.Tenant.ID))
		m := o.mailTo(t, email)
		assert.Equal(t, "Ada invites you to Northwind on Groundwork", m.Subject)
		used, other := shown, token(t, m, "/accept-invitation")
		if mailed {
			used, other = other, shown
		}
		joined, err := o.sessions.Accept(t.Context(), o.client, nil, sessions.Acceptance{Token: used, Name: "Grace", Password: password})
		require.NoError(t, err)
		assert.Equal(t, grant.Tenant.ID, joined.Tenant.ID)
		_, err = o.sessions.Accept(t.Context(), o.client, nil, sessions.Acceptance{Token: other, Name: "Grace", Password: password})
		requireFault(t, err, "invitation.accepted")
		return joined
	}
	invite := func(email string) string {
		t.Helper()
		_, shown, err := o.invites.Create(t.Context(), scope, members.InvitationInput{Email: email, Role: "member"})
		require.NoError(t, err)
		return shown
	}

	joined := accept("grace@example.com", invite("grace@example.com"), true)
	assert.True(t, joined.User.IsEmailVerified())
	require.Equal(t, []error{nil}, o.work(t, tenancy.SystemTenant))
	assert.Equal(t, "Welcome to Groundwork", o.mailTo(t, "grace@example.com").Subject, "there is nothing left to verify")

	joined = accept("edsger@example.com", invite("edsger@example.com"), false)
	assert.False(t, joined.User.IsEmailVerified())
	require.Equal(t, []error{nil}, o.work(t, tenancy.SystemTenant))
	token(t, o.mailTo(t, "edsger@example.com"), "/verify-email")

	// One that was taken back is not sent.
	inv, _, err := o.invites.Create(t.Context(), scope, members.InvitationInput{Email: "late@example.com", Role: "member"})
	require.NoError(t, err)
	require.NoError(t, o.invites.Revoke(t.Context(), scope, inv.ID))
	failed := o.work(t, grant.Tenant.ID)
	require.Len(t, failed, 1)
	state, _ := jobs.Decide(jobs.Kind{}.Complete(), failed[0], 1, 10, time.Now())
	assert.Equal(t, jobs.Cancelled, state)
	assert.Zero(t, o.countTo("late@example.com"))
}

func TestSecurityNotices(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	grant, scope := o.signUp(t)

	_, _, err := o.keys.Create(t.Context(), scope, apikeys.Input{Name: "CI", Scopes: []string{"customers:read"}})
	require.NoError(t, err)
	require.Equal(t, []error{nil}, o.work(t, grant.Tenant.ID))
	m := o.mailTo(t, grant.User.Email)
	assert.Equal(t, "New API key for Northwind", m.Subject)
	assert.Contains(t, m.Text, "Made by: Ada\n")
	assert.NotContains(t, m.Text, "gw_live_")

	next, err := o.sessions.Refresh(t.Context(), o.client, grant.RefreshToken)
	require.NoError(t, err)
	require.NotEmpty(t, next.RefreshToken)
	_, err = o.sessions.Refresh(t.Context(), o.client, grant.RefreshToken)
	requireFault(t, err, "auth.refresh_reused")
	require.Equal(t, []error{nil}, o.work(t, tenancy.SystemTenant))
	m = o.mailTo(t, grant.User.Email)
	assert.Equal(t, "We ended a Groundwork session for your safety", m.Subject)
	assert.Contains(t, m.Text, "Address: 203.0.113.7\n")
}

// amnesiac is a ledger whose process dies between the sending of a mail and the note of it.
type amnesiac struct{ jobs.Effects }

var errDied = errors.New("the process died")

func (amnesiac) RecordEffect(context.Context, jobs.Ref, string, json.RawMessage) error {
	return errDied
}

// TestMail_that_is_sent_twice has one Message-ID, by which servers drop the second; the links in both work.
func TestMail_that_is_sent_twice(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	grant, _ := o.signUp(t)
	require.NoError(t, o.accounts.Forgot(t.Context(), accounts.Forgotten{Email: grant.User.Email}, ""))
	job := o.pending(t, tenancy.SystemTenant)[0]
	before := o.countTo(grant.User.Email)

	kept := o.ledger
	o.ledger = amnesiac{kept}
	require.ErrorIs(t, o.run(t, job), errDied)
	first := o.mailTo(t, grant.User.Email)
	o.ledger = kept
	require.NoError(t, o.run(t, job))
	second := o.mailTo(t, grant.User.Email)
	require.Equal(t, before+2, o.countTo(grant.User.Email))
	assert.Equal(t, first.MessageID, second.MessageID)
	assert.Regexp(t, `^<`+job.ID.String()+`\.mail@example\.com>$`, second.MessageID)

	// What was noted is not done again.
	require.NoError(t, o.run(t, job))
	assert.Equal(t, before+2, o.countTo(grant.User.Email))

	require.NotEqual(t, token(t, first, "/reset-password"), token(t, second, "/reset-password"))
	require.NoError(t, o.accounts.Reset(t.Context(), accounts.NewPassword{
		Token: token(t, first, "/reset-password"), Password: "another horse battery staple",
	}, ""), "the one that arrived may be the first")
	requireFault(t, o.accounts.Reset(t.Context(), accounts.NewPassword{
		Token: token(t, second, "/reset-password"), Password: "another horse battery staple",
	}, ""), "auth.link_replaced")

	// An older mail that was delayed does not end the link in a newer one: it is not sent.
	o.Exec(t, "delete from jobs")
	o.Exec(t, "delete from job_keys")
	require.NoError(t, o.accounts.Forgot(t.Context(), accounts.Forgotten{Email: grant.User.Email}, ""))
	delayed := o.pending(t, tenancy.SystemTenant)[0]
	o.Exec(t, "delete from jobs")
	o.Exec(t, "delete from job_keys")
	require.NoError(t, o.accounts.Forgot(t.Context(), accounts.Forgotten{Email: grant.User.Email}, ""))
	require.Equal(t, []error{nil}, o.work(t, tenancy.SystemTenant))
	newest := token(t, o.mailTo(t, grant.User.Email), "/reset-password")
	require.ErrorIs(t, o.run(t, delayed), notices.ErrSuperseded)
	require.NoError(t, o.accounts.Reset(t.Context(), accounts.NewPassword{Token: newest, Password: "a third horse battery staple"}, ""))
}

func requireFault(tb testing.TB, err error, code string) {
	tb.Helper()
	require.Error(tb, err)
	require.True(tb, fault.Is(err, code), "want %s, got %v", code, err)
}
