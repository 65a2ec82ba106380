package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/backfills"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// The product has no backfill at most times: the program is run with one of the test's own.
func TestBackfills(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	run := func(t *testing.T, code int, args ...string) (out, wrong string) {
		t.Helper()
		var said, failure bytes.Buffer
		p := program{environ: s.environ, out: &said, err: &failure, now: time.Now, backfills: []postgres.Backfill{{
			Definition: backfills.Definition{Name: "customers-version", Summary: "raises versions"}, Table: "customers",
			Change: "update customers c set version = c.version + 1 from batch b where c.tenant_id = $1 and c.id = b.id",
		}}}
		require.Equal(t, code, p.run(t.Context(), args), "%s%s", said.String(), failure.String())
		return said.String(), failure.String()
	}
	show := func(t *testing.T, args ...string) (view backfillView) {
		t.Helper()
		out, _ := run(t, done, append(args, "customers-version", "--json")...)
		require.NoError(t, json.Unmarshal([]byte(out), &view))
		return view
	}

	out, _ := run(t, done, "backfills", "list")
	assert.Regexp(t, `customers-version +not started .* raises versions`, out)
	assert.Nil(t, show(t, "backfills", "show").Run)
	_, wrong := run(t, failed, "backfills", "pause", "customers-version")
	assert.Contains(t, wrong, "was not started yet")
	_, wrong = run(t, failed, "backfills", "start", "nonsense")
	assert.Contains(t, wrong, `no such backfill as "nonsense"; it has customers-version`)
	_, wrong = run(t, wrongUsage, "backfills", "start")
	assert.Contains(t, wrong, "the name of a backfill")

	assert.Equal(t, backfills.Running, show(t, "backfills", "start").Run.State)
	assert.Equal(t, backfills.Paused, show(t, "backfills", "pause").Run.State)
	assert.Equal(t, backfills.Running, show(t, "backfills", "resume").Run.State)
	_, wrong = run(t, failed, "backfills", "restart", "customers-version")
	assert.Contains(t, wrong, "only one that is done can begin anew")
	out, _ = run(t, done, "backfills", "show", "customers-version")
	assert.Regexp(t, `state +running`, out)
	out, _ = run(t, done, "jobs", "list", "--kind", "backfills.run")
	assert.Contains(t, out, "backfills.run")

	// As the product is, from outside.
	assert.Contains(t, s.must(t, done, "backfills", "list").out, "customers-version")
	assert.Contains(t, s.must(t, failed, "backfills", "resume", "customers-version").err, "no such backfill")
}
