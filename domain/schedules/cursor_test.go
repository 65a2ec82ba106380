package schedules_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/schedules"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
)

type noWork struct{}

func (noWork) JobKind() jobs.Kind { return jobs.Kind{Name: "test.nothing"} }

func schedule(change func(*schedules.Schedule)) schedules.Schedule {
	s := schedules.Schedule{
		Name: "nightly", Rule: schedules.Daily(2, 0), PerTenant: true,
		Job: func(schedules.Occurrence) jobs.Args { return noWork{} },
	}
	if change != nil {
		change(&s)
	}
	return s
}

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// stand is one tenant in one schedule.
type stand struct {
	t      *testing.T
	zones  schedules.Zones
	s      schedules.Schedule
	cursor schedules.Cursor
	zone   string
	state  tenants.State
	met    []string
}

func begin(t *testing.T, s schedules.Schedule, zone, now string) *stand {
	t.Helper()
	require.NoError(t, s.Check())
	st := &stand{t: t, s: s, zone: zone, state: tenants.Active}
	st.cursor = s.Begin(tenancy.NewID(), st.zones.Standing(st.state, zone), at(now))
	return st
}

// look meets what is due at a moment, again and again as the loop does.
func (st *stand) look(now string) *schedules.Occurrence {
	st.t.Helper()
	var last *schedules.Occurrence
	for range 10 {
		cursor, due := st.s.Meet(st.cursor, st.zones.Standing(st.state, st.zone), at(now))
		if due != nil {
			st.met = append(st.met, due.Time.String())
			last = due
		}
		if cursor == st.cursor {
			return last
		}
		st.cursor = cursor
	}
	require.Fail(st.t, "the cursor does not come to rest")
	return nil
}

func TestCursor(t *testing.T) {
	t.Parallel()
	t.Run("begins_with_the_first_time_to_come", func(t *testing.T) {
		t.Parallel()
		st := begin(t, schedule(nil), "Europe/Berlin", "2026-11-25T01:00:00Z")
		assert.Nil(t, st.look("2026-11-26T00:59:59Z"))
		assert.NotNil(t, st.look("2026-11-26T01:00:00Z"))
		assert.Nil(t, st.look("2026-11-26T01:00:00Z"))
		assert.Equal(t, []string{"2026-11-26T02:00:00"}, st.met)
	})
	t.Run("meets_each_day_once_while_clocks_are_set", func(t *testing.T) {
		t.Parallel()
		for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"} {
			st := begin(t, schedule(nil), zone, "2026-01-01T12:00:00Z")
			for now := at("2026-01-01T12:00:00Z"); now.Before(at("2027-01-01T12:00:00Z")); now = now.Add(17 * time.Minute) {
				cursor, due := st.s.Meet(st.cursor, st.zones.Standing(st.state, zone), now)
				if st.cursor = cursor; due != nil {
					st.met = append(st.met, due.Time.String())
				}
			}
			assert.Len(t, st.met, 365, zone)
		}
	})
	t.Run("catches_up_once_and_says_what_was_missed", func(t *testing.T) {
		t.Parallel()
		st := begin(t, schedule(nil), "Asia/Kathmandu", "2026-11-20T00:00:00Z")
		due := st.look("2026-11-25T12:00:00Z")
		require.NotNil(t, due)
		assert.Equal(t, "2026-11-21T02:00:00", due.First.String())
		assert.Equal(t, []string{"2026-11-25T02:00:00"}, st.met)
		assert.Equal(t, "2026-11-26T02:00:00", st.cursor.Time.String())
	})
	t.Run("skips_what_is_later_than_its_grace", func(t *testing.T) {
		t.Parallel()
		skips := schedule(func(s *schedules.Schedule) { s.Missed, s.Grace = schedules.Skip, time.Hour })
		st := begin(t, skips, "UTC", "2026-11-20T00:00:00Z")
		st.look("2026-11-20T03:00:01Z")
		assert.Empty(t, st.met)
		st.look("2026-11-21T02:59:59Z")
		assert.Equal(t, []string{"2026-11-21T02:00:00"}, st.met)
	})
	t.Run("a_clock_that_goes_back_meets_nothing_again", func(t *testing.T) {
		t.Parallel()
		st := begin(t, schedule(nil), "UTC", "2026-11-20T00:00:00Z")
		for _, now := range []string{"2026-11-20T02:00:00Z", "2026-11-19T02:00:00Z", "2026-11-20T02:00:01Z", "2026-11-20T01:00:00Z", "2026-11-20T02:30:00Z"} {
			st.look(now)
		}
		assert.Equal(t, []string{"2026-11-20T02:00:00"}, st.met)
	})
	t.Run("a_tenant_that_moves_has_each_of_its_days_once", func(t *testing.T) {
		t.Parallel()
		st := begin(t, schedule(nil), "Europe/Berlin", "2026-11-24T12:00:00Z")
		st.look("2026-11-25T01:00:00Z")
		st.zone = "America/New_York" // where it is the 24th still
		st.look("2026-11-25T06:59:00Z")
		st.look("2026-11-25T07:00:00Z") // two in the morning of the 25th, in New York
		assert.Equal(t, []string{"2026-11-25T02:00:00"}, st.met, "westward: not twice")
		st.look("2026-11-26T07:00:00Z")
		st.zone = "Asia/Tokyo" // where it is four in the afternoon of the 26th
		st.look("2026-11-26T07:00:01Z")
		st.look("2026-11-26T17:00:00Z")
		assert.Equal(t, []string{"2026-11-25T02:00:00", "2026-11-26T02:00:00", "2026-11-27T02:00:00"}, st.met, "eastward: none is left out")
	})
	t.Run("a_suspended_tenant_waits", func(t *testing.T) {
		t.Parallel()
		st := begin(t, schedule(nil), "UTC", "2026-11-20T00:00:00Z")
		st.state = tenants.Suspended
		st.look("2026-11-22T12:00:00Z")
		assert.Empty(t, st.met)
		assert.True(t, st.cursor.At.IsZero())
		st.state = tenants.Active
		st.look("2026-11-22T12:00:01Z")
		assert.Equal(t, []string{"2026-11-22T02:00:00"}, st.met)
	})
	t.Run("a_changed_rule_counts_from_now", func(t *testing.T) {
		t.Parallel()
		st := begin(t, schedule(nil), "UTC", "2026-11-20T00:00:00Z")
		st.s.Rule = schedules.Weekly(time.Monday, 5, 0)
		st.look("2026-11-20T01:00:00Z")
		assert.Equal(t, "2026-11-23T05:00:00", st.cursor.Time.String())
		st.s.Rule = schedules.Daily(4, 0)
		st.look("2026-11-23T05:00:00Z") // overdue by the rule before
		assert.Equal(t, []string{"2026-11-23T05:00:00"}, st.met)
		assert.Equal(t, "2026-11-24T04:00:00", st.cursor.Time.String())
	})
	t.Run("tenants_are_spread_over_the_window", func(t *testing.T) {
		t.Parallel()
		spread := schedule(func(s *schedules.Schedule) { s.Spread = time.Hour })
		minutes := map[int]int{}
		var zones schedules.Zones
		for range 6000 {
			tenant := tenancy.NewID()
			c := spread.Begin(tenant, zones.Standing(tenants.Active, "UTC"), at("2026-11-20T00:00:00Z"))
			again := spread.Begin(tenant, zones.Standing(tenants.Active, "UTC"), at("2026-11-20T00:00:00Z"))
			require.Equal(t, c, again)
			minutes[c.At.Minute()]++
			require.Equal(t, 2, c.At.Hour())
		}
		for minute := range 60 {
			assert.InDelta(t, 100, minutes[minute], 60, "minute %d", minute)
		}
	})
	t.Run("an_unknown_zone_is_utc", func(t *testing.T) {
		t.Parallel()
		st := begin(t, schedule(nil), "Mars/Olympus_Mons", "2026-11-20T00:00:00Z")
		assert.NotNil(t, st.look("2026-11-20T02:00:00Z"))
	})
	t.Run("a_rule_of_each_minute_is_caught_up_with_fast", func(t *testing.T) {
		t.Parallel()
		st := begin(t, schedule(func(s *schedules.Schedule) { s.Rule = everyMinute{} }), "UTC", "1996-01-01T00:00:00Z")
		due := st.look("2026-11-25T00:00:30Z")
		require.NotNil(t, due)
		assert.Equal(t, "2026-11-25T00:00:00", due.Time.String())
		assert.Equal(t, "1996-01-01T00:01:00", due.First.String())
	})
}

type everyMinute struct{}

func (everyMinute) Next(after schedules.Wall) schedules.Wall {
	return schedules.WallOf(after.Fields().Truncate(time.Minute).Add(time.Minute))
}
func (everyMinute) String() string { return "each minute" }

func TestSchedule_Check(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*schedules.Schedule){
		"no name":      func(s *schedules.Schedule) { s.Name = "" },
		"no rule":      func(s *schedules.Schedule) { s.Rule = nil },
		"no job":       func(s *schedules.Schedule) { s.Job = nil },
		"no time":      func(s *schedules.Schedule) { s.Rule = schedules.Daily(25, 0) },
		"too spread":   func(s *schedules.Schedule) { s.Spread = 13 * time.Hour },
		"two zones":    func(s *schedules.Schedule) { s.Zone = "Europe/Berlin" },
		"unknown zone": func(s *schedules.Schedule) { s.PerTenant, s.Zone = false, "Europe/Nowhere" },
	} {
		require.Error(t, schedule(change).Check(), name)
	}
	require.NoError(t, schedule(nil).Check())
}
