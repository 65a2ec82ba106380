package schedules_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/schedules"
)

func zone(tb testing.TB, name string) *time.Location {
	tb.Helper()
	location, err := time.LoadLocation(name)
	require.NoError(tb, err)
	return location
}

// span is years in which a zone did something that rules stumble over.
type span struct {
	zone     string
	from, to int // years
}

func spans() []span {
	return []span{
		{"UTC", 2024, 2025},
		{"Europe/Berlin", 2024, 2026},
		{"America/New_York", 2024, 2026},
		{"America/Sao_Paulo", 2016, 2020}, // set forward at midnight: the day begins at one
		{"Asia/Kathmandu", 1985, 1987},    // moved by a quarter of an hour
		{"Australia/Lord_Howe", 2024, 2026},
		{"Pacific/Apia", 2011, 2013},      // passed over 30 December 2011
		{"Africa/Casablanca", 2024, 2027}, // is set back for Ramadan
		{"America/Caracas", 2007, 2008},   // by half an hour, in December
		{"Africa/Cairo", 2014, 2015},      // set forward and back three times in one year
		{"Antarctica/Troll", 2024, 2025},  // by two hours
		{"Pacific/Kwajalein", 1993, 1994}, // passed over a day
		{"Asia/Pyongyang", 2015, 2018},
	}
}

func rules() []schedules.Calendar {
	return []schedules.Calendar{
		schedules.Daily(0, 0), schedules.Daily(0, 30), schedules.Daily(1, 30), schedules.Daily(2, 0), schedules.Daily(2, 30),
		schedules.Daily(23, 59), schedules.Weekly(time.Sunday, 2, 15), schedules.Weekly(time.Friday, 3, 0),
		schedules.Monthly(1, 0, 0), schedules.Monthly(31, 2, 30), schedules.Monthly(30, 12, 0),
	}
}

// coming is a time on the wall and when it came.
type coming struct {
	wall string
	at   time.Time
}

// watch looks at a clock of the zone once a minute, and notes when each time of each rule is first shown or passed: what
// the functions compute, by patience in the place of arithmetic.
func watch(rules []schedules.Calendar, location *time.Location, from, to time.Time) [][]coming {
	seen, due := make([][]coming, len(rules)), make([]schedules.Wall, len(rules))
	highest := schedules.WallIn(from, location)
	for i, rule := range rules {
		due[i] = rule.Next(highest)
	}
	for t := from; t.Before(to); t = t.Add(time.Minute) {
		if shown := schedules.WallIn(t, location); highest.Before(shown) {
			highest = shown
		}
		for i, rule := range rules {
			for ; !highest.Before(due[i]); due[i] = rule.Next(due[i]) {
				seen[i] = append(seen[i], coming{due[i].String(), t})
			}
		}
	}
	return seen
}

func TestRecurrence(t *testing.T) {
	t.Parallel()
	for _, s := range spans() {
		location := zone(t, s.zone)
		t.Run(s.zone, func(t *testing.T) {
			t.Parallel()
			from := time.Date(s.from, 1, 1, 0, 0, 0, 0, location).UTC()
			to := time.Date(s.to, 1, 1, 0, 0, 0, 0, location).UTC()
			watched := watch(rules(), location, from, to)
			for r, rule := range rules() {
				require.NoError(t, rule.Check())
				want := watched[r]
				require.NotEmpty(t, want)
				at := from
				for i, w := range want {
					if i > 0 && w.at.Equal(want[i-1].at) {
						continue // both come where a gap ends; the first is the next one
					}
					last := w
					for _, also := range want[i:] {
						if also.at.Equal(w.at) {
							last = also
						}
					}
					wall, next := schedules.NextIn(rule, at, location)
					require.Equal(t, w, coming{wall.String(), next}, "%s: number %d, after %s", rule, i, at)
					back, previous := schedules.PreviousIn(rule, next.Add(time.Second), location)
					require.Equal(t, last, coming{back.String(), previous}, "%s: the one before %s", rule, next.Add(time.Second))
					// From any moment on the way the next is the same.
					for _, between := range []time.Duration{time.Second, 30 * time.Minute, time.Hour, 5 * time.Hour} {
						if early := next.Add(-between); early.After(at) {
							wall, again := schedules.NextIn(rule, early, location)
							assert.Equal(t, w, coming{wall.String(), again}, "%s: after %s", rule, early)
						}
					}
					at = next
				}
			}
		})
	}
}

func TestWall(t *testing.T) {
	t.Parallel()
	wall := func(text string) schedules.Wall {
		var w schedules.Wall
		require.NoError(t, w.UnmarshalText([]byte(text)))
		return w
	}
	for _, c := range []struct{ name, zone, wall, at string }{
		{"once", "Europe/Berlin", "2026-11-25T02:00:00", "2026-11-25T01:00:00Z"},
		{"comes_twice", "Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"},
		{"never_comes", "Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T01:00:00Z"},
		{"midnight_never_comes", "America/Sao_Paulo", "2018-11-04T00:00:00", "2018-11-04T03:00:00Z"},
		{"half_an_hour_is_missing", "Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-03T15:30:00Z"},
		{"half_an_hour_comes_twice", "Australia/Lord_Howe", "2026-04-05T01:45:00", "2026-04-04T14:45:00Z"},
		{"a_day_never_comes", "Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T10:00:00Z"},
		{"far_ahead", "Europe/Berlin", "2100-07-01T12:00:00", "2100-07-01T10:00:00Z"},
		{"far_behind", "Europe/Berlin", "1800-01-01T00:00:00", "1799-12-31T23:06:32Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at := wall(c.wall).At(zone(t, c.zone))
			assert.Equal(t, c.at, at.Format(time.RFC3339))
			assert.False(t, schedules.WallIn(at, zone(t, c.zone)).Before(wall(c.wall)))
			assert.True(t, schedules.WallIn(at.Add(-time.Second), zone(t, c.zone)).Before(wall(c.wall)))
		})
	}
	t.Run("monthly_on_31_is_the_last_day", func(t *testing.T) {
		t.Parallel()
		var days []string
		for w := wall("2028-01-31T12:00:00"); len(days) < 4; {
			w = schedules.Monthly(31, 12, 0).Next(w)
			days = append(days, w.String()[:10])
		}
		assert.Equal(t, []string{"2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"}, days)
	})
	t.Run("rules_that_are_wrong_say_so", func(t *testing.T) {
		t.Parallel()
		for _, rule := range []schedules.Calendar{
			schedules.Daily(24, 0), schedules.Daily(0, 60), schedules.Daily(-1, 0), schedules.Monthly(32, 0, 0), schedules.Weekly(7, 0, 0),
		} {
			require.Error(t, rule.Check(), fmt.Sprint(rule))
		}
	})
}
