package jobs_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/platform/seal"
)

func TestConnector_is_synced_by_its_schedule(t *testing.T) {
	t.Parallel()
	s, source := newConnectorStand(t), newCRM(t, 1)
	every := func(in *connectors.Input) { in.Schedule = &connectors.Schedule{EveryMinutes: new(int64(15))} }
	hourly := s.connector(t, source.URL, every)
	nightly := s.connector(t, source.URL, func(in *connectors.Input) { in.Schedule = &connectors.Schedule{DailyAt: new("02:30")} })
	s.connector(t, source.URL, nil) // only when it is asked to
	paused := s.connector(t, source.URL, func(in *connectors.Input) { every(in); in.Paused = true })
	s.Exec(t, "update tenants set time_zone = 'Asia/Kathmandu' where id = $1", s.scope.Tenant.String())
	jobsOf := func() string {
		return s.text(t, "select coalesce(string_agg(args->>'connector_id', ' ' order by id), '') from jobs where kind = 'connectors.sync'")
	}
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() { assert.NoError(t, connectors.NewDispatcher(s.system).Dispatch(t.Context())) })
	}
	running.Wait()
	assert.ElementsMatch(t, []string{hourly.ID.String(), nightly.ID.String()}, strings.Fields(jobsOf()), "each once, by any number of schedulers")
	assert.WithinDuration(t, time.Now().Add(15*time.Minute), *s.find(t, hourly.ID).NextSyncAt, time.Minute)
	zone, err := time.LoadLocation("Asia/Kathmandu")
	require.NoError(t, err)
	assert.Equal(t, "02:30", s.find(t, nightly.ID).NextSyncAt.In(zone).Format("15:04"), "on the organization's own wall")
	assert.Nil(t, s.find(t, paused.ID).NextSyncAt)

	s.Exec(t, "delete from jobs")
	require.NoError(t, connectors.NewDispatcher(s.system).Dispatch(t.Context()))
	assert.Empty(t, jobsOf(), "nothing is due")
	s.Exec(t, "update connector_states set next_at = now()")
	s.Exec(t, "update tenants set state = 'suspended' where id = $1", s.scope.Tenant.String())
	require.NoError(t, connectors.NewDispatcher(s.system).Dispatch(t.Context()))
	assert.Empty(t, jobsOf(), "a suspended organization's wait")
}

func TestSchedule_waits_longer_where_syncs_are_given_up(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	every := connectors.Schedule{EveryMinutes: new(int64(60))}
	for failures, want := range map[int64]time.Duration{0: time.Hour, 1: 2 * time.Hour, 3: 8 * time.Hour, 5: 24 * time.Hour, 1000: 24 * time.Hour} {
		assert.Equal(t, want, every.Next(now, time.UTC, failures).Sub(now), "%d failures", failures)
	}
	weekly := connectors.Schedule{EveryMinutes: new(int64(10080))}
	assert.Equal(t, 7*24*time.Hour, weekly.Next(now, time.UTC, 9).Sub(now), "never earlier than it says")
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	daily := connectors.Schedule{DailyAt: new("02:30")}
	assert.Equal(t, now.Add(time.Hour), daily.Next(now, berlin, 0).UTC(), "a time that is left out as clocks are set forward comes behind the gap")
}

func TestConnector_that_changes_or_ends_while_it_syncs(t *testing.T) {
	t.Parallel()
	s, source := newConnectorStand(t), newCRM(t, 25)
	settings := func(in *connectors.Input) { in.Settings = map[string]any{"records": "data", "paging": "page"} }
	during := func(act func()) {
		source.will(func() {
			source.answer = func(_ http.ResponseWriter, _ *http.Request, n int) bool {
				if n == 2 {
					act()
				}
				return false
			}
		})
	}
	change := func(c connectors.Connector, apply func(*connectors.Settings)) {
		_, err := s.service.Change(t.Context(), s.scope, c.ID, 0, func(in *connectors.Settings) error {
			apply(in)
			return nil
		})
		assert.NoError(t, err)
	}

	changed := s.connector(t, source.URL+"/page", settings)
	during(func() {
		change(changed, func(in *connectors.Settings) { in.Mapping = map[string]any{"code": "id", "name": "mail"} })
	})
	run := s.ask(t, changed.ID, connectors.SyncInput{})
	require.ErrorIs(t, s.handler.Run(t.Context(), run), connectors.ErrSyncMoved)
	assert.Equal(t, "10", s.text(t, "select count(*)::text from customers"), "what was read by the old settings goes no further")
	require.NoError(t, s.handler.Run(t.Context(), run))
	var result connectors.Result
	require.NoError(t, json.Unmarshal(run.Result(), &result))
	assert.Equal(t, connectors.Counts{Rows: 25, Created: 15, Updated: 10}, result.Counts)
	assert.Equal(t, "25", s.text(t, "select count(*)::text from customers where name like 'C%@Example.com'"))

	isCancelled := func(err error) bool {
		state, _ := jobs.Decide(s.handler.Kind, err, 1, 8, s.now())
		return state == jobs.Cancelled
	}
	source.got()
	for name, act := range map[string]func(connectors.Connector){
		"paused":  func(c connectors.Connector) { change(c, func(in *connectors.Settings) { in.Paused = true }) },
		"deleted": func(c connectors.Connector) { assert.NoError(t, s.service.Delete(t.Context(), s.scope, c.ID, 0)) },
	} {
		c := s.connector(t, source.URL+"/page", settings)
		during(func() { act(c) })
		run := s.ask(t, c.ID, connectors.SyncInput{})
		require.ErrorIs(t, s.handler.Run(t.Context(), run), connectors.ErrSyncMoved, name)
		assert.True(t, isCancelled(s.handler.Run(t.Context(), run)), name)
		source.got()
	}
	assert.Equal(t, "25", s.text(t, "select count(*)::text from customers where deleted_at is null"), "the records stay")
}

func TestReseal_of_connectors(t *testing.T) {
	t.Parallel()
	s, source := newConnectorStand(t), newCRM(t, 1)
	c := s.connector(t, source.URL, func(in *connectors.Input) { in.AuthHeader, in.AuthValue = new("X-Key"), new("sesame") })
	s.connector(t, source.URL, nil)
	n, err := connectors.Reseal(t.Context(), s.system, s.sealer)
	require.NoError(t, err)
	assert.Zero(t, n, "nothing is sealed under an older key")

	rotated, err := seal.Rotate(s.masterKey)
	require.NoError(t, err)
	present, err := seal.New(rotated)
	require.NoError(t, err)
	for _, want := range []int{1, 0} {
		n, err = connectors.Reseal(t.Context(), s.system, plainSealer{present})
		require.NoError(t, err)
		assert.Equal(t, want, n)
	}
	require.Error(t, s.handler.Run(t.Context(), s.ask(t, c.ID, connectors.SyncInput{})), "the older key does not open it any more")
	after := s.find(t, c.ID)
	assert.Equal(t, int64(1), after.Version, "nothing has changed but how it is kept")
	assert.Equal(t, "something went wrong on this side; it is tried again", *after.Health.LastError)
	assert.False(t, present.NeedsReseal(after.AuthSealed))
}
