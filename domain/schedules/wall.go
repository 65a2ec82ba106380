package schedules

import (
	"time"
)

// Wall is a time as a clock on the wall shows it, to the second: a day and a time of day, of no zone. It is what
// "every night at two" names, wherever the night is.
type Wall struct {
	utc time.Time // the same fields, as if the wall hung in Greenwich
}

// WallOf returns the fields of t, as its own zone shows them, as a wall time.
func WallOf(t time.Time) Wall {
	if t.IsZero() {
		return Wall{}
	}
	return Wall{time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)}
}

// WallIn is what the clocks of a zone show at a moment.
func WallIn(t time.Time, zone *time.Location) Wall { return WallOf(t.In(zone)) }

// At returns the moment at which the clocks of a zone first show this time or a later one. A time that comes twice, as
// clocks are set back, is its first; one that never comes, as clocks are set forward, or as a zone passes over a day, is
// the first moment after the gap.
func (w Wall) At(zone *time.Location) time.Time {
	// No zone is as far from UTC as a day and two hours: the search begins before the time.
	at := w.utc.Add(-26 * time.Hour).In(zone)
	for {
		_, offset := at.Zone()
		shown := w.utc.Add(-time.Duration(offset) * time.Second)
		if shown.Before(at) {
			return at.UTC() // the gap ends here
		}
		_, end := at.ZoneBounds()
		if end.IsZero() || shown.Before(end) {
			return shown
		}
		at = end
	}
}

// Fields are the wall time's, in UTC: what a column without a zone keeps.
func (w Wall) Fields() time.Time { return w.utc }

// IsZero says whether it is no time.
func (w Wall) IsZero() bool { return w.utc.IsZero() }

// Before says whether it is earlier on the wall.
func (w Wall) Before(other Wall) bool { return w.utc.Before(other.utc) }

// Equal says whether both are the same time on the wall.
func (w Wall) Equal(other Wall) bool { return w.utc.Equal(other.utc) }

// Add is the time that a clock shows after d, were it never set.
func (w Wall) Add(d time.Duration) Wall { return Wall{w.utc.Add(d)} }

// String is as 2026-11-25T02:00:00.
func (w Wall) String() string { return w.utc.Format("2006-01-02T15:04:05") }

// MarshalText writes String.
func (w Wall) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (w *Wall) UnmarshalText(text []byte) error {
	t, err := time.Parse("2006-01-02T15:04:05", string(text))
	if err != nil {
		return err //nolint:wrapcheck // it names the text
	}
	w.utc = t
	return nil
}
