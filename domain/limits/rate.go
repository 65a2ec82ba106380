package limits

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// What a rate may be. Within these the arithmetic is exact to a millionth of a use.
const (
	MaxLimit = 1_000_000_000
	MinPer   = time.Millisecond
	MaxPer   = 366 * 24 * time.Hour
)

// off is the text form of a rate that limits nothing.
const off = "off"

// Rate is how often: Limit uses in each Per, all of them at once if need be. The zero Rate is off and limits nothing.
type Rate struct {
	// Limit is the number of uses, from 1 to MaxLimit.
	Limit int64
	// Per is the time in which Limit uses come back, from MinPer to MaxPer, to the microsecond.
	Per time.Duration
}

// Parse reads "600/1m": a number, a slash, and a duration as time.ParseDuration takes it. "off" is the rate that limits
// nothing.
func Parse(s string) (Rate, error) {
	if s == off {
		return Rate{}, nil
	}
	count, per, found := strings.Cut(s, "/")
	if !found {
		return Rate{}, fmt.Errorf("the rate %q is not of the form 600/1m or off", s)
	}
	limit, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		return Rate{}, fmt.Errorf("the rate %q does not begin with a whole number, as 600/1m does", s)
	}
	d, err := time.ParseDuration(per)
	if err != nil {
		return Rate{}, fmt.Errorf("the rate %q does not end with a duration, as 600/1m does", s)
	}
	r := Rate{Limit: limit, Per: d}
	if r.IsOff() {
		return Rate{}, fmt.Errorf("the rate %q: write off for no limit", s)
	}
	if err := r.Validate(); err != nil {
		return Rate{}, fmt.Errorf("the rate %q: %w", s, err)
	}
	return r, nil
}

// IsOff says whether the rate limits nothing.
func (r Rate) IsOff() bool { return r == Rate{} }

// Validate returns an error where the rate is out of range. A rate that is off is in range.
func (r Rate) Validate() error {
	switch {
	case r.IsOff():
		return nil
	case r.Limit < 1 || r.Limit > MaxLimit:
		return fmt.Errorf("the limit %d is not between 1 and %d", r.Limit, MaxLimit)
	case r.Per < MinPer || r.Per > MaxPer:
		return fmt.Errorf("the period %s is not between %s and %s", r.Per, MinPer, MaxPer)
	case r.Per%time.Microsecond != 0:
		return errors.New("the period is not a whole number of microseconds")
	}
	return nil
}

// String returns the form that Parse reads, with the shortest duration: "600/1m", "5/24h", "off".
func (r Rate) String() string {
	if r.IsOff() {
		return off
	}
	per := r.Per.String()
	if strings.HasSuffix(per, "m0s") {
		per = strings.TrimSuffix(per, "0s")
	}
	if strings.HasSuffix(per, "h0m") {
		per = strings.TrimSuffix(per, "0m")
	}
	return strconv.FormatInt(r.Limit, 10) + "/" + per
}

// MarshalText is String.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is Parse.
func (r *Rate) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}
