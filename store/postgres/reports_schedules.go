package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

var _ reports.Directory = (*Identity)(nil)

// FindMembers returns the users who are members of the scope's tenant and may sign in.
func (i *Identity) FindMembers(ctx context.Context, scope tenancy.Scope, users []tenancy.ID) ([]reports.Person, error) {
	list, err := all(i.db.Scoped(ctx, scope), func(row scanner) (p reports.Person, err error) {
		return p, row.Scan(&p.ID, &p.Name, &p.Email)
	}, `select u.id, u.name, u.email from memberships m join users u on u.id = m.user_id
		where m.tenant_id = $1 and m.user_id = any ($2::uuid[]) and u.state = 'active' order by u.id`, scope.Tenant, users)
	return list, translate(err)
}

const reportScheduleColumns = `s.tenant_id, s.id, s.kind, s.is_default, s.local_time, to_json(s.subscribers), to_json(s.formats), s.enabled,
	s.version, s.created_at, s.updated_at`

// reportScheduleRows are the schedules that are not deleted.
func reportScheduleRows() rowsOf[reports.Schedule] {
	return rowsOf[reports.Schedule]{
		query: "select " + reportScheduleColumns + " from report_schedules s where s.tenant_id = $1 and s.deleted_at is null", id: "s.id",
		read: readReportSchedule, missing: reports.ErrScheduleNotFound,
	}
}

func readReportSchedule(row scanner) (s reports.Schedule, err error) {
	var subscribers, formats []byte
	if err := row.Scan(&s.TenantID, &s.ID, &s.Kind, &s.IsDefault, &s.LocalTime, &subscribers, &formats, &s.Enabled, &s.Version,
		&s.CreatedAt, &s.UpdatedAt); err != nil {
		return s, err
	}
	if err := json.Unmarshal(subscribers, &s.Subscribers); err != nil {
		return s, fmt.Errorf("read a schedule's subscribers: %w", err)
	}
	if err := json.Unmarshal(formats, &s.Formats); err != nil {
		return s, fmt.Errorf("read a schedule's formats: %w", err)
	}
	return s, nil
}

// EnsureDefaults saves the defaults that the tenant has not had yet. Where it has had all, it only reads.
func (s *Reports) EnsureDefaults(ctx context.Context, scope tenancy.Scope, defaults []reports.Schedule) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	had, err := all(db.Scoped(ctx, scope), func(row scanner) (kind string, err error) { return kind, row.Scan(&kind) },
		"select s.kind from report_schedules s where s.tenant_id = $1 and s.is_default", scope.Tenant)
	if err != nil {
		return translate(err)
	}
	missing := slices.DeleteFunc(slices.Clone(defaults), func(d reports.Schedule) bool { return slices.Contains(had, d.Kind) })
	if len(missing) == 0 {
		return nil
	}
	return s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		for _, d := range missing {
			if err := insertReportSchedule(tx, scope.Tenant, d, " on conflict (tenant_id, kind) where is_default do nothing"); err != nil {
				return err
			}
		}
		return nil
	})
}

// CreateSchedule saves a schedule.
func (s *Reports) CreateSchedule(ctx context.Context, scope tenancy.Scope, schedule reports.Schedule) error {
	return s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		allowed := allowance{table: "report_schedules", live: "and deleted_at is null", most: reports.MaxSchedules, tooMany: reports.ErrTooManySchedules}
		if err := allowed.mayAdd(tx, scope.Tenant); err != nil {
			return err
		}
		if err := insertReportSchedule(tx, scope.Tenant, schedule, ""); err != nil {
			return err
		}
		return tellAct(tx, scope, schedule.CreatedAt, "report_schedule.created", "report_schedule", schedule.ID, schedule.Version,
			reportScheduleChanges(reports.Schedule{}, schedule)...)
	})
}

func insertReportSchedule(tx *gorm.DB, tenant tenancy.ID, s reports.Schedule, conflict string) error {
	return Defer(tx, `insert into report_schedules
		(tenant_id, id, kind, is_default, local_time, subscribers, formats, enabled, version, created_at, updated_at)
		values ($1, $2, $3, $4, $5, $6::uuid[], $7, $8, $9, $10, $11)`+conflict,
		tenant, s.ID, s.Kind, s.IsDefault, s.LocalTime, s.Subscribers, textList(s.Formats), s.Enabled, s.Version, s.CreatedAt, s.UpdatedAt)
}

// ListSchedules returns schedules, newest first.
func (s *Reports) ListSchedules(ctx context.Context, scope tenancy.Scope, request page.Request) ([]reports.Schedule, error) {
	return reportScheduleRows().listIn(ctx, s.tenanted, scope, request)
}

// FindSchedule returns one schedule.
func (s *Reports) FindSchedule(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (reports.Schedule, error) {
	return reportScheduleRows().findIn(ctx, s.tenanted, scope, id)
}

// ChangeSchedule alters a schedule while nobody else does.
func (s *Reports) ChangeSchedule(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time,
	change func(*reports.Schedule) error,
) (after reports.Schedule, err error) {
	err = s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		before, err := reportScheduleRows().find(tx, scope.Tenant, id, " for update")
		if err != nil {
			return err
		}
		after = before
		if err := change(&after); err != nil {
			return err
		}
		changes := reportScheduleChanges(before, after)
		if len(changes) == 0 {
			return nil
		}
		after.Version, after.UpdatedAt = before.Version+1, now
		if err := Defer(tx, `update report_schedules set local_time = $3, subscribers = $4::uuid[], formats = $5, enabled = $6, version = $7,
			updated_at = $8 where tenant_id = $1 and id = $2`,
			scope.Tenant, id, after.LocalTime, after.Subscribers, textList(after.Formats), after.Enabled, after.Version, now); err != nil {
			return err
		}
		return tellAct(tx, scope, now, "report_schedule.updated", "report_schedule", id, after.Version, changes...)
	})
	return after, err
}

func reportScheduleChanges(before, after reports.Schedule) (changes []audit.Change) {
	add := func(field string, same bool, from, to any) {
		if !same {
			changes = append(changes, audit.Change{Field: field, From: from, To: to})
		}
	}
	add("kind", before.Kind == after.Kind, before.Kind, after.Kind)
	add("local_time", before.LocalTime == after.LocalTime, before.LocalTime, after.LocalTime)
	add("subscribers", slices.Equal(before.Subscribers, after.Subscribers), before.Subscribers, after.Subscribers)
	add("formats", slices.Equal(before.Formats, after.Formats), before.Formats, after.Formats)
	add("enabled", before.Enabled == after.Enabled, before.Enabled, after.Enabled)
	return changes
}

// DeleteSchedule ends a schedule; that of a default stays known, so that it is not made again.
func (s *Reports) DeleteSchedule(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match, now time.Time) error {
	return s.inTx(ctx, scope, func(_ context.Context, tx *gorm.DB) error {
		found, err := reportScheduleRows().find(tx, scope.Tenant, id, " for update")
		if err != nil {
			return err
		}
		if err := match.Check(found.Version, "report schedule"); err != nil {
			return err
		}
		if err := Defer(tx, `update report_schedules set deleted_at = $3, updated_at = $3, version = version + 1, subscribers = '{}'
			where tenant_id = $1 and id = $2`, scope.Tenant, id, now); err != nil {
			return err
		}
		return tellAct(tx, scope, now, "report_schedule.deleted", "report_schedule", id, found.Version+1)
	})
}
