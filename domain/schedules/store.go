package schedules

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenants"
)

// Store keeps where tenants stand in schedules. It acts for the system, across tenants.
type Store interface {
	// Now is the database's time, which all schedulers share.
	Now(ctx context.Context) (time.Time, error)
	// MeetDue holds cursors that are due and that nobody else holds, has meet say what becomes of each, and saves cursors,
	// times and jobs: all of them or none. A time that was met before makes no job, and a job whose key is taken is not
	// made either. It answers how many cursors it held and how many jobs it made.
	MeetDue(ctx context.Context, query DueQuery, meet func(Stand) (Meeting, error)) (held, made int, err error)
	// Reconcile finds up to limit stands that are not as they should be, a tenant's without a cursor among them, has
	// settle say what the cursor is to be, and saves it where nobody changed it meanwhile. It answers how many it found;
	// where another scheduler is at it, none.
	Reconcile(ctx context.Context, declared []Declared, limit int, settle func(Stand) Cursor) (found int, err error)
	// PruneTimes removes up to limit times that were met before a moment, and cursors of schedules that are not declared
	// any more and were due before it.
	PruneTimes(ctx context.Context, declared []string, before time.Time, limit int) (removed int, err error)
}

// DueQuery selects cursors that are due.
type DueQuery struct {
	Schedules []string
	// Now is the moment at which they are due.
	Now time.Time
	// Limit is how many of each schedule are held at once.
	Limit int
}

// Declared is what the store needs to know of a schedule.
type Declared struct {
	Name, Rule string
	PerTenant  bool
	// Zone is that of a schedule that is not PerTenant.
	Zone string
}

// Stand is a cursor, as it is kept, and what is true of its tenant now.
type Stand struct {
	Cursor
	// IsNew says that there is no cursor yet: all but its tenant and schedule is zero.
	IsNew bool
	State tenants.State
	// TenantZone is the tenant's own.
	TenantZone string
}

// Meeting is what becomes of a cursor.
type Meeting struct {
	Cursor Cursor
	// Time is the one that is met, with the job for it; zero for none.
	Time Wall
	Job  jobs.New
}

// Declare is what the store needs to know of the schedule.
func (s Schedule) Declare() Declared {
	d := Declared{Name: s.Name, Rule: s.Rule.String(), PerTenant: s.PerTenant}
	if !s.PerTenant {
		d.Zone = s.zone("")
	}
	return d
}

// Settle returns the cursor that a stand is to have.
func (s Schedule) Settle(stand Stand, zones *Zones, now time.Time) Cursor {
	standing := zones.Standing(stand.State, s.zone(stand.TenantZone))
	if stand.IsNew {
		return s.Begin(stand.Tenant, standing, now)
	}
	return s.Reconcile(stand.Cursor, standing, now)
}

// Decide returns what becomes of a cursor that may be due.
func (s Schedule) Decide(stand Stand, zones *Zones, now time.Time) (Meeting, error) {
	cursor, due := s.Meet(stand.Cursor, zones.Standing(stand.State, s.zone(stand.TenantZone)), now)
	if due == nil {
		return Meeting{Cursor: cursor}, nil
	}
	job, err := jobs.Of(s.Job(*due))
	return Meeting{Cursor: cursor, Time: due.Time, Job: job}, err
}

// zone is the name of the zone that counts.
func (s Schedule) zone(tenant string) string {
	switch {
	case s.PerTenant:
		return tenant
	case s.Zone == "":
		return "UTC"
	default:
		return s.Zone
	}
}

// RequestID is that of the jobs which a schedule makes: it names the schedule and the time.
func RequestID(schedule string, time Wall) string {
	return "schedule/" + schedule + "/" + time.String()
}
