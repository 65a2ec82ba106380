package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// CountEvents counts the selected events up to a limit.
func (s *Inbound) CountEvents(ctx context.Context, scope tenancy.Scope, selection inbound.Selection, limit int) (int, error) {
	tx, err := s.tenant(ctx, scope)
	if err != nil {
		return 0, err
	}
	c := conditionsOn(scope.Tenant)
	c.selected(selection)
	n, _, err := one(tx, func(row scanner) (n int, err error) { return n, row.Scan(&n) },
		fmt.Sprintf("select count(*) from (select 1 from inbound_events e where %s limit %d) selected", c.sql(), limit), c.arguments...)
	return n, translate(err)
}

// TakeForReplay holds selected events that the replay has not taken yet.
func (s *Inbound) TakeForReplay(ctx context.Context, scope tenancy.Scope, selection inbound.Selection, replay tenancy.ID, limit int,
) ([]tenancy.ID, error) {
	tx, err := s.tenant(ctx, scope)
	if err != nil {
		return nil, err
	}
	c := conditionsOn(scope.Tenant)
	c.selected(selection)
	taken := c.argument(replay)
	ids, err := all(tx, readID, fmt.Sprintf(
		"select e.id from inbound_events e where %s and e.replay_id is distinct from %s::uuid order by e.id limit %d for no key update",
		c.sql(), taken, limit), c.arguments...)
	return ids, translate(err)
}

// MarkReplayed makes events pending again under their new jobs.
func (s *Inbound) MarkReplayed(ctx context.Context, scope tenancy.Scope, replay tenancy.ID, events, jobs []tenancy.ID) error {
	tx, err := s.tenant(ctx, scope)
	if err != nil {
		return err
	}
	return translate(Defer(tx, `update inbound_events e set state = 'pending', error = null, processed_at = null, job_id = j.job_id, replay_id = $2
		from unnest($3::text[]::uuid[], $4::text[]::uuid[]) as j (event_id, job_id) where e.tenant_id = $1 and e.id = j.event_id`,
		scope.Tenant, replay, idTexts(events), idTexts(jobs)))
}

func idTexts(ids []tenancy.ID) []string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return texts
}

// sweepAtOnce is how many events a statement of a sweep removes.
const sweepAtOnce = 1000

// SweepInbound removes events that were received longer ago than they are kept, quarantined ones sooner. It needs the
// system's role.
func (db *DB) SweepInbound(ctx context.Context, keep time.Duration) error {
	for {
		var removed int
		err := db.sql.QueryRowContext(ctx, "select sweep_inbound_events($1::interval, $2::interval, $3)",
			interval(keep), interval(inbound.QuarantineFor), int64(sweepAtOnce)).Scan(&removed)
		if err != nil {
			return fmt.Errorf("sweep inbound events: %w", err)
		}
		if removed < sweepAtOnce {
			return nil
		}
	}
}

func interval(d time.Duration) string { return fmt.Sprintf("%d microseconds", d.Microseconds()) }
