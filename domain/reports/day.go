package reports

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/schedules"
)

// Day is a day of a calendar, of no zone.
type Day struct {
	utc time.Time // its midnight, as if it were in Greenwich
}

// DayOf is the day that the clocks of a zone show at a moment.
func DayOf(t time.Time, zone *time.Location) Day {
	year, month, day := t.In(zone).Date()
	return Day{time.Date(year, month, day, 0, 0, 0, 0, time.UTC)}
}

// earliest is the first day that a report may be about.
const earliest = 1900

var errNoDay = errors.New("is not a day; write it as 2026-11-24")

// ParseDay reads a day such as 2026-11-24.
func ParseDay(text string) (Day, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < earliest {
		return Day{}, errNoDay
	}
	return Day{t}, nil
}

// Add is the day so many days later.
func (d Day) Add(days int) Day { return Day{d.utc.AddDate(0, 0, days)} }

// Before says whether it is an earlier day.
func (d Day) Before(other Day) bool { return d.utc.Before(other.utc) }

// IsZero says whether it is no day.
func (d Day) IsZero() bool { return d.utc.IsZero() }

// Begin is the first moment of the day in a zone. A day that the zone passes over begins and ends at once.
func (d Day) Begin(zone *time.Location) time.Time { return schedules.WallOf(d.utc).At(zone) }

// String is as 2026-11-24.
func (d Day) String() string { return d.utc.Format(time.DateOnly) }

// Long is as Tuesday, 24 November 2026.
func (d Day) Long() string { return d.utc.Format("Monday, 2 January 2006") }

// Short is as Tue 24 Nov.
func (d Day) Short() string { return d.utc.Format("Mon 2 Jan") }

// Brief is as 24 Nov.
func (d Day) Brief() string { return d.utc.Format("2 Jan") }

// MarshalText writes String.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is ParseDay.
func (d *Day) UnmarshalText(text []byte) error {
	parsed, err := ParseDay(string(text))
	if err == nil {
		*d = parsed
	}
	return err
}

// Value is the day as a database takes it.
func (d Day) Value() (driver.Value, error) { return d.String(), nil }

// Scan reads what a database gives for a date.
func (d *Day) Scan(src any) error {
	t, ok := src.(time.Time)
	if !ok {
		return fmt.Errorf("scan a day: %T is none", src)
	}
	*d = DayOf(t, time.UTC)
	return nil
}

// Period is what a report is read for: its day, and the days up to it that it compares the day with.
type Period struct {
	// Zone is where the days are counted, and ZoneName its IANA name.
	Zone     *time.Location
	ZoneName string
	// Days are those of the report, the oldest first; the last is the one that it is about.
	Days []Day
	// Bounds are when each of the days begins, and when the last one ends.
	Bounds []time.Time
}

// NewPeriod is so many days up to one, that included.
func NewPeriod(day Day, days int, zone *time.Location) Period {
	p := Period{Zone: zone, ZoneName: zone.String()}
	for back := days - 1; back >= 0; back-- {
		on := day.Add(-back)
		p.Days = append(p.Days, on)
		p.Bounds = append(p.Bounds, on.Begin(zone))
	}
	p.Bounds = append(p.Bounds, day.Add(1).Begin(zone))
	return p
}

// Day is the one that the report is about.
func (p Period) Day() Day { return p.Days[len(p.Days)-1] }

// Start and End are the bounds of that day.
func (p Period) Start() time.Time { return p.Bounds[len(p.Bounds)-2] }

// End is when the day ends.
func (p Period) End() time.Time { return p.Bounds[len(p.Bounds)-1] }
