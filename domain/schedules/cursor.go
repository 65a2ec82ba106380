package schedules

import (
	"sync"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
)

// Cursor is where a tenant stands in a schedule.
type Cursor struct {
	Tenant   tenancy.ID
	Schedule string
	// Time is the next one on the wall: the first that has not been met.
	Time Wall
	// At is when it falls due; zero for never, as of a suspended tenant.
	At time.Time
	// Rule and Zone are those that Time and At were computed with.
	Rule, Zone string
}

// Standing is what is true of a tenant now: what its cursor should agree with. Zones makes it.
type Standing struct {
	IsActive bool
	// Zone is the name of the tenant's time zone.
	Zone string

	location *time.Location
}

// Zones knows time zones by their names, each read once. It is safe for use by many goroutines.
type Zones struct {
	mu    sync.Mutex
	known map[string]*time.Location
}

// Standing is a tenant's state and zone. Names are checked where they come in; one that is not known (any more) is UTC,
// so that a tenant's work is done at another hour rather than never.
func (z *Zones) Standing(state tenants.State, zone string) Standing {
	return Standing{IsActive: state == tenants.Active, Zone: zone, location: z.of(zone)}
}

func (z *Zones) of(name string) *time.Location {
	z.mu.Lock()
	defer z.mu.Unlock()
	location, isKnown := z.known[name]
	if isKnown {
		return location
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	if z.known == nil {
		z.known = make(map[string]*time.Location)
	}
	z.known[name] = location
	return location
}

// Begin returns the cursor of a tenant that has none: at the first time after now.
func (s Schedule) Begin(tenant tenancy.ID, standing Standing, now time.Time) Cursor {
	c := Cursor{Tenant: tenant, Schedule: s.Name, Rule: s.Rule.String(), Zone: standing.Zone}
	c.Time, _ = NextIn(s.Rule, now, standing.location)
	return s.place(c, standing)
}

// Reconcile returns the cursor as it is to be after the tenant, its zone or the rule changed. A changed zone moves when
// the next time comes, and never which it is: no day is met twice, none is left out. A changed rule counts from now on;
// what is overdue stays so.
func (s Schedule) Reconcile(c Cursor, standing Standing, now time.Time) Cursor {
	c.Zone = standing.Zone
	if rule := s.Rule.String(); c.Rule != rule {
		c.Rule = rule
		if c.Time.At(standing.location).After(now) {
			c.Time, _ = NextIn(s.Rule, now, standing.location)
		}
	}
	return s.place(c, standing)
}

// Meet returns the cursor as it is after now, and what was due; nil where nothing is.
func (s Schedule) Meet(c Cursor, standing Standing, now time.Time) (Cursor, *Occurrence) {
	c = s.Reconcile(c, standing, now)
	if c.At.IsZero() || c.At.After(now) {
		return c, nil
	}
	zone, offset := standing.location, s.offset(c.Tenant)
	due := &Occurrence{Tenant: c.Tenant, Time: c.Time, First: c.Time, Zone: zone}
	isDue := func(w Wall) bool { return !w.IsZero() && !w.At(zone).Add(offset).After(now) }
	// After a long time nobody walks through each of its minutes.
	if late := s.Rule.Next(WallIn(now, zone).Add(-offset - 48*time.Hour)); due.Time.Before(late) && isDue(late) {
		due.Time = late
	}
	next := s.Rule.Next(due.Time)
	for ; isDue(next); next = s.Rule.Next(next) {
		due.Time = next
	}
	c.Time = next
	grace := s.Grace
	if grace <= 0 {
		grace = defaultGrace
	}
	if s.Missed == Skip && now.Sub(due.Time.At(zone).Add(offset)) > grace {
		due = nil
	}
	return s.place(c, standing), due
}

// place computes when the cursor's time falls due.
func (s Schedule) place(c Cursor, standing Standing) Cursor {
	c.At = time.Time{}
	if standing.IsActive && !c.Time.IsZero() {
		c.At = c.Time.At(standing.location).Add(s.offset(c.Tenant))
	}
	return c
}
