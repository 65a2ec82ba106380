package postgres

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/schedules"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
)

// Schedules keeps where tenants stand in schedules. It implements schedules.Store, and needs the system's role.
type Schedules struct {
	db   *DB
	wake func(queue string)
}

var _ schedules.Store = (*Schedules)(nil)

// NewSchedules returns the schedules of a database. wake is told of a queue that got jobs, after they were committed; it
// must return at once, and may be nil.
func NewSchedules(system *DB, wake func(queue string)) *Schedules {
	if wake == nil {
		wake = func(string) {}
	}
	return &Schedules{db: system, wake: wake}
}

// Now is the database's time.
func (s *Schedules) Now(ctx context.Context) (time.Time, error) {
	now, _, err := one(s.db.with(ctx, operatorSession()), func(row scanner) (t time.Time, err error) {
		return t, row.Scan(&t)
	}, "select now()")
	return now, translate(err)
}

const (
	dueCursors = `
		select c.tenant_id, c.schedule, c.next_time, c.next_at, c.rule, c.time_zone, false, coalesce(t.state, 'suspended'), coalesce(t.time_zone, 'UTC')
		  from unnest($1::text[]) s (name)
		 cross join lateral (
		   select * from schedule_cursors c where c.schedule = s.name and c.next_at <= $2
		    order by c.next_at limit $3 for update skip locked
		 ) c left join tenants t on t.id = c.tenant_id`

	// A schedule that is not each tenant's is the reserved one's.
	staleCursors = `
		select t.id, s.name, coalesce(c.next_time, 'epoch'), c.next_at, coalesce(c.rule, ''), coalesce(c.time_zone, ''), c.tenant_id is null,
		       t.state, t.time_zone
		  from unnest($1::text[], $2::text[], $3::boolean[], $4::text[]) s (name, rule, per_tenant, time_zone)
		  join tenants t on (t.id <> $5) = s.per_tenant
		  left join schedule_cursors c on c.tenant_id = t.id and c.schedule = s.name
		 where c.tenant_id is null and t.state = 'active' or c.rule <> s.rule
		    or c.time_zone <> case when s.per_tenant then t.time_zone else s.time_zone end
		    or (c.next_at is null) <> (t.state <> 'active')
		 limit $6`

	beginCursors = `
		insert into schedule_cursors (tenant_id, schedule, next_time, next_at, rule, time_zone)
		select u.tenant_id, u.schedule, u.next_time::timestamp, u.next_at, u.rule, u.time_zone
		  from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[])
		    u (tenant_id, schedule, next_time, next_at, rule, time_zone)
		on conflict do nothing`

	// A cursor that went on meanwhile is left alone.
	moveCursors = `
		update schedule_cursors c
		   set next_time = u.next_time::timestamp, next_at = u.next_at, rule = u.rule, time_zone = u.time_zone
		  from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])
		    u (tenant_id, schedule, next_time, next_at, rule, time_zone, was)
		 where c.tenant_id = u.tenant_id and c.schedule = u.schedule and c.next_time = u.was::timestamp`

	makeScheduledJobs = `
		with wanted as (
		  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::int[], $9::int[],
		    $10::text[], $11::text[], $12::text[], $13::boolean[])
		    w (tenant_id, schedule, met, id, kind, queue, lane, max_running, max_attempts, request_id, args, unique_key, key_until_start)
		), met as (
		  insert into schedule_times (tenant_id, schedule, met, at)
		  select tenant_id, schedule, met::timestamp, now() from wanted
		  on conflict do nothing returning tenant_id, schedule
		)
		insert into jobs (tenant_id, id, kind, queue, state, lane, max_running, max_attempts, tries, run_at, created_at, request_id, args,
		  unique_key, key_until_start)
		select w.tenant_id, w.id, w.kind, w.queue, 'pending', w.lane, w.max_running, w.max_attempts, w.max_attempts, now(), now(),
		  w.request_id, w.args::json, nullif(w.unique_key, ''), w.key_until_start
		  from wanted w join met m on m.tenant_id = w.tenant_id and m.schedule = w.schedule
		on conflict (tenant_id, kind, unique_key) where unique_key is not null do nothing`
)

// MeetDue meets what is due.
func (s *Schedules) MeetDue(ctx context.Context, query schedules.DueQuery, meet func(schedules.Stand) (schedules.Meeting, error),
) (held, made int, err error) {
	err = s.db.inTx(ctx, operatorSession(), nil, func(ctx context.Context) error {
		held, made = 0, 0
		tx := s.db.with(ctx, operatorSession())
		stands, err := all(tx, readStand, dueCursors, query.Schedules, query.Now, query.Limit)
		if err != nil || len(stands) == 0 {
			return err
		}
		held = len(stands)
		var moved cursorColumns
		var wanted scheduledColumns
		for _, stand := range stands {
			meeting, err := meet(stand)
			if err != nil {
				return fmt.Errorf("schedule %s: %w", stand.Schedule, err)
			}
			moved.add(meeting.Cursor, stand.Time)
			if meeting.Time.IsZero() {
				continue
			}
			if err := wanted.add(stand.Cursor, meeting); err != nil {
				return err
			}
			s.db.AfterCommit(ctx, "jobs.wake "+meeting.Job.Kind.Queue, func() { s.wake(meeting.Job.Kind.Queue) })
		}
		if err := Defer(tx, moveCursors, append(moved.arguments(), moved.was)...); err != nil {
			return err
		}
		made, err = wanted.insert(tx)
		return err
	})
	return held, made, translate(err)
}

// Reconcile mends cursors.
func (s *Schedules) Reconcile(ctx context.Context, declared []schedules.Declared, limit int, settle func(schedules.Stand) schedules.Cursor,
) (found int, err error) {
	names, rules := make([]string, len(declared)), make([]string, len(declared))
	perTenant, zones := make([]bool, len(declared)), make([]string, len(declared))
	for i, d := range declared {
		names[i], rules[i], perTenant[i], zones[i] = d.Name, d.Rule, d.PerTenant, d.Zone
	}
	err = s.db.inTx(ctx, operatorSession(), nil, func(ctx context.Context) error {
		found = 0
		tx := s.db.with(ctx, operatorSession())
		if alone, err := TryLock(tx, LockKey("schedules")); err != nil || !alone {
			return err
		}
		stands, err := all(tx, readStand, staleCursors, names, rules, perTenant, zones, tenancy.SystemTenant, limit)
		if err != nil || len(stands) == 0 {
			return err
		}
		found = len(stands)
		var begun, moved cursorColumns
		for _, stand := range stands {
			if cursor := settle(stand); stand.IsNew {
				begun.add(cursor, stand.Time)
			} else {
				moved.add(cursor, stand.Time)
			}
		}
		if err := Defer(tx, beginCursors, begun.arguments()...); err != nil {
			return err
		}
		return Defer(tx, moveCursors, append(moved.arguments(), moved.was)...)
	})
	return found, translate(err)
}

// PruneTimes removes what nobody looks at any more.
func (s *Schedules) PruneTimes(ctx context.Context, declared []string, before time.Time, limit int) (removed int, err error) {
	err = s.db.inTx(ctx, operatorSession(), nil, func(ctx context.Context) error {
		removed = 0
		tx := s.db.with(ctx, operatorSession())
		for _, statement := range []struct {
			sql  string
			args []any
		}{
			{`delete from schedule_times where (tenant_id, schedule, met) in (
				select tenant_id, schedule, met from schedule_times where at < $1 order by at limit $2 for update skip locked)`, []any{before, limit}},
			{`delete from schedule_cursors where (tenant_id, schedule) in (
				select tenant_id, schedule from schedule_cursors where next_at < $1 and schedule <> all ($3::text[]) limit $2 for update skip locked)`, []any{before, limit, declared}},
		} {
			n, err := affect(tx, statement.sql, statement.args...)
			if err != nil {
				return err
			}
			removed += int(n)
		}
		return nil
	})
	return removed, translate(err)
}

func readStand(row scanner) (st schedules.Stand, err error) {
	var at *time.Time
	var next time.Time
	var state string
	err = row.Scan(&st.Tenant, &st.Schedule, &next, &at, &st.Rule, &st.Zone, &st.IsNew, &state, &st.TenantZone)
	if at != nil {
		st.At = *at
	}
	st.Time, st.State = schedules.WallOf(next.UTC()), tenants.State(state)
	return st, err
}

// cursorColumns are cursors as arrays.
type cursorColumns struct {
	tenants                    []tenancy.ID
	names, times, rules, zones []string
	at                         []*time.Time
	was                        []string
}

func (c *cursorColumns) add(cursor schedules.Cursor, was schedules.Wall) {
	var at *time.Time
	if !cursor.At.IsZero() {
		at = &cursor.At
	}
	c.tenants, c.names = append(c.tenants, cursor.Tenant), append(c.names, cursor.Schedule)
	c.times, c.at = append(c.times, cursor.Time.String()), append(c.at, at)
	c.rules, c.zones, c.was = append(c.rules, cursor.Rule), append(c.zones, cursor.Zone), append(c.was, was.String())
}

func (c *cursorColumns) arguments() []any {
	return []any{c.tenants, c.names, c.times, c.at, c.rules, c.zones}
}

// scheduledColumns are times and the jobs for them, as arrays.
type scheduledColumns struct {
	tenants, ids, lanes                             []tenancy.ID
	names, met, kinds, queues, requests, args, keys []string
	running, attempts                               []int
	untilStart                                      []bool
}

func (c *scheduledColumns) add(cursor schedules.Cursor, m schedules.Meeting) error {
	row, err := newRow(tenancy.AsSystem(cursor.Tenant, ""), m.Job)
	if err != nil {
		return err
	}
	c.tenants, c.ids, c.lanes = append(c.tenants, cursor.Tenant), append(c.ids, row.id), append(c.lanes, row.lane)
	c.names, c.met = append(c.names, cursor.Schedule), append(c.met, m.Time.String())
	c.kinds, c.queues = append(c.kinds, row.kind.Name), append(c.queues, row.kind.Queue)
	c.requests = append(c.requests, storable(schedules.RequestID(cursor.Schedule, m.Time), maxName))
	c.args, c.keys = append(c.args, row.args), append(c.keys, row.key)
	c.running, c.attempts = append(c.running, row.kind.MaxRunning), append(c.attempts, row.kind.MaxAttempts)
	c.untilStart = append(c.untilStart, row.kind.Unique == jobs.UniqueWhilePending)
	return nil
}

func (c *scheduledColumns) insert(tx *gorm.DB) (int, error) {
	if len(c.ids) == 0 {
		return 0, nil
	}
	n, err := affect(tx, makeScheduledJobs, c.tenants, c.names, c.met, c.ids, c.kinds, c.queues, c.lanes, c.running, c.attempts,
		c.requests, c.args, c.keys, c.untilStart)
	return int(n), err
}
