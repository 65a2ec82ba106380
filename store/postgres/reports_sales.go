package postgres

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Sales adds up orders for reports. It reads only: the role groundwork_reporting is enough.
type Sales struct{ router Router }

var _ reports.SalesReader = (*Sales)(nil)

// NewSales returns the reader of the tenants' databases.
func NewSales(router Router) *Sales { return &Sales{router: router} }

const (
	// counting is an order that counts: it was placed, and not cancelled. The order of placed_at is that of its index.
	counting = "o.tenant_id = $1 and o.deleted_at is null and o.status in ('placed', 'paid', 'shipped')"
	placed   = "greatest(o.placed_at, '-infinity')"

	// The days are the places of a moment among their bounds, which are those of the tenant's calendar.
	salesByDay = `
		select o.currency, width_bucket(o.placed_at, $2::timestamptz[]) - 1, count(*),
		  least(sum(o.total_cents), 9223372036854775807)::bigint, sum(o.total_cents) > 9223372036854775807
		  from orders o where ` + counting + ` and ` + placed + ` >= $3 and ` + placed + ` < $4
		 group by 1, 2 order by 1, 2`

	salesByCustomer = `
		select s.currency, s.customer_id, coalesce(c.name, ''), s.orders, least(s.total, 9223372036854775807)::bigint, s.total > 9223372036854775807
		  from (
		    select o.currency, o.customer_id, count(*) orders, sum(o.total_cents) total,
		      row_number() over (partition by o.currency order by sum(o.total_cents) desc, count(*) desc, o.customer_id) place
		      from orders o where ` + counting + ` and ` + placed + ` >= $2 and ` + placed + ` < $3
		     group by o.currency, o.customer_id
		  ) s left join customers c on c.tenant_id = $1 and c.id = s.customer_id
		 where s.place <= $4 order by s.currency, s.place`

	// What was open when the day ended is what is open now, and what was shipped or cancelled since: that was changed
	// since.
	openOrders = `
		select s.currency, count(*), least(sum(s.total_cents), 9223372036854775807)::bigint,
		  count(*) filter (where s.overdue), least(coalesce(sum(s.total_cents) filter (where s.overdue), 0), 9223372036854775807)::bigint,
		  sum(s.total_cents) > 9223372036854775807
		  from (
		    select o.currency, o.total_cents, o.placed_at < $3 and (o.paid_at is null or o.paid_at >= $2) overdue
		      from orders o where o.tenant_id = $1 and o.deleted_at is null and o.status in ('placed', 'paid') and ` + placed + ` < $2
		       and o.placed_at is not null
		    union all
		    select o.currency, o.total_cents, o.placed_at < $3 and (o.paid_at is null or o.paid_at >= $2)
		      from orders o where o.tenant_id = $1 and o.deleted_at is null and o.status in ('shipped', 'cancelled') and o.updated_at >= $2
		       and ` + placed + ` < $2 and o.placed_at is not null
		       and case o.status when 'shipped' then o.shipped_at else o.cancelled_at end >= $2
		  ) s group by s.currency order by s.currency`

	// A replica's data is as of what it has taken over, however late that is.
	asOf = `select case when pg_is_in_recovery() then coalesce(pg_last_xact_replay_timestamp(), now()) else now() end`

	// A customer is new on the day of the first order.
	newCustomers = `
		select d.day, count(distinct o.customer_id)
		  from unnest($2::int[], $3::timestamptz[], $4::timestamptz[]) d (day, begins, ends)
		  join orders o on ` + counting + ` and ` + placed + ` >= d.begins and ` + placed + ` < d.ends
		 where not exists (
		   select from orders e where e.tenant_id = $1 and e.customer_id = o.customer_id and e.deleted_at is null
		      and e.status in ('placed', 'paid', 'shipped') and e.placed_at < d.begins)
		 group by d.day`
)

// ReadSales adds up the orders of a period in one snapshot.
func (s *Sales) ReadSales(ctx context.Context, scope tenancy.Scope, period reports.Period, overdueBefore time.Time, best int,
) (rows reports.SalesRows, err error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return rows, err
	}
	snapshot := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	err = db.InTxWith(ctx, scope, snapshot, func(ctx context.Context) error {
		rows = reports.SalesRows{}
		return readSales(db.Scoped(ctx, scope), salesQuery{scope.Tenant, period, overdueBefore, best}, &rows)
	})
	return rows, translate(err)
}

type salesQuery struct {
	tenant        tenancy.ID
	period        reports.Period
	overdueBefore time.Time
	best          int
}

func readSales(tx *gorm.DB, q salesQuery, rows *reports.SalesRows) (err error) {
	from, until := q.period.Bounds[0], q.period.End()
	if rows.AsOf, _, err = one(tx, func(row scanner) (t time.Time, err error) { return t, row.Scan(&t) }, asOf); err != nil {
		return err
	}
	rows.Days, err = all(tx, func(row scanner) (r reports.SalesRow, err error) {
		return r, row.Scan(&r.Currency, &r.Day, &r.Orders, &r.TotalCents, &r.IsCapped)
	}, salesByDay, q.tenant, q.period.Bounds, from, until)
	if err != nil {
		return err
	}
	rows.Open, err = all(tx, func(row scanner) (r reports.OpenRow, err error) {
		return r, row.Scan(&r.Currency, &r.Open.Orders, &r.Open.TotalCents, &r.Overdue.Orders, &r.Overdue.TotalCents, &r.IsCapped)
	}, openOrders, q.tenant, until, q.overdueBefore)
	if err != nil || len(rows.Days) == 0 {
		return err
	}
	rows.Customers, err = all(tx, func(row scanner) (r reports.CustomerRow, err error) {
		return r, row.Scan(&r.Currency, &r.CustomerID, &r.Name, &r.Orders, &r.RevenueCents, &r.IsCapped)
	}, salesByCustomer, q.tenant, from, until, q.best)
	if err != nil {
		return err
	}
	return readNewCustomers(tx, q, rows)
}

// comparedDays are how far back the days are that a day is compared with, itself among them.
func comparedDays() []int { return []int{0, 1, 7} }

func readNewCustomers(tx *gorm.DB, q salesQuery, rows *reports.SalesRows) error {
	last := len(q.period.Days) - 1
	var days []int
	var begins, ends []time.Time
	for _, back := range comparedDays() {
		days = append(days, last-back)
		begins, ends = append(begins, q.period.Bounds[last-back]), append(ends, q.period.Bounds[last-back+1])
	}
	type counted struct {
		day int
		n   int64
	}
	found, err := all(tx, func(row scanner) (c counted, err error) { return c, row.Scan(&c.day, &c.n) },
		newCustomers, q.tenant, days, begins, ends)
	rows.NewCustomers = make(map[int]int64, len(found))
	for _, c := range found {
		rows.NewCustomers[c.day] = c.n
	}
	return err
}
