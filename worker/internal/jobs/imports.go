package jobs

import (
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

// Import brings records in from a file.
func Import(imports *transfers.Imports) jobs.Handler { return jobs.Handle(imports.Run) }
