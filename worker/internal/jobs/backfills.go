package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/backfills"
	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// unknownBackfillWait is how long a backfill waits that this worker does not have: one of the next version may.
const unknownBackfillWait = time.Minute

// Backfill changes the rows that were there before a column was.
func Backfill(service *backfills.Service, now func() time.Time) jobs.Handler {
	return jobs.Handle(func(ctx context.Context, run *jobs.Run, args backfills.Work) error {
		done, err := service.Work(ctx, args.Name, func(r backfills.Run) {
			run.Progress(r.Looked, max(r.Expected, r.Looked), fmt.Sprintf("%d changed, %d organizations", r.Changed, r.Tenants))
		})
		if errors.Is(err, backfills.ErrUnknown) {
			return jobs.RetryAt(err, now().Add(unknownBackfillWait))
		}
		if err != nil {
			return err
		}
		return run.SetResult(done)
	})
}
