package postgres

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

var errNobodyToReplayTo = errors.New("the endpoint was deleted or disabled meanwhile")

// replayed is something that may be sent again: an event, and the delivery that failed of it, if it is about those.
type replayed struct {
	event    webhooks.Event
	delivery tenancy.ID
}

// ReplayBatch makes deliveries of the next events of a replay, or begins those anew that failed.
func (s *Webhooks) ReplayBatch(ctx context.Context, scope tenancy.Scope, b webhooks.ReplayBatch) (done webhooks.Replayed, err error) {
	err = s.inTx(ctx, scope, func(ctx context.Context, tx *gorm.DB) error {
		done = webhooks.Replayed{}
		e, err := endpointRows().find(tx, scope.Tenant, b.Args.EndpointID, "")
		if fault.KindOf(err) == fault.NotFound || err == nil && e.State == webhooks.Disabled {
			return jobs.Cancel(errNobodyToReplayTo)
		}
		if err != nil {
			return err
		}
		found, err := replayable(tx, scope.Tenant, b)
		if err != nil {
			return err
		}
		if done.IsEnd = len(found) < b.Limit; len(found) == 0 {
			return nil
		}
		last := found[len(found)-1]
		done.Last = last.event.ID
		if b.Args.OnlyFailed {
			done.Last = last.delivery
		}
		var wanted []replayed
		for _, r := range found {
			if b.IsWanted(e, r.event) {
				wanted = append(wanted, r)
			}
		}
		done.Deliveries = len(wanted)
		return s.sendAgain(ctx, tx, scope, b, e.ID, wanted)
	})
	return done, err
}

// replayable are the next events of a replay's time, in the order of their ids, or those of deliveries that failed.
func replayable(tx *gorm.DB, tenant tenancy.ID, b webhooks.ReplayBatch) ([]replayed, error) {
	read := func(row scanner) (r replayed, err error) {
		return r, row.Scan(append(eventFields(&r.event), &r.delivery)...)
	}
	if b.Args.OnlyFailed {
		return all(tx, read, "select "+eventColumns+`, d.id from webhook_deliveries d
			join events v on v.tenant_id = $1 and v.id = d.event_id
			where d.tenant_id = $1 and d.has_failed and d.endpoint_id = $2 and d.cause <> 'test' and d.id > $3 and d.id >= uuid7_floor($4)
			and v.at >= $4 and v.at < $5 order by d.id limit $6 for update of d`,
			tenant, b.Args.EndpointID, b.After, b.Args.From, b.Args.To, b.Limit)
	}
	// What this very replay has made is there where its job was begun anew.
	return all(tx, read, "select "+eventColumns+`, v.id from events v
		where v.tenant_id = $1 and v.id > $3 and v.id >= uuid7_floor($4) and v.id < uuid7_floor($5) and v.type <> 'webhook.test'
		and not exists (select from webhook_deliveries d
		  where d.tenant_id = $1 and d.event_id = v.id and d.endpoint_id = $2 and d.cause_id = $7)
		order by v.id limit $6`,
		tenant, b.Args.EndpointID, b.After, b.Args.From, b.Args.To, b.Limit, b.Job)
}

// sendAgain enqueues the attempts. A paused endpoint's are held by them.
func (s *Webhooks) sendAgain(ctx context.Context, tx *gorm.DB, scope tenancy.Scope, b webhooks.ReplayBatch, endpoint tenancy.ID, list []replayed,
) error {
	if len(list) == 0 {
		return nil
	}
	deliveries, work := make([]webhooks.Delivery, len(list)), make([]jobs.New, len(list))
	ids, jobIDs := make([]tenancy.ID, len(list)), make([]tenancy.ID, len(list))
	for i, r := range list {
		d := webhooks.Delivery{
			ID: tenancy.NewID(), EndpointID: endpoint, EventID: r.event.ID, EventType: r.event.Type, State: webhooks.Pending,
			Cause: webhooks.CauseReplay, NextAttemptAt: &b.Now, CreatedAt: b.Now,
		}
		if b.Args.OnlyFailed {
			d.ID = r.delivery
		}
		job, err := jobs.Of(webhooks.DeliverArgs{DeliveryID: d.ID, EndpointID: endpoint})
		if err != nil {
			return err
		}
		d.JobID = job.ID
		deliveries[i], work[i], ids[i], jobIDs[i] = d, job, d.ID, job.ID
	}
	if _, err := s.queue.Enqueue(ctx, scope, work...); err != nil {
		return err
	}
	if !b.Args.OnlyFailed {
		return insertDeliveries(tx, scope.Tenant, b.Job, deliveries...)
	}
	return Defer(tx, `update webhook_deliveries d set state = 'pending', round = 0, job_id = g.job, next_attempt_at = $4, finished_at = null
		from unnest($2::uuid[], $3::uuid[]) as g (id, job) where d.tenant_id = $1 and d.id = g.id`, scope.Tenant, ids, jobIDs, b.Now)
}
