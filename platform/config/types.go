package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// Secret is a setting that must not be seen: printing it, logging it or marshalling it shows only that it is there.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalJSON hides the secret.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Size is a number of bytes: "512KiB", "8MiB", "10MB", "4096".
type Size int64

// Kind describes the form of a size.
func (Size) Kind() string { return "size in bytes (4096, 512KiB, 8MiB)" }

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	units := []struct {
		suffix string
		bytes  int64
	}{
		{"KiB", 1 << 10},
		{"MiB", 1 << 20},
		{"GiB", 1 << 30},
		{"TiB", 1 << 40},
		{"kB", 1e3},
		{"KB", 1e3},
		{"MB", 1e6},
		{"GB", 1e9},
		{"TB", 1e12},
		{"B", 1},
	}
	number, factor := string(text), int64(1)
	for _, unit := range units {
		if rest, ok := strings.CutSuffix(number, unit.suffix); ok {
			number, factor = strings.TrimSpace(rest), unit.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return errForm
	}
	*s = Size(n * factor)
	return nil
}

// String writes the size in the largest binary unit that is whole.
func (s Size) String() string {
	units := []string{"", "KiB", "MiB", "GiB", "TiB"}
	n, unit := int64(s), 0
	for n != 0 && n%1024 == 0 && unit < len(units)-1 {
		n, unit = n/1024, unit+1
	}
	return strconv.FormatInt(n, 10) + units[unit]
}

// Address is where to listen or to dial: "host:port", or ":port" for every interface.
type Address string

// Kind describes the form of an address.
func (Address) Kind() string { return "address (host:port or :port)" }

// UnmarshalText reads an address.
func (a *Address) UnmarshalText(text []byte) error {
	_, port, err := net.SplitHostPort(string(text))
	if err != nil {
		return errors.New("is not host:port")
	}
	if _, err = strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("has no port from 0 to 65535")
	}
	*a = Address(text)
	return nil
}

// Rate is how many events are let through in a time: "600/1m".
type Rate struct {
	Limit int64         // events, at least 1
	Per   time.Duration // the time they are counted over, more than 0
}

// Kind describes the form of a rate.
func (Rate) Kind() string { return "rate (600/1m, 10/1s)" }

// UnmarshalText reads a rate.
func (r *Rate) UnmarshalText(text []byte) error {
	count, per, ok := strings.Cut(string(text), "/")
	if !ok {
		return errForm
	}
	limit, err := strconv.ParseInt(count, 10, 64)
	if err != nil || limit < 1 {
		return errForm
	}
	window, err := time.ParseDuration(per)
	if err != nil || window <= 0 {
		return errForm
	}
	*r = Rate{Limit: limit, Per: window}
	return nil
}

// String writes the rate in the form that it is read in.
func (r Rate) String() string { return fmt.Sprintf("%d/%s", r.Limit, r.Per) }
