package reports

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// Person is a member as they are written to.
type Person struct {
	ID          tenancy.ID
	Name, Email string
}

// Directory knows the tenant and its members.
type Directory interface {
	// FindTenant returns the scope's tenant.
	FindTenant(ctx context.Context, scope tenancy.Scope) (tenants.Tenant, error)
	// FindMembers returns those of the users who are members of the scope's tenant and may sign in.
	FindMembers(ctx context.Context, scope tenancy.Scope, users []tenancy.ID) ([]Person, error)
}

// Needs is what the services work with.
type Needs struct {
	Kinds     []Kind
	Store     Store
	Schedules ScheduleStore
	Directory Directory
	Queue     jobs.Queue
	Printer   Printer
	// Rights says whether who asked for a run may still have it.
	Rights   *access.Rights
	Validate validation.Validator
	Now      func() time.Time
}

// Service is what a tenant does with its reports.
type Service struct {
	needs Needs
	pages *pages
}

// NewService returns the service.
func NewService(needs Needs) (*Service, error) {
	pages, err := readPages()
	return &Service{needs: needs, pages: pages}, err
}

// List returns one page, the latest day first.
func (s *Service) List(ctx context.Context, scope tenancy.Scope, query Query) (page.Page[Head], error) {
	query.Request = query.Normalized()
	rows, err := s.needs.Store.ListReports(ctx, scope, query)
	if err != nil {
		return page.Page[Head]{}, err
	}
	return page.Of(rows, query.Request, func(h Head) page.Position { return page.Position{h.Day.String(), h.ID.String()} }), nil
}

// Find returns one report.
func (s *Service) Find(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Report, error) {
	return s.needs.Store.FindReport(ctx, scope, id)
}

// Request is a report that is wanted.
type Request struct {
	Kind string `json:"kind" validate:"required,max=100" example:"daily_sales" doc:"What is to be reported."`
	Day  string `json:"day" validate:"required,max=10" example:"2026-11-24" doc:"The day that it is to be about; it must have ended in the organization's time zone."`
}

// Order has the report of a day made, or made again, by a job.
func (s *Service) Order(ctx context.Context, scope tenancy.Scope, in Request) (jobs.Enqueued, error) {
	violations := validation.Violations(s.needs.Validate, in)
	if in.Kind != "" {
		violations = append(violations, s.needs.checkKind(in.Kind)...)
	}
	return s.order(ctx, scope, Run{Kind: in.Kind}, in.Day, violations)
}

// Send is a report that is wanted by those who subscribe to a schedule.
type Send struct {
	Day *string `json:"day" validate:"omitempty,max=10" example:"2026-11-24" doc:"The day that it is to be about; the last that ended where it is left out."`
}

// Send has a report made and mailed to a schedule's subscribers now, by a job.
func (s *Service) Send(ctx context.Context, scope tenancy.Scope, schedule tenancy.ID, in Send) (jobs.Enqueued, error) {
	found, err := s.needs.Schedules.FindSchedule(ctx, scope, schedule)
	if err != nil {
		return jobs.Enqueued{}, err
	}
	violations := validation.Violations(s.needs.Validate, in)
	day := ""
	if in.Day != nil {
		if day = *in.Day; day == "" {
			violations = append(violations, fault.Violation{Pointer: "/day", Code: "day", Detail: errNoDay.Error()})
		}
	}
	return s.order(ctx, scope, Run{Kind: found.Kind, Schedule: &schedule}, day, violations)
}

// order enqueues a run for a day, for the last that ended where none is named.
func (s *Service) order(ctx context.Context, scope tenancy.Scope, run Run, day string, violations []fault.Violation) (jobs.Enqueued, error) {
	tenant, err := s.needs.Directory.FindTenant(ctx, scope)
	if err != nil {
		return jobs.Enqueued{}, err
	}
	last := DayOf(s.needs.moment(), zoneOf(tenant.TimeZone)).Add(-1)
	run.Day = last
	if day != "" {
		if run.Day, err = ParseDay(day); err != nil {
			violations = append(violations, fault.Violation{Pointer: "/day", Code: "day", Detail: err.Error()})
		} else if last.Before(run.Day) {
			violations = append(violations, fault.Violation{
				Pointer: "/day", Code: "not_over", Detail: fmt.Sprintf("has not ended yet in %s; the last that has is %s", tenant.TimeZone, last),
			})
		}
	}
	if len(violations) > 0 {
		return jobs.Enqueued{}, fault.Values(violations...)
	}
	if scope.Actor.Kind != tenancy.System {
		run.AskedBy, run.AskedAs = scope.Actor.ID, scope.Actor.Kind
	}
	return jobs.Enqueue(ctx, s.needs.Queue, scope, run)
}

// kind is a kind by its name.
func (n Needs) kind(name string) (Kind, bool) {
	i := slices.IndexFunc(n.Kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return n.Kinds[i], true
}

func (n Needs) checkKind(name string) []fault.Violation {
	if _, known := n.kind(name); known {
		return nil
	}
	names := make([]string, len(n.Kinds))
	for i, k := range n.Kinds {
		names[i] = k.Name
	}
	return []fault.Violation{{Pointer: "/kind", Code: "oneof", Detail: "is no kind of report; the kinds are: " + strings.Join(names, ", ")}}
}

// ensureDefaults makes the schedules that a tenant begins with. They send nothing to anybody until somebody subscribes.
func (n Needs) ensureDefaults(ctx context.Context, scope tenancy.Scope) error {
	now := n.moment()
	defaults := make([]Schedule, len(n.Kinds))
	for i, k := range n.Kinds {
		defaults[i] = Schedule{
			TenantID: scope.Tenant, ID: tenancy.NewID(), Kind: k.Name, IsDefault: true, LocalTime: DefaultLocalTime, Enabled: true,
			Subscribers: []tenancy.ID{}, Formats: []string{}, Version: 1, CreatedAt: now, UpdatedAt: now,
		}
	}
	return n.Schedules.EnsureDefaults(ctx, scope, defaults)
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (n Needs) moment() time.Time { return n.Now().UTC().Truncate(time.Microsecond) }
