package jobs_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
	workerjobs "github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

// disabling is an organization with an owner and a member, webhooks, and mails about those that are disabled.
type disabling struct {
	*office

	hooks         *stand
	owner, member string
}

func newDisabling(t *testing.T) *disabling {
	t.Helper()
	o := newOffice(t)
	grant, scope := o.signUp(t)
	d := &disabling{office: o, hooks: newStandOf(t, o.Stack, scope), owner: grant.User.Email, member: "grace@example.com"}
	d.hooks.worker.WhenDisabled(workerjobs.MailDisabled(d.hooks.queue))
	_, invited, err := o.invites.Create(t.Context(), scope, members.InvitationInput{Email: d.member, Role: "member"})
	require.NoError(t, err)
	_, err = o.sessions.Accept(t.Context(), o.client, nil, sessions.Acceptance{Token: invited, Name: "Grace", Password: password})
	require.NoError(t, err)
	o.Exec(t, "delete from jobs")
	return d
}

// attempt makes all attempts that are due at the same time, and returns their errors.
func (d *disabling) attempt(t *testing.T) []error {
	t.Helper()
	d.hooks.fanOut(t)
	due := d.hooks.due(t)
	errs := make([]error, len(due))
	var all sync.WaitGroup
	for i, j := range due {
		all.Go(func() {
			errs[i] = d.hooks.handlers[j.job.Kind].Run(t.Context(), &jobs.Run{Job: j.job, Scope: tenancy.AsSystem(j.job.Tenant, j.job.RequestID)})
		})
	}
	all.Wait()
	for _, j := range due {
		d.Exec(t, "delete from jobs where id = $1", j.job.ID.String())
	}
	return errs
}

func TestWebhookDisabled(t *testing.T) {
	t.Parallel()
	t.Run("is_told_once_when_several_attempts_find_out_together", func(t *testing.T) {
		t.Parallel()
		d := newDisabling(t)
		const together = 3
		var calls sync.WaitGroup
		calls.Add(together)
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
			calls.Done()
			calls.Wait()
			w.WriteHeader(http.StatusGone)
		})
		e, _ := d.hooks.endpoint(t, r.URL+"/in?key=hush", func(in *webhooks.Input) { in.Description = "Ledger" })
		for range together {
			d.hooks.customer(t, "a")
		}
		for _, err := range d.attempt(t) {
			require.NoError(t, err)
		}
		waiting := d.pending(t, d.hooks.scope.Tenant)
		require.Len(t, waiting, 1)
		assert.Equal(t, "mail.webhook_disabled", waiting[0].Kind)
		assert.JSONEq(t, `{"endpoint_id": "`+e.ID.String()+`"}`, string(waiting[0].Args))
		require.Equal(t, []error{nil}, d.work(t, d.hooks.scope.Tenant))

		m := d.mailTo(t, d.owner)
		assert.Equal(t, "A webhook endpoint of Northwind was disabled", m.Subject)
		// The URL is to be read and not to be clicked.
		shown := strings.Replace(r.URL, "://", "\uA789//", 1) + "/in"
		for _, text := range []string{m.Text, m.HTML} {
			assert.Contains(t, text, shown)
			assert.Contains(t, text, "Ledger")
			assert.Contains(t, text, "410 Gone")
			assert.Contains(t, text, "https://app.example.com/settings/webhooks")
			assert.NotContains(t, text, "hush")
		}
		assert.Equal(t, 2, d.countTo(d.owner), "the welcome, and this one")
		assert.Zero(t, d.countTo(d.member))
	})
	t.Run("says_since_when_it_failed", func(t *testing.T) {
		t.Parallel()
		d, r := newDisabling(t), newReceiver(t, status(http.StatusInternalServerError))
		e, _ := d.hooks.endpoint(t, r.URL)
		since := d.hooks.now().UTC().Add(-webhooks.HopelessAfter)
		d.Exec(t, "update webhook_endpoint_health set failing_since = $2 where endpoint_id = $1", e.ID.String(), since)
		d.hooks.customer(t, "a")
		require.Equal(t, []error{nil}, d.attempt(t))
		require.Equal(t, []error{nil}, d.work(t, d.hooks.scope.Tenant))
		m := d.mailTo(t, d.owner)
		assert.Contains(t, m.Text, "Failing since: "+since.Format("2 January 2006 at 15:04 UTC")+"\n")
		assert.Contains(t, m.Text, "Reason: it failed for five days\n")
	})
	t.Run("is_of_no_use_once_somebody_has_seen_to_it", func(t *testing.T) {
		t.Parallel()
		for act, see := range map[string]func(*stand, webhooks.Endpoint) error{
			"resumed": func(s *stand, e webhooks.Endpoint) error {
				_, err := s.service.Resume(t.Context(), s.scope, e.ID)
				return err
			},
			"deleted": func(s *stand, e webhooks.Endpoint) error {
				return s.service.Delete(t.Context(), s.scope, e.ID, resource.Match(0))
			},
		} {
			d, r := newDisabling(t), newReceiver(t, status(http.StatusGone))
			e, _ := d.hooks.endpoint(t, r.URL)
			d.hooks.customer(t, "a")
			require.Equal(t, []error{nil}, d.attempt(t))
			require.NoError(t, see(d.hooks, e), act)
			ended := d.work(t, d.hooks.scope.Tenant)
			require.Len(t, ended, 1, act)
			state, _ := jobs.Decide(jobs.Kind{}.Complete(), ended[0], 1, 20, time.Now())
			assert.Equal(t, jobs.Cancelled, state, act)
			assert.Equal(t, 1, d.countTo(d.owner), "the welcome only")
		}
	})
	t.Run("is_not_told_where_the_disabling_is_undone", func(t *testing.T) {
		t.Parallel()
		d, r := newDisabling(t), newReceiver(t, status(http.StatusGone))
		tell := workerjobs.MailDisabled(d.hooks.queue)
		d.hooks.worker.WhenDisabled(func(ctx context.Context, scope tenancy.Scope, e webhooks.Endpoint) error {
			if err := tell(ctx, scope, e); err != nil {
				return err
			}
			return errDied
		})
		e, _ := d.hooks.endpoint(t, r.URL)
		d.hooks.customer(t, "a")
		errs := d.attempt(t)
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], errDied)
		assert.Equal(t, webhooks.Enabled, d.hooks.find(t, e.ID).State)
		assert.Empty(t, d.pending(t, d.hooks.scope.Tenant))
	})
}
