package connectors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Due is a connector whose time has come.
type Due struct {
	Tenant, ID tenancy.ID
	// Zone is the tenant's time zone.
	Zone     string
	Schedule Schedule
	Failures int64
}

// DueStore finds the connectors that are due, of all tenants.
type DueStore interface {
	// Now is the database's time, which all schedulers share.
	Now(ctx context.Context) (time.Time, error)
	// ListDue returns up to limit connectors of active tenants that are due at a time, the longest due first.
	ListDue(ctx context.Context, now time.Time, limit int) ([]Due, error)
	// MeetDue enqueues the sync of a connector, in its tenant's name, and says when it is due next: both or neither. Where
	// it is not due any more, or somebody else meets it, it does nothing.
	MeetDue(ctx context.Context, due Due, meeting Meeting) error
}

// Meeting is what becomes of a connector that is due.
type Meeting struct {
	// Now is the moment at which it is due, Next when it is due again.
	Now, Next time.Time
	// Sync is the job.
	Sync jobs.New
}

// Dispatcher has connectors synced whose time has come. Any number may run at once.
type Dispatcher struct{ store DueStore }

// NewDispatcher returns a dispatcher.
func NewDispatcher(store DueStore) *Dispatcher { return &Dispatcher{store: store} }

const dueAtOnce = 200

// Dispatch meets all that is due. Where it fails at some, it goes on with the others.
func (d *Dispatcher) Dispatch(ctx context.Context) error {
	now, err := d.store.Now(ctx)
	if err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	for {
		list, err := d.store.ListDue(ctx, now, dueAtOnce)
		if err != nil {
			return fmt.Errorf("list the connectors that are due: %w", err)
		}
		var failed error
		for _, due := range list {
			if err := d.meet(ctx, due, now); err != nil {
				failed = errors.Join(failed, fmt.Errorf("sync the connector %s: %w", due.ID, err))
			}
		}
		if failed != nil || len(list) < dueAtOnce || ctx.Err() != nil {
			return failed
		}
	}
}

func (d *Dispatcher) meet(ctx context.Context, due Due, now time.Time) error {
	zone, err := time.LoadLocation(due.Zone)
	if err != nil {
		zone = time.UTC
	}
	job, err := jobs.Of(SyncArgs{ConnectorID: due.ID})
	if err != nil {
		return err
	}
	return d.store.MeetDue(ctx, due, Meeting{Now: now, Next: due.Schedule.Next(now, zone, due.Failures), Sync: job})
}
