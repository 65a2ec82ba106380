package reports

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// Schedule says when the report of the day before is made, and who is sent it.
type Schedule struct {
	TenantID  tenancy.ID `json:"-"`
	ID        tenancy.ID `json:"id"`
	Kind      string     `json:"kind" example:"daily_sales"`
	IsDefault bool       `json:"is_default" doc:"The schedule that every organization begins with."`
	// LocalTime is on the clocks of the tenant's zone.
	LocalTime   string       `json:"local_time" example:"06:00" doc:"When the report of the day before is made, on the clocks of the organization's time zone."`
	Subscribers []tenancy.ID `json:"subscribers" doc:"The users who are sent it by e-mail; those who are no members any more are left out."`
	Formats     []string     `json:"formats" example:"pdf" doc:"What is attached to the e-mail: pdf, xlsx, csv."`
	Enabled     bool         `json:"enabled"`
	Version     int64        `json:"version"`
	CreatedAt   time.Time    `json:"created_at"`
	UpdatedAt   time.Time    `json:"updated_at"`
}

// Settings are what can be changed of a schedule.
type Settings struct {
	LocalTime   string       `json:"local_time" validate:"required" example:"06:00" doc:"When the report of the day before is made, as HH:MM on the clocks of the organization's time zone."`
	Subscribers []tenancy.ID `json:"subscribers" validate:"max=100,unique" doc:"The users who are sent it by e-mail: members of the organization."`
	Formats     []string     `json:"formats" validate:"max=3,unique,dive,oneof=pdf xlsx csv" example:"pdf" doc:"What is attached to the e-mail: pdf, xlsx, csv."`
	Enabled     bool         `json:"enabled" doc:"Whether the report is made and sent."`
}

// Input is a schedule that is wanted.
type Input struct {
	Kind        string       `json:"kind" validate:"required,max=100" example:"daily_sales" doc:"What is reported."`
	LocalTime   *string      `json:"local_time" example:"06:00" doc:"When the report of the day before is made, as HH:MM on the clocks of the organization's time zone; 06:00 where it is left out."`
	Subscribers []tenancy.ID `json:"subscribers" validate:"max=100,unique" doc:"The users who are sent it by e-mail: members of the organization."`
	Formats     []string     `json:"formats" validate:"max=3,unique,dive,oneof=pdf xlsx csv" example:"pdf" doc:"What is attached to the e-mail: pdf, xlsx, csv."`
	Enabled     *bool        `json:"enabled" doc:"Whether the report is made and sent; true where it is left out."`
}

// What a schedule begins with, and how many a tenant may have.
const (
	DefaultLocalTime = "06:00"
	MaxSchedules     = 50
)

// ScheduleStore keeps schedules.
type ScheduleStore interface {
	// EnsureDefaults saves the defaults that the tenant has not had yet.
	EnsureDefaults(ctx context.Context, scope tenancy.Scope, defaults []Schedule) error
	// CreateSchedule saves a schedule; Conflict "report_schedule.too_many" where the tenant has MaxSchedules.
	CreateSchedule(ctx context.Context, scope tenancy.Scope, schedule Schedule) error
	// ListSchedules returns up to one more than the limit, newest first.
	ListSchedules(ctx context.Context, scope tenancy.Scope, request page.Request) ([]Schedule, error)
	// FindSchedule returns one; NotFound "report_schedule.not_found".
	FindSchedule(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Schedule, error)
	// ChangeSchedule lets change alter one that is held, and keeps it with its next version where it differs.
	ChangeSchedule(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time, change func(*Schedule) error) (Schedule, error)
	// DeleteSchedule ends one.
	DeleteSchedule(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match, now time.Time) error
}

// Schedules is what a tenant does with its schedules.
type Schedules struct{ needs Needs }

// NewSchedules returns the service.
func NewSchedules(needs Needs) *Schedules { return &Schedules{needs: needs} }

// Create makes a schedule.
func (s *Schedules) Create(ctx context.Context, scope tenancy.Scope, in Input) (Schedule, error) {
	now := s.needs.moment()
	schedule := Schedule{TenantID: scope.Tenant, ID: tenancy.NewID(), Kind: in.Kind, Version: 1, CreatedAt: now, UpdatedAt: now}
	settings := Settings{LocalTime: DefaultLocalTime, Subscribers: in.Subscribers, Formats: in.Formats, Enabled: true}
	if in.LocalTime != nil {
		settings.LocalTime = *in.LocalTime
	}
	if in.Enabled != nil {
		settings.Enabled = *in.Enabled
	}
	violations := validation.Violations(s.needs.Validate, in)
	if in.Kind != "" {
		violations = append(violations, s.needs.checkKind(in.Kind)...)
	}
	if err := s.apply(ctx, scope, &schedule, settings, violations); err != nil {
		return Schedule{}, err
	}
	return schedule, s.needs.Schedules.CreateSchedule(ctx, scope, schedule)
}

// List returns one page, newest first. A tenant's defaults are made where they have not been.
func (s *Schedules) List(ctx context.Context, scope tenancy.Scope, request page.Request) (page.Page[Schedule], error) {
	request = request.Normalized()
	if err := s.needs.ensureDefaults(ctx, scope); err != nil {
		return page.Page[Schedule]{}, err
	}
	rows, err := s.needs.Schedules.ListSchedules(ctx, scope, request)
	if err != nil {
		return page.Page[Schedule]{}, err
	}
	return page.Of(rows, request, func(s Schedule) page.Position { return page.Position{s.ID.String()} }), nil
}

// Find returns one schedule.
func (s *Schedules) Find(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Schedule, error) {
	return s.needs.Schedules.FindSchedule(ctx, scope, id)
}

// Change lets apply alter the settings. A night that is planned already keeps its time.
func (s *Schedules) Change(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match, apply func(*Settings) error,
) (Schedule, error) {
	return s.needs.Schedules.ChangeSchedule(ctx, scope, id, s.needs.moment(), func(schedule *Schedule) error {
		if err := match.Check(schedule.Version, "report schedule"); err != nil {
			return err
		}
		settings := Settings{
			LocalTime: schedule.LocalTime, Subscribers: slices.Clone(schedule.Subscribers), Formats: slices.Clone(schedule.Formats),
			Enabled: schedule.Enabled,
		}
		if err := apply(&settings); err != nil {
			return err
		}
		return s.apply(ctx, scope, schedule, settings, validation.Violations(s.needs.Validate, settings))
	})
}

// Delete ends a schedule: what it made stays.
func (s *Schedules) Delete(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match) error {
	return s.needs.Schedules.DeleteSchedule(ctx, scope, id, match, s.needs.moment())
}

// apply checks settings and gives them to the schedule. Subscribers are looked up where they are new: one who has left
// since does not keep the rest from being changed.
func (s *Schedules) apply(ctx context.Context, scope tenancy.Scope, schedule *Schedule, in Settings, violations []fault.Violation) error {
	if _, _, err := clock(in.LocalTime); err != nil && in.LocalTime != "" {
		violations = append(violations, fault.Violation{Pointer: "/local_time", Code: "time", Detail: err.Error()})
	}
	if len(violations) > 0 {
		return fault.Values(violations...)
	}
	added := slices.DeleteFunc(slices.Clone(in.Subscribers), func(id tenancy.ID) bool { return slices.Contains(schedule.Subscribers, id) })
	if len(added) > 0 {
		found, err := s.needs.Directory.FindMembers(ctx, scope, added)
		if err != nil {
			return err
		}
		for i, id := range in.Subscribers {
			if slices.Contains(added, id) && !slices.ContainsFunc(found, func(p Person) bool { return p.ID == id }) {
				violations = append(violations, fault.Violation{
					Pointer: "/subscribers/" + strconv.Itoa(i), Code: "member", Detail: "is no member of the organization; invite them first",
				})
			}
		}
	}
	if len(violations) > 0 {
		return fault.Values(violations...)
	}
	schedule.LocalTime, schedule.Enabled = in.LocalTime, in.Enabled
	schedule.Subscribers, schedule.Formats = emptied(in.Subscribers), emptied(in.Formats)
	return nil
}

// emptied is an empty list in the place of none.
func emptied[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// clock reads a time of day such as 06:00.
func clock(text string) (hour, minute int, err error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, 0, fmt.Errorf("is not a time of day; write it as %s, from 00:00 to 23:59", DefaultLocalTime)
	}
	return t.Hour(), t.Minute(), nil
}

// ErrScheduleNotFound is the answer for a schedule that is not there.
func ErrScheduleNotFound() error {
	return fault.New(fault.NotFound, "report_schedule.not_found", "There is no such report schedule.")
}

// ErrTooManySchedules is the answer to one more than MaxSchedules.
func ErrTooManySchedules() error {
	return fault.New(fault.Conflict, "report_schedule.too_many",
		"There are "+strconv.Itoa(MaxSchedules)+" report schedules, which is the most; delete one that is not needed.")
}
