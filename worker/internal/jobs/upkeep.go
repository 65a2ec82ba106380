package jobs

import (
	"context"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/upkeep"
)

// PurgeTrash removes what a tenant deleted long enough ago.
func PurgeTrash(trash upkeep.Trash) jobs.Handler {
	return jobs.Handle(func(ctx context.Context, run *jobs.Run, _ upkeep.PurgeTrash) error {
		removed, err := trash.Purge(ctx, run.Scope, removing(run))
		if err != nil {
			return err
		}
		return run.SetResult(removed)
	})
}

// Expire removes what has expired, for the whole installation.
func Expire(expiries upkeep.Expiries) jobs.Handler {
	return jobs.Handle(func(ctx context.Context, run *jobs.Run, _ upkeep.Expire) error {
		removed, err := expiries.Remove(ctx, removing(run))
		if err != nil {
			return err
		}
		return run.SetResult(removed)
	})
}

// removing reports how many rows are gone so far; how many there are nobody has counted.
func removing(run *jobs.Run) func(int64) {
	return func(done int64) { run.Progress(done, 0, "removing") }
}
