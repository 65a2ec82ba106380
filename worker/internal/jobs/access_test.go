package jobs_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// rightsOf is what those may do now who asked for something, as a database's role finds it out.
func rightsOf(db *postgres.DB) *access.Rights {
	return access.NewRights(postgres.NewIdentity(db), members.NewRoles(catalog.Permissions()), time.Now)
}

// key makes an API key and returns its scope.
func (x *exporting) key(t *testing.T, scopes ...string) tenancy.Scope {
	t.Helper()
	id := tenancy.NewID()
	x.Exec(t, `insert into api_keys (tenant_id, id, name, prefix, token_hash, scopes, created_by, created_at, updated_at)
		values ($1, $2::uuid, 'test', 'gw_live_', decode(md5($2::uuid::text), 'hex'), string_to_array($3, ' '), $2::uuid, now(), now())`,
		x.scope.Tenant.String(), id.String(), strings.Join(scopes, " "))
	return tenancy.Scope{Tenant: x.scope.Tenant, Actor: tenancy.Actor{Kind: tenancy.APIKey, ID: id, Version: 1, Permissions: scopes}}
}

// Whatever is taken away from who asked, before the export begins or while it is written, there is no file, and the audit
// says why.
func TestExport_is_not_for_who_may_not_any_more(t *testing.T) {
	t.Parallel()
	const asUser, asKey = "user", "key"
	for name, test := range map[string]struct{ who, lose, reason string }{
		"who has left":           {asUser, "delete from memberships where user_id = $1", "no member of the organization"},
		"who is disabled":        {asUser, "update users set state = 'disabled' where id = $1", "account of who asked for it is disabled"},
		"a suspended tenant":     {asUser, "update tenants set state = 'suspended' where id = (select tenant_id from memberships where user_id = $1)", "suspended"},
		"a key that was revoked": {asKey, "update api_keys set revoked_at = now() where id = $1", "was revoked"},
		"a key that has expired": {asKey, "update api_keys set expires_at = now() where id = $1", "has expired"},
		"a key with less scopes": {asKey, "update api_keys set scopes = '{orders:read}' where id = $1", "permission customers:read"},
		"a key that is gone":     {asKey, "delete from api_keys where id = $1", "key that asked for it is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newExporting(t, 10)
			x.Exec(t, "delete from jobs")
			scope := x.scope
			if test.who == asKey {
				scope = x.key(t, "customers:read")
			}
			in := transfers.ExportInput{Resource: "customers", Format: transfers.CSV}
			// While it is written first: what is lost then stays lost.
			during := x.attempt(x.ask(t, scope, in))
			before := x.attempt(x.ask(t, scope, in))
			lost := false
			during.Report = func(p jobs.Progress) {
				if p.Message == "storing" && !lost {
					lost = true
					x.Exec(t, test.lose, scope.Actor.ID.String())
				}
			}
			for _, run := range []*jobs.Run{during, before} {
				err := x.exporter().Run(t.Context(), run)
				require.ErrorContains(t, err, test.reason)
				assert.Equal(t, jobs.Dead, stateOf(err))
				var told string
				require.NoError(t, x.Admin(t).QueryRow(t.Context(),
					"select changes::text from audit_events where action = 'job.refused' and resource = 'job' and resource_id = $1", run.Job.ID.String()).Scan(&told))
				assert.Contains(t, told, test.reason)
				assert.Contains(t, told, scope.Actor.ID.String())
			}
			require.True(t, lost)
			made, contents := x.kept(t)
			assert.Equal(t, []int{0, 0}, []int{made, contents})
			assert.Empty(t, x.pending(t, x.scope.Tenant), "and no mail")
		})
	}
}

// Rows that were kept before a right was taken away stay; there are no more of them.
func TestImport_ends_with_the_right_of_who_asked(t *testing.T) {
	t.Parallel()
	for _, atomic := range []bool{false, true} {
		s := newImportStand(t)
		member := s.Member(t, s.scope.Tenant, members.Member)
		member.Actor.Permissions = members.NewRoles(catalog.Permissions()).Permissions(members.Member)
		file := s.upload(t, "customers.csv", "name\n"+strings.Repeat("Ada\n", 1200))
		id, err := s.asks.Start(t.Context(), member, transfers.ImportRequest{
			Resource: "customers", FileID: file, Mode: resource.BulkCreate, Atomic: atomic,
		})
		require.NoError(t, err)
		run := s.job(t, id)
		run.Report = func(jobs.Progress) { // after the first batch
			s.Exec(t, "update memberships set role = 'viewer' where user_id = $1", member.Actor.ID.String())
		}
		err = s.handler.Run(t.Context(), run)
		require.ErrorContains(t, err, "permission customers:write")
		assert.Equal(t, jobs.Dead, stateOf(err))
		kept := s.texts(t, "select count(*)::text from customers")
		want := map[bool]string{false: "1000", true: "0"}[atomic]
		assert.Equal(t, []string{want}, kept)
		assert.Len(t, s.texts(t, "select changes::text from audit_events where action = 'job.refused'"), 1)
	}
}

// A report that somebody asked for is not made for who may not have it any more, and is for others who asked.
func TestReport_is_made_for_who_may_still_have_it(t *testing.T) {
	t.Parallel()
	n := newNights(t)
	service, err := reports.NewService(n.reporting)
	require.NoError(t, err)
	other := n.Member(t, n.tenant, members.Member)
	order := func(who tenancy.Scope) jobs.Job {
		// As the worker's role, which checks no session: the access is as the request has proven it.
		done, err := service.Order(t.Context(), who, reports.Request{Kind: reports.DailySales, Day: "2026-03-29"})
		require.NoError(t, err)
		require.False(t, done.Existed, "each asker has a run of their own")
		job, err := n.queue.FindJob(t.Context(), tenancy.AsSystem(n.tenant, ""), done.ID)
		require.NoError(t, err)
		var args reports.Run
		require.NoError(t, json.Unmarshal(job.Args, &args))
		assert.Equal(t, who.Actor.ID, args.AskedBy)
		job.Tenant = n.tenant
		return job
	}
	first, second := order(n.member), order(other)
	n.Exec(t, "delete from memberships where user_id = $1", other.Actor.ID.String())
	require.NoError(t, n.run(t, first))
	err = n.run(t, second)
	require.ErrorContains(t, err, "no member of the organization")
	assert.Equal(t, jobs.Dead, stateOf(err))
	n.Exec(t, "update tenants set state = 'suspended' where id = $1", n.tenant.String())
	require.ErrorContains(t, n.run(t, first), "suspended")
}
