// Package schedules owns work that comes again and again: which, when, and what becomes of a time that was missed.
//
// A schedule names times on the wall, never moments: each tenant's cursor says which of them is next, and the zone only
// decides when that is. So a time is met once whatever becomes of clocks, of the tenant's zone, or of the process. The
// scheduler runs the table of schedules; the package runs nothing itself.
package schedules

import (
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Schedule declares recurring work. Zero values mean what is said of each.
type Schedule struct {
	// Name is unique among the schedules and never changes: what has run is kept under it.
	Name string
	// Rule says when.
	Rule Recurrence
	// PerTenant has each active tenant's own job made at the rule's times in the tenant's zone. Without it there is one
	// job, of the reserved tenant, at the times in Zone.
	PerTenant bool
	// Zone is an IANA name, for a schedule that is not PerTenant; "" is UTC. An interval such as "every ten minutes" wants
	// UTC: in a zone that sets its clocks back, times that come twice are met once.
	Zone string
	// Spread is the window after the time over which tenants are spread: each has its own place in it, always the same.
	// At most 12 hours.
	Spread time.Duration
	// Missed is what becomes of times that passed while nobody looked.
	Missed Missed
	// Grace is how late a time is still met where Missed is Skip; 0 is 10 minutes.
	Grace time.Duration
	// Job is what is to be done.
	Job func(Occurrence) jobs.Args
}

// Missed says what becomes of times that passed while no scheduler ran, or the tenant was suspended.
type Missed int

// What may become of them.
const (
	// CatchUp makes one job for all that were missed, as soon as may be.
	CatchUp Missed = iota
	// Skip makes none, and waits for the next time.
	Skip
)

// Occurrence is one time of a schedule, as its job is told.
type Occurrence struct {
	Tenant tenancy.ID
	// Time is on the tenant's wall. Where several were missed it is the last of them, and First the first; else both are
	// the same.
	Time, First Wall
	// Zone is where the wall hangs.
	Zone *time.Location
}

const (
	defaultGrace = 10 * time.Minute
	maxSpread    = 12 * time.Hour
)

// Check says what is wrong with a declaration.
func (s Schedule) Check() error {
	if s.Name == "" || len(s.Name) > 100 {
		return errors.New("schedules: a schedule needs a name of at most 100 characters")
	}
	if s.Rule == nil || s.Job == nil {
		return fmt.Errorf("schedules: %s needs a rule and a job", s.Name)
	}
	if checked, ok := s.Rule.(interface{ Check() error }); ok {
		if err := checked.Check(); err != nil {
			return fmt.Errorf("schedules: %s: %w", s.Name, err)
		}
	}
	if s.Rule.Next(WallOf(time.Unix(0, 0))).IsZero() {
		return fmt.Errorf("schedules: %s: %s never comes", s.Name, s.Rule)
	}
	if s.Spread < 0 || s.Spread > maxSpread {
		return fmt.Errorf("schedules: %s: Spread is 0 to %s", s.Name, maxSpread)
	}
	if s.PerTenant && s.Zone != "" {
		return fmt.Errorf("schedules: %s: a schedule of each tenant is in the tenant's own zone", s.Name)
	}
	if _, err := time.LoadLocation(s.Zone); err != nil {
		return fmt.Errorf("schedules: %s: %w", s.Name, err)
	}
	job, err := jobs.Of(s.Job(Occurrence{Zone: time.UTC}))
	if err != nil {
		return fmt.Errorf("schedules: %s: %w", s.Name, err)
	}
	if job.Kind.Unique == jobs.UniqueForPeriod {
		return fmt.Errorf("schedules: %s: kind %s is unique for a period, and a schedule is a period already", s.Name, job.Kind.Name)
	}
	return nil
}

// offset is a tenant's place in the window.
func (s Schedule) offset(tenant tenancy.ID) time.Duration {
	if s.Spread <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write(tenant[:])
	_, _ = h.Write([]byte(s.Name))
	return time.Duration(h.Sum64() % uint64(s.Spread)).Truncate(time.Millisecond)
}
