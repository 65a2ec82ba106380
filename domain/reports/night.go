package reports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/schedules"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

const (
	// mostNights is how many nights are caught up with after the scheduler was away.
	mostNights = 31
	// spread is how long after a schedule's time its report is made at the latest, if workers are free: each tenant has
	// its own place in it.
	spread = 20 * time.Minute
)

// Nightly plans a night: a run for each enabled schedule, at its time. Nights that were missed are made up for without
// mail.
func (s *Service) Nightly(ctx context.Context, run *jobs.Run, args Nightly) error {
	tenant, err := s.needs.Directory.FindTenant(ctx, run.Scope)
	if err != nil {
		return err
	}
	if err := s.needs.ensureDefaults(ctx, run.Scope); err != nil {
		return err
	}
	list, err := s.needs.Schedules.ListSchedules(ctx, run.Scope, page.Request{Limit: MaxSchedules})
	if err != nil {
		return err
	}
	zone := zoneOf(tenant.TimeZone)
	last, first := DayOf(args.Time.Fields(), time.UTC).Add(-1), DayOf(args.First.Fields(), time.UTC).Add(-1)
	if earliest := last.Add(1 - mostNights); first.Before(earliest) {
		first = earliest
	}
	var planned []jobs.New
	plan := func(r Run, at time.Time) error {
		job, err := jobs.Of(r)
		planned = append(planned, job.At(at))
		return err
	}
	kinds := map[string]bool{}
	for _, schedule := range list {
		if _, known := s.needs.kind(schedule.Kind); !schedule.Enabled || !known {
			continue
		}
		hour, minute, err := clock(schedule.LocalTime)
		if err != nil {
			return jobs.Permanent(err)
		}
		wall := schedules.WallOf(args.Time.Fields().Truncate(24 * time.Hour)).Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
		if err := plan(Run{Kind: schedule.Kind, Day: last, Schedule: &schedule.ID, Night: true}, wall.At(zone).Add(place(run.Scope.Tenant))); err != nil {
			return err
		}
		for day := first; day.Before(last) && !kinds[schedule.Kind]; day = day.Add(1) {
			if err := plan(Run{Kind: schedule.Kind, Day: day}, time.Time{}); err != nil {
				return err
			}
		}
		kinds[schedule.Kind] = true
	}
	if len(planned) == 0 {
		return nil
	}
	_, err = s.needs.Queue.Enqueue(ctx, run.Scope, planned...)
	return err
}

// place is where a tenant stands in the time over which runs are spread.
func place(tenant tenancy.ID) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write(tenant[:])
	return time.Duration(h.Sum64() % uint64(spread)) //nolint:gosec // it is below the spread
}

// Run makes the report of a day and keeps it: a new version where its figures are others than those that are kept. A run
// of the night has the days run again of whose data more is known now than when they were reported.
func (s *Service) Run(ctx context.Context, run *jobs.Run, args Run) error {
	return s.needs.Rights.Settle(ctx, run, args.asker(), s.run(ctx, run, args))
}

func (s *Service) run(ctx context.Context, run *jobs.Run, args Run) error {
	kind, known := s.needs.kind(args.Kind)
	if !known {
		return jobs.Cancel(fmt.Errorf("there is no kind of report %q any more", args.Kind))
	}
	if err := s.needs.Rights.Check(ctx, run.Scope, args.asker(), members.ReportsWrite); err != nil {
		return err
	}
	if args.Schedule != nil {
		schedule, err := s.needs.Schedules.FindSchedule(ctx, run.Scope, *args.Schedule)
		if fault.KindOf(err) == fault.NotFound && err != nil || err == nil && args.Night && !schedule.Enabled {
			return jobs.Cancel(errors.New("the schedule was deleted or disabled"))
		}
		if err != nil {
			return err
		}
	}
	tenant, err := s.needs.Directory.FindTenant(ctx, run.Scope)
	if err != nil {
		return err
	}
	period := NewPeriod(args.Day, kind.Days, zoneOf(tenant.TimeZone))
	data, asOf, err := kind.read(ctx, run.Scope, period)
	if err != nil {
		return err
	}
	now := s.needs.moment()
	report := Kept{
		Report: Report{Data: data, Head: Head{
			TenantID: run.Scope.Tenant, ID: tenancy.NewID(), Kind: kind.Name, Day: args.Day, TimeZone: period.ZoneName,
			StartsAt: period.Start().UTC(), EndsAt: period.End().UTC(), AsOf: asOf.UTC(), Changes: []Change{}, CreatedAt: now,
		}},
		Differences: func(before json.RawMessage) ([]Change, error) { return kind.differences(before, data) },
	}
	kept, isNew, err := s.needs.Store.KeepReport(ctx, run.Scope, report, func(ctx context.Context, kept Report) error {
		if err := s.needs.Rights.Check(ctx, run.Scope, args.asker(), members.ReportsWrite); err != nil {
			return err
		}
		return s.follow(ctx, run, args, kept)
	})
	if err != nil {
		return err
	}
	if args.Night {
		if err := s.catchUp(ctx, run, kind, kept); err != nil {
			return err
		}
	}
	return run.SetResult(Result{ReportID: kept.ID, Day: kept.Day, Version: kept.Version, IsNew: isNew})
}

// follow enqueues what comes of a report, in the transaction that keeps it.
func (s *Service) follow(ctx context.Context, run *jobs.Run, args Run, kept Report) error {
	if args.Schedule == nil {
		return nil
	}
	_, err := jobs.Enqueue(ctx, s.needs.Queue, run.Scope, Mailing{ReportID: kept.ID, ScheduleID: *args.Schedule, Run: run.Job.ID})
	return err
}

// catchUp has earlier days run again of which the night before knew less.
func (s *Service) catchUp(ctx context.Context, run *jobs.Run, kind Kind, kept Report) error {
	before, found, err := s.needs.Store.FindLatestReport(ctx, run.Scope, kind.Name, kept.Day.Add(-1))
	if err != nil || !found {
		return err
	}
	late, err := kind.late(kept.Data, before.Data)
	if err != nil {
		return err
	}
	var again []jobs.New
	for _, day := range late {
		_, found, err := s.needs.Store.FindLatestReport(ctx, run.Scope, kind.Name, day)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		job, err := jobs.Of(Run{Kind: kind.Name, Day: day})
		if err != nil {
			return err
		}
		again = append(again, job)
	}
	if len(again) == 0 {
		return nil
	}
	_, err = s.needs.Queue.Enqueue(ctx, run.Scope, again...)
	return err
}
