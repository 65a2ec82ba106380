package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestJobs(t *testing.T) {
	t.Parallel()

	t.Run("stats_count_by_queue_and_state", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		one, two := s.TenantID(t), s.TenantID(t)
		s.enqueue(t, one, chore{Name: "a"})
		s.enqueue(t, two, chore{Name: "b"})
		s.dead(t, two, chore{Name: "c"})
		s.begin(t, one, s.enqueue(t, one, errand{}))
		a := s.must(t, done, "jobs", "stats")
		lines := strings.Split(strings.TrimSpace(a.out), "\n")
		require.Len(t, lines, 1+len(jobs.Queues()), a.out)
		assert.Regexp(t, `^QUEUE +SCHEDULED +PENDING +RUNNING +RETRYING +DEAD +OLDEST PENDING +OLDEST DEAD`, lines[0])
		assert.Regexp(t, `(?m)^transfers +0 +2 +1 +0 +1 +\d+s +\d+s *$`, a.out)
		assert.Regexp(t, `(?m)^critical +0 +0 +0 +0 +0 +- +- *$`, a.out)
		all := ask[[]map[string]any](t, s, "jobs", "stats", "--queue", "transfers")
		require.Len(t, all, 1)
		assert.Equal(t, "transfers", all[0]["queue"])
		assert.InDelta(t, 2, all[0]["pending"], 0)
		assert.NotNil(t, all[0]["oldest_dead_seconds"])
		assert.NotNil(t, all[0]["oldest_pending_seconds"])
	})
	t.Run("list_looks_across_organizations_and_filters", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		one, two := s.TenantID(t), s.TenantID(t)
		first, second := s.enqueue(t, one, chore{Name: "a"}).String(), s.enqueue(t, two, errand{}).String()
		third := s.dead(t, two, chore{Name: "b"}).String()
		ids := func(args ...string) []string {
			var found []string
			for _, job := range ask[[]map[string]any](t, s, append([]string{"jobs", "list"}, args...)...) {
				id, _ := job["id"].(string)
				found = append(found, id)
			}
			return found
		}
		assert.Equal(t, []string{third, second, first}, ids())
		assert.Equal(t, []string{third, second}, ids("--limit", "2"))
		assert.Equal(t, []string{third, second}, ids("--tenant", two.String()))
		assert.Equal(t, []string{second}, ids("--kind", "tests.errand"))
		assert.Equal(t, []string{third}, ids("--state", "dead"))
		assert.Equal(t, []string{third, first}, ids("--state", "dead,pending", "--kind", "tests.chore"))
		assert.Empty(t, ids("--queue", "critical"))
		table := s.must(t, done, "jobs", "list").out
		assert.Regexp(t, `(?m)^`+third+` +`+two.String()+` +tests.chore +transfers +dead +1 of 2 +.*locked`, table)
		assert.NotContains(t, table, "\x1b", "what jobs say does not reach the terminal as it is")
	})
	t.Run("show_tells_all_of_one", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		id := s.dead(t, s.TenantID(t), chore{Name: "broken"}).String()
		a := s.must(t, done, "jobs", "show", id)
		for _, text := range []string{id, `"broken"`, "the-cause", "worker-7", "locked", "goroutine 1\n", "main.go:7"} {
			assert.Contains(t, a.out, text)
		}
		assert.NotContains(t, a.out, "\x1b")
		job := ask[map[string]any](t, s, "jobs", "show", id)
		assert.Equal(t, "worker-7", job["worker"])
		assert.NotEmpty(t, job["tenant_id"])
		missing := s.must(t, failed, "jobs", "show", someID)
		assert.Contains(t, missing.err, "no such job")
	})
	t.Run("retry_runs_dead_ones_again_and_tells_of_each", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		tenant := s.TenantID(t)
		dead, alive := s.dead(t, tenant, chore{Name: "a"}).String(), s.enqueue(t, tenant, errand{}).String()
		a := s.must(t, failed, "jobs", "retry", dead, alive, someID)
		assert.Regexp(t, `(?m)^`+dead+` +pending$`, a.out)
		assert.Regexp(t, `(?m)^`+alive+` +.*dead`, a.out)
		assert.Regexp(t, `(?m)^`+someID+` +.*no such job`, a.out)
		assert.Equal(t, "pending", ask[map[string]any](t, s, "jobs", "show", dead)["state"])
	})
	t.Run("retry_of_all_that_is_dead_keeps_to_its_queue_and_kind", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		one, two := s.TenantID(t), s.TenantID(t)
		for _, tenant := range []tenancy.ID{one, two} {
			s.dead(t, tenant, chore{Name: "a"})
			s.dead(t, tenant, errand{})
		}
		assert.Equal(t, map[string]int{"retried": 0}, ask[map[string]int](t, s, "jobs", "retry", "--dead", "--queue", "reports"))
		assert.Equal(t, map[string]int{"retried": 2}, ask[map[string]int](t, s, "jobs", "retry", "--dead", "--kind", "tests.errand"))
		assert.Equal(t, "2 jobs will run again\n", s.must(t, done, "jobs", "retry", "--dead", "--queue", "transfers").out)
		assert.Empty(t, ask[[]any](t, s, "jobs", "list", "--state", "dead"))
	})
	t.Run("cancel_ends_what_waits_and_may_be_repeated", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		tenant := s.TenantID(t)
		waiting, running := s.enqueue(t, tenant, chore{Name: "a"}), s.enqueue(t, tenant, errand{})
		attempt := s.begin(t, tenant, running)
		for range 2 {
			a := s.must(t, done, "jobs", "cancel", waiting.String(), running.String())
			assert.Regexp(t, `(?m)^`+waiting.String()+` +cancelled$`, a.out)
			assert.Regexp(t, `(?m)^`+running.String()+` +running$`, a.out)
		}
		pulses, err := s.engine.Beat(t.Context(), []jobs.Attempt{attempt}, time.Minute)
		require.NoError(t, err)
		assert.Equal(t, []jobs.Pulse{{Held: true, Cancel: true}}, pulses)
		assert.Contains(t, s.must(t, done, "jobs", "list").out, "running, to be cancelled")
		s.end(t, jobs.Outcome{Attempt: attempt, State: jobs.Succeeded})
		assert.Contains(t, s.must(t, failed, "jobs", "cancel", running.String()).out, "succeeded")
	})
}

func TestQueues(t *testing.T) {
	t.Parallel()

	t.Run("are_paused_and_resumed", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		for range 2 { // it may be said twice
			assert.Equal(t, "transfers is paused\n", s.must(t, done, "jobs", "pause", "transfers").out)
		}
		paused, err := s.engine.PausedQueues(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"transfers"}, paused)
		assert.Regexp(t, `(?m)^transfers .*paused$`, s.must(t, done, "jobs", "stats").out)
		for range 2 {
			assert.Equal(t, "transfers is running\n", s.must(t, done, "jobs", "resume", "transfers").out)
		}
		paused, err = s.engine.PausedQueues(t.Context())
		require.NoError(t, err)
		assert.Empty(t, paused)
	})
	t.Run("that_have_nothing_to_do_are_drained_at_once", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.dead(t, s.TenantID(t), chore{Name: "a"})
		assert.Contains(t, s.must(t, done, "jobs", "drain", "transfers").out, "transfers: 0 pending, 0 running; nothing to do")
	})
	t.Run("are_waited_for", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		tenant := s.TenantID(t)
		id := s.enqueue(t, tenant, chore{Name: "a"})
		timedOut := s.must(t, failed, "jobs", "drain", "transfers", "--timeout", "10ms")
		assert.Contains(t, timedOut.err, "1 pending and 0 running after 10ms")
		assert.Contains(t, timedOut.err, "--timeout")

		attempt := s.begin(t, tenant, id)
		c, out, wrong := prepared(t, s.environ, "jobs", "drain", "transfers", "--timeout", "2m")
		require.NoError(t, c.Start())
		s.end(t, jobs.Outcome{Attempt: attempt, State: jobs.Succeeded})
		require.NoError(t, c.Wait(), wrong.String())
		assert.Contains(t, out.String(), "nothing to do")
	})
	t.Run("that_are_paused_are_drained_when_nothing_runs", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.enqueue(t, s.TenantID(t), chore{Name: "a"})
		s.must(t, done, "jobs", "pause", "transfers")
		last := ask[progress](t, s, "jobs", "drain", "transfers")
		assert.Equal(t, progress{Queue: "transfers", Pending: 1, Paused: true, Done: true}, last)
	})
	t.Run("a_drain_can_be_interrupted", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.enqueue(t, s.TenantID(t), chore{Name: "a"})
		c, _, wrong := prepared(t, s.environ, "jobs", "drain", "transfers", "--timeout", "10m")
		c.Stdout = nil
		lines, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		_, err = lines.Read(make([]byte, 1)) // it is waiting
		require.NoError(t, err)
		require.NoError(t, c.Process.Signal(syscall.SIGTERM))
		require.Error(t, c.Wait())
		assert.Equal(t, failed, c.ProcessState.ExitCode())
		assert.Contains(t, wrong.String(), "interrupted")
	})
}
