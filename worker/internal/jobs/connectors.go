package jobs

import (
	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// SyncConnector keeps records in step with those of another program.
func SyncConnector(runner *connectors.Runner) jobs.Handler { return jobs.Handle(runner.Run) }
