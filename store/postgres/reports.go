package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Reports keeps reports and the schedules of reports. It implements reports.Store and reports.ScheduleStore. Its SQL is
// written out; each statement names the tenant.
type Reports struct{ tenanted }

var (
	_ reports.Store         = (*Reports)(nil)
	_ reports.ScheduleStore = (*Reports)(nil)
)

// NewReports returns the reports of the tenants' databases.
func NewReports(router Router) *Reports { return &Reports{tenanted{router}} }

const headColumns = "r.tenant_id, r.id, r.kind, r.day, r.version, r.time_zone, r.starts_at, r.ends_at, r.as_of, r.changes, " +
	"r.created_at, r.superseded_at"

// headRow is a report's head on its way out of the database.
type headRow struct {
	reports.Head

	changes []byte
}

func (r *headRow) fields() []any {
	h := &r.Head
	return []any{
		&h.TenantID, &h.ID, &h.Kind, &h.Day, &h.Version, &h.TimeZone, &h.StartsAt, &h.EndsAt, &h.AsOf, &r.changes, &h.CreatedAt,
		&h.SupersededAt,
	}
}

func (r *headRow) finish() error {
	if err := json.Unmarshal(r.changes, &r.Changes); err != nil {
		return fmt.Errorf("read a report's changes: %w", err)
	}
	return nil
}

func readHead(row scanner) (reports.Head, error) {
	var r headRow
	if err := row.Scan(r.fields()...); err != nil {
		return reports.Head{}, err
	}
	return r.Head, r.finish()
}

func readReport(row scanner) (reports.Report, error) {
	var r headRow
	var data []byte
	if err := row.Scan(append(r.fields(), &data)...); err != nil {
		return reports.Report{}, err
	}
	err := r.finish()
	return reports.Report{Head: r.Head, Data: data}, err
}

// KeepReport saves a report as the next version of its day, unless it says nothing new. Those of one day come one after
// the other.
func (s *Reports) KeepReport(ctx context.Context, scope tenancy.Scope, report reports.Kept, then func(context.Context, reports.Report) error,
) (kept reports.Report, isNew bool, err error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return reports.Report{}, false, err
	}
	err = db.InTx(ctx, scope, func(ctx context.Context) error {
		kept, isNew = report.Report, true
		tx := db.Scoped(ctx, scope)
		if err := Lock(tx, LockKey("report", append(scope.Tenant[:], kept.Kind+kept.Day.String()...)...)); err != nil {
			return err
		}
		latest, found, err := findLatestReport(tx, scope.Tenant, kept.Kind, kept.Day)
		if err != nil {
			return err
		}
		kept.Version = 1
		if found {
			if kept.Changes, err = report.Differences(latest.Data); err != nil {
				return err
			}
			if len(kept.Changes) == 0 || !kept.AsOf.After(latest.AsOf) {
				kept, isNew = latest, false
				return then(ctx, kept)
			}
			kept.Version = latest.Version + 1
			if err := Defer(tx, "update reports set superseded_at = $3 where tenant_id = $1 and id = $2", scope.Tenant, latest.ID, kept.CreatedAt); err != nil {
				return err
			}
		}
		if err := insertReport(tx, scope.Tenant, kept); err != nil {
			return err
		}
		return then(ctx, kept)
	})
	return kept, isNew, translate(err)
}

func insertReport(tx *gorm.DB, tenant tenancy.ID, r reports.Report) error {
	changes, err := json.Marshal(r.Changes)
	if err != nil {
		return fmt.Errorf("write a report's changes: %w", err)
	}
	return Defer(tx, `insert into reports
		(tenant_id, id, kind, day, version, time_zone, starts_at, ends_at, as_of, data, changes, created_at)
		values ($1, $2, $3, $4::date, $5, $6, $7, $8, $9, $10::json, $11::json, $12)`,
		tenant, r.ID, r.Kind, r.Day.String(), r.Version, r.TimeZone, r.StartsAt, r.EndsAt, r.AsOf, string(r.Data), string(changes), r.CreatedAt)
}

// FindLatestReport returns the latest version of a day's report.
func (s *Reports) FindLatestReport(ctx context.Context, scope tenancy.Scope, kind string, day reports.Day) (reports.Report, bool, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return reports.Report{}, false, err
	}
	r, found, err := findLatestReport(db.Scoped(ctx, scope), scope.Tenant, kind, day)
	return r, found, translate(err)
}

func findLatestReport(tx *gorm.DB, tenant tenancy.ID, kind string, day reports.Day) (reports.Report, bool, error) {
	return one(tx, readReport, "select "+headColumns+`, r.data from reports r
		where r.tenant_id = $1 and r.kind = $2 and r.day = $3::date order by r.version desc limit 1`, tenant, kind, day.String())
}

// FindReport returns one report.
func (s *Reports) FindReport(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (reports.Report, error) {
	rows := rowsOf[reports.Report]{
		query: "select " + headColumns + ", r.data from reports r where r.tenant_id = $1", id: "r.id", read: readReport,
		missing: reports.ErrNotFound,
	}
	return rows.findIn(ctx, s.tenanted, scope, id)
}

// ListReports returns reports by their days, the latest first.
func (s *Reports) ListReports(ctx context.Context, scope tenancy.Scope, q reports.Query) ([]reports.Head, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	query, args := "select "+headColumns+" from reports r where r.tenant_id = $1", []any{scope.Tenant}
	where := func(condition string, values ...any) {
		numbers := make([]any, len(values))
		for i, value := range values {
			args = append(args, value)
			numbers[i] = len(args)
		}
		query += fmt.Sprintf(" and "+condition, numbers...)
	}
	if q.Kind != "" {
		where("r.kind = $%d", q.Kind)
	}
	if !q.From.IsZero() {
		where("r.day >= $%d::date", q.From.String())
	}
	if !q.To.IsZero() {
		where("r.day <= $%d::date", q.To.String())
	}
	if !q.AllVersions {
		query += " and r.superseded_at is null"
	}
	compare, order := "<", "desc"
	if q.Backward {
		compare, order = ">", "asc"
	}
	if len(q.After) > 0 {
		day, id, err := reportPosition(q.After)
		if err != nil {
			return nil, err
		}
		where("(r.day, r.id) "+compare+" ($%d::date, $%d::uuid)", day.String(), id)
	}
	query += fmt.Sprintf(" order by r.day %[1]s, r.id %[1]s limit %[2]d", order, q.Limit+1)
	list, err := all(db.Scoped(ctx, scope), readHead, query, args...)
	return list, translate(err)
}

// reportPosition is the day and the id that a page ended at.
func reportPosition(after []any) (day reports.Day, id tenancy.ID, err error) {
	foreign := fault.New(fault.Malformed, "invalid_cursor", "The cursor does not fit this list; start again without it.")
	if len(after) != 2 {
		return day, id, foreign
	}
	first, _ := after[0].(string)
	second, _ := after[1].(string)
	if day, err = reports.ParseDay(first); err != nil {
		return day, id, foreign.Because(err)
	}
	if id, err = tenancy.ParseID(second); err != nil {
		return day, id, foreign.Because(err)
	}
	return day, id, nil
}
