package schedules

import (
	"fmt"
	"time"
)

// Recurrence says at which times on the wall something falls due.
type Recurrence interface {
	// Next is the first time after another one; the zero Wall where there is none.
	Next(after Wall) Wall
	// String says the rule; two rules that differ say different things.
	String() string
}

// Calendar falls on a time of day: each day, one day of the week, or one of the month. Make one with Daily, Weekly or
// Monthly.
type Calendar struct {
	hour, minute int
	weekday      time.Weekday
	day          int // of the month; 0 for none
	isWeekly     bool
}

// Daily falls on a time of each day.
func Daily(hour, minute int) Calendar { return Calendar{hour: hour, minute: minute} }

// Weekly falls on a time of one day of the week.
func Weekly(day time.Weekday, hour, minute int) Calendar {
	return Calendar{hour: hour, minute: minute, weekday: day, isWeekly: true}
}

// Monthly falls on a time of one day of the month, 1 to 31: in a month that has no such day, on its last.
func Monthly(day, hour, minute int) Calendar { return Calendar{hour: hour, minute: minute, day: day} }

// Next is the first time after another one.
func (c Calendar) Next(after Wall) Wall {
	for on := after; ; on = on.Add(24 * time.Hour) {
		if at := c.on(on); c.falls(at) && after.Before(at) {
			return at
		}
	}
}

// Previous is the last time before another one.
func (c Calendar) Previous(before Wall) Wall {
	for on := before; ; on = on.Add(-24 * time.Hour) {
		if at := c.on(on); c.falls(at) && at.Before(before) {
			return at
		}
	}
}

// String says the rule.
func (c Calendar) String() string {
	switch {
	case c.isWeekly:
		return fmt.Sprintf("weekly on %s at %02d:%02d", c.weekday, c.hour, c.minute)
	case c.day > 0:
		return fmt.Sprintf("monthly on day %d at %02d:%02d", c.day, c.hour, c.minute)
	default:
		return fmt.Sprintf("daily at %02d:%02d", c.hour, c.minute)
	}
}

// Check says what is wrong with the rule.
func (c Calendar) Check() error {
	if c.hour < 0 || c.hour > 23 || c.minute < 0 || c.minute > 59 {
		return fmt.Errorf("%02d:%02d is no time of day", c.hour, c.minute)
	}
	if c.day < 0 || c.day > 31 {
		return fmt.Errorf("a month has days 1 to 31, and no %d", c.day)
	}
	if c.weekday < time.Sunday || c.weekday > time.Saturday {
		return fmt.Errorf("a week has no day %d", c.weekday)
	}
	return nil
}

// on is the time of day on another time's day.
func (c Calendar) on(day Wall) Wall {
	t := day.utc
	return Wall{time.Date(t.Year(), t.Month(), t.Day(), c.hour, c.minute, 0, 0, time.UTC)}
}

// falls says whether the rule falls on the day.
func (c Calendar) falls(day Wall) bool {
	switch {
	case c.isWeekly:
		return day.utc.Weekday() == c.weekday
	case c.day > 0:
		last := time.Date(day.utc.Year(), day.utc.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
		return day.utc.Day() == min(c.day, last)
	default:
		return true
	}
}

// NextIn returns the first time of a rule that comes after a moment, in a zone, and the moment at which it comes.
func NextIn(rule Recurrence, after time.Time, zone *time.Location) (Wall, time.Time) {
	for at := rule.Next(WallIn(after, zone)); !at.IsZero(); at = rule.Next(at) {
		if moment := at.At(zone); moment.After(after) {
			return at, moment
		}
	}
	return Wall{}, time.Time{}
}

// PreviousIn returns the last time of a calendar that came before a moment, in a zone, and the moment at which it came.
func PreviousIn(rule Calendar, before time.Time, zone *time.Location) (Wall, time.Time) {
	// Clocks that were set back, by a day at most, show an earlier time than they have shown.
	for at := rule.Previous(WallIn(before, zone).Add(26 * time.Hour)); ; at = rule.Previous(at) {
		if moment := at.At(zone); moment.Before(before) {
			return at, moment
		}
	}
}
