package reports

import (
	"time"

	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/schedules"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Nightly plans a tenant's night: a Run for each of its schedules, at the schedule's time. First and Time are the wall
// times that it is for; where the scheduler was away they are nights apart.
type Nightly struct {
	First schedules.Wall `json:"first"`
	Time  schedules.Wall `json:"time"`
}

// JobKind declares the kind.
func (Nightly) JobKind() jobs.Kind {
	return jobs.Kind{Name: "reports.nightly", Queue: jobs.Reports, Timeout: time.Minute, Transactional: true}
}

// NightlyName is the name of the schedule that plans the nights.
const NightlyName = "reports"

// NightlySchedule is when nights are planned: soon after each tenant's midnight, spread so that ten thousand tenants of
// one zone are not planned at once.
func NightlySchedule() schedules.Schedule {
	return schedules.Schedule{
		Name: NightlyName, Rule: schedules.Daily(0, 5), PerTenant: true, Spread: 20 * time.Minute,
		Job: func(o schedules.Occurrence) jobs.Args { return Nightly{First: o.First, Time: o.Time} },
	}
}

// Run makes the report of a day, and has it mailed where a schedule asks for that.
type Run struct {
	Kind string `json:"kind"`
	Day  Day    `json:"day"`
	// Schedule is whose subscribers are told; nil for nobody.
	Schedule *tenancy.ID `json:"schedule_id,omitempty"`
	// Night says that the schedule's time has come; else somebody asked.
	Night bool `json:"night,omitempty"`
	// AskedBy is the user or key who asked, as AskedAs says; nobody did where both are left out. Each asker has a run of
	// their own: what one may not have done any more is done for the others.
	AskedBy tenancy.ID        `json:"asked_by,omitzero"`
	AskedAs tenancy.ActorKind `json:"asked_as,omitempty"`
}

func (r Run) asker() access.Asker { return access.Asker{Kind: r.AskedAs, ID: r.AskedBy} }

// JobKind declares the kind. A run that is asked for while one waits is that one; while one is under way it is another,
// which sees what changed since.
func (Run) JobKind() jobs.Kind {
	return jobs.Kind{
		Name: "reports.run", Queue: jobs.Reports, Timeout: 15 * time.Minute, Unique: jobs.UniqueWhilePending, MaxRunning: 2,
	}
}

// Result is what a Run answers.
type Result struct {
	ReportID tenancy.ID `json:"report_id"`
	Day      Day        `json:"day"`
	Version  int64      `json:"version"`
	// IsNew says that the version was made by this run; else the day's figures are what they were.
	IsNew bool `json:"is_new"`
}

// Mailing has a report mailed to the subscribers of a schedule.
type Mailing struct {
	ReportID   tenancy.ID `json:"report_id"`
	ScheduleID tenancy.ID `json:"schedule_id"`
	// Run is the job that asked: it asks once, however often it is tried.
	Run tenancy.ID `json:"-"`
}

// JobKind declares the kind. A report that could not be mailed for a day is not news any more.
func (Mailing) JobKind() jobs.Kind {
	return jobs.Kind{
		Name: "mail.report", Queue: jobs.Default, MaxAttempts: 15, Timeout: 5 * time.Minute,
		Unique: jobs.UniqueForPeriod, UniqueFor: 48 * time.Hour,
	}
}

// JobKey is the run that asked.
func (m Mailing) JobKey() string { return m.Run.String() }
